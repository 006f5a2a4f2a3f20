//! Prescriptions: orders of medications, and what was dispensed for them (FHIR R4 `MedicationRequest`,
//! `MedicationDispense`).

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, PrescriptionNumber, Text};
use crate::{
    Aggregate, ConsultationId, MedicationId, MedicationLotId, PatientId, Personal, PrescriptionItemId, Subject, UserId,
    described, terms,
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
        pub dose_unit: Option<Text<20>>,
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
        /// The unit of the quantity; must be the unit of the medication's lots.
        pub quantity_unit: Text<20>,
        /// Whether a product with the same ingredients may be dispensed instead; `true` if left out.
        #[serde(default = "yes")]
        pub substitution_allowed: bool,
        /// Instructions for the patient.
        pub instructions: Option<Personal<LongText>>,
        /// The last day on which the medication may be dispensed.
        pub valid_until: Option<NaiveDate>,
    }
}

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
}

/// A line of a prescription, and the quantity dispensed so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The line.
    pub item: Item,
    /// The quantity dispensed so far.
    pub quantity_dispensed: Decimal,
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
    /// The provider who wrote the prescription.
    pub provider_id: UserId,
    /// The number of the prescription.
    pub number: PrescriptionNumber,
    /// The lines, one for each ordered medication.
    pub lines: Vec<Line>,
    /// The status of the prescription.
    pub status: Status,
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
    /// All or some of the prescribed medications were dispensed.
    Dispensed {
        /// The dispensed quantities, by line and lot.
        dispensed: Vec<Dispensing>,
        /// Whether nothing more may be dispensed for the prescription.
        completes: bool,
    },
    /// The prescription was cancelled; nothing more may be dispensed.
    Cancelled {
        /// The reason for the cancellation.
        reason: Personal<LongText>,
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
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Written(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                number: it.number.clone(),
                lines: it
                    .items
                    .iter()
                    .map(|item| Line { item: item.clone(), quantity_dispensed: Decimal::ZERO })
                    .collect(),
                status: Status::Pending,
            }),
            Event::SentToPharmacy => state.map(|it| Self { status: Status::SentToPharmacy, ..it }),
            Event::MarkedReady => state.map(|it| Self { status: Status::Ready, ..it }),
            Event::Dispensed { dispensed, completes } => state.map(|mut prescription| {
                for part in dispensed {
                    for line in prescription.lines.iter_mut().filter(|line| line.item.id == part.item_id) {
                        line.quantity_dispensed += part.quantity;
                    }
                }
                let status = if *completes { Status::Dispensed } else { prescription.status };
                Self { status, ..prescription }
            }),
            Event::Cancelled { reason: _ } => state.map(|it| Self { status: Status::Cancelled, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
