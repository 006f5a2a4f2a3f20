use hims_domain::billing_record::{ClaimedLine, PayerMoney};
use rust_decimal::dec;

use super::*;
use crate::billing_record::{AdjustBillingRecord, ApplyCredit, RefundPayment, WriteOffBalance};
use crate::testing::samples::OTHER_BILL;
use crate::testing::samples::POLICY;

const PAID: Uuid = Uuid::from_u128(0x50);

/// A payment with an id that a refund can name.
fn pay_as(amount: &str, changes: Value) -> RecordPayment {
    pay(amount, with(changes, json!({ "payment_id": PAID })))
}

fn refund(amount: &str, of: Value) -> RefundPayment {
    let body = json!({"billing_record_id": BILL, "amount": amount, "method": "cash", "reason": "paid by mistake",
                      "refund_id": fresh()});
    ask(with(body, of))
}

fn adjust(amount: &str, kind: &str) -> AdjustBillingRecord {
    ask(json!({"billing_record_id": BILL, "amount": amount, "kind": kind, "reason": "waited for two hours"}))
}

fn write_off() -> WriteOffBalance {
    WriteOffBalance { billing_record_id: BILL, reason: said("cannot be reached") }
}

/// A line of a claim for the only line of a record.
fn claimed(record: &History, due: Decimal, adjusted: Decimal, patient: Decimal, is_open: bool) -> ClaimedLine {
    ClaimedLine { item_id: record.lines()[0].id, due, adjusted, patient, is_open }
}

/// The record with a claim for all of its only line.
fn with_claim(record: History) -> History {
    let due = record.lines()[0].charge.amount();
    let lines = vec![claimed(&record, due, dec!(0), dec!(0), true)];
    record.happened(|after| Event::ClaimOpened { claim_id: id(0xc1), insurance_policy_id: POLICY, lines, after })
}

/// What a payer decides on the claim, or takes back if `reverses`.
fn payer(record: &History, paid: Decimal, adjusted: Decimal, patient: Decimal, reverses: bool) -> PayerMoney {
    let due = record.lines()[0].charge.amount();
    PayerMoney {
        patient_id: PATIENT,
        claim_id: id(0xc1),
        claim_payment_id: id(0xc2),
        reverses_id: reverses.then(|| id(0xc2)),
        paid,
        payment_date: at("2026-12-01T00:00:00Z").date_naive(),
        reference: None,
        lines: vec![claimed(record, due, adjusted, patient, reverses)],
        after: Standing::default(),
    }
}

fn adjudicated(record: History, paid: Decimal, adjusted: Decimal, patient: Decimal) -> History {
    let moved = payer(&record, paid, adjusted, patient, false);
    record.happened(|after| Event::ClaimAdjudicated(Box::new(PayerMoney { after, ..moved })))
}

fn taken_back(record: History, paid: Decimal) -> History {
    let moved = payer(&record, paid, dec!(0), dec!(0), true);
    record.happened(|after| Event::ClaimReversed(Box::new(PayerMoney { after, ..moved })))
}

#[test]
fn what_the_patient_paid_becomes_credit_when_the_payer_takes_the_decision_back_and_is_applied_again() {
    let record = with_claim(History::billed(&["100"]));
    let decided = adjudicated(record, dec!(60), dec!(20), dec!(20)).then(pay("20", json!({})));
    assert_eq!(decided.told(), told("paid", "0.00", "80.00", "0.00"));
    let back = taken_back(decided, dec!(60));
    assert_eq!(back.told(), told("billed", "100.00", "0.00", "20.00"));
    assert_eq!((back.record().standing.insurance_due, back.record().room()), (dec!(100.00), dec!(0.00)));
    back.given().when(pay("1", json!({}))).then_refused(Refusal::Overpayment { room: dec!(0.00) });
    let same = adjudicated(back.clone(), dec!(60), dec!(20), dec!(20));
    assert_eq!(same.told(), told("paid", "0.00", "80.00", "0.00"));
    let whole = adjudicated(back, dec!(100), dec!(0), dec!(0));
    assert_eq!(whole.told(), told("paid", "0.00", "100.00", "20.00"));
}

