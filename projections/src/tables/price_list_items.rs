use chrono::NaiveDate;
use hims_domain::price::{Cut, Event, PriceSet};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;

table! {
    /// One row per price of a service in a price list, from its first day to its last.
    PriceRow in "price_list_items",
    children of price_id,
    catalogue for everybody,
    stamped,
    indexes [(price_id, effective_from), (code, effective_from)] {
        /// The price from this first day on.
        id: Uuid [indexed],
        /// All prices of the service in the list.
        price_id: Uuid [indexed],
        /// The price list: `standard`, or one that was agreed with a payer.
        price_list: String [indexed],
        /// The code system (URI) of the service.
        code_system: String,
        /// The code of the service.
        code: String [indexed],
        /// What the service is called.
        description: String,
        /// The price of one unit.
        unit_price: Decimal,
        /// The tax on the price, in percent.
        tax_rate: Decimal,
        /// The first day on which the price counts.
        effective_from: NaiveDate,
        /// The last day on which the price counts; null if the price is open-ended.
        effective_to: Option<NaiveDate>,
    }
}

/// The id of the row of a version, which is known by its first day.
fn row_id(stream: Uuid, first: NaiveDate) -> Uuid {
    derived_id(stream, &["version", &first.to_string()])
}

/// The row of a price that was set.
fn row(event: &Projected<'_, Event>, set: &PriceSet) -> PriceRow {
    let version = &set.version;
    PriceRow {
        id: row_id(event.stream_id, version.effective_from),
        price_id: event.stream_id,
        price_list: set.price_list.0.clone(),
        code_system: set.code_system.0.clone(),
        code: set.code.0.clone(),
        description: version.description.0.clone(),
        unit_price: version.unit_price.number(),
        tax_rate: version.tax_rate.number(),
        effective_from: version.effective_from,
        effective_to: version.effective_to,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, prices: &mut Changes<'e, PriceRow>) {
    let stream = event.stream_id;
    let mut end = |cut: &'e Cut| {
        prices.change_row(event, row_id(stream, cut.effective_from), |row| row.effective_to = Some(cut.effective_to));
    };
    match event.data {
        Event::Set(set) => {
            if let Some(cut) = &set.cut {
                end(cut);
            }
            let new = row(event, set);
            // The version may be in the list already; `event` does not say so, since it tells all of the version.
            prices.change_list(event, stream, move |rows| match rows.iter_mut().find(|row| row.id == new.id) {
                Some(row) => *row = PriceRow { stamps: row.stamps, ..new },
                None => rows.push(new),
            });
        }
        Event::Ended { cut, dropped } => {
            end(cut);
            for first in dropped {
                prices.remove(row_id(stream, *first));
            }
        }
    }
}
