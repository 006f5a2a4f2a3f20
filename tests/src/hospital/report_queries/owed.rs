//! What is owed, and what payers denied.

use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::money::{answer, claim, payers, said};
use super::{House, id};

/// An invoice with a balance, of which a part is asked of payers.
fn invoice(nth: u32, due: Option<&str>, balance: &str, insurance_due: &str, more: Value) -> Value {
    let row = json!({"id": id(nth), "due_date": due, "total_amount": balance, "insurance_due": insurance_due});
    patched(row, more)
}

#[tokio::test]
async fn what_is_owed_is_told_by_age_and_party_and_adds_up_to_the_balances() {
    let mut house = House::new("2026-04-30T12:00:00Z").await;
    payers(&mut house).await;
    let invoices = [
        invoice(301, Some("2026-04-30"), "100", "0", json!({})),
        invoice(302, Some("2026-04-29"), "50", "0", json!({})),
        invoice(303, Some("2026-01-01"), "25.50", "0", json!({"status": "partially_paid"})),
        invoice(304, Some("2025-12-30"), "10", "0", json!({})),
        invoice(305, Some("2026-04-01"), "200", "150", json!({})),
        invoice(306, Some("2026-04-01"), "100", "100", json!({})),
        invoice(307, Some("2026-05-30"), "5", "0", json!({"currency": "EUR"})),
        // There is no invoice, or nothing is owed.
        invoice(308, None, "999", "0", json!({"status": "pending"})),
        invoice(309, Some("2026-01-01"), "70", "0", json!({"status": "paid", "paid_amount": "70"})),
        invoice(310, Some("2026-01-01"), "70", "0", json!({"status": "written_off", "written_off_amount": "70"})),
    ];
    house.fill("billing_records", invoices).await;
    let line = |number: u32, charge: &str, prior: Value| json!({"line": number, "charge": charge, "prior": prior});
    let prior =
        json!([{"paid": "35", "adjustments": said(1, "0", &[("CO", "45", "5"), ("PR", "1", "20")])["adjustments"]}]);
    let of = |claim: Value, submitted_at: Option<&str>, lines: Value| {
        patched(claim, json!({"submitted_at": submitted_at, "lines": lines}))
    };
    let claims = [
        // In New York, the claim was sent on 28 February, 61 days before.
        of(claim(311, 305, 341, "accepted"), Some("2026-03-01T04:59:00Z"), json!([line(1, "150", json!([]))])),
        of(claim(314, 305, 341, "rejected"), Some("2026-01-01T12:00:00Z"), json!([line(1, "150", json!([]))])),
        // The first payer has decided on one of two lines, and the second is asked for what the first left to the patient.
        of(
            claim(312, 306, 341, "partially_paid"),
            Some("2026-04-30T12:00:00Z"),
            json!([line(1, "60", json!([])), line(2, "80", json!([]))]),
        ),
        of(claim(313, 306, 342, "draft"), None, json!([line(1, "60", prior)])),
    ];
    house.fill("insurance_claims", claims).await;
    let lines = [said(1, "35", &[("CO", "45", "5"), ("PR", "1", "20")])];
    house.fill("claim_payments", [answer(321, 312, "2026-04-20", &lines)]).await;
    let rows = house.report("billing", "receivables-ageing", json!({"on": "2026-04-30"})).await;
    assert_eq!(
        rows,
        [
            "patient | - | - | not due | EUR | 1 | 5.00",
            "patient | - | - | not due | USD | 1 | 100.00",
            "patient | - | - | 1-30 | USD | 2 | 100.00",
            "patient | - | - | 91-120 | USD | 1 | 25.50",
            "patient | - | - | over 120 | USD | 1 | 10.00",
            "payer | #71 | Acme Health | not due | USD | 1 | 80.00",
            "payer | #71 | Acme Health | 61-90 | USD | 1 | 150.00",
            "payer | #72 | Best Care | not due | USD | 1 | 20.00",
        ]
    );
    let amounts = |rows: &[String]| -> Decimal {
        let amount =
            |row: &String| row.rsplit(" | ").next().and_then(|it| it.parse::<Decimal>().ok()).expect("an amount");
        rows.iter().map(amount).sum()
    };
    assert_eq!(amounts(&rows), Decimal::new(49_050, 2));
    // A month later, the same amounts are older.
    let rows = house.report("billing", "receivables-ageing", json!({"on": "2026-05-31"})).await;
    assert_eq!(rows[0], "patient | - | - | 1-30 | EUR | 1 | 5.00");
    assert_eq!(amounts(&rows), Decimal::new(49_050, 2));
}

