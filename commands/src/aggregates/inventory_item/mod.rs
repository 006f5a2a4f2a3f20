//! Articles: adding and changing articles, taking articles out of use and back into use.

mod reordering;
mod telling;

use hims_domain::InventoryItemId;
use hims_domain::inventory_item::{Details, Event, InventoryItem};
use hims_domain::inventory_level::InventoryLevel;
use hims_domain::medication::Medication;
use hims_domain::supplier::Supplier;
use rust_decimal::Decimal;
use uuid::Uuid;

pub(crate) use reordering::{CheckReorderLevel, CheckReorderLevelsOfLot};
pub(crate) use telling::TellOfLowStock;

use crate::aggregates::medication_lot::{check_amount, check_quantity};
use crate::aggregates::supplier::check_supplier;
use crate::machinery::catalogue::catalogue;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Context, Found, Held, Reads, Refused, Registry, refuse, scopes};

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

catalogue! {
    InventoryItem by inventory_item_id: InventoryItemId, "Which article.";
    details: Details, "The article's details.", looked up by reads, checked by check;

    /// Adds an article: something that rooms hold in stock, or a medicine, of which lots are kept.
    AddInventoryItem = "add-inventory-item" needs Create::Inventory
        with {
            /// The id of the new article; issued by the server if left out.
            id
        }
        by Event::Added(details), undone by DeactivateInventoryItem;

    /// Changes an article's details.
    ChangeInventoryItem = "change-inventory-item" needs Create::Inventory
        with {
            /// The fields to change; a field that is left out stays, null empties a field.
            changes
        }
        by Event::Changed(details);
}

steps! {
    InventoryItem by inventory_item_id: InventoryItemId, "Which article.";

    /// Takes an article out of use: it is neither received nor reordered. What rooms hold of it can be used up.
    DeactivateInventoryItem = "deactivate-inventory-item" needs Create::Inventory
        moves is_active from [true] to [false] by Event::Deactivated, undone by ReactivateInventoryItem;

    /// Takes an article back into use.
    ReactivateInventoryItem = "reactivate-inventory-item" needs Create::Inventory
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivateInventoryItem;
}

impl Claims for InventoryItem {
    /// The stock-keeping unit is unique, regardless of upper and lower case. Articles are found by their medicine.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::INVENTORY_ITEM_SKU, self.details.sku.as_str().to_uppercase())
            .share_if(scopes::ITEMS_OF_MEDICATION, self.details.medication_id.map(|it| it.to_string()));
    }
}

/// Looks up what the details of an article name, and what rooms hold of it if quantities would mean something else.
fn reads(details: &Details, before: Option<(InventoryItemId, &Details)>, _: &Found) -> Reads {
    let reads = Reads::nothing().maybe::<Medication>(details.medication_id);
    let reads = reads.maybe::<Supplier>(details.preferred_supplier_id);
    match before {
        Some((id, before)) if !counts_alike(before, details) => {
            reads.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, id.to_string())
        }
        _ => reads,
    }
}

/// Refuses details that break a rule. A supplier who was named before may be out of use by now.
fn check(details: &Details, before: Option<&Details>, ctx: &Context<'_>) -> Result<(), Refused> {
    let mut levels = ctx.found.owners::<InventoryLevel>(scopes::LEVELS_OF_ITEM, ctx.id.to_string());
    let is_in_stock = levels.any(|(_, it)| it.quantity_on_hand > Decimal::ZERO);
    if is_in_stock && before.is_some_and(|it| !counts_alike(it, details)) {
        return refuse(Refusal::InStock);
    }
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

/// Whether quantities mean the same before and after a change of the details.
fn counts_alike(before: &Details, after: &Details) -> bool {
    before.unit == after.unit && before.medication_id.is_some() == after.medication_id.is_some()
}

#[cfg(test)]
mod tests;