#[test]
fn what_the_patient_paid_before_the_payer_decided_stays_applied() {
    let record = with_claim(History::billed(&["100"]).then(pay("15", json!({"kind": "copay"}))));
    assert_eq!(record.told(), told("partially_paid", "85.00", "15.00", "0.00"));
}

#[test]
fn a_record_is_paid_in_parts() {
    let record = History::billed(&["60", "40"]);
    assert_eq!(record.told(), told("billed", "100.00", "0.00", "0.00"));
    let record = record.then(pay("30", json!({})));
    assert_eq!(record.told(), told("partially_paid", "70.00", "30.00", "0.00"));
    assert_eq!(record.then(pay("70", json!({}))).told(), told("paid", "0.00", "100.00", "0.00"));
}

#[test]
fn a_copay_of_80_on_a_charge_of_77_49_is_refused_or_leaves_credit() {
    let record = History::billed(&["77.49"]);
    let copay = |excess: Value| pay("80.00", json!({"kind": "copay", "excess": excess}));
    record.given().when(copay(json!(null))).then_refused(Refusal::Overpayment { room: dec!(77.49) });
    assert_eq!(record.then(copay(json!("credit"))).told(), told("paid", "0.00", "77.49", "2.51"));
}

#[test]
fn a_payment_may_come_before_the_charges() {
    let early = History::new();
    early.given().when(pay("50", json!({}))).then_refused(Refusal::Overpayment { room: dec!(0.00) });
    let record = early.then(pay("50", json!({"kind": "deposit"})));
    assert_eq!(record.told(), told("pending", "0.00", "0.00", "50.00"));
    let record = record.then(add("30", json!({})));
    assert_eq!(record.told(), told("pending", "0.00", "30.00", "20.00"));
    assert_eq!(record.then(issue()).told(), told("paid", "0.00", "30.00", "20.00"));
}

#[test]
fn a_payment_names_no_card_and_lies_not_in_the_future() {
    let record = History::billed(&["100"]);
    let referring = |text: &str| record.given().when(pay("1", json!({ "reference": text })));
    referring("4111 1111 1111 1111").then_field("card-number", "/reference");
    assert!(referring("check 4711").is_accepted());
    let future = json!({"received_at": "2026-11-23T10:00:01Z"});
    record.given().when(pay("1", future)).then_field("in-the-future", "/received_at");
    record.given().when(pay("0", json!({}))).then_field("out-of-range", "/amount");
    record.given().when(pay("1.001", json!({}))).then_field("invalid-fields", "/amount");
    let twice = record.then(pay_as("1", json!({})));
    twice.given().when(pay_as("1", json!({}))).then_code("already-exists");
}

#[test]
fn a_refund_gives_back_credit_first_and_no_more_than_was_paid() {
    let record = History::billed(&["80"]).then(pay_as("100", json!({"excess": "credit"})));
    let of_payment = json!({ "payment_id": PAID });
    record
        .given()
        .when(refund("100.01", of_payment.clone()))
        .then_refused(Refusal::RefundTooLarge { most: dec!(100.00) });
    record
        .given()
        .when(refund("20.01", json!({"credit": true})))
        .then_refused(Refusal::RefundTooLarge { most: dec!(20.00) });
    let record = record.then(refund("30", of_payment.clone()));
    assert_eq!(record.told(), told("partially_paid", "10.00", "70.00", "0.00"));
    record
        .given()
        .when(refund("70.01", of_payment.clone()))
        .then_refused(Refusal::RefundTooLarge { most: dec!(70.00) });
    assert_eq!(record.then(refund("70", of_payment)).told(), told("billed", "80.00", "0.00", "0.00"));
}

#[test]
fn credit_that_was_given_back_is_not_given_back_with_the_payment_again() {
    let record = History::billed(&["80"]).then(pay_as("100", json!({"excess": "credit"})));
    let record = record.then(refund("20", json!({"credit": true})));
    assert_eq!(record.told(), told("paid", "0.00", "80.00", "0.00"));
    let rest = refund("80.01", json!({ "payment_id": PAID }));
    record.given().when(rest).then_refused(Refusal::RefundTooLarge { most: dec!(80.00) });
}

