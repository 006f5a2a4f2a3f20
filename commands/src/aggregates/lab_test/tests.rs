use hims_domain::LabTestId;
use hims_testing::{fields, sample};
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::LAB_TEST_CODE;
use crate::testing::samples::{ask, with};
use crate::testing::{Then, given, id, releases, takes};

/// The basic metabolic panel of the golden files.
fn panel() -> Value {
    fields::<LabTest>("defined")
}

fn defined() -> Event {
    sample::<LabTest>("defined")
}

fn define(changes: Value) -> Then<LabTest> {
    given([]).when(ask::<DefineLabTest>(with(panel(), changes)))
}

/// The definition of a test with one numeric component, with changes to the component.
fn single(changes: Value) -> Then<LabTest> {
    let component = json!({"code": "2823-3", "name": "Potassium", "value_type": "numeric", "unit": "mmol/L"});
    define(json!({"code": "2823-3", "components": [with(component, changes)]}))
}

fn change(changes: Value) -> ChangeLabTest {
    ask(with(json!({"lab_test_id": id::<LabTestId>(1)}), changes))
}

#[test]
fn a_test_is_defined_with_its_components_and_takes_its_code() {
    let code = panel()["code"].as_str().unwrap().to_owned();
    define(json!({})).then([defined()]).then_nothing_else().then_claims([takes(LAB_TEST_CODE, &code)]);
}

#[test]
fn a_test_has_1_to_60_components_with_codes_of_their_own() {
    define(json!({"components": []})).then_field("invalid-fields", "/components");
    let many = |count: usize| {
        let component = |nth: usize| json!({"code": format!("{nth}-1"), "name": "Ion", "value_type": "text"});
        json!({"components": (1..=count).map(component).collect::<Vec<_>>()})
    };
    assert!(define(many(60)).is_accepted());
    define(many(61)).then_field("invalid-fields", "/components");
    let component = json!({"code": "2823-3", "name": "Potassium", "value_type": "numeric"});
    define(json!({"components": [component, component]})).then_field("invalid-fields", "/components/1/code");
}

#[test]
fn codes_are_those_of_loinc() {
    define(json!({"code": "potassium"})).then_field("malformed-code", "/code");
    single(json!({"code": "K"})).then_field("malformed-code", "/components/0/code");
}

#[test]
fn a_turnaround_is_a_time() {
    let minutes = |it: i32| define(json!({"turnaround_minutes": {"stat": it}}));
    assert!(minutes(45).is_accepted());
    for wrong in [0, -5, 129_601] {
        minutes(wrong).then_field("out-of-range", "/turnaround_minutes/stat");
    }
}

#[test]
fn numbers_belong_to_numeric_components_and_abnormal_values_to_the_others() {
    single(json!({"abnormal_values": ["positive"]})).then_field("invalid-fields", "/components/0/abnormal_values");
    for value_type in ["text", "coded"] {
        let worded = |more: Value| single(with(json!({"value_type": value_type, "unit": null}), more));
        assert!(worded(json!({"abnormal_values": ["positive"]})).is_accepted());
        let range = json!({"sex": "any", "age_from_days": 0, "low": 1});
        for (field, value) in [
            ("unit", json!("mmol/L")),
            ("decimals", json!(1)),
            ("possible_low", json!(0)),
            ("possible_high", json!(9)),
            ("delta_percent", json!(20)),
            ("delta_days", json!(7)),
            ("other_units", json!([{"unit": "mg/dL", "factor": "0.2558"}])),
            ("ranges", json!([range])),
        ] {
            worded(json!({ field: value })).then_field("invalid-fields", &format!("/components/0/{field}"));
        }
    }
}

#[test]
fn the_numbers_of_a_component_make_sense() {
    for (wrong, code, pointer) in [
        (json!({"decimals": 7}), "out-of-range", "/decimals"),
        (json!({"possible_low": 9, "possible_high": 9}), "out-of-range", "/possible_high"),
        (json!({"delta_percent": 0, "delta_days": 7}), "out-of-range", "/delta_percent"),
        (json!({"delta_percent": 20, "delta_days": 0}), "out-of-range", "/delta_days"),
        (json!({"delta_percent": 20}), "invalid-fields", "/delta_percent"),
        (json!({"delta_days": 20}), "invalid-fields", "/delta_percent"),
        (json!({"other_units": [{"unit": "mg/dL", "factor": 0}]}), "out-of-range", "/other_units/0/factor"),
        (json!({"other_units": [{"unit": "mmol/L", "factor": 2}]}), "invalid-fields", "/other_units/0/unit"),
        (json!({"unit": null, "other_units": [{"unit": "mg/dL", "factor": 2}]}), "invalid-fields", "/unit"),
    ] {
        single(wrong).then_field(code, &format!("/components/0{pointer}"));
    }
}

#[test]
fn ranges_of_one_sex_do_not_share_an_age() {
    let ranges = |ranges: Value| single(json!({ "ranges": ranges }));
    let range =
        |sex: &str, from: i32, to: Option<i32>| json!({"sex": sex, "age_from_days": from, "age_to_days": to, "low": 1});
    let side_by_side =
        json!([range("any", 0, Some(27)), range("any", 28, None), range("male", 0, None), range("female", 10, None)]);
    assert!(ranges(side_by_side).is_accepted());
    let overlapping = json!([range("any", 0, Some(28)), range("any", 28, None)]);
    ranges(overlapping).then_field("ranges-overlap", "/components/0/ranges/1");
}

#[test]
fn a_range_has_an_age_and_limits_that_ascend() {
    let range = |changes: Value| {
        single(json!({"ranges": [with(json!({"sex": "any", "age_from_days": 0, "low": 3.5, "high": 5.1}), changes)]}))
    };
    assert!(range(json!({"critical_low": 2.5, "critical_high": 6.5})).is_accepted());
    for (wrong, code, pointer) in [
        (json!({"age_from_days": -1}), "out-of-range", "/age_from_days"),
        (json!({"age_from_days": 9, "age_to_days": 8}), "out-of-range", "/age_to_days"),
        (json!({"low": null, "high": null}), "invalid-fields", ""),
        (json!({"low": 6}), "out-of-range", ""),
        (json!({"critical_high": 5}), "out-of-range", ""),
    ] {
        range(wrong).then_field(code, &format!("/components/0/ranges/0{pointer}"));
    }
}

#[test]
fn a_change_is_checked_as_a_whole_and_recorded_once() {
    let changed = Event::Changed(Box::new(ask(with(panel(), json!({"name": "Metabolic panel"})))));
    given([defined()]).when(change(json!({"name": "Metabolic panel"}))).then([changed]);
    given([defined()]).when(change(json!({"name": panel()["name"]}))).then_nothing();
    given([defined()]).when(change(json!({"components": []}))).then_field("invalid-fields", "/components");
    let (old, new) = (panel()["code"].as_str().unwrap().to_owned(), "24320-4");
    let claims = [releases(LAB_TEST_CODE, &old), takes(LAB_TEST_CODE, new)];
    given([defined()]).when(change(json!({"code": new}))).then_claims(claims);
}

#[test]
fn a_test_is_taken_out_of_use_and_back_and_keeps_its_code() {
    let lab_test_id = id(1);
    given([defined()]).when(RetireLabTest { lab_test_id }).then([Event::Retired]).then_claims([]);
    given([defined(), Event::Retired]).when(RetireLabTest { lab_test_id }).then_nothing();
    given([defined(), Event::Retired]).when(ReinstateLabTest { lab_test_id }).then([Event::Reinstated]);
    given([defined()]).when(ReinstateLabTest { lab_test_id }).then_nothing();
}
