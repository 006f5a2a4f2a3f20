//! The ledger of the stock: one row for each event that moves something into or out of a lot or a room.
//!
//! The quantities of a lot's or a level's rows sum up to what is on hand, at every position. What moves nothing, such as
//! a recall, has no row.

use chrono::{DateTime, Utc};
use hims_domain::inventory_level::{TransactionType as Kind, WasteReason};
use hims_domain::medication_lot::ReturnTo;
use hims_domain::values::{Reason, Text};
use hims_domain::{ConsultationId, PatientId, SupplierId, UserId, derived, inventory_level, medication_lot};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per movement of stock: into or out of a lot of a medication, or of an article in a room. Rows never
    /// change.
    TransactionRow in "inventory_transactions", readers [Inventory], stamped once,
    indexes [
        (medication_inventory_id, performed_at), (inventory_item_id, performed_at), (inventory_level_id, performed_at),
        (performed_by, performed_at)
    ] {
        /// The movement.
        id: Uuid [indexed],
        /// The article; null for a lot.
        inventory_item_id: Option<Uuid> [indexed],
        /// The level: the article in its room; null for a lot.
        inventory_level_id: Option<Uuid> [indexed],
        /// The lot; null for an article in a room.
        medication_inventory_id: Option<Uuid> [indexed],
        /// The supplier who delivered it or got it back.
        supplier_id: Option<Uuid> [indexed],
        /// What was done.
        transaction_type: String [] of Kind::CODES,
        /// The quantity; negative when something left.
        quantity: Decimal,
        /// The quantity on hand afterwards; null where an old event does not tell it.
        balance_after: Option<Decimal>,
        /// The cost of one unit of a delivery.
        unit_cost: Option<Decimal>,
        /// The number of the delivery note.
        delivery_note: Option<String>,
        /// What the movement was for: `prescription`, `consultation`, `patient`, or for a transfer the other `room`.
        reference_type: Option<String>,
        /// The id of what the movement was for.
        reference_id: Option<Uuid> [indexed],
        /// Why something was thrown away.
        reason_code: Option<String> [] of WasteReason::CODES,
        /// The reason that was given.
        reason: Option<String>,
        /// The user who did it; null if a part of the system did.
        performed_by: Option<Uuid> [indexed],
        /// The user who witnessed it.
        witnessed_by: Option<Uuid> [indexed],
        /// When it was done.
        performed_at: DateTime<Utc> [indexed],
    }
}

/// A movement of stock, as an event tells it.
#[derive(Debug, PartialEq)]
struct Movement<'e> {
    kind: Kind,
    quantity: Decimal,
    balance_after: Option<Decimal>,
    supplier_id: Option<SupplierId>,
    unit_cost: Option<Decimal>,
    delivery_note: Option<&'e Text<50>>,
    reference: Option<(&'static str, Uuid)>,
    reason_code: Option<WasteReason>,
    reason: Option<&'e Reason>,
    /// Who did it and who witnessed it, if somebody witnessed it: then the event was recorded for the witness.
    witnessed: Option<(Option<UserId>, UserId)>,
}

impl<'e> Movement<'e> {
    fn new(kind: Kind, quantity: Decimal, balance_after: Decimal) -> Self {
        Self {
            kind,
            quantity,
            balance_after: Some(balance_after),
            supplier_id: None,
            unit_cost: None,
            delivery_note: None,
            reference: None,
            reason_code: None,
            reason: None,
            witnessed: None,
        }
    }

    fn of(self, kind: &'static str, id: impl Into<Uuid>) -> Self {
        Self { reference: Some((kind, id.into())), ..self }
    }

    /// The movement, for a consultation, or else for a patient, or else for the ward.
    fn used_for(self, patient_id: Option<PatientId>, consultation_id: Option<ConsultationId>) -> Self {
        match (consultation_id, patient_id) {
            (Some(id), _) => self.of("consultation", id),
            (None, Some(id)) => self.of("patient", id),
            (None, None) => self,
        }
    }

    /// The movement, done by one user and witnessed by another, if it was witnessed.
    fn seen(self, performed_by: Option<UserId>, witnessed_by: Option<UserId>) -> Self {
        Self { witnessed: witnessed_by.map(|witness| (performed_by, witness)), ..self }
    }

