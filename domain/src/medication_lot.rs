//! Medication lots: the stock of medications, lot by lot.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text, Unit};
use crate::{
    Aggregate, MedicationId, PrescriptionId, PrescriptionItemId, RoomId, Subject, SupplierId, described, terms,
};

terms! {
    /// Whether a lot can be dispensed. A lot past its expiry date can never be dispensed, whatever its status.
    pub enum Status {
        Available = "available",
        Quarantined = "quarantined",
        Recalled = "recalled",
        Depleted = "depleted",
    }
}

described! {
    /// The delivery of a lot.
    pub struct Receipt {
        /// The medication.
        pub medication_id: MedicationId,
        /// The room in which the lot is stored.
        pub location_id: RoomId,
        /// The lot number of the manufacturer.
        pub lot_number: Text<50>,
        /// The last day on which the lot may be dispensed.
        pub expiry_date: NaiveDate,
        /// The delivered quantity, in `unit`; more than zero.
        pub quantity: Decimal,
        /// The unit of every quantity of the lot, such as `tablet`.
        pub unit: Unit,
        /// The cost of one unit.
        pub unit_cost: Option<Decimal>,
        /// The quantity below which more is to be ordered.
        pub reorder_level: Option<Decimal>,
        /// The supplier.
        pub supplier_id: Option<SupplierId>,
        /// The number of the delivery note.
        pub delivery_note: Option<Text<50>>,
    }
}

/// The stock of one lot of a medication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MedicationLot {
    /// The medication.
    pub medication_id: MedicationId,
    /// The room in which the lot is stored.
    pub location_id: RoomId,
    /// The lot number of the manufacturer.
    pub lot_number: Text<50>,
    /// The last day on which the lot may be dispensed.
    pub expiry_date: NaiveDate,
    /// The quantity in stock, in `unit`.
    pub quantity_on_hand: Decimal,
    /// The unit of the quantity.
    pub unit: Unit,
    /// Whether the lot can be dispensed.
    pub status: Status,
}

/// What can happen to a lot of a medication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The lot was delivered.
    Received(Receipt),
    /// The quantity was corrected after a count or a loss.
    Adjusted {
        /// The change of the quantity; negative when there is less.
        change: Decimal,
        /// The quantity in stock after the correction.
        on_hand_after: Decimal,
        /// The reason for the correction.
        reason: Reason,
    },
    /// The lot must not be dispensed for the time being.
    Quarantined {
        /// The reason for the quarantine.
        reason: Reason,
    },
    /// The lot may be dispensed again.
    Released,
    /// The lot must not be dispensed again.
    Recalled {
        /// The reason for the recall.
        reason: Reason,
    },
    /// The recall was a mistake. The lot is in quarantine, from which it is released.
    RecallRevoked {
        /// The reason for revoking the recall.
        reason: Reason,
    },
    /// A part of the lot was dispensed.
    Dispensed {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
        /// The dispensed quantity; more than zero.
        quantity: Decimal,
        /// The quantity that is left in stock.
        on_hand_after: Decimal,
    },
    /// Something that was dispensed never left the pharmacy, and was put back into the lot.
    DispensingReversed {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
        /// The quantity that was put back; more than zero.
        quantity: Decimal,
        /// The quantity in stock afterwards.
        on_hand_after: Decimal,
    },
}

impl Status {
    /// The status of the lot once its stock has changed: an available lot without stock becomes depleted, and a
    /// depleted lot with stock becomes available.
    #[must_use]
    pub fn with_stock(self, quantity_on_hand: Decimal) -> Self {
        match (self, quantity_on_hand.is_zero()) {
            (Self::Available, true) => Self::Depleted,
            (Self::Depleted, false) => Self::Available,
            (status, _) => status,
        }
    }
}

impl MedicationLot {
    fn with_stock(self, quantity_on_hand: Decimal) -> Self {
        Self { quantity_on_hand, status: self.status.with_stock(quantity_on_hand), ..self }
    }

    /// Whether the lot may be dispensed on a day.
    pub fn is_dispensable(&self, on: NaiveDate) -> bool {
        self.status == Status::Available && on <= self.expiry_date
    }

    /// The quantity that can be used on a day: nothing of a lot that may not be dispensed then.
    pub fn usable(&self, on: NaiveDate) -> Decimal {
        if self.is_dispensable(on) { self.quantity_on_hand } else { Decimal::ZERO }
    }
}

impl Aggregate for MedicationLot {
    const STREAM: &'static str = "medication_lot";
    const STATE_VERSION: i32 = 2;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Received(it) => Some(Self {
                medication_id: it.medication_id,
                location_id: it.location_id,
                lot_number: it.lot_number.clone(),
                expiry_date: it.expiry_date,
                quantity_on_hand: it.quantity,
                unit: it.unit.clone(),
                status: Status::Available,
            }),
            Event::Adjusted { on_hand_after, .. }
            | Event::Dispensed { on_hand_after, .. }
            | Event::DispensingReversed { on_hand_after, .. } => state.map(|it| it.with_stock(*on_hand_after)),
            Event::Quarantined { reason: _ } | Event::RecallRevoked { reason: _ } => {
                state.map(|it| Self { status: Status::Quarantined, ..it })
            }
            Event::Released => state.map(|it| {
                let on_hand = it.quantity_on_hand;
                Self { status: Status::Available, ..it }.with_stock(on_hand)
            }),
            Event::Recalled { reason: _ } => state.map(|it| Self { status: Status::Recalled, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
