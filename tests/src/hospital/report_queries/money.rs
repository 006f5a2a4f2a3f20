//! What is charged, paid and given back.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};

/// The payers Acme Health and Best Care, and a policy of each, which pay in this order.
pub(super) async fn payers(house: &mut House) {
    let payers = [
        json!({"id": id(71), "code": "ACME", "name": "Acme Health"}),
        json!({"id": id(72), "code": "BEST", "name": "Best Care"}),
        json!({"id": id(73), "code": "IDLE", "name": "Never asked"}),
    ];
    house.fill("payers", payers).await;
    let policies = [
        json!({"id": id(341), "payer_id": id(71), "priority": 1}),
        json!({"id": id(342), "payer_id": id(72), "priority": 2}),
    ];
    house.fill("insurance_policies", policies).await;
}

/// A claim for an invoice by a policy.
pub(super) fn claim(nth: u32, record: u32, policy: u32, status: &str) -> Value {
    json!({"id": id(nth), "billing_record_id": id(record), "insurance_policy_id": id(policy),
           "claim_number": format!("CLM-{nth}"), "status": status})
}

/// What a payer said of a line of a claim: what is paid, and the adjustments by group, reason and amount.
pub(super) fn said(line: u32, paid: &str, adjustments: &[(&str, &str, &str)]) -> Value {
    let adjustment = |&(group, reason, amount): &(&str, &str, &str)| json!({"group": group, "reason": reason, "amount": amount, "remarks": []});
    json!({"line": line, "paid": paid, "adjustments": adjustments.iter().map(adjustment).collect::<Vec<_>>()})
}

/// An answer to a claim on a day.
pub(super) fn answer(nth: u32, claim: u32, day: &str, lines: &[Value]) -> Value {
    json!({"id": id(nth), "insurance_claim_id": id(claim), "payment_date": day, "trace_number": format!("T{nth}"),
           "posted_at": format!("{day}T12:00:00Z"), "adjustments": lines})
}

/// Two months of three records: one with claims on two payers, one that the patient pays, and one in another currency.
async fn filled(house: &mut House) {
    payers(house).await;
    let visit = json!({"id": id(101), "scheduled_date": "2026-03-05", "scheduled_time": "09:00",
                       "starts_at": "2026-03-05T14:00:00Z", "ends_at": "2026-03-05T14:30:00Z"});
    house.fill("appointments", [visit]).await;
    // The provider works in another department than the one that the patient came to.
    let consultation = json!({"id": id(801), "appointment_id": id(101), "provider_id": id(22)});
    house.fill("consultations", [consultation]).await;
    let records = [
        json!({"id": id(301), "consultation_id": id(801)}),
        json!({"id": id(302), "patient_id": id(32)}),
        json!({"id": id(303), "currency": "EUR"}),
        json!({"id": id(304), "status": "cancelled"}),
    ];
    house.fill("billing_records", records).await;
    let item = |nth: u32, record: u32, day: &str, price: &str, more: Value| {
        let row = json!({"id": id(nth), "billing_record_id": id(record), "line_number": nth, "service_date": day,
                         "unit_price": price});
        patched(row, more)
    };
    let items = [
        item(401, 301, "2026-03-05", "0.0235", json!({"quantity": 3})),
        item(402, 301, "2026-03-05", "100", json!({"discount_amount": "10", "tax_amount": "4.5", "tax_rate": 5})),
        item(403, 301, "2026-04-01", "50", json!({})),
        item(404, 302, "2026-03-31", "20", json!({})),
        item(405, 302, "2026-03-31", "999", json!({"status": "aborted"})),
        item(406, 302, "2026-03-31", "1", json!({"unit_price": null, "needs_price": true, "status": "planned"})),
        item(407, 303, "2026-03-01", "10", json!({})),
        item(408, 303, "2026-02-28", "11", json!({})),
        item(409, 303, "2026-05-01", "12", json!({})),
    ];
    house.fill("billing_items", items).await;
    let mut claims =
        [claim(312, 301, 342, "submitted"), claim(311, 301, 341, "paid"), claim(313, 301, 342, "cancelled")];
    claims[2]["original_claim_id"] = json!(id(312));
    house.fill("insurance_claims", claims).await;
    let first = said(1, "60", &[("CO", "45", "30.07"), ("PR", "2", "5"), ("OA", "23", "3"), ("PI", "1", "1")]);
    let back = json!({"is_reversal": true, "reverses_id": id(321), "claim_status_code": "22"});
    let answers = [
        answer(321, 311, "2026-04-01", std::slice::from_ref(&first)),
        patched(answer(322, 311, "2026-04-20", &[first]), back),
        answer(323, 311, "2026-04-21", &[said(1, "70", &[("CO", "45", "20"), ("OA", "18", "0.5")])]),
        answer(324, 313, "2026-04-02", &[said(1, "1", &[("CO", "45", "99")])]),
    ];
    house.fill("claim_payments", answers).await;
    let payment = |nth: u32, record: u32, kind: &str, amount: &str, at: &str, claim_payment: Option<u32>| {
        json!({"id": id(nth), "billing_record_id": id(record), "kind": kind, "amount": amount, "received_at": at,
               "claim_payment_id": claim_payment.map(id)})
    };
    // In New York, it is March until 4 o'clock of the first of April in UTC; but the day of a payer is a day.
    let payments = [
        payment(501, 302, "copay", "5", "2026-04-01T03:59:00Z", None),
        payment(502, 302, "payment", "10", "2026-04-01T04:00:00Z", None),
        payment(503, 302, "refund", "2", "2026-04-15T12:00:00Z", None),
        payment(504, 302, "deposit", "77", "2026-05-01T04:00:00Z", None),
        payment(505, 302, "credit_in", "8", "2026-04-15T12:00:00Z", None),
        payment(506, 301, "payer", "60", "2026-04-01T00:00:00Z", Some(321)),
        payment(507, 301, "reversal", "60", "2026-04-20T00:00:00Z", Some(322)),
        payment(508, 301, "payer", "70", "2026-04-21T00:00:00Z", Some(323)),
        payment(509, 301, "payer", "1", "2026-04-02T00:00:00Z", Some(324)),
    ];
    house.fill("billing_payments", payments).await;
    let adjustment = |nth: u32, record: u32, kind: &str, amount: &str, at: &str| json!({"id": id(nth), "billing_record_id": id(record), "kind": kind, "amount": amount, "adjusted_at": at});
    let adjustments = [
        adjustment(521, 302, "courtesy", "3", "2026-04-01T03:59:00Z"),
        adjustment(522, 302, "correction", "-1", "2026-04-01T04:00:00Z"),
        adjustment(523, 302, "write_off", "4.50", "2026-05-01T03:59:00Z"),
        adjustment(524, 301, "discount", "2.25", "2026-04-05T12:00:00Z"),
        adjustment(525, 301, "discount", "50", "2026-05-01T04:00:00Z"),
        // The record was cancelled afterwards.
        adjustment(526, 304, "courtesy", "9", "2026-04-05T12:00:00Z"),
    ];
    house.fill("billing_adjustments", adjustments).await;
}

