use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::MEDICATION_RXNORM;
use crate::testing::samples::{MEDICATION, added_medication, ask, metformin, with};
use crate::testing::{given, releases, takes};

fn add(changes: Value) -> AddMedication {
    ask(with(metformin(), changes))
}

fn change(changes: Value) -> ChangeMedication {
    ask(with(json!({"medication_id": MEDICATION}), changes))
}

fn changed(changes: Value) -> Event {
    Event::Changed(ask(with(metformin(), changes)))
}

#[test]
fn a_product_takes_its_rxnorm_concept() {
    given([]).when(add(json!({}))).then([added_medication()]).then_claims([takes(MEDICATION_RXNORM, "861007")]);
}

#[test]
fn a_product_needs_no_rxnorm_concept() {
    let command = add(json!({"rxnorm_code": null}));
    let event = Event::Added(command.details.clone());
    given([]).when(command).then([event]).then_claims([]);
}

#[test]
fn a_product_is_given_out_on_prescription_unless_told() {
    let Event::Added(details) = given([]).when(add(json!({}))).then_event() else { panic!("added") };
    assert!(details.requires_prescription);
    assert!(!details.controlled_substance);
}

#[test]
fn a_controlled_substance_has_a_schedule_of_1_to_5() {
    let controlled = |schedule| json!({"controlled_substance": true, "dea_schedule": schedule});
    for schedule in ["I", "II", "III", "IV", "V"] {
        assert!(given([]).when(add(controlled(schedule))).is_accepted(), "{schedule}");
    }
    given([]).when(add(controlled("VI"))).then_field("out-of-range", "/dea_schedule");
    given([added_medication()]).when(change(controlled("6"))).then_field("out-of-range", "/dea_schedule");
}

#[test]
fn only_a_controlled_substance_has_a_schedule() {
    given([]).when(add(json!({"dea_schedule": "II"}))).then_field("not-controlled", "/dea_schedule");
}

#[test]
fn another_concept_is_exchanged_for_the_old_one() {
    given([added_medication()])
        .when(change(json!({"rxnorm_code": "860975"})))
        .then([changed(json!({"rxnorm_code": "860975"}))])
        .then_claims([releases(MEDICATION_RXNORM, "861007"), takes(MEDICATION_RXNORM, "860975")]);
}

#[test]
fn null_gives_the_concept_back() {
    given([added_medication()])
        .when(change(json!({"rxnorm_code": null})))
        .then([changed(json!({"rxnorm_code": null}))])
        .then_claims([releases(MEDICATION_RXNORM, "861007")]);
}

#[test]
fn changing_nothing_is_quiet() {
    given([added_medication()]).when(change(json!({"rxnorm_code": "861007"}))).then_nothing();
}

#[test]
fn a_product_keeps_its_name() {
    given([added_medication()]).when(change(json!({"name": ""}))).then_field("invalid-fields", "/name");
}

#[test]
fn a_product_is_taken_out_of_use_and_back() {
    let (deactivate, reactivate) =
        (DeactivateMedication { medication_id: MEDICATION }, ReactivateMedication { medication_id: MEDICATION });
    given([added_medication()]).when(deactivate).then([Event::Deactivated]).then_claims([]);
    given([added_medication(), Event::Deactivated]).when(reactivate).then([Event::Reactivated]).then_claims([]);
}

#[test]
fn deactivating_and_reactivating_twice_is_quiet() {
    given([added_medication(), Event::Deactivated])
        .when(DeactivateMedication { medication_id: MEDICATION })
        .then_nothing();
    given([added_medication()]).when(ReactivateMedication { medication_id: MEDICATION }).then_nothing();
}
