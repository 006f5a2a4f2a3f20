//! Bringing the recorded quantity of an article in a room in line with what is there: by a difference, by a count, or
//! by what is thrown away.

use hims_domain::inventory_level::{Event, InventoryLevel, WasteReason};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{InventoryItemId, RoomId, described};
use rust_decimal::Decimal;

use crate::aggregates::medication_lot::{MOST, check_quantity};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

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

impl Command for AdjustInventory {
    const NAME: &'static str = "adjust-inventory";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, _: &Found) -> Reads {
        self.place().reads(Reads::nothing())
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let place = self.place();
        let Self { change, reason, .. } = self;
        place.item(ctx)?;
        if check_quantity(change.abs(), "/change").is_err() {
            let message = "give a difference other than zero, with at most three decimals: negative if there is less \
                           than recorded";
            return Err(Refused::field("out-of-range", "/change", message));
        }
        let movement = place.movement(state, change, "/change")?;
        Ok(Decision::event(Event::Adjusted { movement, reason }))
    }
}

impl Command for CountInventory {
    const NAME: &'static str = "count-inventory";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, _: &Found) -> Reads {
        self.place().reads(Reads::nothing())
    }

    /// A count that finds what is recorded is recorded too: it tells that somebody looked.
    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let (place, counted) = (self.place(), self.counted);
        place.item(ctx)?;
        if counted < Decimal::ZERO || counted > MOST || counted.normalize().scale() > 3 {
            let message = "give what was counted: 0 to 999999999.999, with at most three decimals";
            return Err(Refused::field("out-of-range", "/counted", message));
        }
        let on_hand = state.map_or(Decimal::ZERO, |it| it.quantity_on_hand);
        let movement = place.movement(state, counted - on_hand, "/counted")?;
        Ok(Decision::event(Event::Counted { movement }))
    }
}

impl Command for WasteInventory {
    const NAME: &'static str = "waste-inventory";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(AdjustInventory::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, _: &Found) -> Reads {
        self.place().reads(Reads::nothing())
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let place = self.place();
        let Self { quantity, reason_code, reason, .. } = self;
        place.item(ctx)?;
        if reason_code == WasteReason::Other && reason.is_none() {
            return Err(Refused::field("reason-missing", "/reason", "say why the article is thrown away"));
        }
        check_quantity(quantity, "/quantity")?;
        let movement = place.movement(state, -quantity, "/quantity")?;
        Ok(Decision::event(Event::Wasted { movement, reason_code, reason }))
    }
}
