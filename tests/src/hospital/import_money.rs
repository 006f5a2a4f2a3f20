//! The money that `hims import` brings, as the read tables show it: the numbers were counted from the files alone.

use super::Hospital;
use super::import_sums::{ageing_adds_up, agree};

/// The rows of a query, each as its columns with a space between them.
async fn rows(hospital: &Hospital, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(hospital.owner()).await.expect("rows")
}

/// The condition that a row is of an imported patient: the ids of the demo's patients begin in their own way.
macro_rules! imported {
    () => {
        "patient_id::text not like 'de30%'"
    };
}

/// A query of a table for the rows of imported patients: what is told of them, and what follows the condition.
macro_rules! query {
    ($what:literal, $table:literal, $rest:literal) => {
        concat!("select concat_ws(' ', ", $what, ") from hims.", $table, " where ", imported!(), $rest)
    };
}

const RECORDS: &str = query!(
    "status, count(*), sum(total_amount), sum(adjustment_amount), sum(paid_amount), sum(credit_amount), \
     sum(balance_amount), sum(insurance_due)",
    "billing_records",
    " group by status order by status"
);
const ITEMS: &str = query!("count(*), count(*) filter (where line_amount = 0), sum(line_amount)", "billing_items", "");
const CLAIMS: &str = query!(
    "claim_type, status, count(*), sum(billed_amount)",
    "insurance_claims",
    " group by claim_type, status order by claim_type, status"
);
const CLAIM_PAYMENTS: &str = query!(
    "claim_status_code, count(*), count(*) filter (where paid_amount > 0), sum(paid_amount), \
     sum(patient_responsibility)",
    "claim_payments",
    " group by claim_status_code order by claim_status_code"
);
const PAYMENTS: &str =
    query!("kind, method, count(*), sum(amount)", "billing_payments", " group by kind, method order by kind, method");
const CREDITS: &str =
    query!("count(*), min(credit_amount), max(credit_amount)", "billing_records", " and credit_amount > 0");
const SECONDARY: &str = query!(
    "count(*), sum(billed_amount)",
    "insurance_claims",
    " and insurance_policy_id in (select id from hims.insurance_policies where priority = 2)"
);
/// The sums of the adjustments by group and reason.
const ADJUSTMENTS: &str = query!(
    "adjustment->>'group', adjustment->>'reason', sum((adjustment->>'amount')::numeric)",
    "claim_payments, jsonb_array_elements(adjustments) said, jsonb_array_elements(said->'adjustments') adjustment",
    " group by adjustment->>'group', adjustment->>'reason'"
);
/// The lines of adjudications that do not balance, and the records whose sums are not those of their parts.
const FAULTS: &str = concat!(
    "select concat_ws(' ', 'line', payment.id) from hims.claim_payments payment \
     join hims.insurance_claims claim on claim.id = insurance_claim_id, \
     jsonb_array_elements(payment.adjustments) said \
     join lateral jsonb_array_elements(claim.lines) line on line->'line' = said->'line' \
     where (line->>'charge')::numeric <> (said->>'paid')::numeric + coalesce( \
         (select sum((adjustment->>'amount')::numeric) from jsonb_array_elements(said->'adjustments') adjustment), 0) \
     union all select concat_ws(' ', 'record', record.id) from hims.billing_records record where ",
    imported!(),
    " and (total_amount <> (select sum(line_amount) from hims.billing_items where billing_record_id = record.id) \
      or paid_amount + credit_amount <> \
         coalesce((select sum(amount) from hims.billing_payments where billing_record_id = record.id), 0))"
);

/// Checks the money of the FHIR bundles.
pub(super) async fn bundles_bring_their_money(hospital: &Hospital) {
    assert_eq!(
        rows(hospital, RECORDS).await,
        [
            "billed 157 27425.00 0.00 0.00 0.00 27425.00 27425.00",
            "partially_paid 120 463919.41 0.00 359215.62 0.00 104703.79 14900.00",
        ]
    );
    assert_eq!(rows(hospital, ITEMS).await, ["486 0 491344.41"]);
    assert_eq!(
        rows(hospital, CLAIMS).await,
        [
            "institutional accepted 97 12125.00",
            "institutional partially_paid 120 463919.41",
            "pharmacy submitted 60 15300.00",
        ]
    );
    assert_eq!(rows(hospital, CLAIM_PAYMENTS).await, ["1 120 120 359215.62 89803.79"]);
    assert_eq!(rows(hospital, PAYMENTS).await, ["payer 120 359215.62"]);
    assert_eq!(rows(hospital, ADJUSTMENTS).await, ["PR 2 89803.79"]);
    assert!(rows(hospital, FAULTS).await.is_empty());
    agree(hospital).await;
    let seen = ageing_adds_up(hospital).await;
    assert!(seen.len() > 3, "what is owed is of several ages: {seen:?}");
}

/// Checks the money of the CSV files.
pub(super) async fn rows_bring_their_money(hospital: &Hospital) {
    assert_eq!(rows(hospital, RECORDS).await, ["paid 1267 1092402.73 0.00 1092402.73 11101.22 0.00 0.00"]);
    assert_eq!(rows(hospital, ITEMS).await, ["1545 127 1092402.73"]);
    assert_eq!(rows(hospital, CLAIM_PAYMENTS).await, ["1 1049 154 14950.30 574300.81", "2 19 10 523.28 240.14"]);
    assert_eq!(
        rows(hospital, PAYMENTS).await,
        [
            "copay other 445 28540.00",
            "payer 164 15473.58",
            "payment card 402 294697.91",
            "payment cash 405 308144.14",
            "payment check 407 456648.32",
        ]
    );
    assert_eq!(rows(hospital, CREDITS).await, ["190 0.01 74.99"]);
    assert_eq!(rows(hospital, SECONDARY).await, ["19 2856.55"]);
    assert!(rows(hospital, FAULTS).await.is_empty());
    agree(hospital).await;
    ageing_adds_up(hospital).await;
}
