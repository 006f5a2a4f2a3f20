use chrono::{DateTime, Utc};
use hims_domain::inventory_item::{Details, Event};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per article that the hospital keeps in stock.
    ArticleRow in "inventory_items", readers [Inventory], stamped, indexes [(category, name)] {
        /// The article.
        id: Uuid [indexed],
        /// The stock-keeping unit, unique in the hospital.
        sku: String [indexed],
        /// The name of the article.
        name: String [indexed],
        /// The kind of article.
        category: String [indexed],
        /// The medicine, if the article is one; its stock is counted in lots (`medication-inventory`).
        medication_id: Option<Uuid> [indexed],
        /// The unit of every quantity of the article.
        unit: String,
        /// The quantity below which more is to be ordered.
        reorder_level: Option<Decimal>,
        /// The quantity to order then.
        reorder_quantity: Option<Decimal>,
        /// The supplier from whom to order.
        preferred_supplier_id: Option<Uuid> [indexed],
        /// Whether the article is kept under lock and key.
        is_controlled: bool,
        /// Whether the article is received and reordered.
        is_active: bool,
        /// Since when more is to be ordered; null while there is enough.
        reorder_flagged_at: Option<DateTime<Utc>> [indexed],
    }
}

fn row(event: &Projected<'_, Event>, details: &Details) -> ArticleRow {
    ArticleRow {
        id: event.stream_id,
        sku: details.sku.0.clone(),
        name: details.name.0.clone(),
        category: details.category.0.clone(),
        medication_id: details.medication_id.map(Uuid::from),
        unit: details.unit.to_string(),
        reorder_level: details.reorder_level,
        reorder_quantity: details.reorder_quantity,
        preferred_supplier_id: details.preferred_supplier_id.map(Uuid::from),
        is_controlled: details.is_controlled,
        is_active: true,
        reorder_flagged_at: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, ArticleRow>) {
    match event.data {
        Event::Added(details) => rows.insert(row(event, details)),
        Event::Changed(details) => {
            let changed = row(event, details);
            rows.change(event, move |row| {
                let ArticleRow { is_active, reorder_flagged_at, stamps, .. } = *row;
                *row = ArticleRow { is_active, reorder_flagged_at, stamps, ..changed };
            });
        }
        Event::Deactivated => rows.change(event, |row| row.is_active = false),
        Event::Reactivated => rows.change(event, |row| row.is_active = true),
        Event::ReorderFlagged { usable: _, reorder_level: _ } => {
            let since = event.recorded_at;
            rows.change(event, move |row| row.reorder_flagged_at = Some(since));
        }
        Event::ReorderCleared { usable: _ } => rows.change(event, |row| row.reorder_flagged_at = None),
    }
}