    fn because(self, reason: Option<&'e Reason>) -> Self {
        Self { reason, ..self }
    }
}

/// What an event of a lot moves; `None` if it moves nothing, such as a count that found what was recorded.
fn of_lot(event: &medication_lot::Event) -> Option<Movement<'_>> {
    use medication_lot::Event;
    let movement = match event {
        Event::Received(it) => Movement {
            supplier_id: it.supplier_id,
            unit_cost: it.unit_cost,
            delivery_note: it.delivery_note.as_ref(),
            ..Movement::new(Kind::Receipt, it.quantity, it.quantity)
        },
        Event::Adjusted { change, on_hand_after, reason, performed_by, witnessed_by } => {
            let moved = Movement::new(Kind::Adjustment, *change, *on_hand_after);
            moved.because(Some(reason)).seen(*performed_by, *witnessed_by)
        }
        Event::Counted { counted: _, change, on_hand_after, performed_by, witnessed_by } => {
            Movement::new(Kind::Adjustment, *change, *on_hand_after).seen(*performed_by, *witnessed_by)
        }
        Event::Wasted { change, on_hand_after, reason_code, reason, performed_by, witnessed_by } => {
            let moved = Movement::new(Kind::Waste, *change, *on_hand_after).because(reason.as_ref());
            Movement { reason_code: Some(*reason_code), ..moved }.seen(*performed_by, *witnessed_by)
        }
        Event::TransferredOut { change, on_hand_after, to_location_id, .. } => {
            Movement::new(Kind::TransferOut, *change, *on_hand_after).of("room", *to_location_id)
        }
        Event::TransferredIn { receipt, on_hand_after, from_location_id, .. } => {
            Movement::new(Kind::TransferIn, receipt.quantity, *on_hand_after).of("room", *from_location_id)
        }
        Event::Returned { to, change, on_hand_after, supplier_id, prescription_id, .. } => {
            let kind = match to {
                ReturnTo::Supplier => Kind::ReturnToSupplier,
                ReturnTo::Stock => Kind::Return,
            };
            let reference = prescription_id.map(|it| ("prescription", it.into()));
            Movement { supplier_id: *supplier_id, reference, ..Movement::new(kind, *change, *on_hand_after) }
        }
        Event::Dispensed { prescription_id, quantity, on_hand_after, .. } => {
            Movement::new(Kind::Dispense, -*quantity, *on_hand_after).of("prescription", *prescription_id)
        }
        Event::DispensingReversed { prescription_id, item_id: _, quantity, on_hand_after } => {
            Movement::new(Kind::Return, *quantity, *on_hand_after).of("prescription", *prescription_id)
        }
        Event::ChangeRequested { .. }
        | Event::ChangeWitnessed { .. }
        | Event::ChangeRejected { .. }
        | Event::Reserved { .. }
        | Event::ReservationReleased { .. }
        | Event::Quarantined { reason: _ }
        | Event::Released
        | Event::Recalled { reason: _ }
        | Event::RecallRevoked { reason: _ } => return None,
    };
    (!movement.quantity.is_zero()).then_some(movement)
}

/// What an event of a level moves; `None` for a count that found what was recorded.
fn of_level(event: &inventory_level::Event) -> Option<Movement<'_>> {
    use inventory_level::Event;
    let inventory_level::Movement { change, on_hand_after, .. } = *event.movement();
    let moved = |kind| Movement::new(kind, change, on_hand_after);
    let movement = match event {
        Event::Received { movement: _, unit_cost, supplier_id, delivery_note } => Movement {
            supplier_id: *supplier_id,
            unit_cost: *unit_cost,
            delivery_note: delivery_note.as_ref(),
            ..moved(Kind::Receipt)
        },
        Event::Issued { movement: _, patient_id, consultation_id } => {
            moved(Kind::Issue).used_for(*patient_id, *consultation_id)
        }
        Event::Returned { movement: _, patient_id, consultation_id, reason } => {
            moved(Kind::Return).used_for(*patient_id, *consultation_id).because(Some(reason))
        }
        Event::Adjusted { movement: _, reason } => moved(Kind::Adjustment).because(Some(reason)),
        Event::Counted { movement: _ } => moved(Kind::Adjustment),
        Event::Wasted { movement: _, reason_code, reason } => {
            Movement { reason_code: Some(*reason_code), ..moved(Kind::Waste) }.because(reason.as_ref())
        }
        Event::TransferredOut { movement: _, to_location_id } => moved(Kind::TransferOut).of("room", *to_location_id),
        Event::TransferredIn { movement: _, from_location_id } => moved(Kind::TransferIn).of("room", *from_location_id),
    };
    (!movement.quantity.is_zero()).then_some(movement)
}

