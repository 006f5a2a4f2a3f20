//! Prescriptions: orders of medications, and what was dispensed for them (FHIR R4 `MedicationRequest`,
//! `MedicationDispense`).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::patient::Severity;
use crate::values::{LongText, OverrideReason, PrescriptionNumber, Reason, Text, Unit};
use crate::{
    Aggregate, AllergyId, ConsultationId, MedicationId, MedicationLotId, PatientId, Personal, PrescriptionItemId,
    Subject, UserId, described, terms,
};

terms! {
    /// The status of a prescription.
    pub enum Status {
        Pending = "pending",
        SentToPharmacy = "sent_to_pharmacy",
        Ready = "ready",
        Dispensed = "dispensed",
        Cancelled = "cancelled",
    }

    /// How urgent a prescription is.
    pub enum Priority {
        Low = "low",
        Normal = "normal",
        High = "high",
        Urgent = "urgent",
    }
}

described! {
    /// The order of one medication, and how to take the medication.
    pub struct Order {
        /// The medication.
        pub medication_id: MedicationId,
        /// The quantity of one dose, in `dose_unit`.
        pub dose_quantity: Option<Decimal>,
        /// The unit of a dose, such as `mg`.
        pub dose_unit: Option<Unit>,
        /// The route by which the medication is given, such as `oral`.
        pub route: Option<Text<50>>,
        /// How often the medication is taken.
        pub frequency: Option<Text<50>>,
        /// Whether the medication is taken only when needed.
        #[serde(default)]
        pub as_needed: bool,
        /// The number of days for which the medication is taken.
        pub duration_days: Option<i32>,
        /// The quantity to dispense, in `quantity_unit`; more than zero.
        pub quantity: Decimal,
        /// The unit of the quantity, such as `tablet`; must be the unit of the medication's lots.
        pub quantity_unit: Unit,
        /// Whether a product with the same ingredients may be dispensed instead; `true` if left out.
        #[serde(default = "yes")]
        pub substitution_allowed: bool,
        /// Instructions for the patient.
        pub instructions: Option<Personal<LongText>>,
        /// The last day on which the medication may be dispensed.
        pub valid_until: Option<NaiveDate>,
        /// Why the medication is prescribed though the patient has a recorded allergy to it: 10 to 500 characters.
        pub override_reason: Option<Personal<OverrideReason>>,
    }
}

/// Allergies that somebody overrode, each with the severity that it had then. An allergy that has become more severe
/// since then counts as not overridden.
pub type OverriddenAllergies = BTreeMap<AllergyId, Option<Severity>>;

fn yes() -> bool {
    true
}

/// One line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The id of the line.
    pub id: PrescriptionItemId,
    /// The order.
    pub order: Order,
    /// The recorded allergies to the medication that the prescriber overrode.
    pub overridden_allergies: OverriddenAllergies,
}

/// A quantity that was dispensed for one line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispensing {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// The lot from which the quantity was taken; `None` when another pharmacy dispensed it.
    pub lot_id: Option<MedicationLotId>,
    /// The quantity, in the unit of the line; more than zero.
    pub quantity: Decimal,
    /// The quantity dispensed for the line so far, this one included.
    pub dispensed_after: Decimal,
}

/// A dispensed quantity that was taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reversed {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// The lot into which the quantity was put back; `None` when another pharmacy had dispensed it.
    pub lot_id: Option<MedicationLotId>,
    /// The quantity, in the unit of the line; more than zero.
    pub quantity: Decimal,
    /// What is dispensed of the line afterwards.
    pub quantity_dispensed: Decimal,
}

/// Why a line was dispensed in spite of allergies to the medication that nobody had overridden before, because they
/// were recorded, or became more severe, after the prescription was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// The allergies.
    pub allergies: OverriddenAllergies,
    /// The reason that was given.
    pub reason: Personal<OverrideReason>,
}

/// A line of a prescription, and the quantity dispensed so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The line.
    pub item: Item,
    /// The quantity dispensed so far.
    pub quantity_dispensed: Decimal,
    /// The allergies to the medication that somebody overrode, when writing or dispensing the line.
    pub overridden_allergies: OverriddenAllergies,
}

impl Line {
    /// The line of a prescription that was just written.
    fn new(item: &Item) -> Self {
        let overridden_allergies = item.overridden_allergies.clone();
        Self { item: item.clone(), quantity_dispensed: Decimal::ZERO, overridden_allergies }
    }
}

impl Line {
    /// The quantity that may still be dispensed.
    pub fn outstanding(&self) -> Decimal {
        self.item.order.quantity - self.quantity_dispensed
    }
}

