use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::medication_lot::{Event, Receipt, Status};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use super::ledger::TransactionRow;
use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per lot of a medication in a room.
    InventoryRow in "medication_inventory", readers [Inventory], stamped, indexes [(medication_id, expiry_date)] {
        /// The lot.
        id: Uuid [indexed],
        /// The medication.
        medication_id: Uuid [indexed],
        /// The room in which the lot is stored.
        location_id: Uuid [indexed],
        /// The lot number of the manufacturer.
        lot_number: String,
        /// The last day on which the lot may be dispensed.
        expiry_date: NaiveDate [indexed],
        /// The quantity in stock, in `unit`.
        quantity_on_hand: Decimal,
        /// The quantity that is kept for prescriptions that are ready to be fetched.
        quantity_reserved: Decimal,
        /// The quantity that is set aside for changes that wait for a witness.
        quantity_pending: Decimal,
        /// The changes that wait for a witness: their ids, kinds, quantities, who asks for them and until when.
        pending_changes: Value,
        /// The unit of every quantity of the lot, such as `tablet`.
        unit: String,
        /// The cost of one unit.
        unit_cost: Option<Decimal>,
        /// The supplier.
        supplier_id: Option<Uuid> [indexed],
        /// The quantity below which more is to be ordered.
        reorder_level: Option<Decimal>,
        /// The status of the lot, which says whether the lot can be dispensed.
        status: String,
        /// The reason for the quarantine or the recall of the lot.
        status_reason: Option<String>,
        /// When the lot was delivered.
        received_at: DateTime<Utc>,
    }
}

fn new_row(event: &Projected<'_, Event>, receipt: &Receipt) -> InventoryRow {
    InventoryRow {
        id: event.stream_id,
        medication_id: receipt.medication_id.into(),
        location_id: receipt.location_id.into(),
        lot_number: receipt.lot_number.0.clone(),
        expiry_date: receipt.expiry_date,
        quantity_on_hand: receipt.quantity,
        quantity_reserved: Decimal::ZERO,
        quantity_pending: Decimal::ZERO,
        pending_changes: json!([]),
        unit: receipt.unit.to_string(),
        unit_cost: receipt.unit_cost,
        supplier_id: receipt.supplier_id.map(Uuid::from),
        reorder_level: receipt.reorder_level,
        status: Status::Available.to_string(),
        status_reason: None,
        received_at: event.recorded_at,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    rows: &mut Changes<'e, InventoryRow>,
    transactions: &mut Changes<'e, TransactionRow>,
) {
    super::ledger::write_lot(event, transactions);
    match event.data {
        Event::Received(it) => rows.insert(new_row(event, it)),
        // A lot begins with a transfer if the place had nothing of it.
        Event::TransferredIn { receipt, .. } if event.version == 1 => rows.insert(new_row(event, receipt)),
        Event::Adjusted { on_hand_after, .. }
        | Event::Counted { on_hand_after, .. }
        | Event::Wasted { on_hand_after, .. }
        | Event::TransferredOut { on_hand_after, .. }
        | Event::TransferredIn { on_hand_after, .. }
        | Event::Returned { on_hand_after, .. }
        | Event::DispensingReversed { on_hand_after, .. } => rows.change(event, |row| set_stock(row, *on_hand_after)),
        Event::Dispensed { on_hand_after, reserved_after, .. } => rows.change(event, |row| {
            row.quantity_reserved = *reserved_after;
            set_stock(row, *on_hand_after);
        }),
        Event::Reserved { reserved_after, .. } | Event::ReservationReleased { reserved_after, .. } => {
            rows.change(event, |row| row.quantity_reserved = *reserved_after);
        }
        Event::ChangeRequested { change_id, requested, pending_after, .. } => rows.change(event, move |row| {
            row.quantity_pending = *pending_after;
            if let Value::Array(waiting) = &mut row.pending_changes {
                waiting.push(json!({
                    "change_id": change_id, "kind": requested.wanted.kind(), "change": requested.change,
                    "requested_by": requested.requested_by, "expires_at": requested.expires_at,
                }));
            }
        }),
        Event::ChangeWitnessed { change_id, pending_after, .. }
        | Event::ChangeRejected { change_id, pending_after, .. } => rows.change(event, move |row| {
            row.quantity_pending = *pending_after;
            if let Value::Array(waiting) = &mut row.pending_changes {
                waiting.retain(|it| it["change_id"] != json!(change_id));
            }
        }),
        Event::Quarantined { reason } | Event::RecallRevoked { reason } => {
            rows.change(event, |row| set_status(row, Status::Quarantined, Some(reason.0.clone())));
        }
        Event::Released => rows.change(event, |row| {
            set_status(row, Status::Available, None);
            set_stock(row, row.quantity_on_hand);
        }),
        Event::Recalled { reason } => {
            rows.change(event, |row| set_status(row, Status::Recalled, Some(reason.0.clone())));
        }
    }
}

fn set_status(row: &mut InventoryRow, status: Status, reason: Option<String>) {
    row.status = status.to_string();
    row.status_reason = reason;
}

fn set_stock(row: &mut InventoryRow, on_hand: Decimal) {
    row.quantity_on_hand = on_hand;
    if let Some(status) = Status::parse(&row.status) {
        row.status = status.with_stock(row.quantity_on_hand).to_string();
    }
}