/// The row of a movement. Its id is derived from the position of the event, which makes one row at most.
fn row<E>(event: &Projected<'_, E>, movement: &Movement<'_>) -> TransactionRow {
    TransactionRow {
        id: derived("inventory_transaction", &[&event.position.to_string(), "0"]),
        inventory_item_id: None,
        inventory_level_id: None,
        medication_inventory_id: None,
        supplier_id: movement.supplier_id.map(Uuid::from),
        transaction_type: movement.kind.to_string(),
        quantity: movement.quantity,
        balance_after: movement.balance_after,
        unit_cost: movement.unit_cost,
        delivery_note: text(movement.delivery_note),
        reference_type: movement.reference.map(|it| it.0.to_owned()),
        reference_id: movement.reference.map(|it| it.1),
        reason_code: movement.reason_code.map(|it| it.to_string()),
        reason: text(movement.reason),
        performed_by: movement.witnessed.map_or_else(|| event.user_id(), |it| it.0.map(Uuid::from)),
        witnessed_by: movement.witnessed.map(|it| it.1.into()),
        performed_at: event.recorded_at,
        stamps: event.stamps(),
    }
}

/// Writes what an event of a lot moves.
pub(super) fn write_lot<'e>(event: &Projected<'e, medication_lot::Event>, rows: &mut Changes<'e, TransactionRow>) {
    if let Some(movement) = of_lot(event.data) {
        rows.insert(TransactionRow { medication_inventory_id: Some(event.stream_id), ..row(event, &movement) });
    }
}