#[test]
fn a_refund_names_a_payment_or_the_credit() {
    let record = History::billed(&["80"]).then(pay_as("80", json!({})));
    record.given().when(refund("1", json!({}))).then_field("invalid-fields", "/payment_id");
    let both = json!({"payment_id": PAID, "credit": true});
    record.given().when(refund("1", both)).then_field("invalid-fields", "/credit");
    let other = json!({"payment_id": id::<Uuid>(0x51)});
    record.given().when(refund("1", other)).then_field("unknown-reference", "/payment_id");
}

#[test]
fn a_late_adjustment_makes_credit_of_what_was_paid_and_never_falls_below_zero() {
    let record = History::billed(&["100"]).then(pay("90", json!({})));
    let record = record.then(adjust("30", "courtesy"));
    assert_eq!(record.told(), told("paid", "0.00", "70.00", "20.00"));
    record.given().when(adjust("70.01", "discount")).then_refused(Refusal::BelowZero { most: dec!(70.00) });
    record.given().when(adjust("-30.01", "correction")).then_refused(Refusal::NothingToTakeBack { most: dec!(30.00) });
    for (amount, kind) in [("-1", "courtesy"), ("0", "correction"), ("0.001", "discount"), ("100000000", "discount")] {
        record.given().when(adjust(amount, kind)).then_field("out-of-range", "/amount");
    }
    assert_eq!(record.then(adjust("-30", "correction")).told(), told("partially_paid", "10.00", "90.00", "0.00"));
    History::new().given().when(adjust("1", "discount")).then_code("wrong-status");
}

#[test]
fn money_on_a_written_off_record_lowers_what_was_written_off() {
    let record = History::billed(&["100"]).then(pay_as("40", json!({}))).then(write_off());
    assert_eq!(record.told(), told("written_off", "0.00", "40.00", "0.00"));
    assert_eq!(record.record().standing.written_off_amount, dec!(60.00));
    record.given().when(write_off()).then_nothing();
    record.given().when(pay("60.01", json!({}))).then_refused(Refusal::Overpayment { room: dec!(60.00) });
    let record = record.then(pay("25", json!({})));
    assert_eq!((record.record().standing.written_off_amount, record.told().0), (dec!(35.00), "written_off"));
    // What is given back was never got: it is written off again.
    let record = record.then(refund("40", json!({ "payment_id": PAID })));
    assert_eq!(record.record().standing.written_off_amount, dec!(75.00));
    History::billed(&["0"]).given().when(write_off()).then_code("wrong-status");
}

#[test]
fn what_an_open_claim_asks_for_is_not_due_from_the_patient_and_not_given_up() {
    let record = with_claim(History::billed(&["100"]));
    let standing = record.record().standing;
    assert_eq!((standing.insurance_due, standing.patient_due()), (dec!(100.00), dec!(0.00)));
    record.given().when(write_off()).then_refused(Refusal::ClaimOpen);
    record.given().when(cancel()).then_refused(Refusal::ClaimOpen);
    let standing = record.clone().then(pay("25", json!({"kind": "copay"}))).record().standing;
    assert_eq!((standing.insurance_due, standing.balance()), (dec!(75.00), dec!(75.00)));
    let closed = record.happened(|after| Event::ClaimClosed { claim_id: id(0xc1), after });
    assert_eq!(closed.record().standing.patient_due(), dec!(100.00));
    assert!(closed.given().when(cancel()).is_accepted());
}

