//! Sums of the money in the read tables that are the same from whatever side they are taken: by record, by payer, by
//! patient and by age.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use rust_decimal::Decimal;
use serde_json::json;

use super::Hospital;
use super::billing::ageing::{Owed, by_age};
use super::billing::sums::{LINES_OFF, MONEY_OFF};
use super::report_queries::rows_of;

/// The policies of which the payer paid something else into the records than its answers say.
const BY_POLICY: &str = "
    with came as (
        select c.insurance_policy_id as id, sum(case p.kind when 'payer' then p.amount else -p.amount end) as amount
          from hims.billing_payments p
          left join hims.claim_payments a on a.id = p.claim_payment_id
          left join hims.insurance_claims c on c.id = a.insurance_claim_id
         where p.kind in ('payer', 'reversal') group by 1
    ), said as (
        select c.insurance_policy_id as id, sum(a.paid_amount) as amount
          from hims.claim_payments a join hims.insurance_claims c on c.id = a.insurance_claim_id group by 1
    )
    select concat_ws(' ', 'policy', came.id, said.id) from came full join said on said.id = came.id
     where coalesce(came.amount, 0) <> coalesce(said.amount, 0)";

/// The payers whose payments into the records, answers to claims, and claims tell different sums.
const BY_PAYER: &str = "
    with claims as (
        select c.id, c.paid_amount, i.payer_id
          from hims.insurance_claims c join hims.insurance_policies i on i.id = c.insurance_policy_id
    ), answers as (
        select a.id, a.paid_amount, c.payer_id from hims.claim_payments a join claims c on c.id = a.insurance_claim_id
    ), came as (
        select a.payer_id, sum(case p.kind when 'payer' then p.amount else -p.amount end) as amount
          from hims.billing_payments p left join answers a on a.id = p.claim_payment_id
         where p.kind in ('payer', 'reversal') group by 1
    ), said as (select payer_id, sum(paid_amount) as amount from answers group by 1
    ), asked as (select payer_id, sum(paid_amount) as amount from claims group by 1)
    select concat_ws(' ', 'payer', asked.payer_id, came.payer_id)
      from asked full join said using (payer_id) full join came using (payer_id)
     where coalesce(asked.amount, 0) <> coalesce(said.amount, 0)
        or coalesce(said.amount, 0) <> coalesce(came.amount, 0)";

/// The patients of whom the movements of money are not what is paid and credit, or the lines not what is charged.
const BY_PATIENT: &str = "
    with records as (
        select patient_id as id, sum(paid_amount + credit_amount) as money,
               sum(total_amount + tax_amount - discount_amount) as charged
          from hims.billing_records group by 1
    ), movements as (
        select patient_id as id, sum(case when kind in ('refund', 'reversal', 'credit_out') then -amount
                                          else amount end) as money
          from hims.billing_payments group by 1
    ), lines as (
        select patient_id as id, sum(line_amount) as charged
          from hims.billing_items where status <> 'aborted' group by 1
    )
    select concat_ws(' ', 'patient', id)
      from records full join movements using (id) full join lines using (id)
     where coalesce(records.money, 0) <> coalesce(movements.money, 0)
        or coalesce(records.charged, 0) <> coalesce(lines.charged, 0)";

/// The kinds of credit of which more goes out of records than comes into others, or less.
const CREDITS: &str = "
    select concat_ws(' ', 'credit', amount) from (
        select coalesce(sum(case kind when 'credit_in' then amount else -amount end), 0) as amount
          from hims.billing_payments where kind in ('credit_in', 'credit_out')) as credits
     where amount <> 0";

/// What is owed for all invoices.
const BALANCES: &str =
    "select sum(balance_amount) from hims.billing_records where status in ('billed', 'partially_paid')";

async fn number(hospital: &Hospital, sql: &'static str) -> Decimal {
    sqlx::query_scalar(sql).fetch_one(hospital.owner()).await.expect("a sum")
}

/// Checks that the sums of all money in the tables agree.
pub(super) async fn agree(hospital: &Hospital) {
    for sql in [BY_POLICY, BY_PAYER, BY_PATIENT, CREDITS] {
        let off: Vec<String> = sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("rows");
        assert!(off.is_empty(), "{off:?}: {sql}");
    }
    for sql in [LINES_OFF, MONEY_OFF] {
        assert_eq!(number(hospital, sql).await, Decimal::ZERO, "{sql}");
    }
}

/// Checks that the report of what is owed adds up to the balances on two days, and that its buckets are those that are
/// computed here. On the first day, half of what patients owe is due.
pub(super) async fn ageing_adds_up(hospital: &Hospital) -> BTreeMap<String, Decimal> {
    let owed: Vec<Owed> = sqlx::query_as(
        "select due_date, balance_amount - insurance_due as amount
           from hims.billing_records where status in ('billed', 'partially_paid') order by due_date",
    )
    .fetch_all(hospital.owner())
    .await
    .expect("what is owed");
    let due: Vec<NaiveDate> = owed.iter().filter(|it| !it.amount.is_zero()).filter_map(|it| it.due_date).collect();
    let balances = number(hospital, BALANCES).await;
    let first = due[due.len() / 2];
    let mut seen = BTreeMap::new();
    for on in [first, first + TimeDelta::days(45)] {
        let reader = ["billing", "", "UTC"];
        let (options, now) = (&hospital.database.options, "2026-12-31T12:00:00Z");
        let rows = rows_of(options, now, reader, "receivables-ageing", &json!({ "on": on })).await;
        let mut of_patients: BTreeMap<String, Decimal> = BTreeMap::new();
        let mut sum = Decimal::ZERO;
        for row in &rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            let amount: Decimal = cells[6].parse().expect("an amount");
            sum += amount;
            if cells[0] == "patient" {
                *of_patients.entry(cells[3].to_owned()).or_default() += amount;
            }
        }
        assert_eq!(sum, balances, "{on}: {rows:?}");
        assert_eq!(of_patients, by_age(&owed, on), "{on}");
        seen.extend(of_patients);
    }
    seen
}