#[tokio::test]
async fn charges_are_told_by_the_day_of_the_service_and_money_by_the_day_on_which_it_came() {
    let mut house = House::new("2026-06-01T12:00:00Z").await;
    filled(&mut house).await;
    let by = |by: &str| json!({"from": "2026-03-01", "to": "2026-04-30", "by": by});
    let months = [
        "- | 2026-03 | EUR | 10.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00",
        "- | 2026-03 | USD | 120.07 | 10.00 | 4.50 | 0.00 | 3.00 | 0.00 | 5.00 | 0.00",
        "- | 2026-04 | USD | 50.00 | 0.00 | 0.00 | 20.50 | 1.25 | 4.50 | 141.00 | 62.00",
    ];
    assert_eq!(house.report("billing", "revenue", by("month")).await, months);
    let nobody = |lowered: &str| {
        let of_patients = format!("- | - | USD | 20.00 | 0.00 | 0.00 | 0.00 | {lowered} | 4.50 | 15.00 | 2.00");
        ["- | - | EUR | 10.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00".to_owned(), of_patients]
    };
    let cardiology = "#1 | Cardiology | USD | 150.07 | 10.00 | 4.50 | 20.50 | 2.25 | 0.00 | 131.00 | 60.00".to_owned();
    let all = "billing,clinical_records,all_appointments,staff";
    assert_eq!(house.report(all, "revenue", by("department")).await, [&[cardiology][..], &nobody("2.00")].concat());
    // The charges go to the payer who pays first, the money is that of the payer who paid, and what the hospital lowers
    // is no payer's.
    let payers = [
        "#71 | Acme Health | USD | 150.07 | 10.00 | 4.50 | 20.50 | 0.00 | 0.00 | 130.00 | 60.00",
        "#72 | Best Care | USD | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 1.00 | 0.00",
    ]
    .map(str::to_owned);
    assert_eq!(house.report("billing", "revenue", by("payer")).await, [&payers[..], &nobody("4.25")].concat());
    // Whoever may not read consultations is told of no department.
    let unknown = [
        "EUR | 10.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00",
        "USD | 170.07 | 10.00 | 4.50 | 20.50 | 4.25 | 4.50 | 146.00 | 62.00",
    ];
    let rows = house.report("billing", "revenue", by("department")).await;
    assert_eq!(rows, unknown.map(|it| format!("- | - | {it}")));
    let titles = super::report("revenue").columns.iter().map(|it| it.title);
    let bases = ["(by day of service)", "(by day received)", "(by day lowered)", "(by day given up)"];
    let bases = bases.map(|base| titles.clone().filter(|it| it.ends_with(base)).count());
    assert_eq!(bases, [3, 3, 1, 1], "each amount names its day");
}
