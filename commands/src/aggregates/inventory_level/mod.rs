//! Inventory levels: how much of an article a room holds. Receiving, issuing, returning and transferring articles, and
//! bringing the recorded quantity in line with what is there.

mod correcting;
mod moving;

use hims_domain::inventory_item::InventoryItem;
use hims_domain::inventory_level::{InventoryLevel, Movement};
use hims_domain::permission::{Create, Update};
use hims_domain::room::Room;
use hims_domain::{InventoryItemId, InventoryLevelId, RoomId};
use rust_decimal::Decimal;
use uuid::Uuid;

pub use correcting::{AdjustInventory, CountInventory, WasteInventory};
pub use moving::{IssueInventory, ReceiveInventory, ReturnInventory, TransferInventory};

use crate::aggregates::medication_lot::MOST;
use crate::machinery::refusal::refusals;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ReceiveInventory>()
        .add::<IssueInventory>()
        .add::<ReturnInventory>()
        .add::<TransferInventory>()
        .add::<AdjustInventory>()
        .add::<CountInventory>()
        .add::<WasteInventory>();
}

refusals! {
    CountedInLots = Conflict, "counted-in-lots",
        "the article is a medicine, which is counted in its lots; use the commands of medication lots";
    InactiveItem = Conflict, "inactive-item", "the article is out of use; take it back into use, or receive another";
    BelowZero { on_hand: Decimal } = Conflict, "insufficient-stock",
        "the room holds {on_hand} of the article, and there cannot be less than nothing; take away {on_hand} at most";
    SameRoom = Rule, "same-room", "the article is in that room already; give another room";
    NotIssued { issued: Decimal } = Conflict, "not-issued",
        "{issued} of the article was issued from the room and not returned yet; give back {issued} at most, or adjust \
         the quantity";
    OtherPatient = Rule, "other-patient",
        "the consultation is that of another patient; leave the patient out, or name the right consultation";
}

impl Claims for InventoryLevel {
    /// The levels are found by their article.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.share(scopes::LEVELS_OF_ITEM, self.inventory_item_id.to_string());
    }
}

/// An article in a room, as a request names them.
#[derive(Debug, Clone, Copy)]
struct Place {
    inventory_item_id: InventoryItemId,
    location_id: RoomId,
}

impl Place {
    /// The stream of the level.
    fn stream(self) -> InventoryLevelId {
        InventoryLevel::stream_of(self.inventory_item_id, self.location_id)
    }

    /// Also looks up the article and the room.
    fn reads(self, reads: Reads) -> Reads {
        reads.stream::<InventoryItem>(self.inventory_item_id).stream::<Room>(self.location_id)
    }

    /// The article; refused unless article and room exist and the article is counted in rooms.
    fn item<'a>(self, ctx: &'a Context<'_>) -> Result<&'a InventoryItem, Refused> {
        let item = ctx.named::<InventoryItem>(self.inventory_item_id, "/inventory_item_id")?;
        ctx.named::<Room>(self.location_id, "/location_id")?;
        if item.details.medication_id.is_some() { refuse(Refusal::CountedInLots) } else { Ok(item) }
    }

    /// A change of the quantity; refused if the room would hold less than nothing, or more than can be counted.
    fn movement(self, level: Option<&InventoryLevel>, change: Decimal, field: &str) -> Result<Movement, Refused> {
        let on_hand = level.map_or(Decimal::ZERO, |it| it.quantity_on_hand);
        let on_hand_after = on_hand + change;
        if on_hand_after < Decimal::ZERO {
            return Err(Refused::from(Refusal::BelowZero { on_hand: on_hand.normalize() }).at(field));
        }
        if on_hand_after > MOST {
            return Err(Refused::field("out-of-range", field, "the room would hold more than 999999999.999"));
        }
        let Self { inventory_item_id, location_id } = self;
        Ok(Movement { inventory_item_id, location_id, change, on_hand_after })
    }
}

/// What a room holds of an article that is counted in rooms.
struct Stock<'a> {
    place: Place,
    item: &'a InventoryItem,
    /// `None` before the first movement.
    level: Option<&'a InventoryLevel>,
}

impl Stock<'_> {
    /// A change of the quantity; refused as [`Place::movement`] says.
    fn movement(&self, change: Decimal, field: &str) -> Result<Movement, Refused> {
        self.place.movement(self.level, change, field)
    }
}

/// What a command on an article in a room does, besides what all of them do.
trait Moving: Sized {
    /// Also looks up what the request names besides the article and the room.
    fn looks_up(&self, reads: Reads, _: &Found) -> Reads {
        reads
    }

    /// Decides on an article that is counted in rooms.
    fn moves(self, stock: &Stock<'_>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused>;
}

/// Makes commands of what moves articles: each with its name, the permission that it needs, and the command that takes
/// it back.
macro_rules! movements {
    ($($command:ident = $name:literal needs $verb:ident::$word:ident, undone by $undone:ident;)*) => {$(
        impl $command {
            /// The article and the room that the request names.
            fn place(&self) -> Place {
                Place { inventory_item_id: self.inventory_item_id, location_id: self.location_id }
            }
        }

        impl Command for $command {
            const NAME: &'static str = $name;
            const PERMISSION: Permission = Permission::$verb($verb::$word);
            const REVERSED_BY: Option<&'static str> = Some(<$undone as Command>::NAME);
            type Aggregate = InventoryLevel;

            fn target(&self) -> Target {
                Target::either(self.place().stream())
            }

            fn reads(&self, _: Option<&InventoryLevel>, found: &Found) -> Reads {
                self.looks_up(self.place().reads(Reads::nothing()), found)
            }

            fn decide(
                self,
                state: Option<&InventoryLevel>,
                ctx: &Context<'_>,
            ) -> Result<Decision<InventoryLevel>, Refused> {
                let place = self.place();
                self.moves(&Stock { place, item: place.item(ctx)?, level: state }, ctx)
            }
        }
    )*};
}

movements! {
    ReceiveInventory = "receive-inventory" needs Create::SupplyUsage, undone by AdjustInventory;
    IssueInventory = "issue-inventory" needs Create::SupplyUsage, undone by ReturnInventory;
    ReturnInventory = "return-inventory" needs Create::SupplyUsage, undone by IssueInventory;
    TransferInventory = "transfer-inventory" needs Update::InventoryLevels, undone by TransferInventory;
    AdjustInventory = "adjust-inventory" needs Update::InventoryLevels, undone by AdjustInventory;
    CountInventory = "count-inventory" needs Update::InventoryLevels, undone by CountInventory;
    WasteInventory = "waste-inventory" needs Update::InventoryLevels, undone by AdjustInventory;
}

#[cfg(test)]
mod tests;
