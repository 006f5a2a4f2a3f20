use chrono::{DateTime, NaiveTime, Utc};
use hims_domain::billing_record::{CreditMoved, Direction, Event, PayerMoney, PaymentRecorded, PaymentRefunded};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

/// The kinds of rows.
const KINDS: &[&str] = &["payment", "copay", "deposit", "payer", "refund", "reversal", "credit_in", "credit_out"];

table! {
    /// One row per movement of money of a billing record. `payment`, `copay`, `deposit`, `payer` and `credit_in` came
    /// into the record; `refund`, `reversal` and `credit_out` left it.
    BillingPaymentRow in "billing_payments",
    children of billing_record_id,
    readers [Billing, OwnRecords],
    stamped once,
    indexes [(billing_record_id, received_at), (patient_id, received_at), (kind, received_at)] {
        /// The movement.
        id: Uuid [indexed],
        /// The billing record.
        billing_record_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The kind of the movement.
        kind: String [indexed] of KINDS,
        /// How the money changed hands; null for payers and for credit.
        method: Option<String>,
        /// The amount; more than zero.
        amount: Decimal,
        /// The number of a check or a transfer.
        reference: Option<String> [personal],
        /// The number of the receipt.
        receipt_number: Option<String> [indexed],
        /// When the money moved.
        received_at: DateTime<Utc> [indexed],
        /// The movement that a refund, a reversal, or credit that goes back takes back.
        reverses_id: Option<Uuid> [indexed],
        /// The payment of a claim that brought the money, or took it back.
        claim_payment_id: Option<Uuid> [indexed],
        /// The record from which credit came, or to which it went.
        other_record_id: Option<Uuid> [indexed],
        /// Why the money was given back.
        reason: Option<String> [personal],
        /// The user who took the money, or gave it back.
        received_by: Option<Uuid> [indexed],
    }
}

/// The row of a movement, with what every row has.
fn row(event: &Projected<'_, Event>, id: Uuid, patient_id: Uuid, kind: &str, amount: Decimal) -> BillingPaymentRow {
    BillingPaymentRow {
        id,
        billing_record_id: event.stream_id,
        patient_id,
        kind: kind.to_owned(),
        method: None,
        amount,
        reference: None,
        receipt_number: None,
        received_at: event.metadata.occurred_at,
        reverses_id: None,
        claim_payment_id: None,
        other_record_id: None,
        reason: None,
        received_by: event.user_id(),
        stamps: event.stamps(),
    }
}

pub(super) fn payment(event: &Projected<'_, Event>, it: &PaymentRecorded) -> BillingPaymentRow {
    BillingPaymentRow {
        method: Some(it.method.to_string()),
        reference: known_text(it.reference.as_ref()),
        receipt_number: Some(it.receipt_number.to_string()),
        received_at: it.received_at,
        ..row(event, it.payment_id.into(), it.patient_id.into(), it.kind.as_str(), it.amount)
    }
}

pub(super) fn refund(event: &Projected<'_, Event>, it: &PaymentRefunded) -> BillingPaymentRow {
    BillingPaymentRow {
        method: Some(it.method.to_string()),
        receipt_number: Some(it.receipt_number.to_string()),
        received_at: it.refunded_at,
        reverses_id: it.payment_id.map(Uuid::from),
        reason: known_text(Some(&it.reason)),
        ..row(event, it.refund_id.into(), it.patient_id.into(), "refund", it.amount)
    }
}

pub(super) fn credit(event: &Projected<'_, Event>, it: &CreditMoved) -> BillingPaymentRow {
    let kind = match it.direction {
        Direction::In => "credit_in",
        Direction::Out => "credit_out",
    };
    BillingPaymentRow {
        received_at: it.moved_at,
        reverses_id: it.reverses_id.map(Uuid::from),
        other_record_id: Some(it.other_record_id.into()),
        ..row(event, it.payment_id.into(), it.patient_id.into(), kind, it.amount)
    }
}

/// The id of the row of what a payer paid or took back.
fn id_of_payers(claim_payment_id: Uuid) -> Uuid {
    derived_id(claim_payment_id, &["billing payment"])
}

/// The row of what a payer paid or took back; none if no money moved.
pub(super) fn of_payer(event: &Projected<'_, Event>, it: &PayerMoney) -> Option<BillingPaymentRow> {
    let kind = if it.reverses_id.is_some() { "reversal" } else { "payer" };
    (it.paid > Decimal::ZERO).then(|| BillingPaymentRow {
        reference: text(it.reference.as_ref()),
        received_at: it.payment_date.and_time(NaiveTime::MIN).and_utc(),
        reverses_id: it.reverses_id.map(id_of_payers),
        claim_payment_id: Some(it.claim_payment_id),
        ..row(event, id_of_payers(it.claim_payment_id), it.patient_id.into(), kind, it.paid)
    })
}
