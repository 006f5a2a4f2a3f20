//! Billing records, with their lines, payments and adjustments.

mod adjustments;
mod items;
mod payments;

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::Personal;
use hims_domain::billing_record::{Event, LineStatus, Standing, Status};
use hims_domain::values::Reason;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

pub(crate) use adjustments::BillingAdjustmentRow;
use adjustments::WRITE_OFF;
pub(crate) use items::BillingItemRow;
pub(crate) use payments::BillingPaymentRow;

table! {
    /// One row per billing record: charges that are invoiced together.
    BillingRow in "billing_records",
    readers [Billing, OwnRecords],
    stamped by (created_at),
    generated [
        /// What is owed and not paid: total + tax - discount - adjustment - written off - paid.
        balance_amount: Decimal,
    ],
    indexes [(patient_id, created_at), (patient_id, status), (status, due_date)] {
        /// The record.
        id: Uuid [indexed],
        /// The consultation that is charged for; null for charges without one.
        consultation_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the invoice; null while there is none.
        invoice_number: Option<String> [indexed],
        /// The status of the record.
        status: String [indexed] of Status::CODES,
        /// The reason for cancelling the record, or for writing the balance off.
        status_reason: Option<String> [personal],
        /// The currency of all amounts (ISO 4217).
        currency: String,
        /// The sum of the prices of the lines.
        total_amount: Decimal,
        /// The sum of the taxes of the lines.
        tax_amount: Decimal,
        /// The sum of the discounts of the lines.
        discount_amount: Decimal,
        /// By how much the charges were lowered after billing, by the hospital or by payers.
        adjustment_amount: Decimal,
        /// What is owed and was given up.
        written_off_amount: Decimal,
        /// The money that is applied to what is owed.
        paid_amount: Decimal,
        /// The money that is beyond what is owed.
        credit_amount: Decimal,
        /// The part of the balance that open claims ask payers for; the patient owes the rest.
        insurance_due: Decimal,
        /// The day on which the record was opened.
        opened_on: NaiveDate,
        /// The day until which the invoice is to be paid.
        due_date: Option<NaiveDate> [indexed],
        /// When the invoice was issued.
        billed_at: Option<DateTime<Utc>>,
    }
}

/// Writes how the record stands into its row.
fn set_standing(row: &mut BillingRow, after: &Standing) {
    row.status = after.status.to_string();
    row.total_amount = after.total_amount;
    row.tax_amount = after.tax_amount;
    row.discount_amount = after.discount_amount;
    row.adjustment_amount = after.adjustment_amount;
    row.written_off_amount = after.written_off_amount;
    row.paid_amount = after.paid_amount;
    row.credit_amount = after.credit_amount;
    row.insurance_due = after.insurance_due;
}

/// The row of a record without lines and money.
fn empty(event: &Projected<'_, Event>, opened: &hims_domain::billing_record::Opened) -> BillingRow {
    let mut row = BillingRow {
        id: event.stream_id,
        consultation_id: opened.consultation_id.map(Uuid::from),
        patient_id: opened.patient_id.into(),
        invoice_number: None,
        status: String::new(),
        status_reason: None,
        currency: opened.currency.to_string(),
        total_amount: Decimal::ZERO,
        tax_amount: Decimal::ZERO,
        discount_amount: Decimal::ZERO,
        adjustment_amount: Decimal::ZERO,
        written_off_amount: Decimal::ZERO,
        paid_amount: Decimal::ZERO,
        credit_amount: Decimal::ZERO,
        insurance_due: Decimal::ZERO,
        opened_on: opened.opened_on,
        due_date: None,
        billed_at: None,
        stamps: event.stamps(),
    };
    set_standing(&mut row, &Standing::default());
    row
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    records: &mut Changes<'e, BillingRow>,
    items: &mut Changes<'e, BillingItemRow>,
    payments: &mut Changes<'e, BillingPaymentRow>,
    adjustments: &mut Changes<'e, BillingAdjustmentRow>,
) {
    if let Some(after) = event.data.standing() {
        records.change(event, move |row| set_standing(row, &after));
    }
    let at = event.metadata.occurred_at;
    let mut because = |reason: &'e Personal<Reason>| {
        records.change(event, move |row| row.status_reason = known_text(Some(reason)));
    };
    match event.data {
        Event::Opened(opened) => records.insert(empty(event, opened)),
        Event::ItemAdded(it) => items.insert(items::row(event, it)),
        Event::ItemChanged(it) => {
            let new = items::row(event, it);
            items.change_row(event, it.item_id, move |row| *row = BillingItemRow { stamps: row.stamps, ..new });
        }
        Event::ItemRemoved { item_id, taken_back_by: _, after: _ } => {
            items.change_row(event, *item_id, |row| row.status = LineStatus::Aborted.to_string());
        }
        Event::InvoiceIssued { invoice_number, due_date, after: _ } => {
            records.change(event, move |row| {
                row.invoice_number = Some(invoice_number.to_string());
                row.due_date = Some(*due_date);
                row.billed_at = Some(at);
            });
            items.change_children(event, event.stream_id, |row| items::move_to(row, LineStatus::Billed));
        }
        Event::Cancelled { reason, after: _ } => {
            because(reason);
            items.change_children(event, event.stream_id, |row| items::move_to(row, LineStatus::Aborted));
        }
        Event::Adjusted { patient_id, kind, amount, reason, after: _ } => {
            adjustments.insert(adjustments::row(event, *patient_id, kind.as_str(), *amount, reason));
        }
        Event::WrittenOff { patient_id, amount, reason, after: _ } => {
            because(reason);
            adjustments.insert(adjustments::row(event, *patient_id, WRITE_OFF, *amount, reason));
        }
        Event::PaymentRecorded(it) => payments.insert(payments::payment(event, it)),
        Event::PaymentRefunded(it) => payments.insert(payments::refund(event, it)),
        Event::CreditMoved(it) => payments.insert(payments::credit(event, it)),
        Event::ClaimAdjudicated(it) | Event::ClaimReversed(it) => {
            if let Some(row) = payments::of_payer(event, it) {
                payments.insert(row);
            }
        }
        // What payers are asked for, and what they lower, stands in the sums of the record.
        Event::ClaimOpened { .. } | Event::ClaimClosed { .. } => {}
    }
}
