use chrono::{DateTime, Utc};
use hims_domain::inventory_level::Event;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::ledger::{self, TransactionRow};
use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per article and room that holds or held the article.
    LevelRow in "inventory_levels", readers [Inventory], stamped {
        /// The level.
        id: Uuid [indexed],
        /// The article.
        inventory_item_id: Uuid [indexed],
        /// The room.
        location_id: Uuid [indexed],
        /// The quantity in the room, in the unit of the article.
        quantity_on_hand: Decimal,
        /// When somebody last counted the article in the room.
        last_counted_at: Option<DateTime<Utc>>,
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    levels: &mut Changes<'e, LevelRow>,
    transactions: &mut Changes<'e, TransactionRow>,
) {
    let movement = event.data.movement();
    let counted_at = matches!(event.data, Event::Counted { .. }).then_some(event.recorded_at);
    if event.version == 1 {
        levels.insert(LevelRow {
            id: event.stream_id,
            inventory_item_id: movement.inventory_item_id.into(),
            location_id: movement.location_id.into(),
            quantity_on_hand: movement.on_hand_after,
            last_counted_at: counted_at,
            stamps: event.stamps(),
        });
    } else {
        levels.change(event, move |row| {
            row.quantity_on_hand = movement.on_hand_after;
            row.last_counted_at = counted_at.or(row.last_counted_at);
        });
    }
    ledger::write_level(event, transactions);
}