#[test]
fn a_payer_pays_lowers_and_takes_back_after_the_patient_paid() {
    let record = adjudicated(with_claim(History::billed(&["100"])), dec!(70), dec!(10), dec!(20));
    assert_eq!(record.told(), told("partially_paid", "20.00", "70.00", "0.00"));
    assert_eq!(record.record().standing.insurance_due, dec!(0.00));
    let record = record.then(pay("20", json!({})));
    assert_eq!(record.told(), told("paid", "0.00", "90.00", "0.00"));
    // What the patient paid is credit while the payer is asked again.
    let record = taken_back(record, dec!(70));
    assert_eq!(record.told(), told("billed", "100.00", "0.00", "20.00"));
    assert_eq!(record.record().standing.insurance_due, dec!(100.00));
    // The payer pays all of it now, so that what the patient paid stays credit.
    let record = adjudicated(record, dec!(100), dec!(0), dec!(0));
    assert_eq!(record.told(), told("paid", "0.00", "100.00", "20.00"));
    let record = record.then(refund("20", json!({"credit": true})));
    assert_eq!(record.told(), told("paid", "0.00", "100.00", "0.00"));
}

#[test]
fn what_payers_and_the_hospital_lower_together_is_at_most_the_charge() {
    let record = with_claim(History::billed(&["100"]).then(adjust("30", "courtesy")));
    let record = adjudicated(record, dec!(20), dec!(80), dec!(0));
    assert_eq!(record.told(), told("paid", "0.00", "0.00", "20.00"));
    assert_eq!(record.record().standing.adjustment_amount, dec!(100.00));
}

#[test]
fn a_payer_may_take_back_what_was_given_to_the_patient() {
    let record =
        adjudicated(with_claim(History::billed(&["100"]).then(pay("20", json!({})))), dec!(100), dec!(0), dec!(0));
    let record = record.then(refund("20", json!({"credit": true})));
    let record = taken_back(record, dec!(100));
    assert_eq!(record.told(), told("billed", "100.00", "0.00", "0.00"));
}

#[test]
fn credit_moves_to_another_record_of_the_same_person() {
    let rich = History::billed(&["50"]).then(pay("80", json!({"excess": "credit"})));
    let poor = History::billed(&["20"]);
    let given = |to: &History| rich.given().and::<BillingRecord>(OTHER_BILL, to.0.clone());
    let apply = |amount: &str| ask::<ApplyCredit>(json!({"from": BILL, "to": OTHER_BILL, "amount": amount}));
    let moved = given(&poor).when(apply("20"));
    let after = |history: &History, events: Vec<Event>| History([history.0.clone(), events].concat()).told();
    assert_eq!(after(&rich, moved.events()), told("paid", "0.00", "50.00", "10.00"));
    assert_eq!(after(&poor, moved.events_of::<BillingRecord>(OTHER_BILL)), told("paid", "0.00", "20.00", "0.00"));
    given(&poor).when(apply("20.01")).then_refused(Refusal::OverpaidByCredit { room: dec!(20.00) });
    given(&poor).when(apply("30.01")).then_refused(Refusal::NotEnoughCredit { credit: dec!(30.00) });
    given(&poor).when(apply("0")).then_field("out-of-range", "/amount");
    given(&History::new().then(cancel())).when(apply("1")).then_code("wrong-status");
    let of_another = match opened() {
        Event::Opened(it) => Event::Opened(Opened { patient_id: OTHER_PATIENT, ..it }),
        other => other,
    };
    given(&History(vec![of_another])).when(apply("1")).then_refused(Refusal::AnotherPerson);
    let known =
        History([poor.0.clone(), given(&poor).when(apply("20")).events_of::<BillingRecord>(OTHER_BILL)].concat());
    let movement = *known.record().payments.keys().next().unwrap();
    let back = |amount: &str| {
        ask::<ApplyCredit>(json!({"from": OTHER_BILL, "to": BILL, "amount": amount, "reverses_id": movement}))
    };
    let taken_back = |amount: &str| known.given().and::<BillingRecord>(BILL, rich.0.clone()).when(back(amount));
    taken_back("20.01").then_refused(Refusal::RefundTooLarge { most: dec!(20.00) });
    let events = taken_back("20").events_of::<BillingRecord>(BILL);
    assert_eq!(after(&rich, events).3, "50.00", "what was moved by mistake is credit again");
    let same = ask::<ApplyCredit>(json!({"from": BILL, "to": BILL, "amount": "1"}));
    rich.given().when(same).then_field("invalid-fields", "/to");
}
