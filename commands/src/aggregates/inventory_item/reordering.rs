//! Whether more of an article is to be ordered. The process `stock` asks after every event that may have changed the
//! answer.

use chrono::NaiveDate;
use hims_domain::department::Department;
use hims_domain::inventory_item::{Event, InventoryItem};
use hims_domain::inventory_level::InventoryLevel;
use hims_domain::medication_lot::MedicationLot;
use hims_domain::room::Room;
use hims_domain::{InventoryItemId, MedicationLotId, RoomId, described};
use rust_decimal::Decimal;

use crate::department::zone_named;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, scopes};

described! {
    /// Compares what can be used of an article with its reorder level, and records when more is to be ordered from now
    /// on, or no longer. Does nothing if that is known already. The process `stock` gives the command.
    pub struct CheckReorderLevel {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
    }

    /// Compares the stock of every article that is the medicine of a lot with its reorder level, and records what has
    /// changed, as `check-reorder-level` does for one article. The process `stock` gives the command.
    pub struct CheckReorderLevelsOfLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
    }
}

/// Looks up the stock of an article: the lots of a medicine with the time zones of their rooms, the levels of anything
/// else. Nothing of an article that is neither reordered nor flagged, of which nothing can be recorded.
fn reads_stock(reads: Reads, (id, item): (InventoryItemId, &InventoryItem), found: &Found) -> Reads {
    if item.reorder_level().is_none() && !item.is_flagged() {
        return reads;
    }
    let Some(medication) = item.details.medication_id.map(|it| it.to_string()) else {
        return reads.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, id.to_string());
    };
    let lots = found.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, medication.as_str());
    let reads = lots.fold(reads, |reads, (_, lot)| {
        let room = found.get::<Room>(lot.location_id);
        reads.stream::<Room>(lot.location_id).maybe::<Department>(room.map(|it| it.details.department_id))
    });
    reads.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, medication)
}

/// The day that it is in a room; the day in the time zone of the hospital if the room was not looked up.
fn today_in(location_id: RoomId, ctx: &Context<'_>) -> NaiveDate {
    let room = ctx.found.get::<Room>(location_id);
    let department = room.and_then(|it| ctx.found.get::<Department>(it.details.department_id));
    let zone = department.map_or(ctx.hospital_zone, |it| zone_named(&it.details.time_zone));
    ctx.now.with_timezone(&zone).date_naive()
}

/// What can be used of an article, in all rooms together. What has expired is no stock.
fn usable((id, item): (InventoryItemId, &InventoryItem), ctx: &Context<'_>) -> Decimal {
    let Some(medication_id) = item.details.medication_id else {
        let levels = ctx.found.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, id.to_string());
        return levels.map(|(_, it)| it.quantity_on_hand).sum();
    };
    let lots = ctx.found.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, medication_id.to_string());
    let counted = lots.filter(|(_, it)| it.unit == item.details.unit);
    counted.map(|(_, it)| it.usable(today_in(it.location_id, ctx))).sum()
}

/// What is to be recorded of an article; `None` if it is known already whether more is to be ordered.
fn checked(id: InventoryItemId, item: &InventoryItem, ctx: &Context<'_>) -> Option<Event> {
    let usable = usable((id, item), ctx);
    match item.reorder_level().filter(|it| usable < *it) {
        Some(reorder_level) if !item.is_flagged() => Some(Event::ReorderFlagged { usable, reorder_level }),
        None if item.is_flagged() => Some(Event::ReorderCleared { usable }),
        Some(_) | None => None,
    }
}

impl Command for CheckReorderLevel {
    const NAME: &'static str = "check-reorder-level";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InventoryItem;

    fn target(&self) -> Target {
        Target::existing(self.inventory_item_id)
    }

    fn reads(&self, state: Option<&InventoryItem>, found: &Found) -> Reads {
        state.map_or_else(Reads::nothing, |item| reads_stock(Reads::nothing(), (self.inventory_item_id, item), found))
    }

    fn decide(self, state: Option<&InventoryItem>, ctx: &Context<'_>) -> Result<Decision<InventoryItem>, Refused> {
        let event = checked(self.inventory_item_id, existing(state)?, ctx);
        Ok(event.map_or_else(Decision::nothing, Decision::event))
    }
}

impl Command for CheckReorderLevelsOfLot {
    const NAME: &'static str = "check-reorder-levels-of-lot";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, found: &Found) -> Reads {
        let Some(medication) = state.map(|it| it.medication_id.to_string()) else { return Reads::nothing() };
        let items = found.owners::<InventoryItem>(scopes::ITEMS_OF_MEDICATION, medication.as_str());
        let reads = items.fold(Reads::nothing(), |reads, (id, item)| reads_stock(reads, (id.into(), item), found));
        reads.owners::<InventoryItem>(scopes::ITEMS_OF_MEDICATION, medication)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let medication = existing(state)?.medication_id.to_string();
        let items = ctx.found.owners::<InventoryItem>(scopes::ITEMS_OF_MEDICATION, medication);
        let events = items.filter_map(|(id, item)| Some((id, checked(id.into(), item, ctx)?)));
        Ok(events.fold(Decision::nothing(), |decision, (id, event)| decision.also::<InventoryItem>(id, event)))
    }
}
