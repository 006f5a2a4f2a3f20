//! The reports on the demo hospital, whose tables were made from the log.

use chrono::{DateTime, TimeDelta, Utc};
use hims_projections::reports::REPORTS;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::rows_of;
use crate::hospital::Hospital;
use crate::hospital::demo::{local_day, patient};

/// The number that a query of the read tables finds.
async fn number(pool: &PgPool, sql: &'static str) -> Decimal {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("a number")
}

/// The sum of the numbers in a column of a report, from 0.
fn sum(rows: &[String], column: usize) -> Decimal {
    let of = |row: &String| row.split(" | ").nth(column).and_then(|it| it.parse::<Decimal>().ok()).expect("a number");
    rows.iter().map(of).sum()
}

#[tokio::test]
async fn the_reports_agree_with_the_tables_of_the_demo() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let owner = hospital.owner();
    let as_of: DateTime<Utc> =
        sqlx::query_scalar("select max(recorded_at) from log.events").fetch_one(owner).await.expect("an instant");
    let day = |days: i64| (as_of + TimeDelta::days(days)).date_naive();
    let parameters = json!({"from": day(-300), "to": day(90), "date": local_day(1), "on": day(45), "patient": patient(3),
                            "older_than_hours": 0, "days": 3_650});
    let report = async |code: &str, reads: &str, more: Value| {
        let parameters = hims_testing::patched(parameters.clone(), more);
        rows_of(&hospital.database.options, &as_of.to_rfc3339(), [reads, "", "UTC"], code, &parameters).await
    };
    let mut empty = Vec::new();
    for it in REPORTS {
        assert_eq!(report(it.code, "", json!({})).await, [""; 0], "{} for nobody", it.code);
        // An administrator reads everything, and nothing that the demo holds breaks a report.
        if report(it.code, "all_data", json!({})).await.is_empty() {
            empty.push(it.code);
        }
    }
    // The demo shows no emergencies.
    assert_eq!(empty, ["open-emergency-accesses"], "the demo has something for every other report");

    let revenue = report("revenue", "billing", json!({})).await;
    for by in ["payer", "department"] {
        let other = report("revenue", "all_data", json!({"by": by})).await;
        for column in 3..11 {
            assert_eq!(sum(&other, column), sum(&revenue, column), "column {column} by {by}");
        }
    }
    let charged = "select sum(total_amount + tax_amount - discount_amount) from hims.billing_records
                    where status <> 'cancelled'";
    assert_eq!(sum(&revenue, 3) - sum(&revenue, 4) + sum(&revenue, 5), number(owner, charged).await);
    let paid = "select sum(paid_amount + credit_amount) from hims.billing_records";
    assert_eq!(sum(&revenue, 9) - sum(&revenue, 10), number(owner, paid).await);
    let lowered = "select sum(adjustment_amount) from hims.billing_records where status <> 'cancelled'";
    assert_eq!(sum(&revenue, 6) + sum(&revenue, 7), number(owner, lowered).await);
    let given_up = "select sum(written_off_amount) from hims.billing_records";
    assert_eq!(sum(&revenue, 8), number(owner, given_up).await);
    assert!(sum(&revenue, 7) > Decimal::ZERO && sum(&revenue, 8) > Decimal::ZERO, "{revenue:?}");

    let owed = report("receivables-ageing", "billing", json!({})).await;
    let balances = "select sum(balance_amount) from hims.billing_records where status in ('billed', 'partially_paid')";
    assert_eq!(sum(&owed, 6), number(owner, balances).await);
    let asked: Vec<_> = owed.iter().filter(|it| it.starts_with("payer")).cloned().collect();
    let of_payers = "select sum(insurance_due) from hims.billing_records where status in ('billed', 'partially_paid')";
    assert_eq!(sum(&asked, 6), number(owner, of_payers).await);
    assert!(sum(&asked, 6) > Decimal::ZERO, "the demo has a claim that a payer has not answered");

    let denied = report("claim-denials", "billing", json!({})).await;
    assert!(denied.iter().any(|it| it.contains(" | CO-197 | ") && it.contains(" | 85.00 | ")), "{denied:?}");

    let offered = report("provider-utilisation", "all_appointments", json!({})).await;
    assert!(sum(&offered, 5) > Decimal::ZERO, "{offered:?}");

    let access = report("patient-access", "audit_logs", json!({"patient": patient(1), "from": null, "to": null})).await;
    let sql = "select count(*) from hims.audit_logs where patient_id = $1::text::uuid";
    let rows: i64 = sqlx::query_scalar(sql).bind(patient(1)).fetch_one(owner).await.expect("a number");
    assert_eq!(i64::try_from(access.len()), Ok(rows));
}
