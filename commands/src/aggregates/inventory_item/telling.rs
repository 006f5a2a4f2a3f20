//! What people are told of articles that run low.

use hims_domain::InventoryItemId;
use hims_domain::inventory_item::InventoryItem;
use hims_domain::notification::NotificationType;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads, role_id};

/// Tells those who keep the stock, pharmacists and administrators, that more of an article is to be ordered. Nobody is
/// told if the article has been restocked meanwhile, or has run low once more since, of which a later notice tells. Two
/// times that left the same quantity are not told apart.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfLowStock {
    pub(crate) inventory_item_id: InventoryItemId,
    /// The position of the event that flagged the article. An article may run low more than once.
    pub(crate) position: i64,
    /// What was left and could be used then.
    pub(crate) usable: Decimal,
}

impl Telling for TellOfLowStock {
    const NAME: &'static str = "tell-of-low-stock";

    fn occasion(&self) -> String {
        format!("article {} low {}", self.inventory_item_id, self.position)
    }

    fn reads(&self, _: &Found) -> Reads {
        Reads::nothing().stream::<InventoryItem>(self.inventory_item_id)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        // Of an article that ran low once more since, only the later notice tells.
        let is_so = |it: &&InventoryItem| it.flagged_with == Some(self.usable);
        let item = found.get::<InventoryItem>(self.inventory_item_id).filter(is_so)?;
        let details = &item.details;
        let (left, unit) = (self.usable.normalize(), &details.unit);
        let level = details.reorder_level.map(|it| format!(", of {} at least", it.normalize())).unwrap_or_default();
        let wanted = details.reorder_quantity.map(|it| format!(" Order {} {unit}.", it.normalize()));
        let (name, sku) = (details.name.as_str(), details.sku.as_str());
        let wanted = wanted.unwrap_or_default();
        let message = format!("Of {name} ({sku}), {left} {unit} can be used{level}.{wanted}");
        let path = format!("/inventory-items/{}", self.inventory_item_id);
        let notice = Notice::of(NotificationType::LowStock, &self.occasion(), "An article runs low", &message);
        let notice = notice.leading_to(&path, "Show the article");
        Some(notice.to_role(role_id("pharmacist")).to_role(role_id("administrator")))
    }
}
