//! Prescriptions: orders of medications, and what was dispensed for them (FHIR R4 `MedicationRequest`,
//! `MedicationDispense`).

mod supply;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use supply::{Refill, Reservation, Withdrawal};

use crate::alert::Alert;
use crate::values::{LongText, OverrideReason, PrescriptionNumber, Reason, Text, Unit};
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
        /// How often the quantity may be dispensed again: 0 to 11 times, and for schedules II to IV fewer.
        #[serde(default)]
        pub refills_allowed: i32,
        /// The number of days for which the quantity lasts: 1 to 365.
        pub days_supply: Option<i32>,
        /// The last day on which the medication may be dispensed; set by the schedule of the medication if left out.
        pub valid_until: Option<NaiveDate>,
        /// Why the medication is prescribed in spite of alerts: 10 to 500 characters.
        pub override_reason: Option<Personal<OverrideReason>>,
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
    /// The quantity dispensed for the line so far, this one included.
    pub dispensed_after: Decimal,
    /// The day on which the quantity was dispensed.
    pub dispensed_on: NaiveDate,
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

/// Why a line was dispensed in spite of alerts that nobody had overridden before, because what they are about became
/// known, or more severe, after the prescription was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
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
    /// How many refills were opened so far.
    pub refills_used: i32,
}

impl Line {
    /// The line of a prescription that was just written.
    fn new(item: &Item) -> Self {
        Self { item: item.clone(), quantity_dispensed: Decimal::ZERO, refills_used: 0 }
    }

    /// The quantity that may still be dispensed, without further refills.
    pub fn outstanding(&self) -> Decimal {
        self.item.order.quantity * Decimal::from(1 + self.refills_used) - self.quantity_dispensed
    }

    /// How many refills may still be opened.
    pub fn refills_left(&self) -> i32 {
        self.item.order.refills_allowed - self.refills_used
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
    /// What is kept for the prescription while it is ready to be fetched.
    pub reserved: Vec<Reservation>,
    /// Until when a prescription that is ready is kept for the patient.
    pub collect_by: Option<DateTime<Utc>>,
    /// The alerts that were known when the prescription was written or dispensed.
    pub alerts: Vec<Alert>,
    /// Whether the prescription was sent to the pharmacy.
    pub is_sent: bool,
    /// The status of the prescription.
    pub status: Status,
}

impl Prescription {
    /// The prescription in another status. Nothing is kept for a prescription that is not ready.
    fn with_status(self, status: Status) -> Self {
        if status == Status::Ready {
            return Self { status, ..self };
        }
        Self { status, reserved: Vec::new(), collect_by: None, ..self }
    }

    /// The day on which something was dispensed last for a line, and not taken back.
    pub fn last_fill(&self, item_id: PrescriptionItemId) -> Option<NaiveDate> {
        self.given.iter().filter(|it| it.item_id == item_id).map(|it| it.dispensed_on).max()
    }

    /// Sets how many refills of lines are used.
    fn set_refills(&mut self, refills: &[Refill]) {
        for refill in refills {
            for line in self.lines.iter_mut().filter(|line| line.item.id == refill.item_id) {
                line.refills_used = refill.refills_used;
            }
        }
    }

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
    /// The medications are ready at the pharmacy, and kept for the patient.
    MarkedReady {
        /// What is kept, by line and lot.
        reserved: Vec<Reservation>,
        /// Until when the medications are kept.
        collect_by: DateTime<Utc>,
    },
    /// The medications are not ready at the pharmacy: they had been marked as ready by mistake.
    ReadyUndone {
        /// Why the medications are not ready.
        reason: Personal<Reason>,
    },
    /// The medications are no longer ready at the pharmacy, though nobody at the pharmacy decided so.
    ReadyWithdrawn {
        /// Why the medications are not ready.
        cause: Withdrawal,
    },
    /// The prescribed quantity of lines may be dispensed once more.
    RefillOpened {
        /// The lines, each with its refills.
        refills: Vec<Refill>,
        /// Why the refill is opened before most of the last quantity can be used up.
        early_reason: Option<Personal<Reason>>,
    },
    /// A refill of which nothing was dispensed was taken back: it had been opened by mistake.
    RefillUndone {
        /// The lines, each with its refills.
        refills: Vec<Refill>,
        /// The status of the prescription afterwards.
        status: Status,
        /// Why the refill was taken back.
        reason: Personal<Reason>,
    },
    /// All or some of the prescribed medications were dispensed.
    Dispensed {
        /// The patient.
        patient_id: PatientId,
        /// The dispensed quantities, by line and lot.
        dispensed: Vec<Dispensing>,
        /// The alerts that were not known before, of every severity.
        alerts: Vec<Alert>,
        /// Why lines were dispensed in spite of alerts that nobody had overridden before.
        overrides: Vec<Override>,
        /// Whether nothing more may be dispensed for the prescription, unless a refill is opened.
        completes: bool,
        /// What is still kept for the prescription, by line and lot.
        reserved: Vec<Reservation>,
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
    /// The alerts about the lines, of every severity.
    pub alerts: Vec<Alert>,
}

impl Aggregate for Prescription {
    const STREAM: &'static str = "prescription";
    const STATE_VERSION: i32 = 5;
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
                reserved: Vec::new(),
                collect_by: None,
                alerts: it.alerts.clone(),
                is_sent: false,
                status: Status::Pending,
            }),
            Event::SentToPharmacy => state.map(|it| Self { is_sent: true, ..it.with_status(Status::SentToPharmacy) }),
            Event::MarkedReady { reserved, collect_by } => state.map(|it| {
                let (reserved, collect_by) = (reserved.clone(), Some(*collect_by));
                Self { reserved, collect_by, ..it.with_status(Status::Ready) }
            }),
            Event::ReadyUndone { reason: _ } | Event::ReadyWithdrawn { cause: _ } => {
                state.map(|it| it.with_status(Status::SentToPharmacy))
            }
            Event::RefillOpened { refills, early_reason: _ } => state.map(|mut it| {
                it.set_refills(refills);
                Self { is_sent: true, ..it.with_status(Status::SentToPharmacy) }
            }),
            Event::RefillUndone { refills, status, reason: _ } => state.map(|mut it| {
                it.set_refills(refills);
                it.with_status(*status)
            }),
            Event::Dispensed { patient_id: _, dispensed, alerts, overrides: _, completes, reserved } => {
                state.map(|mut prescription| {
                    for part in dispensed {
                        for line in prescription.lines.iter_mut().filter(|line| line.item.id == part.item_id) {
                            line.quantity_dispensed = part.dispensed_after;
                        }
                    }
                    prescription.alerts.extend(alerts.iter().cloned());
                    prescription.given.extend(dispensed.iter().cloned());
                    prescription.reserved.clone_from(reserved);
                    let status = if *completes { Status::Dispensed } else { prescription.status };
                    prescription.with_status(status)
                })
            }
            Event::DispensingReversed { reversed, status, reason: _ } => state.map(|mut prescription| {
                for part in reversed {
                    prescription.take_back(part);
                }
                prescription.with_status(*status)
            }),
            Event::Cancelled { reason: _ } => state.map(|it| it.with_status(Status::Cancelled)),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
