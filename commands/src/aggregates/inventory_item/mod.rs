//! Articles: adding and changing articles, taking articles out of use and back into use.

mod reordering;

use hims_domain::inventory_item::{Details, Event, InventoryItem};
use hims_domain::inventory_level::InventoryLevel;
use hims_domain::medication::Medication;
use hims_domain::permission::{Create, Update};
use hims_domain::supplier::Supplier;
use hims_domain::{InventoryItemId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

pub(crate) use reordering::{CheckReorderLevel, CheckReorderLevelsOfLot};

use crate::aggregates::medication_lot::{check_amount, check_quantity};
use crate::aggregates::supplier::check_supplier;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Patch, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddInventoryItem>()
        .add::<ChangeInventoryItem>()
        .add::<DeactivateInventoryItem>()
        .add::<ReactivateInventoryItem>();
}

refusals! {
    InStock = Conflict, "in-stock",
        "a room holds some of the article, so its unit and its medicine stay; bring the count of each room to zero \
         first, or add another article";
}

described! {
    /// Adds an article: something that rooms hold in stock, or a medicine, of which lots are kept.
    pub struct AddInventoryItem {
        /// The id of the new article; issued by the server if left out.
        pub id: Option<InventoryItemId>,
        /// The article's details.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes an article's details.
    pub struct ChangeInventoryItem {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

}

steps! {
    InventoryItem by inventory_item_id: InventoryItemId, "Which article.";

    /// Takes an article out of use: it is neither received nor reordered. What rooms hold of it can be used up.
    DeactivateInventoryItem = "deactivate-inventory-item" needs Update::InventoryLevels
        moves is_active from [true] to [false] by Event::Deactivated, undone by ReactivateInventoryItem;

    /// Takes an article back into use.
    ReactivateInventoryItem = "reactivate-inventory-item" needs Update::InventoryLevels
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivateInventoryItem;
}

impl Claims for InventoryItem {
    /// The stock-keeping unit is unique, regardless of upper and lower case. Articles are found by their medicine.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::INVENTORY_ITEM_SKU, self.details.sku.as_str().to_uppercase())
            .share_if(scopes::ITEMS_OF_MEDICATION, self.details.medication_id.map(|it| it.to_string()));
    }
}

/// Also looks up what the details of an article name.
fn reads(reads: Reads, details: &Details) -> Reads {
    reads.maybe::<Medication>(details.medication_id).maybe::<Supplier>(details.preferred_supplier_id)
}

/// Refuses details that break a rule. A supplier who was named before may be out of use by now.
fn check(details: &Details, before: Option<&Details>, ctx: &Context<'_>) -> Result<(), Refused> {
    if let Some(medication_id) = details.medication_id {
        ctx.named::<Medication>(medication_id, "/medication_id")?;
    }
    let named_before = before.and_then(|it| it.preferred_supplier_id);
    check_supplier(
        ctx,
        details.preferred_supplier_id.filter(|it| Some(*it) != named_before),
        "/preferred_supplier_id",
    )?;
    check_amount(details.reorder_level, 3, "/reorder_level")?;
    details.reorder_quantity.map_or(Ok(()), |it| check_quantity(it, "/reorder_quantity"))
}

impl Command for AddInventoryItem {
    const NAME: &'static str = "add-inventory-item";
    const PERMISSION: Permission = Permission::Create(Create::Inventory);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateInventoryItem::NAME);
    type Aggregate = InventoryItem;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&InventoryItem>, _: &Found) -> Reads {
        reads(Reads::nothing(), &self.details)
    }

    fn decide(self, _: Option<&InventoryItem>, ctx: &Context<'_>) -> Result<Decision<InventoryItem>, Refused> {
        check(&self.details, None, ctx)?;
        Ok(Decision::event(Event::Added(self.details)))
    }
}

impl Command for ChangeInventoryItem {
    const NAME: &'static str = "change-inventory-item";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = InventoryItem;

    fn target(&self) -> Target {
        Target::existing(self.inventory_item_id)
    }

    fn reads(&self, state: Option<&InventoryItem>, _: &Found) -> Reads {
        let Some(before) = state.map(|it| &it.details) else { return Reads::nothing() };
        let Ok(after) = self.changes.clone().apply(before) else { return Reads::nothing() };
        let looked_up = reads(Reads::nothing(), &after);
        if counts_alike(before, &after) {
            return looked_up;
        }
        looked_up.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, self.inventory_item_id.to_string())
    }

    fn decide(self, state: Option<&InventoryItem>, ctx: &Context<'_>) -> Result<Decision<InventoryItem>, Refused> {
        let item = existing(state)?;
        let details = self.changes.apply(&item.details)?;
        if details == item.details {
            return Ok(Decision::nothing());
        }
        let key = self.inventory_item_id.to_string();
        let mut levels = ctx.found.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, key);
        let is_in_stock = levels.any(|(_, it)| it.quantity_on_hand > Decimal::ZERO);
        if is_in_stock && !counts_alike(&item.details, &details) {
            return refuse(Refusal::InStock);
        }
        check(&details, Some(&item.details), ctx)?;
        Ok(Decision::event(Event::Changed(details)))
    }
}

/// Whether quantities mean the same before and after a change of the details.
fn counts_alike(before: &Details, after: &Details) -> bool {
    before.unit == after.unit && before.medication_id.is_some() == after.medication_id.is_some()
}

#[cfg(test)]
mod tests;
