//! Medication lots: the stock, lot by lot.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Text};
use crate::{Aggregate, MedicationId, PrescriptionId, PrescriptionItemId, RoomId, Subject, described, terms};

terms! {
    /// Whether a lot can be dispensed from. A lot past its expiry date cannot, whatever its status.
    pub enum Status {
        Available = "available",
        Quarantined = "quarantined",
        Recalled = "recalled",
        Depleted = "depleted",
    }
}

described! {
    /// A delivery.
    pub struct Receipt {
        /// Of what.
        pub medication_id: MedicationId,
        /// The room where it lies.
        pub location_id: RoomId,
        /// The maker's lot number.
        pub lot_number: Text<50>,
        /// The last day on which it may be dispensed.
        pub expiry_date: NaiveDate,
        /// How much, in `unit`; more than zero.
        pub quantity: Decimal,
        /// The unit of every quantity of the lot, such as `tablet`.
        pub unit: Text<20>,
        /// What one unit cost.
        pub unit_cost: Option<Decimal>,
        /// Below how much to order more.
        pub reorder_level: Option<Decimal>,
    }
}

/// Stock of one lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MedicationLot {
    /// Of what.
    pub medication_id: MedicationId,
    /// The room where it lies.
    pub location_id: RoomId,
    /// The maker's lot number.
    pub lot_number: Text<50>,
    /// The last day on which it may be dispensed.
    pub expiry_date: NaiveDate,
    /// How much is there.
    pub quantity_on_hand: Decimal,
    /// The unit of the quantity.
    pub unit: Text<20>,
    /// Whether it can be dispensed from.
    pub status: Status,
}

/// What can happen to a lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was delivered.
    Received(Receipt),
    /// A count found more, or less.
    Adjusted {
        /// How much more; negative for less.
        change: Decimal,
        /// Why.
        reason: LongText,
    },
    /// It must not be dispensed for the time being.
    Quarantined {
        /// Why.
        reason: LongText,
    },
    /// It may be dispensed again.
    Released,
    /// It must never be dispensed again.
    Recalled {
        /// Why.
        reason: LongText,
    },
    /// Some of it was given out.
    Dispensed {
        /// For which prescription.
        prescription_id: PrescriptionId,
        /// For which line of it.
        item_id: PrescriptionItemId,
        /// How much; more than zero.
        quantity: Decimal,
    },
}

impl Status {
    /// The status when there is so much: a lot that is used up is depleted until there is more.
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
    fn with(self, change: Decimal) -> Self {
        let quantity_on_hand = self.quantity_on_hand + change;
        Self { quantity_on_hand, status: self.status.with_stock(quantity_on_hand), ..self }
    }

    /// Whether it may be dispensed on a day.
    pub fn is_dispensable(&self, on: NaiveDate) -> bool {
        self.status == Status::Available && on <= self.expiry_date
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
            Event::Adjusted { change, reason: _ } => state.map(|it| it.with(*change)),
            Event::Quarantined { reason: _ } => state.map(|it| Self { status: Status::Quarantined, ..it }),
            Event::Released => state.map(|it| Self { status: Status::Available, ..it }.with(Decimal::ZERO)),
            Event::Recalled { reason: _ } => state.map(|it| Self { status: Status::Recalled, ..it }),
            Event::Dispensed { quantity, .. } => state.map(|it| it.with(-quantity)),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
