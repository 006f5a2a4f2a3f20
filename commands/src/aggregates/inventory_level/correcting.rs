//! Bringing the recorded quantity of an article in a room in line with what is there: by a difference, by a count, or
//! by what is thrown away.

use hims_domain::inventory_level::{Event, InventoryLevel, WasteReason};
use hims_domain::values::Reason;
use hims_domain::{InventoryItemId, RoomId, described};
use rust_decimal::Decimal;

use super::{Moving, Stock};
use crate::aggregates::medication_lot::{MOST, check_quantity};
use crate::{Context, Decision, Refused};

described! {
    /// Corrects the quantity of an article in a room by a difference, after a loss or a mistake.
    pub struct AdjustInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// Which room.
        pub location_id: RoomId,
        /// The difference to the recorded quantity: positive for more, negative for less, never zero.
        pub change: Decimal,
        /// Why the quantity is corrected.
        pub reason: Reason,
    }

    /// Records how much of an article was counted in a room. The quantity is corrected if the count differs.
    pub struct CountInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// Which room.
        pub location_id: RoomId,
        /// The counted quantity, in the unit of the article; zero if there is nothing.
        pub counted: Decimal,
    }

    /// Throws some of an article away.
    pub struct WasteInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room that held it.
        pub location_id: RoomId,
        /// The quantity that is thrown away; more than zero.
        pub quantity: Decimal,
        /// Why it is thrown away.
        pub reason_code: WasteReason,
        /// What else is to be said about the reason; must be given if the code is `other`.
        pub reason: Option<Reason>,
    }
}

impl Moving for AdjustInventory {
    fn moves(self, stock: &Stock<'_>, _: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let Self { change, reason, .. } = self;
        if check_quantity(change.abs(), "/change").is_err() {
            let message = "give a difference other than zero, with at most three decimals: negative if there is less \
                           than recorded";
            return Err(Refused::field("out-of-range", "/change", message));
        }
        let movement = stock.movement(change, "/change")?;
        Ok(Decision::event(Event::Adjusted { movement, reason }))
    }
}

impl Moving for CountInventory {
    /// A count that finds what is recorded is recorded too: it tells that somebody looked.
    fn moves(self, stock: &Stock<'_>, _: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let counted = self.counted;
        if counted < Decimal::ZERO || counted > MOST || counted.normalize().scale() > 3 {
            let message = "give what was counted: 0 to 999999999.999, with at most three decimals";
            return Err(Refused::field("out-of-range", "/counted", message));
        }
        let on_hand = stock.level.map_or(Decimal::ZERO, |it| it.quantity_on_hand);
        let movement = stock.movement(counted - on_hand, "/counted")?;
        Ok(Decision::event(Event::Counted { movement }))
    }
}

impl Moving for WasteInventory {
    fn moves(self, stock: &Stock<'_>, _: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let Self { quantity, reason_code, reason, .. } = self;
        if reason_code == WasteReason::Other && reason.is_none() {
            return Err(Refused::field("reason-missing", "/reason", "say why the article is thrown away"));
        }
        check_quantity(quantity, "/quantity")?;
        let movement = stock.movement(-quantity, "/quantity")?;
        Ok(Decision::event(Event::Wasted { movement, reason_code, reason }))
    }
}
