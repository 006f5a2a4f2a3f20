//! Sums in the tables: by line, by record, by payment and by age.

use std::collections::{BTreeMap, BTreeSet};

use hims_domain::values::to_cents;
use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::super::Hospital;
use super::super::demo::{patient, user};
use super::ageing::{BUCKETS, Owed, by_age};
use super::{amount, at, billed, cash, visit};

/// By how much the charges of records differ from the sums of their lines.
pub(in crate::hospital) const LINES_OFF: &str =
    "select coalesce(sum(abs(r.total_amount + r.tax_amount - r.discount_amount - (
         select coalesce(sum(i.line_amount), 0) from billing_items i
          where i.billing_record_id = r.id and i.status <> 'aborted'))), 0) from billing_records r";

/// By how much what is paid and what is credit differ from the movements of money.
pub(in crate::hospital) const MONEY_OFF: &str = "select coalesce(sum(abs(r.paid_amount + r.credit_amount - (
         select coalesce(sum(case when p.kind in ('refund', 'reversal', 'credit_out') then -p.amount
                                  else p.amount end), 0)
           from billing_payments p where p.billing_record_id = r.id))), 0) from billing_records r";

#[tokio::test]
async fn postgresql_rounds_as_the_program_does_and_names_ages() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let mut amounts = Vec::new();
    let mut drawn = 7_u64;
    for _ in 0..2_000 {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let quantity = Decimal::new(i64::try_from(drawn >> 44).expect("small"), 3);
        let price = Decimal::new(i64::try_from((drawn >> 20) & 0xff_ffff).expect("small"), 4);
        amounts.push((quantity, price));
    }
    // Half a cent, on either side of an even and of an odd cent.
    amounts.extend(
        [(1, 50), (1, 150), (1, 250), (3, 235), (1, 10_050)]
            .map(|(quantity, price)| (Decimal::new(quantity, 0), Decimal::new(price, 4))),
    );
    let (quantities, prices): (Vec<_>, Vec<_>) = amounts.iter().copied().unzip();
    let sql = "select round(quantity * price, 2) from unnest($1::numeric[], $2::numeric[]) as it (quantity, price)";
    let rounded: Vec<Decimal> =
        sqlx::query_scalar(sql).bind(quantities).bind(prices).fetch_all(hospital.owner()).await.expect("amounts");
    for ((quantity, price), there) in amounts.into_iter().zip(rounded) {
        assert_eq!(to_cents(quantity * price), there, "{quantity} x {price}");
    }
    for (prices, paid) in [(&["10", "20.55"][..], "0.55"), (&["0"], ""), (&["99.99"], ""), (&["5"], "5")] {
        let record_id = billed(&reception, &patient(2), prices).await;
        if !paid.is_empty() {
            reception.did("record-payment", cash(&record_id, paid, json!({}))).await;
        }
    }
    hospital.settle().await;
    for sql in [LINES_OFF, MONEY_OFF] {
        let off: Decimal = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(hospital.owner()).await.expect("a sum");
        assert_eq!(off, Decimal::ZERO, "{sql}");
    }
    let buckets: Vec<String> = sqlx::query_scalar(
        "select hims_identity.ageing_bucket(date '2026-01-01', date '2026-01-01' + days)
           from unnest(array[-5, 0, 1, 30, 31, 60, 61, 90, 91, 120, 121]) as days",
    )
    .fetch_all(hospital.owner())
    .await
    .expect("buckets");
    assert_eq!(
        buckets,
        ["not due", "not due", "1-30", "1-30", "31-60", "31-60", "61-90", "61-90", "91-120", "91-120", "over 120"]
    );
}

#[tokio::test]
async fn what_is_owed_is_the_same_by_age_as_by_record_on_whatever_day() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let in_days = |days: i64| at(days, 0).date_naive();
    for (due_in, price) in [(1, "10"), (20, "20.55"), (45, "0.01"), (75, "99.99"), (110, "5"), (140, "7.07")] {
        let record_id = reception.did("open-billing-record", json!({ "patient_id": patient(2) })).await;
        reception.did("add-billing-item", visit(&record_id, price, json!({}))).await;
        let due = json!({"billing_record_id": record_id, "due_date": in_days(due_in)});
        reception.did("issue-invoice", due).await;
    }
    hospital.settle().await;
    let owed: Vec<Owed> =
        sqlx::query_as("select due_date, balance_amount as amount from hims.billing_records where balance_amount > 0")
            .fetch_all(hospital.owner())
            .await
            .expect("what is owed");
    let balances: Decimal = owed.iter().map(|it| it.amount).sum();
    let mut seen = BTreeSet::new();
    for on in [0, 60, 76, 150, 400].map(in_days) {
        let sums: Vec<(String, Decimal)> = sqlx::query_as(
            "select hims_identity.ageing_bucket(due_date, $1), sum(balance_amount)
               from hims.billing_records where balance_amount > 0 group by 1",
        )
        .bind(on)
        .fetch_all(hospital.owner())
        .await
        .expect("sums");
        let sums = BTreeMap::from_iter(sums);
        assert_eq!(sums, by_age(&owed, on), "{on}");
        assert_eq!(sums.values().sum::<Decimal>(), balances, "{on}");
        seen.extend(sums.into_keys());
    }
    assert_eq!(seen, BUCKETS.map(str::to_owned).into(), "each bucket has something on one of the days");
}

#[tokio::test]
async fn what_the_hospital_lowers_and_gives_up_has_rows_that_add_up_to_the_record() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let record_id = billed(&reception, &patient(2), &["100"]).await;
    let of_it = |more: Value| patched(json!({ "billing_record_id": record_id }), more);
    for (kind, amount) in [("courtesy", "20"), ("correction", "-5.50"), ("discount", "1.25")] {
        let reason = format!("for {kind}");
        admin.did("adjust-billing-record", of_it(json!({"kind": kind, "amount": amount, "reason": reason}))).await;
    }
    admin.did("write-off-balance", of_it(json!({"reason": "cannot be reached"}))).await;
    // What was given up twice is one row, and money that comes all the same does not change the row.
    admin.did("write-off-balance", of_it(json!({"reason": "still not"}))).await;
    reception.did("record-payment", cash(&record_id, "4.25", json!({}))).await;
    let path = format!("billing-adjustments?billing_record_id={record_id}&sort=adjusted_at");
    let rows = reception.items(&path).await;
    let shown: Vec<_> =
        rows.iter().map(|it| (it["kind"].as_str(), amount(it, "amount"), it["reason"].as_str())).collect();
    let wanted = [
        ("courtesy", 2000, "for courtesy"),
        ("correction", -550, "for correction"),
        ("discount", 125, "for discount"),
        ("write_off", 8425, "cannot be reached"),
    ];
    assert_eq!(shown, wanted.map(|(kind, cents, reason)| (Some(kind), Decimal::new(cents, 2), Some(reason))));
    let is_whole =
        |it: &Value| it["adjusted_by"] == user(1) && it["patient_id"] == patient(2) && it["adjusted_at"].is_string();
    assert!(rows.iter().all(is_whole), "{rows:?}");
    let record = reception.row("billing-records", &record_id).await;
    assert_eq!(amount(&record, "adjustment_amount"), shown[..3].iter().map(|it| it.1).sum());
    assert_eq!(amount(&record, "written_off_amount"), Decimal::new(8000, 2));
    let lowered = reception.items("billing-adjustments?kind=correction").await;
    assert_eq!(lowered.len(), 1);
}
