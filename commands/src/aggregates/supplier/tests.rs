use hims_testing::{fields, sample};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{SUPPLIER, ask, with};
use crate::testing::{given, releases, takes};

fn added() -> Event {
    sample::<Supplier>("added")
}

fn details(changes: Value) -> Value {
    with(fields::<Supplier>("added"), changes)
}

fn add(changes: Value) -> AddSupplier {
    ask(details(changes))
}

fn change(changes: Value) -> ChangeSupplier {
    ask(with(json!({"supplier_id": SUPPLIER}), changes))
}

#[test]
fn a_supplier_takes_its_code_regardless_of_case() {
    given([]).when(add(json!({"code": "mck"}))).then_claims([takes(scopes::SUPPLIER_CODE, "MCK")]);
    given([added()])
        .when(change(json!({"code": "MCK-2"})))
        .then_claims([releases(scopes::SUPPLIER_CODE, "MCK"), takes(scopes::SUPPLIER_CODE, "MCK-2")]);
}

#[test]
fn what_was_told_is_recorded() {
    given([]).when(add(json!({}))).then([added()]);
    given([added()]).when(change(json!({"name": " McKesson "}))).then_nothing();
}

#[test]
fn deliveries_take_up_to_a_year() {
    for days in [-1, 366] {
        given([]).when(add(json!({"lead_time_days": days}))).then_field("out-of-range", "/lead_time_days");
        given([added()]).when(change(json!({"lead_time_days": days}))).then_field("out-of-range", "/lead_time_days");
    }
    for days in [json!(0), json!(365), Value::Null] {
        assert!(given([]).when(add(json!({"lead_time_days": days}))).is_accepted(), "{days}");
    }
}

#[test]
fn a_mistyped_number_of_the_drug_enforcement_administration_is_noticed() {
    given([]).when(add(json!({"dea_number": "RM1234564"}))).then_field("invalid-fields", "/dea_number");
    assert!(given([]).when(add(json!({"dea_number": "rm1234563"}))).is_accepted());
}

#[test]
fn a_supplier_is_taken_out_of_use_and_back() {
    let deactivate = || DeactivateSupplier { supplier_id: SUPPLIER };
    let reactivate = || ReactivateSupplier { supplier_id: SUPPLIER };
    given([added()]).when(deactivate()).then([Event::Deactivated]).then_claims([]);
    given([added(), Event::Deactivated]).when(deactivate()).then_nothing();
    given([added(), Event::Deactivated]).when(reactivate()).then([Event::Reactivated]);
    given([added()]).when(reactivate()).then_nothing();
}
