//! Prescriptions: orders of medications, and their dispensing (FHIR R4 `MedicationRequest`, `MedicationDispense`).

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
    /// Where a prescription stands.
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
    /// One medication of a prescription, and how to take it.
    pub struct Order {
        /// What.
        pub medication_id: MedicationId,
        /// How much at a time.
        pub dose_quantity: Option<Decimal>,
        /// The unit of a dose.
        pub dose_unit: Option<Text<20>>,
        /// How it is given.
        pub route: Option<Text<50>>,
        /// How often.
        pub frequency: Option<Text<50>>,
        /// Whether it is taken only when needed.
        #[serde(default)]
        pub as_needed: bool,
        /// For how many days.
        pub duration_days: Option<i32>,
        /// How much to dispense, in `quantity_unit`; more than zero.
        pub quantity: Decimal,
        /// The unit of the quantity; must be that of the lots.
        pub quantity_unit: Text<20>,
        /// Whether a product of the same ingredients will do; it will unless told.
        #[serde(default = "yes")]
        pub substitution_allowed: bool,
        /// What to tell the patient.
        pub instructions: Option<Personal<LongText>>,
        /// The last day on which it may be dispensed.
        pub valid_until: Option<NaiveDate>,
    }
}

fn yes() -> bool {
    true
}

/// One line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: PrescriptionItemId,
    /// What was ordered.
    pub order: Order,
}

/// What was given out for a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispensing {
    /// For which line.
    pub item_id: PrescriptionItemId,
    /// From which lot; `None` when another pharmacy gave it out.
    pub lot_id: Option<MedicationLotId>,
    /// How much, in the line's unit; more than zero.
    pub quantity: Decimal,
}

/// A line, and how much of it was given out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The line.
    pub item: Item,
    /// How much of it was given out.
    pub quantity_dispensed: Decimal,
}

impl Line {
    /// How much may still be given out.
    pub fn outstanding(&self) -> Decimal {
        self.item.order.quantity - self.quantity_dispensed
    }
}

/// An order of one or more medications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prescription {
    /// For whom.
    pub patient_id: PatientId,
    /// By whom.
    pub provider_id: UserId,
    /// Its number.
    pub number: PrescriptionNumber,
    /// What.
    pub lines: Vec<Line>,
    /// Where it stands.
    pub status: Status,
}

/// What can happen to a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was written.
    Written(Written),
    /// The pharmacy has it.
    SentToPharmacy,
    /// The pharmacy has it ready.
    MarkedReady,
    /// All or some of it was given out.
    Dispensed {
        /// What.
        dispensed: Vec<Dispensing>,
        /// Nothing is outstanding.
        completes: bool,
    },
    /// It must not be given out.
    Cancelled {
        /// Why.
        reason: Personal<LongText>,
    },
}

/// A prescription as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Its number.
    pub number: PrescriptionNumber,
    /// The consultation that led to it.
    pub consultation_id: Option<ConsultationId>,
    /// For whom.
    pub patient_id: PatientId,
    /// By whom.
    pub provider_id: UserId,
    /// How urgent it is.
    pub priority: Priority,
    /// What else is to be said.
    pub notes: Option<Personal<LongText>>,
    /// What.
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
            Event::Dispensed { dispensed, completes } => state.map(|mut it| {
                for part in dispensed {
                    for line in it.lines.iter_mut().filter(|line| line.item.id == part.item_id) {
                        line.quantity_dispensed += part.quantity;
                    }
                }
                let status = if *completes { Status::Dispensed } else { it.status };
                Self { status, ..it }
            }),
            Event::Cancelled { reason: _ } => state.map(|it| Self { status: Status::Cancelled, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
