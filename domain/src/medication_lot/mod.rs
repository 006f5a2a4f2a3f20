//! Medication lots: the stock of medications, lot by lot.

mod change;
mod quantities;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use change::{RequestedChange, ReturnTo, Wanted};
pub use quantities::Reserved;

use crate::inventory_level::WasteReason;
use crate::values::{Reason, Text, Unit};
use crate::{
    Aggregate, LotChangeId, MedicationId, MedicationLotId, PrescriptionId, PrescriptionItemId, RoomId, Subject,
    SupplierId, UserId, described, terms,
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
    /// The cost of one unit.
    pub unit_cost: Option<Decimal>,
    /// The quantity below which more is to be ordered.
    pub reorder_level: Option<Decimal>,
    /// The supplier.
    pub supplier_id: Option<SupplierId>,
    /// Whether the lot can be dispensed.
    pub status: Status,
    /// What is reserved for the lines of prescriptions that are ready to be fetched.
    pub reserved: BTreeMap<PrescriptionItemId, Reserved>,
    /// The changes that wait for a witness.
    pub pending: BTreeMap<LotChangeId, RequestedChange>,
    /// What came back into the lot of the quantities that were dispensed for prescriptions.
    pub returned: BTreeMap<PrescriptionId, Decimal>,
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
        /// Who corrected the quantity; `None` for a part of the system.
        performed_by: Option<UserId>,
        /// Who witnessed the correction, if the product is controlled.
        witnessed_by: Option<UserId>,
    },
    /// The quantity was counted.
    Counted {
        /// The quantity that was counted.
        counted: Decimal,
        /// The change of the quantity; zero if the count found what was recorded.
        change: Decimal,
        /// The quantity in stock after the count.
        on_hand_after: Decimal,
        /// Who counted; `None` for a part of the system.
        performed_by: Option<UserId>,
        /// Who witnessed the count, if the product is controlled.
        witnessed_by: Option<UserId>,
    },
    /// A part of the lot was thrown away.
    Wasted {
        /// The change of the quantity; less than zero.
        change: Decimal,
        /// The quantity that is left in stock.
        on_hand_after: Decimal,
        /// Why the quantity was thrown away.
        reason_code: WasteReason,
        /// More about the reason.
        reason: Option<Reason>,
        /// Who threw the quantity away; `None` for a part of the system.
        performed_by: Option<UserId>,
        /// Who witnessed it, if the product is controlled.
        witnessed_by: Option<UserId>,
    },
    /// Somebody wants to record a change of the quantity of a controlled product, which waits for a witness. A quantity
    /// that is to be taken away is set aside.
    ChangeRequested {
        /// The id of the change.
        change_id: LotChangeId,
        /// The change.
        requested: RequestedChange,
        /// The quantity in stock, which stays.
        on_hand_after: Decimal,
        /// The quantity that is set aside now, for all changes together.
        pending_after: Decimal,
    },
    /// A second person witnessed a change. The event of the change follows.
    ChangeWitnessed {
        /// The change.
        change_id: LotChangeId,
        /// The witness.
        witnessed_by: UserId,
        /// The quantity in stock before the change.
        on_hand_after: Decimal,
        /// The quantity that is set aside now, for all other changes together.
        pending_after: Decimal,
    },
    /// A change was not witnessed, and is not made.
    ChangeRejected {
        /// The change.
        change_id: LotChangeId,
        /// Who rejected the change; `None` when nobody witnessed it in time.
        rejected_by: Option<UserId>,
        /// The reason for the rejection.
        reason: Reason,
        /// The quantity in stock, which stays.
        on_hand_after: Decimal,
        /// The quantity that is set aside now, for all other changes together.
        pending_after: Decimal,
    },
    /// A part of the lot was brought to another place.
    TransferredOut {
        /// The change of the quantity; less than zero.
        change: Decimal,
        /// The quantity that is left in stock.
        on_hand_after: Decimal,
        /// The lot at the other place.
        to_lot_id: MedicationLotId,
        /// The other place.
        to_location_id: RoomId,
        /// Who brought the quantity there; `None` for a part of the system.
        performed_by: Option<UserId>,
    },
    /// A part of the same lot came from another place. The lot begins with this event if the place had nothing of it.
    TransferredIn {
        /// What came, as if it had been delivered here.
        receipt: Receipt,
        /// The quantity in stock afterwards.
        on_hand_after: Decimal,
        /// The lot at the other place.
        from_lot_id: MedicationLotId,
        /// The other place.
        from_location_id: RoomId,
        /// Who brought the quantity here; `None` for a part of the system.
        performed_by: Option<UserId>,
    },
    /// A quantity went back to the supplier, or came back into stock.
    Returned {
        /// To whom the quantity goes back.
        to: ReturnTo,
        /// The change of the quantity: less than zero for the supplier, more than zero for the stock.
        change: Decimal,
        /// The quantity in stock afterwards.
        on_hand_after: Decimal,
        /// The supplier to whom the quantity goes back, if the lot has one.
        supplier_id: Option<SupplierId>,
        /// The prescription for which the quantity had been dispensed, if it comes back from a patient.
        prescription_id: Option<PrescriptionId>,
        /// Who returned the quantity; `None` for a part of the system.
        performed_by: Option<UserId>,
    },
    /// A part of the lot is kept for a prescription that is ready to be fetched.
    Reserved {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
        /// The quantity; more than zero.
        quantity: Decimal,
        /// The quantity in stock, which stays.
        on_hand_after: Decimal,
        /// The quantity that is reserved now, for all prescriptions together.
        reserved_after: Decimal,
    },
    /// A part of the lot is no longer kept for a prescription.
    ReservationReleased {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
        /// The quantity; more than zero.
        quantity: Decimal,
        /// The quantity in stock, which stays.
        on_hand_after: Decimal,
        /// The quantity that is reserved now, for all prescriptions together.
        reserved_after: Decimal,
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
    /// A part of the lot was dispensed. What was reserved for the line is used first.
    Dispensed {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
        /// The dispensed quantity; more than zero.
        quantity: Decimal,
        /// The quantity that is left in stock.
        on_hand_after: Decimal,
        /// The quantity that is reserved now, for all prescriptions together.
        reserved_after: Decimal,
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
    /// A lot that begins, by a delivery or a transfer.
    fn new(receipt: &Receipt) -> Self {
        Self {
            medication_id: receipt.medication_id,
            location_id: receipt.location_id,
            lot_number: receipt.lot_number.clone(),
            expiry_date: receipt.expiry_date,
            quantity_on_hand: receipt.quantity,
            unit: receipt.unit.clone(),
            unit_cost: receipt.unit_cost,
            reorder_level: receipt.reorder_level,
            supplier_id: receipt.supplier_id,
            status: Status::Available,
            reserved: BTreeMap::new(),
            pending: BTreeMap::new(),
            returned: BTreeMap::new(),
        }
    }

    fn with_stock(self, quantity_on_hand: Decimal) -> Self {
        Self { quantity_on_hand, status: self.status.with_stock(quantity_on_hand), ..self }
    }

    /// Whether the lot may be dispensed on a day.
    pub fn is_dispensable(&self, on: NaiveDate) -> bool {
        self.status == Status::Available && on <= self.expiry_date
    }
}

impl Aggregate for MedicationLot {
    const STREAM: &'static str = "medication_lot";
    const STATE_VERSION: i32 = 4;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Received(it) => Some(Self::new(it)),
            Event::Adjusted { on_hand_after, .. }
            | Event::Counted { on_hand_after, .. }
            | Event::Wasted { on_hand_after, .. }
            | Event::TransferredOut { on_hand_after, .. }
            | Event::DispensingReversed { on_hand_after, .. } => state.map(|it| it.with_stock(*on_hand_after)),
            Event::TransferredIn { receipt, on_hand_after, .. } => {
                Some(state.unwrap_or_else(|| Self::new(receipt)).with_stock(*on_hand_after))
            }
            Event::Returned { change, on_hand_after, prescription_id, .. } => state.map(|mut lot| {
                if let Some(id) = prescription_id {
                    *lot.returned.entry(*id).or_default() += change;
                }
                lot.with_stock(*on_hand_after)
            }),
            Event::Dispensed { item_id, quantity, on_hand_after, .. } => state.map(|mut lot| {
                lot.unreserve(*item_id, *quantity);
                lot.with_stock(*on_hand_after)
            }),
            Event::Reserved { prescription_id, item_id, quantity, .. } => state.map(|mut lot| {
                let (prescription_id, quantity) = (*prescription_id, lot.reserved_for(*item_id) + quantity);
                lot.reserved.insert(*item_id, Reserved { prescription_id, quantity });
                lot
            }),
            Event::ReservationReleased { item_id, quantity, .. } => state.map(|mut lot| {
                lot.unreserve(*item_id, *quantity);
                lot
            }),
            Event::ChangeRequested { change_id, requested, .. } => state.map(|mut lot| {
                lot.pending.insert(*change_id, requested.clone());
                lot
            }),
            Event::ChangeWitnessed { change_id, .. } | Event::ChangeRejected { change_id, .. } => {
                state.map(|mut lot| {
                    lot.pending.remove(change_id);
                    lot
                })
            }
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