/// An order of one or more medications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prescription {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation that led to the prescription.
    pub consultation_id: Option<ConsultationId>,
    /// The provider who wrote the prescription.
    pub provider_id: UserId,
    /// The number of the prescription.
    pub number: PrescriptionNumber,
    /// The lines, one for each ordered medication.
    pub lines: Vec<Line>,
    /// What was dispensed from which lot and not taken back, in the order of dispensing.
    pub given: Vec<Dispensing>,
    /// Whether the prescription was sent to the pharmacy.
    pub is_sent: bool,
    /// The status of the prescription.
    pub status: Status,
}

impl Prescription {
    /// Takes a quantity of a line back from what was dispensed, beginning with what was dispensed last.
    fn take_back(&mut self, reversed: &Reversed) {
        let mut quantity = reversed.quantity;
        let is_of = |it: &Dispensing| (it.item_id, it.lot_id) == (reversed.item_id, reversed.lot_id);
        for part in self.given.iter_mut().rev().filter(|it| is_of(it)) {
            let taken = quantity.min(part.quantity);
            part.quantity -= taken;
            quantity -= taken;
        }
        self.given.retain(|it| !it.quantity.is_zero());
        for line in self.lines.iter_mut().filter(|line| line.item.id == reversed.item_id) {
            line.quantity_dispensed = reversed.quantity_dispensed;
        }
    }
}

/// What can happen to a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The prescription was written.
    Written(Written),
    /// The prescription was sent to the pharmacy.
    SentToPharmacy,
    /// The medications are ready at the pharmacy.
    MarkedReady,
    /// The medications are not ready at the pharmacy: they had been marked as ready by mistake.
    ReadyUndone {
        /// Why the medications are not ready.
        reason: Personal<Reason>,
    },
    /// All or some of the prescribed medications were dispensed.
    Dispensed {
        /// The dispensed quantities, by line and lot.
        dispensed: Vec<Dispensing>,
        /// Why lines were dispensed in spite of allergies that nobody had overridden before.
        overrides: Vec<Override>,
        /// Whether nothing more may be dispensed for the prescription.
        completes: bool,
    },
    /// What was dispensed never left the pharmacy, and was taken back.
    DispensingReversed {
        /// The quantities that were taken back, by line and lot.
        reversed: Vec<Reversed>,
        /// The status of the prescription afterwards.
        status: Status,
        /// The reason for taking the quantities back.
        reason: Personal<Reason>,
    },
    /// The prescription was cancelled; nothing more may be dispensed.
    Cancelled {
        /// The reason for the cancellation.
        reason: Personal<Reason>,
    },
}

/// The prescription as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// The number of the prescription.
    pub number: PrescriptionNumber,
    /// The consultation that led to the prescription.
    pub consultation_id: Option<ConsultationId>,
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who wrote the prescription.
    pub provider_id: UserId,
    /// How urgent the prescription is.
    pub priority: Priority,
    /// Notes on the prescription.
    pub notes: Option<Personal<LongText>>,
    /// The lines, one for each ordered medication.
    pub items: Vec<Item>,
}

impl Aggregate for Prescription {
    const STREAM: &'static str = "prescription";
    const STATE_VERSION: i32 = 4;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Written(it) => Some(Self {
                patient_id: it.patient_id,
                consultation_id: it.consultation_id,
                provider_id: it.provider_id,
                number: it.number.clone(),
                lines: it.items.iter().map(Line::new).collect(),
                given: Vec::new(),
                is_sent: false,
                status: Status::Pending,
            }),
            Event::SentToPharmacy => state.map(|it| Self { status: Status::SentToPharmacy, is_sent: true, ..it }),
            Event::MarkedReady => state.map(|it| Self { status: Status::Ready, ..it }),
            Event::ReadyUndone { reason: _ } => state.map(|it| Self { status: Status::SentToPharmacy, ..it }),
            Event::Dispensed { dispensed, overrides, completes } => state.map(|mut prescription| {
                for part in dispensed {
                    for line in prescription.lines.iter_mut().filter(|line| line.item.id == part.item_id) {
                        line.quantity_dispensed = part.dispensed_after;
                    }
                }
                for given in overrides {
                    for line in prescription.lines.iter_mut().filter(|line| line.item.id == given.item_id) {
                        line.overridden_allergies.extend(&given.allergies);
                    }
                }
                prescription.given.extend(dispensed.iter().cloned());
                let status = if *completes { Status::Dispensed } else { prescription.status };
                Self { status, ..prescription }
            }),
            Event::DispensingReversed { reversed, status, reason: _ } => state.map(|mut prescription| {
                for part in reversed {
                    prescription.take_back(part);
                }
                Self { status: *status, ..prescription }
            }),
            Event::Cancelled { reason: _ } => state.map(|it| Self { status: Status::Cancelled, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
