//! Inventory levels: how much of an article a room holds. One stream for each article and room, so that the wards do
//! not wait for each other.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text};
use crate::{
    Aggregate, ConsultationId, InventoryItemId, InventoryLevelId, PatientId, RoomId, Subject, SupplierId, derived,
    terms,
};

terms! {
    /// Why something is thrown away.
    pub enum WasteReason {
        Expired = "expired",
        Damaged = "damaged",
        Spilled = "spilled",
        PatientRefused = "patient_refused",
        PartialDose = "partial_dose",
        Other = "other",
    }

    /// What a movement of stock is: a row of the ledger.
    pub enum TransactionType {
        Receipt = "receipt",
        Dispense = "dispense",
        Issue = "issue",
        Return = "return",
        Adjustment = "adjustment",
        Waste = "waste",
        TransferIn = "transfer_in",
        TransferOut = "transfer_out",
        ReturnToSupplier = "return_to_supplier",
    }
}

/// A change of the quantity of an article in a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    /// The article.
    pub inventory_item_id: InventoryItemId,
    /// The room.
    pub location_id: RoomId,
    /// The change of the quantity; negative when there is less.
    pub change: Decimal,
    /// The quantity in the room afterwards.
    pub on_hand_after: Decimal,
}

/// How much of an article a room holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryLevel {
    /// The article.
    pub inventory_item_id: InventoryItemId,
    /// The room.
    pub location_id: RoomId,
    /// The quantity in the room, in the unit of the article.
    pub quantity_on_hand: Decimal,
    /// What was issued from the room and not returned.
    pub quantity_issued: Decimal,
}

/// What can happen to the stock of an article in a room. It begins with `received`, `adjusted`, `counted` or
/// `transferred_in`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A delivery arrived.
    Received {
        /// The change of the quantity.
        movement: Movement,
        /// The cost of one unit.
        unit_cost: Option<Decimal>,
        /// The supplier.
        supplier_id: Option<SupplierId>,
        /// The number of the delivery note.
        delivery_note: Option<Text<50>>,
    },
    /// Something was taken out to be used.
    Issued {
        /// The change of the quantity.
        movement: Movement,
        /// The patient for whom it was used.
        patient_id: Option<PatientId>,
        /// The consultation in which it was used.
        consultation_id: Option<ConsultationId>,
    },
    /// Something that was issued was not used and was put back.
    Returned {
        /// The change of the quantity.
        movement: Movement,
        /// The patient for whom it was not used.
        patient_id: Option<PatientId>,
        /// The consultation in which it was not used.
        consultation_id: Option<ConsultationId>,
        /// The reason for the return.
        reason: Reason,
    },
    /// The quantity was corrected by a difference.
    Adjusted {
        /// The change of the quantity.
        movement: Movement,
        /// The reason for the correction.
        reason: Reason,
    },
    /// Somebody counted what is there. The change is zero if the quantity was right.
    Counted {
        /// The change of the quantity.
        movement: Movement,
    },
    /// Something was thrown away.
    Wasted {
        /// The change of the quantity.
        movement: Movement,
        /// Why it was thrown away.
        reason_code: WasteReason,
        /// What else is to be said about the reason.
        reason: Option<Reason>,
    },
    /// Something was brought to another room.
    TransferredOut {
        /// The change of the quantity.
        movement: Movement,
        /// The room to which it was brought.
        to_location_id: RoomId,
    },
    /// Something was brought from another room.
    TransferredIn {
        /// The change of the quantity.
        movement: Movement,
        /// The room from which it was brought.
        from_location_id: RoomId,
    },
}

impl Event {
    /// The change of the quantity.
    pub fn movement(&self) -> &Movement {
        match self {
            Self::Received { movement, .. }
            | Self::Issued { movement, .. }
            | Self::Returned { movement, .. }
            | Self::Adjusted { movement, .. }
            | Self::Counted { movement }
            | Self::Wasted { movement, .. }
            | Self::TransferredOut { movement, .. }
            | Self::TransferredIn { movement, .. } => movement,
        }
    }
}

impl InventoryLevel {
    /// The id of the stream for an article in a room.
    pub fn stream_of(inventory_item_id: InventoryItemId, location_id: RoomId) -> InventoryLevelId {
        derived("inventory_level", &[&inventory_item_id.to_string(), &location_id.to_string()]).into()
    }
}

impl Aggregate for InventoryLevel {
    const STREAM: &'static str = "inventory_level";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let movement = event.movement();
        let before = state.map_or(Decimal::ZERO, |it| it.quantity_issued);
        let quantity_issued = match event {
            Event::Issued { .. } | Event::Returned { .. } => before - movement.change,
            Event::Received { .. }
            | Event::Adjusted { .. }
            | Event::Counted { .. }
            | Event::Wasted { .. }
            | Event::TransferredOut { .. }
            | Event::TransferredIn { .. } => before,
        };
        Some(Self {
            inventory_item_id: movement.inventory_item_id,
            location_id: movement.location_id,
            quantity_on_hand: movement.on_hand_after,
            quantity_issued,
        })
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
