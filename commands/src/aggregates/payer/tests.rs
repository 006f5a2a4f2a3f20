use hims_testing::{fields, sample};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{PAYER, ask, with};
use crate::testing::{given, releases, takes};

fn added() -> Event {
    sample::<Payer>("added")
}

fn details(changes: Value) -> Value {
    with(fields::<Payer>("added"), changes)
}

fn add(changes: Value) -> AddPayer {
    ask(details(changes))
}

fn change(changes: Value) -> ChangePayer {
    ask(with(json!({"payer_id": PAYER}), changes))
}

#[test]
fn a_payer_takes_its_code_regardless_of_case() {
    given([])
        .when(add(json!({"code": "Aetna"})))
        .then([Event::Added(ask(details(json!({"code": "Aetna"}))))])
        .then_claims([takes(scopes::PAYER_CODE, "AETNA")]);
    given([added()])
        .when(change(json!({"code": "CVS"})))
        .then_claims([releases(scopes::PAYER_CODE, "AETNA"), takes(scopes::PAYER_CODE, "CVS")]);
}

#[test]
fn claims_are_taken_for_1_to_3650_days() {
    for days in [0, 3651] {
        given([]).when(add(json!({"timely_filing_days": days}))).then_field("out-of-range", "/timely_filing_days");
        given([added()])
            .when(change(json!({"timely_filing_days": days})))
            .then_field("out-of-range", "/timely_filing_days");
    }
    for days in [json!(1), json!(3650), Value::Null] {
        assert!(given([]).when(add(json!({"timely_filing_days": days}))).is_accepted(), "{days}");
    }
}

#[test]
fn codes_of_claims_fit_their_fields() {
    given([])
        .when(add(json!({"claim_filing_indicator": "CIX"})))
        .then_field("invalid-fields", "/claim_filing_indicator");
    given([]).when(add(json!({"code": "x".repeat(21)}))).then_field("invalid-fields", "/code");
}

#[test]
fn changing_nothing_is_quiet() {
    given([added()]).when(change(json!({"name": " Aetna "}))).then_nothing();
}

#[test]
fn a_payer_is_taken_out_of_use_and_back_and_keeps_its_code() {
    let deactivate = || DeactivatePayer { payer_id: PAYER };
    let reactivate = || ReactivatePayer { payer_id: PAYER };
    given([added()]).when(deactivate()).then([Event::Deactivated]).then_claims([]);
    given([added(), Event::Deactivated]).when(deactivate()).then_nothing();
    given([added(), Event::Deactivated]).when(reactivate()).then([Event::Reactivated]);
    given([added()]).when(reactivate()).then_nothing();
}