/// Writes what an event of a level moves.
pub(super) fn write_level<'e>(event: &Projected<'e, inventory_level::Event>, rows: &mut Changes<'e, TransactionRow>) {
    if let Some(movement) = of_level(event.data) {
        let inventory_item_id = Some(event.data.movement().inventory_item_id.into());
        let inventory_level_id = Some(event.stream_id);
        rows.insert(TransactionRow { inventory_item_id, inventory_level_id, ..row(event, &movement) });
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::inventory_level::InventoryLevel;
    use hims_domain::medication_lot::MedicationLot;
    use hims_domain::{Aggregate as _, MedicationLotId, PrescriptionId, PrescriptionItemId, RoomId};
    use hims_testing::{sample, sample_with, variants};
    use proptest::prelude::*;
    use rust_decimal::dec;
    use serde_json::json;

    use super::*;

    fn lot(quantity: Decimal) -> medication_lot::Event {
        match sample::<MedicationLot>("received") {
            medication_lot::Event::Received(receipt) => {
                medication_lot::Event::Received(medication_lot::Receipt { quantity, ..receipt })
            }
            other => other,
        }
    }

    proptest! {
        /// Whatever happens to a lot: the quantities of its rows add up to what is on hand, and each row tells so.
        #[test]
        fn the_rows_of_a_lot_add_up_to_what_is_on_hand(steps in prop::collection::vec((0_u8..11, 1_u32..50), 0..40)) {
            use medication_lot::Event;
            let mut state = MedicationLot::evolve(None, &lot(dec!(100)));
            let mut sum = of_lot(&lot(dec!(100))).map_or(Decimal::ZERO, |it| it.quantity);
            for (kind, quantity) in steps {
                let on_hand = state.as_ref().map_or(Decimal::ZERO, |it| it.quantity_on_hand);
                let quantity = Decimal::from(quantity).min(on_hand);
                let (prescription_id, item_id) = (PrescriptionId(Uuid::nil()), PrescriptionItemId(Uuid::nil()));
                let reason = Reason::from("counted");
                let (performed_by, witnessed_by) = (None, Some(UserId(Uuid::nil())));
                let (change, on_hand_after) = (-quantity, on_hand - quantity);
                let event = match kind {
                    0 => Event::Adjusted { change, on_hand_after, reason, performed_by, witnessed_by },
                    1 => {
                        let (change, on_hand_after) = (dec!(7), on_hand + dec!(7));
                        Event::Adjusted { change, on_hand_after, reason, performed_by, witnessed_by }
                    }
                    2 => {
                        let reserved_after = Decimal::ZERO;
                        Event::Dispensed { prescription_id, item_id, quantity, on_hand_after, reserved_after }
                    }
                    3 => Event::DispensingReversed {
                        prescription_id,
                        item_id,
                        quantity: dec!(3),
                        on_hand_after: on_hand + dec!(3),
                    },
                    4 => Event::Recalled { reason },
                    5 => Event::Counted { counted: on_hand_after, change, on_hand_after, performed_by, witnessed_by },
                    6 => {
                        let (reason_code, reason) = (WasteReason::Spilled, None);
                        Event::Wasted { change, on_hand_after, reason_code, reason, performed_by, witnessed_by }
                    }
                    7 => {
                        let (to_lot_id, to_location_id) = (MedicationLotId(Uuid::nil()), RoomId(Uuid::nil()));
                        Event::TransferredOut { change, on_hand_after, to_lot_id, to_location_id, performed_by }
                    }
                    8 => {
                        let medication_lot::Event::Received(receipt) = lot(quantity) else { panic!("a receipt") };
                        let (from_lot_id, from_location_id) = (MedicationLotId(Uuid::nil()), RoomId(Uuid::nil()));
                        let on_hand_after = on_hand + quantity;
                        Event::TransferredIn { receipt, on_hand_after, from_lot_id, from_location_id, performed_by }
                    }
                    9 => {
                        let (to, supplier_id, prescription_id) = (ReturnTo::Supplier, None, None);
                        Event::Returned { to, change, on_hand_after, supplier_id, prescription_id, performed_by }
                    }
                    _ => Event::RecallRevoked { reason },
                };
                let movement = of_lot(&event);
                state = MedicationLot::evolve(state, &event);
                sum += movement.as_ref().map_or(Decimal::ZERO, |it| it.quantity);
                prop_assert_eq!(state.as_ref().map(|it| it.quantity_on_hand), Some(sum));
                prop_assert!(movement.and_then(|it| it.balance_after).is_none_or(|it| it == sum));
            }
        }
    }

    /// What can happen to a level, with the sign of the change: 1 for more, -1 for less, 0 for either.
    const OF_LEVEL: [(&str, i32); 8] = [
        ("received", 1),
        ("issued", -1),
        ("returned", 1),
        ("adjusted", 0),
        ("counted", 0),
        ("wasted", -1),
        ("transferred_out", -1),
        ("transferred_in", 1),
    ];

    #[test]
    fn every_event_of_a_level_is_one_of_those_that_can_happen() {
        assert_eq!(OF_LEVEL.len(), variants::<inventory_level::Event>().len());
    }

    proptest! {
        /// Whatever happens to a level: the quantities of its rows add up to what is on hand, and each row tells so.
        #[test]
        fn the_rows_of_a_level_add_up_to_what_is_on_hand(
            steps in prop::collection::vec((0..OF_LEVEL.len(), -50_i32..50), 0..40),
        ) {
            let (mut state, mut sum) = (None, Decimal::ZERO);
            for (kind, drawn) in steps {
                let (name, sign) = OF_LEVEL[kind];
                let wanted = Decimal::from(if sign == 0 { drawn } else { sign * drawn.abs() });
                // Nothing leaves that is not there.
                let change = wanted.max(-sum);
                let movement = json!({"movement": {"change": change, "on_hand_after": sum + change}});
                let event = sample_with::<InventoryLevel>(name, movement);
                let row = of_level(&event);
                prop_assert_eq!(row.is_some(), !change.is_zero(), "what moves nothing has no row: {}", name);
                sum += row.as_ref().map_or(Decimal::ZERO, |it| it.quantity);
                state = InventoryLevel::evolve(state, &event);
                prop_assert_eq!(state.as_ref().map(|it: &InventoryLevel| it.quantity_on_hand), Some(sum));
                prop_assert!(row.and_then(|it| it.balance_after).is_none_or(|it| it == sum));
            }
        }
    }
}
