use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::insurance_claim::{Created, Event, Figures, Payment, REVERSAL, Reversal, Status};
use hims_domain::values::Money;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per claim on a payer.
    ClaimRow in "insurance_claims",
    readers [Billing, OwnRecords],
    stamped,
    indexes [(status, submitted_at), (patient_id, created_at)] {
        /// The claim.
        id: Uuid [indexed],
        /// The billing record.
        billing_record_id: Uuid [indexed],
        /// The policy by which the payer is to pay.
        insurance_policy_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the claim, issued by this hospital.
        claim_number: String [indexed],
        /// The number of the claim with the payer; null while it is not known.
        payer_claim_number: Option<String>,
        /// The kind of the claim.
        claim_type: String,
        /// Whether the claim is the first for its services (`1`), or replaces (`7`) or voids (`8`) another.
        frequency_code: String,
        /// The claim that this claim replaces or voids.
        original_claim_id: Option<Uuid> [indexed],
        /// The first day of the services.
        service_date: NaiveDate,
        /// The diagnoses, the most important one first; the lines point to them by their places.
        diagnoses: Value,
        /// What is billed for each line, and what earlier payers paid and did not pay.
        lines: Value,
        /// What is billed.
        billed_amount: Decimal,
        /// What the payer allows; null while no line is adjudicated.
        allowed_amount: Option<Decimal>,
        /// What the payer has paid.
        paid_amount: Decimal,
        /// What the patient bears; null while no line is adjudicated.
        patient_responsibility: Option<Decimal>,
        /// The status of the claim.
        status: String [indexed] of Status::CODES,
        /// Why the claim was rejected, appealed or withdrawn.
        status_reason: Option<String> [personal],
        /// The codes of a rejection, or why lines were not paid at all, such as `CO-50`.
        denial_codes: Value,
        /// When the claim was sent.
        submitted_at: Option<DateTime<Utc>>,
        /// When the last adjudication was recorded; null while there is none.
        adjudicated_at: Option<DateTime<Utc>>,
        /// The level of the last appeal, from 1 to 5.
        appeal_level: Option<i32>,
        /// The day by which the payer must have the last appeal.
        appeal_deadline: Option<NaiveDate>,
        /// Why the claim is later than the payer takes claims.
        late_reason: Option<String> [personal],
    }
}

table! {
    /// One row per adjudication of a claim, and per reversal of one.
    ClaimPaymentRow in "claim_payments",
    readers [Billing, OwnRecords],
    stamped once {
        /// The adjudication, or the reversal.
        id: Uuid [indexed],
        /// The claim.
        insurance_claim_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the payer's transfer, cheque or advice (X12 TRN02).
        trace_number: String,
        /// How the payer pays (X12 BPR04).
        payment_method: String,
        /// The day of the payment.
        payment_date: NaiveDate [indexed],
        /// What the payer says of the claim as a whole (X12 CLP02).
        claim_status_code: String,
        /// What is paid; what is taken back is negative.
        paid_amount: Decimal,
        /// What the patient bears; negative in a reversal.
        patient_responsibility: Decimal,
        /// What is paid and adjusted for each line, as the payer gave it; a reversal names what it takes back.
        adjustments: Value,
        /// Whether the row takes an adjudication back.
        is_reversal: bool,
        /// The adjudication that is taken back.
        reverses_id: Option<Uuid> [indexed],
        /// Why the adjudication was taken back.
        reason: Option<String> [personal],
        /// The user who recorded the row; null if the system did.
        posted_by: Option<Uuid> [indexed],
        /// When the row was recorded.
        posted_at: DateTime<Utc>,
    }
}

fn created_row(event: &Projected<'_, Event>, it: &Created) -> ClaimRow {
    ClaimRow {
        id: event.stream_id,
        billing_record_id: it.billing_record_id.into(),
        insurance_policy_id: it.insurance_policy_id.into(),
        patient_id: it.patient_id.into(),
        claim_number: it.number.0.clone(),
        payer_claim_number: None,
        claim_type: it.claim_type.to_string(),
        frequency_code: it.frequency.to_string(),
        original_claim_id: it.original_claim_id.map(Uuid::from),
        service_date: it.service_date,
        diagnoses: json!(it.diagnoses),
        lines: json!(it.lines),
        billed_amount: it.billed_amount.number(),
        allowed_amount: None,
        paid_amount: Decimal::ZERO,
        patient_responsibility: None,
        status: Status::Draft.to_string(),
        status_reason: None,
        denial_codes: json!([]),
        submitted_at: None,
        adjudicated_at: None,
        appeal_level: None,
        appeal_deadline: None,
        late_reason: known_text(it.late_reason.as_ref()),
        stamps: event.stamps(),
    }
}

