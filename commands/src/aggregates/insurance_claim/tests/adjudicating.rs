use super::*;

/// A claim of one line of 77.49.
fn visit() -> Story {
    Story::accepted(&["77.49"])
}

#[test]
fn a_payment_goes_to_claim_and_record_at_once() {
    let story = visit();
    assert_eq!(story.money(), ["billed", "0.00", "0.00", "0.00", "77.49", "77.49"]);
    let paid = story.after(pay(TRACE, json!([line(1, "40", "17.49", "20")])));
    assert_eq!(paid.status(), Status::Paid);
    assert_eq!(paid.money(), ["partially_paid", "17.49", "40.00", "0.00", "20.00", "0.00"]);
    assert_eq!(paid.patient_pays("20").money(), ["paid", "17.49", "60.00", "0.00", "0.00", "0.00"]);
}

#[test]
fn a_line_that_the_payer_does_not_name_stays_open() {
    let story = Story::accepted(&["77.49", "22.51"]);
    let part = story.after(pay(TRACE, json!([line(1, "40", "17.49", "20")])));
    assert_eq!(part.status(), Status::PartiallyPaid);
    assert_eq!(part.money(), ["partially_paid", "17.49", "40.00", "0.00", "42.51", "22.51"]);
    part.when(pay("TRN-2", json!([line(1, "40", "17.49", "20")]))).then_code("already-adjudicated");
    let whole = part.after(pay("TRN-2", json!([line(2, "22.51", "0", "0")])));
    assert_eq!(whole.status(), Status::Paid);
    assert_eq!(whole.money(), ["partially_paid", "17.49", "62.51", "0.00", "20.00", "0.00"]);
}

#[test]
fn each_line_balances_to_the_cent() {
    for (paid, said) in [("40.01", "but 0.01 is too much"), ("39.99", "but 0.01 is missing")] {
        let then = visit().when(pay(TRACE, json!([line(1, paid, "17.49", "20")])));
        then.then_says(&format!(
            "the charge of each line must be paid and adjusted together: the charge is 77.49, {said}"
        ));
    }
    let both = json!([line(1, "1", "1", "1"), line(2, "1", "1", "1")]);
    let story = Story::accepted(&["77.49", "22.51"]);
    story.when(pay(TRACE, both)).then_fields("out-of-balance", &["/lines/0", "/lines/1"]);
}

#[test]
fn three_roundings_that_make_a_cent_too_much_are_refused() {
    let thirds = json!([line(1, "3.34", "3.33", "3.34")]);
    Story::accepted(&["10.00"]).when(pay(TRACE, thirds)).then_fields("out-of-balance", &["/lines/0"]);
}

#[test]
fn a_claim_for_nothing_is_paid_at_zero() {
    let story = Story::accepted(&["0.00"]);
    let paid = story.after(pay(TRACE, json!([{"line": 1, "paid": 0}])));
    assert_eq!(paid.status(), Status::Paid);
    assert_eq!(paid.money(), ["paid", "0.00", "0.00", "0.00", "0.00", "0.00"]);
}

#[test]
fn an_advice_that_is_loaded_twice_is_posted_once() {
    let lines = || json!([line(1, "40", "17.49", "20")]);
    let paid = visit().after(pay(TRACE, lines()));
    paid.when(pay(TRACE, lines())).then_code("already-posted");
    let back = paid.after(reverse(&paid, "TRN-2"));
    back.when(pay(TRACE, lines())).then_code("already-posted");
    let again = back.after(pay("TRN-3", lines()));
    again.when(reverse(&again, "TRN-2")).then_code("already-posted");
}

#[test]
fn a_copay_that_was_paid_before_counts_towards_what_the_payer_leaves() {
    let story = visit().patient_pays("20");
    assert_eq!(story.money(), ["partially_paid", "0.00", "20.00", "0.00", "57.49", "57.49"]);
    let paid = story.after(pay(TRACE, json!([line(1, "40", "17.49", "20")])));
    assert_eq!(paid.money(), ["paid", "17.49", "60.00", "0.00", "0.00", "0.00"]);
}

#[test]
fn what_a_payer_takes_back_after_the_patient_paid_is_asked_for_again() {
    let paid = visit().after(pay(TRACE, json!([line(1, "40", "17.49", "20")]))).patient_pays("20");
    let back = paid.after(reverse(&paid, "TRN-2"));
    assert_eq!(back.status(), Status::Accepted);
    // What the patient paid because of the decision is credit; the payer is asked for everything.
    assert_eq!(back.money(), ["billed", "0.00", "0.00", "20.00", "77.49", "77.49"]);
    // The payer pays everything, so what the patient paid stays credit.
    let all = back.after(pay("TRN-3", json!([line(1, "77.49", "0", "0")])));
    assert_eq!(all.money(), ["paid", "0.00", "77.49", "20.00", "0.00", "0.00"]);
}

#[test]
fn only_a_payment_that_stands_is_reversed_and_once() {
    let paid = visit().after(pay(TRACE, json!([line(1, "40", "17.49", "20")])));
    let reversal = reverse(&paid, "TRN-2");
    let back = paid.after(reversal.clone());
    back.when(ReverseClaimPayment { trace_number: "TRN-4".into(), ..reversal.clone() }).then_code("nothing-to-reverse");
    let unknown = ReverseClaimPayment { payment_id: crate::testing::id(0xdead), ..reversal };
    paid.when(unknown).then_refused(Refusal::NothingToReverse);
}