#[tokio::test]
async fn denials_are_counted_by_payer_and_code_and_the_first_pass_by_first_answers() {
    let mut house = House::new("2026-06-01T12:00:00Z").await;
    payers(&mut house).await;
    let claims = [
        claim(311, 301, 341, "paid"),
        claim(312, 301, 341, "denied"),
        claim(313, 301, 341, "partially_paid"),
        claim(314, 301, 341, "paid"),
        claim(315, 301, 341, "paid"),
        patched(claim(316, 301, 341, "rejected"), json!({"updated_at": "2026-04-01T03:59:00Z"})),
        patched(claim(317, 301, 341, "paid"), json!({"frequency_code": "7", "original_claim_id": id(312)})),
        patched(claim(318, 301, 342, "rejected"), json!({"updated_at": "2026-03-01T05:00:00Z"})),
        patched(claim(319, 301, 342, "rejected"), json!({"updated_at": "2026-04-01T04:00:00Z"})),
        claim(320, 301, 342, "paid"),
    ];
    house.fill("insurance_claims", claims).await;
    let denied = [said(1, "0", &[("CO", "50", "100")]), said(2, "0", &[("OA", "23", "40")])];
    let back = json!({"is_reversal": true, "reverses_id": id(336), "claim_status_code": "22"});
    let answers = [
        answer(331, 311, "2026-03-01", &[said(1, "80", &[("CO", "45", "20")])]),
        patched(answer(332, 312, "2026-03-10", &denied), json!({"claim_status_code": "4"})),
        answer(333, 313, "2026-03-11", &[said(1, "50", &[]), said(2, "0", &[("CO", "97", "30")])]),
        answer(334, 313, "2026-03-12", &[said(3, "10", &[])]),
        // The patient bears what the contract leaves: no denial.
        answer(335, 314, "2026-03-31", &[said(1, "0", &[("CO", "45", "20"), ("PR", "1", "80")])]),
        // Denied at first, taken back, and paid in the next month.
        answer(336, 315, "2026-03-20", &[said(1, "0", &[("CO", "50", "7")])]),
        patched(answer(337, 315, "2026-03-21", &[said(1, "0", &[("CO", "50", "7")])]), back),
        answer(338, 315, "2026-04-02", &[said(1, "7", &[])]),
        answer(339, 317, "2026-03-25", &[said(1, "9", &[])]),
        answer(340, 320, "2026-04-01", &[said(1, "9", &[])]),
    ];
    house.fill("claim_payments", answers).await;
    let march = json!({"from": "2026-03-01", "to": "2026-03-31"});
    // First answers: two of the six claims of Acme that are first ones were accepted.
    assert_eq!(
        house.report("billing", "claim-denials", march).await,
        [
            "#71 | Acme Health | - | 5 | 2 | 40.0 | 130.00 | 33.3",
            "#71 | Acme Health | CO-50 | 5 | 1 | 20.0 | 100.00 | -",
            "#71 | Acme Health | CO-97 | 5 | 1 | 20.0 | 30.00 | -",
            "#72 | Best Care | - | 0 | 0 | - | 0.00 | 0.0",
        ]
    );
    let april = json!({"from": "2026-04-01", "to": "2026-04-01"});
    assert_eq!(
        house.report("billing", "claim-denials", april).await,
        ["#72 | Best Care | - | 1 | 0 | 0.0 | 0.00 | 50.0"]
    );
}