fn set_status(row: &mut ClaimRow, status: Status) {
    row.status = status.to_string();
}

/// Writes what came of the claim so far into its row.
fn set_figures(row: &mut ClaimRow, figures: &Figures) {
    row.allowed_amount = figures.allowed.map(Money::number);
    row.paid_amount = figures.paid.map(Money::number).unwrap_or_default();
    row.patient_responsibility = figures.patient_responsibility.map(Money::number);
    row.denial_codes = json!(figures.denial_codes);
}

fn payment_row(event: &Projected<'_, Event>, it: &Payment) -> ClaimPaymentRow {
    ClaimPaymentRow {
        id: it.payment_id.into(),
        insurance_claim_id: event.stream_id,
        patient_id: it.patient_id.into(),
        trace_number: it.trace_number.0.clone(),
        payment_method: it.payment_method.to_string(),
        payment_date: it.payment_date,
        claim_status_code: it.claim_status_code.to_string(),
        paid_amount: it.paid_amount.number(),
        patient_responsibility: it.patient_responsibility.number(),
        adjustments: json!(it.lines),
        is_reversal: false,
        reverses_id: None,
        reason: None,
        posted_by: event.user_id(),
        posted_at: event.recorded_at,
        stamps: event.stamps(),
    }
}

fn reversal_row(event: &Projected<'_, Event>, it: &Reversal) -> ClaimPaymentRow {
    ClaimPaymentRow {
        id: it.payment_id.into(),
        insurance_claim_id: event.stream_id,
        patient_id: it.patient_id.into(),
        trace_number: it.trace_number.0.clone(),
        payment_method: it.payment_method.to_string(),
        payment_date: it.payment_date,
        claim_status_code: REVERSAL.to_owned(),
        paid_amount: -it.paid_amount.number(),
        patient_responsibility: -it.patient_responsibility.number(),
        adjustments: json!(it.lines),
        is_reversal: true,
        reverses_id: Some(it.reverses_id.into()),
        reason: known_text(Some(&it.reason)),
        posted_by: event.user_id(),
        posted_at: event.recorded_at,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    claims: &mut Changes<'e, ClaimRow>,
    payments: &mut Changes<'e, ClaimPaymentRow>,
) {
    let at = event.recorded_at;
    match event.data {
        Event::Created(it) => claims.insert(created_row(event, it)),
        Event::Submitted { submitted_at, submitted_by: _, late_reason } => claims.change(event, move |row| {
            set_status(row, Status::Submitted);
            row.submitted_at = Some(*submitted_at);
            row.late_reason = known_text(late_reason.as_ref()).or(row.late_reason.take());
        }),
        Event::Accepted { payer_claim_number } => claims.change(event, move |row| {
            set_status(row, Status::Accepted);
            row.payer_claim_number = text(payer_claim_number.as_ref()).or(row.payer_claim_number.take());
        }),
        Event::Rejected { codes, reason } => claims.change(event, move |row| {
            set_status(row, Status::Rejected);
            row.denial_codes = json!(codes);
            row.status_reason = known_text(reason.as_ref());
        }),
        Event::Pended => claims.change(event, |row| set_status(row, Status::Pending)),
        Event::PaymentRecorded(it) => {
            payments.insert(payment_row(event, it));
            claims.change(event, move |row| {
                set_status(row, it.status);
                set_figures(row, &it.figures);
                row.payer_claim_number = text(it.payer_claim_number.as_ref());
                row.adjudicated_at = Some(at);
            });
        }
        Event::PaymentReversed(it) => {
            payments.insert(reversal_row(event, it));
            claims.change(event, move |row| {
                set_status(row, it.status);
                set_figures(row, &it.figures);
            });
        }
        Event::Appealed { level, deadline, reason, figures } => claims.change(event, move |row| {
            set_status(row, Status::Appealed);
            set_figures(row, figures);
            row.appeal_level = Some(*level);
            row.appeal_deadline = *deadline;
            row.status_reason = known_text(Some(reason));
        }),
        Event::DenialUpheld { figures } => claims.change(event, move |row| {
            set_status(row, Status::Denied);
            set_figures(row, figures);
        }),
        Event::Replaced { replaced_by: _ } => claims.change(event, |row| set_status(row, Status::Cancelled)),
        Event::Cancelled { reason } => claims.change(event, move |row| {
            set_status(row, Status::Cancelled);
            row.status_reason = known_text(Some(reason));
        }),
    }
}