#[test]
fn a_denial_leaves_nothing_to_be_paid_until_it_is_appealed() {
    let denied = visit().after(deny(TRACE, json!([refused(1, "CO", "77.49")])));
    assert_eq!(denied.status(), Status::Denied);
    assert_eq!(denied.money(), ["paid", "77.49", "0.00", "0.00", "0.00", "0.00"]);
    let appealed = denied.after(appeal());
    assert_eq!(appealed.status(), Status::Appealed);
    assert_eq!(appealed.money(), ["billed", "0.00", "0.00", "0.00", "77.49", "77.49"]);
    let upheld = appealed.after(uphold());
    assert_eq!((upheld.status(), upheld.money()), (Status::Denied, denied.money()));
    let again = upheld.after(appeal());
    let Some(Event::Appealed { level, .. }) = again.claim.last() else { panic!("an appeal") };
    assert_eq!(*level, 2);
    let won = again.after(pay("TRN-2", json!([line(1, "57.49", "0", "20")])));
    assert_eq!(won.status(), Status::Paid);
    assert_eq!(won.money(), ["partially_paid", "0.00", "57.49", "0.00", "20.00", "0.00"]);
    let back = won.after(reverse(&won, "TRN-3"));
    assert_eq!(back.status(), Status::Accepted);
}

#[test]
fn a_denial_pays_nothing_and_names_every_open_line() {
    let story = Story::accepted(&["77.49", "22.51"]);
    let some = json!([line(1, "40", "17.49", "20"), refused(2, "CO", "22.51")]);
    story.when(deny(TRACE, some)).then_field("invalid-fields", "/lines/0/paid");
    story.when(deny(TRACE, json!([refused(1, "CO", "77.49")]))).then_field("invalid-fields", "/lines");
    let patients = story.after(deny(TRACE, json!([refused(1, "CO", "77.49"), refused(2, "PR", "22.51")])));
    assert_eq!(patients.money(), ["billed", "77.49", "0.00", "0.00", "22.51", "0.00"]);
    let codes = fold::<InsuranceClaim>(&patients.claim).unwrap().figures().denial_codes;
    assert_eq!(codes, ["CO-50".into(), "PR-50".into()]);
    // An appeal opens also what the payer left to the patient without paying anything.
    assert_eq!(patients.after(appeal()).money(), ["billed", "0.00", "0.00", "0.00", "100.00", "100.00"]);
}

#[test]
fn an_appeal_leaves_alone_what_was_paid() {
    let story = Story::accepted(&["77.49", "22.51"]);
    let paid = story.after(pay(TRACE, json!([line(1, "40", "17.49", "20"), refused(2, "CO", "22.51")])));
    assert_eq!(paid.status(), Status::Paid);
    let appealed = paid.after(appeal());
    assert_eq!(appealed.money(), ["partially_paid", "17.49", "40.00", "0.00", "42.51", "22.51"]);
    appealed.when(appeal()).then_nothing();
    let higher: AppealInsuranceClaim =
        ask(json!({"insurance_claim_id": CLAIM, "level": 2, "reason": "the test was necessary"}));
    appealed.when(higher).then_code("wrong-status");
    appealed.when(pay("TRN-2", json!([line(1, "77.49", "0", "0")]))).then_code("already-adjudicated");
    let out_of_range: AppealInsuranceClaim =
        ask(json!({"insurance_claim_id": CLAIM, "level": 6, "reason": "the test was necessary"}));
    paid.when(out_of_range).then_field("out-of-range", "/level");
    let over: AppealInsuranceClaim =
        ask(json!({"insurance_claim_id": CLAIM, "deadline": "2026-11-22", "reason": "the test was necessary"}));
    paid.when(over).then_field("in-the-past", "/deadline");
}

#[test]
fn lines_and_codes_of_an_adjudication_are_checked() {
    let story = visit();
    story.when(pay(TRACE, json!([]))).then_field("invalid-fields", "/lines");
    story.when(pay(TRACE, json!([line(2, "40", "17.49", "20")]))).then_field("no-such-line", "/lines/0/line");
    let twice = json!([line(1, "40", "17.49", "20"), line(1, "40", "17.49", "20")]);
    story.when(pay(TRACE, twice)).then_field("invalid-fields", "/lines/1/line");
    let of = |adjustment: Value| json!([{"line": 1, "paid": "40", "adjustments": [adjustment]}]);
    let code = |changes: Value| of(patched(adjustment("CO", "45", "37.49"), changes));
    let (reason, remark) = ("/lines/0/adjustments/0/reason", "/lines/0/adjustments/0/remarks/1");
    story.when(pay(TRACE, code(json!({"reason": "45-"})))).then_field("malformed-code", reason);
    story.when(pay(TRACE, code(json!({"remarks": ["N130", "hm"]})))).then_field("malformed-code", remark);
    let without = code(json!({"reason": null}));
    story.when(pay(TRACE, without.clone())).then_field("invalid-fields", reason);
    assert!(story.given().by(Caller::system("import")).when(pay(TRACE, without)).is_accepted(), "imports may lack it");
    let lower = story.after(pay(TRACE, code(json!({"reason": "b7", "remarks": ["n130"]}))));
    let Some(Event::PaymentRecorded(recorded)) = lower.claim.last() else { panic!("a payment") };
    assert_eq!(recorded.lines[0].adjustments[0].code().as_str(), "CO-B7");
}

#[test]
fn the_number_of_the_payer_is_kept_unless_the_payer_gives_another() {
    let paid = visit().after(pay(TRACE, json!([line(1, "40", "17.49", "20")])));
    let known = |story: &Story| fold::<InsuranceClaim>(&story.claim).unwrap().payer_claim_number;
    assert_eq!(known(&paid), Some("ICN-1".into()));
    let other = RecordClaimPayment {
        payer_claim_number: Some("ICN-2".into()),
        ..pay(TRACE, json!([line(1, "40", "17.49", "20")]))
    };
    assert_eq!(known(&visit().after(other)), Some("ICN-2".into()));
}
