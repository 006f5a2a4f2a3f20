//! The death of a patient: recording and revoking it, and what follows for the patient's appointments and waiting.

mod telling;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{self, Appointment, Status};
use hims_domain::patient::{Death, Event, Patient};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::waitlist_entry::WaitlistEntry;
use hims_domain::wall_clock::latest_day;
use hims_domain::{PatientId, Personal, described};
use uuid::Uuid;

pub(crate) use telling::TellOfDeath;

use super::{Refusal, not_erased, person, reads_person, records_of};
use crate::waitlist_entry::{endings, reads_open};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// The reason with which a death cancels appointments and ends waiting.
const DECEASED: &str = "deceased";

/// Whether an appointment was cancelled because the patient has died.
pub(crate) fn is_death(reason: &Personal<Reason>) -> bool {
    reason.known().is_some_and(|it| it.0 == DECEASED)
}

described! {
    /// Records that a patient has died, or corrects when. The patient's open appointments are cancelled shortly
    /// afterwards, the patient is taken off the waiting list, and nothing new is scheduled or prescribed.
    pub struct RecordPatientDeath {
        /// Which patient.
        pub patient_id: PatientId,
        /// When the patient died, and from where that is known.
        #[serde(flatten)]
        pub death: Death,
    }

    /// Revokes a death that was recorded by mistake, in every record of the person. Appointments that were cancelled
    /// because of the death stay cancelled, and the person stays off the waiting list.
    pub struct RevokePatientDeath {
        /// Which patient.
        pub patient_id: PatientId,
        /// Why the death is revoked.
        pub reason: Personal<Reason>,
    }

    /// Cancels the open appointments of a person who has died, from the time of the death on, and takes the person off
    /// the waiting list, in whichever record of the person they are. Does nothing if nobody has died or the death was
    /// revoked. The process `after-death` gives the command.
    pub struct CancelAppointmentsOfDeceased {
        /// Which patient; any record of the person.
        pub patient_id: PatientId,
    }
}

/// Refuses what is not done for a person who has died, given a record of the person. The command looks up the records
/// with [`reads_person`].
///
/// # Errors
/// When the person was dead at the time of the command.
pub(crate) fn check_alive(id: PatientId, ctx: &Context<'_>) -> Result<(), Refused> {
    let is_dead = person(id, ctx.found).iter().any(|it| it.is_deceased(ctx.now));
    if is_dead { refuse(Refusal::Deceased) } else { Ok(()) }
}

impl Command for RecordPatientDeath {
    const NAME: &'static str = "record-patient-death";
    const PERMISSION: Permission = Permission::Update(Update::PatientStatus);
    const REVERSED_BY: Option<&'static str> = Some(RevokePatientDeath::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        if patient.death.as_ref() == Some(&self.death) {
            return Ok(Decision::nothing());
        }
        let deceased_at = self.death.deceased_at.known().copied();
        if deceased_at.is_none_or(|it| it > ctx.now) {
            let message = "give a time that is not in the future";
            return Err(Refused::field("in-the-future", "/deceased_at", message));
        }
        let first_day = patient.demographics.days_of_birth().map(|days| *days.start());
        // Where the patient was born it may have been the next day already.
        let last_day = deceased_at.map(latest_day);
        if last_day.zip(first_day).is_some_and(|(died, born)| died < born) {
            return Err(Refused::field("before-birth", "/deceased_at", "give a time after the patient's birth"));
        }
        Ok(Decision::event(Event::DeathRecorded(self.death)))
    }
}

impl Command for RevokePatientDeath {
    const NAME: &'static str = "revoke-patient-death";
    const PERMISSION: Permission = Permission::Update(Update::PatientStatus);
    const REVERSED_BY: Option<&'static str> = Some(RecordPatientDeath::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        let duplicates = state.into_iter().flat_map(|it| it.duplicates.iter().copied());
        duplicates.fold(Reads::nothing(), Reads::stream::<Patient>)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let revoked = || Event::DeathRevoked { reason: self.reason.clone() };
        let own = patient.death.as_ref().map_or_else(Decision::nothing, |_| Decision::event(revoked()));
        let is_dead = |id: &PatientId| ctx.found.get::<Patient>(*id).is_some_and(|it| it.death.is_some());
        let duplicates = patient.duplicates.iter().copied().filter(is_dead);
        Ok(duplicates.fold(own, |decision, id| decision.also::<Patient>(id, revoked())))
    }
}

/// The time in which appointments of a person may lie that the person's death has made pointless: from the death on,
/// for longer than anybody schedules ahead. `None` for a person who has not died or was erased.
fn after_death(id: PatientId, found: &Found) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    const LONGER_THAN_ANYBODY_SCHEDULES: TimeDelta = TimeDelta::days(200 * 365);
    let deaths = person(id, found).into_iter().filter_map(|it| it.death.as_ref()?.deceased_at.known().copied());
    let deceased_at = deaths.min()?;
    Some((deceased_at, deceased_at + LONGER_THAN_ANYBODY_SCHEDULES))
}

/// Looks up a person, and the appointments of the person that a death has made pointless.
fn reads_visits(id: PatientId, found: &Found) -> Reads {
    let reads = reads_person(Reads::nothing(), id, found);
    let Some((from, until)) = after_death(id, found) else { return reads };
    records_of(id, found).into_iter().fold(reads, |reads, id| reads.booked::<Appointment>(id, from, until))
}

/// The open appointments of a person in a span of time, in whichever record of the person they are.
fn open_visits(
    id: PatientId,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    found: &Found,
) -> Vec<(Uuid, &Appointment)> {
    let is_open = |it: &Appointment| matches!(it.status, Status::Scheduled | Status::Confirmed | Status::CheckedIn);
    let booked = records_of(id, found).into_iter().flat_map(|id| found.booked::<Appointment>(id, from, until));
    booked.filter(|(_, it)| is_open(it)).map(|(booking, it)| (booking.owner, it)).collect()
}

impl Command for CancelAppointmentsOfDeceased {
    const NAME: &'static str = "cancel-appointments-of-deceased";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, _: Option<&Patient>, found: &Found) -> Reads {
        let records = records_of(self.patient_id, found).into_iter();
        records.fold(reads_visits(self.patient_id, found), reads_open)
    }

    fn decide(self, _: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let Some(span) = after_death(self.patient_id, ctx.found) else { return Ok(Decision::nothing()) };
        let reason = Personal::Known(DECEASED.into());
        let records = records_of(self.patient_id, ctx.found);
        let waited = records.iter().flat_map(|id| endings(*id, &reason, ctx.found));
        let ended = waited.fold(Decision::nothing(), |decision, (id, event)| decision.also::<WaitlistEntry>(id, event));
        Ok(open_visits(self.patient_id, span, ctx.found).into_iter().fold(ended, |decision, (id, _)| {
            decision.also::<Appointment>(id, appointment::Event::Cancelled { reason: reason.clone() })
        }))
    }
}

#[cfg(test)]
mod tests;
