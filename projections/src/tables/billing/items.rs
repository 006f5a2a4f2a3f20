use chrono::NaiveDate;
use hims_domain::billing_record::{Event, ItemAdded, LineStatus};
use hims_domain::values::Text;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per line of a billing record. The sums of the record are those of its lines that are not `aborted`.
    BillingItemRow in "billing_items",
    children of billing_record_id,
    readers [Billing, OwnRecords],
    stamped,
    generated [
        /// What is to be paid for the line: the price of the quantity - discount + tax.
        line_amount: Decimal,
    ],
    indexes [(billing_record_id, line_number), (patient_id, service_date), (status, service_date)] {
        /// The line.
        id: Uuid [indexed],
        /// The billing record.
        billing_record_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the line in the record, from 1.
        line_number: i32,
        /// The day of the service, which decides on the price.
        service_date: NaiveDate [indexed],
        /// The code system (URI) of the service.
        code_system: String,
        /// The code of the service.
        code: String [indexed],
        /// The modifiers of the code.
        modifiers: Value,
        /// The service in words.
        description: Option<String> [personal],
        /// The diagnoses of the claim that the service was for, by their numbers from 1.
        diagnosis_pointers: Value,
        /// The quantity.
        quantity: Decimal,
        /// The price of one unit; null while there is none.
        unit_price: Option<Decimal>,
        /// What is taken off the price.
        discount_amount: Decimal,
        /// The tax, in percent.
        tax_rate: Decimal,
        /// The tax.
        tax_amount: Decimal,
        /// The price list from which the price comes; null for a price that was given with the line.
        price_list: Option<String>,
        /// The first day of the version of the price.
        price_effective_from: Option<NaiveDate>,
        /// Whether the line waits for a price. No invoice can be issued before.
        needs_price: bool,
        /// The kind of thing that is charged for, such as `treatment`.
        source_type: Option<String>,
        /// What is charged for.
        source_id: Option<Uuid> [indexed],
        /// Which occasion of the source.
        source_occasion: Option<String>,
        /// The status of the line; `planned` for one that waits for a price.
        status: String [indexed] of LineStatus::CODES,
    }
}

/// The status of a line of a record without an invoice.
fn status(it: &ItemAdded) -> LineStatus {
    match it.priced {
        None => LineStatus::Planned,
        Some(_) if it.charge.amount().is_zero() => LineStatus::NotBillable,
        Some(_) => LineStatus::Billable,
    }
}

/// Moves a line on with its record, unless the line was removed.
pub(super) fn move_to(row: &mut BillingItemRow, status: LineStatus) {
    if row.status != LineStatus::Aborted.as_str() {
        row.status = status.to_string();
    }
}

/// The row of a line of a record without an invoice.
pub(super) fn row(event: &Projected<'_, Event>, it: &ItemAdded) -> BillingItemRow {
    let (item, priced) = (&it.item, it.priced.as_ref());
    BillingItemRow {
        id: it.item_id.into(),
        billing_record_id: event.stream_id,
        patient_id: it.patient_id.into(),
        line_number: it.line_number,
        service_date: item.service_date,
        code_system: item.code_system.0.clone(),
        code: item.code.0.clone(),
        modifiers: json!(item.modifiers.iter().map(Text::as_str).collect::<Vec<_>>()),
        description: known_text(Some(&item.description)),
        diagnosis_pointers: json!(item.diagnosis_pointers),
        quantity: item.quantity,
        unit_price: priced.map(|it| it.unit_price.number()),
        discount_amount: it.charge.discount,
        tax_rate: priced.map(|it| it.tax_rate.number()).unwrap_or_default(),
        tax_amount: it.charge.tax,
        price_list: text(priced.and_then(|it| it.price_list.as_ref())),
        price_effective_from: priced.and_then(|it| it.price_effective_from),
        needs_price: priced.is_none(),
        source_type: text(item.source_type.as_ref()),
        source_id: item.source_id.map(Uuid::from),
        source_occasion: text(item.source_occasion.as_ref()),
        status: status(it).to_string(),
        stamps: event.stamps(),
    }
}
