//! The made-up history of one patient, as appends to the log: each append is what one moment brings.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_commands::{Claims, begun};
use hims_domain::UserId;
use hims_domain::lab_test::Definition;
use hims_domain::patient::Demographics;
use hims_domain::{LabTestId, PatientId};
use hims_event_store::{Actor, Append, AppendError, Metadata};
use uuid::Uuid;

use super::plan::{Chance, Kind, Plan, VISITS, Visit};
use super::words::SUBSTANCES;

/// The name with which events record the generator as their actor.
pub(super) const GENERATOR: &str = "generate";

/// What all histories have in common.
pub(super) struct Hospital {
    pub(super) plan: Plan,
    /// Before which instant visits have taken place.
    pub(super) now: DateTime<Utc>,
    /// The tests of [`TESTS`](super::words::TESTS), in this order.
    pub(super) tests: Vec<(LabTestId, Definition)>,
}

/// The circumstances of what the generator records.
pub(super) fn circumstances(command_id: Uuid, occurred_at: DateTime<Utc>) -> Metadata {
    Metadata {
        actor: Actor::System { name: GENERATOR.to_owned() },
        command_id,
        command: GENERATOR.to_owned(),
        correlation_id: command_id,
        occurred_at,
        ..Metadata::default()
    }
}

/// The moments of a patient's history, as they are made.
pub(super) struct History {
    pub(super) hospital: Arc<Hospital>,
    /// The number of the patient, from 1.
    pub(super) nth: u64,
    pub(super) patient_id: PatientId,
    pub(super) demographics: Demographics,
    pub(super) chance: Chance,
    moments: Vec<Append>,
}

impl History {
    /// The whole history of a patient, as one append for each of [`Plan::moments`].
    ///
    /// # Errors
    /// When an event cannot be serialised.
    pub(super) fn of(hospital: &Arc<Hospital>, nth: u64) -> Result<Vec<Append>, AppendError> {
        let mut chance = hospital.plan.chance(nth);
        let demographics = super::people::demographics(&hospital.plan, nth, &mut chance);
        let patient_id = hospital.plan.id(nth, Kind::Patient, 0).into();
        let moments = Vec::new();
        let mut history = Self { hospital: Arc::clone(hospital), nth, patient_id, demographics, chance, moments };
        history.registered()?;
        for number in 0..VISITS {
            history.visited(number)?;
        }
        Ok(history.moments)
    }

    /// The id of a thing of the patient's history.
    pub(super) fn id(&self, kind: Kind, place: u64) -> Uuid {
        self.hospital.plan.id(self.nth, kind, place)
    }

    /// A number for one of the patient's papers, such as an invoice: no two of one kind are equal. Ten digits are left
    /// for it.
    pub(super) fn number(&self, place: u64) -> u64 {
        self.nth * 16 + place
    }

    /// A visit of the patient.
    pub(super) fn visit(&self, number: u64) -> Visit {
        self.hospital.plan.visit(self.nth, number)
    }

    /// The doctor with a number, from 0.
    pub(super) fn doctor(&self, number: u64) -> UserId {
        self.hospital.plan.id(0, Kind::User, number).into()
    }

    /// A product of the catalogue by chance: its id and the unit in which it is given.
    pub(super) fn product(&mut self) -> (Uuid, &'static str) {
        let place = self.chance.below(self.hospital.plan.medications);
        let nth = usize::try_from(place).unwrap_or(0) % SUBSTANCES.len();
        (self.hospital.plan.id(0, Kind::Medication, place), SUBSTANCES[nth].3)
    }

    /// Begins a moment. What is added until the next moment is written in one append.
    pub(super) fn moment(&mut self, occurred_at: DateTime<Utc>) {
        let command_id = self.id(Kind::Command, self.moments.len() as u64);
        self.moments.push(Append { metadata: circumstances(command_id, occurred_at), ..Append::default() });
    }

    /// Adds a stream with all of its events to the moment.
    pub(super) fn add<A: Claims>(&mut self, id: impl Into<Uuid>, events: &[A::Event]) -> Result<(), AppendError> {
        let (stream, claims) = begun::<A>(id.into(), events)?;
        if let Some(moment) = self.moments.last_mut() {
            moment.streams.push(stream);
            moment.claims.extend(claims);
        }
        Ok(())
    }
}
