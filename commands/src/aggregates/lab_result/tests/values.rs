//! The values of a result: which are accepted, how they are kept, and how they compare with earlier ones.

use hims_domain::fold;
use hims_domain::lab_result::{Comparator, Flag};
use hims_testing::fields;
use rust_decimal::Decimal;

use super::super::values::{key_at, reads_earlier};
use super::*;
use crate::Caller;
use crate::machinery::scopes::{LAB_LATEST, LAB_PENDING};
use crate::testing::samples::{OTHER_PATIENT, ann, registered_as};
use crate::testing::world::user;
use crate::testing::{of, shares, unshares};

const EARLIER: LabResultId = LabResultId(Uuid::from_u128(0xb2));

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn with_values(values: Value) -> RecordLabResult {
    record(json!({"status": "P", "components": values}))
}

#[test]
fn the_values_are_those_of_the_test() {
    for (values, code, pointers) in [
        (json!([value("718-7", "12")]), "unknown-component", vec!["/components/0/code"]),
        (json!([value(POTASSIUM, "4"), value(POTASSIUM, "5")]), "invalid-fields", vec!["/components/1/code"]),
        (json!([{"code": POTASSIUM}]), "invalid-fields", vec!["/components/0"]),
        (json!([{"code": POTASSIUM, "value": "4", "text": "four"}]), "invalid-fields", vec!["/components/0"]),
        (json!([{"code": POTASSIUM, "text": "< 0,5"}]), "invalid-fields", vec!["/components/0/text"]),
        (json!([{"code": POTASSIUM, "value_code": "Q1"}]), "invalid-fields", vec!["/components/0/value_code"]),
        (json!([value(SERUM, "4")]), "invalid-fields", vec!["/components/0/value"]),
        (
            json!([{"code": SERUM, "text": "clear", "unit": "mg/dL", "comparator": "<"}]),
            "invalid-fields",
            vec!["/components/0/comparator", "/components/0/unit"],
        ),
        (json!([{"code": POTASSIUM, "value": "4", "unit": "mg/dL"}]), "other-unit", vec!["/components/0/unit"]),
        (json!([value(POTASSIUM, "15.1")]), "impossible-value", vec!["/components/0/value"]),
        (json!([value(POTASSIUM, "0.4")]), "impossible-value", vec!["/components/0/value"]),
        (
            json!([value("718-7", "12"), value(POTASSIUM, "99"), {"code": CREATININE, "value": "1", "unit": "g"}]),
            "unknown-component",
            vec!["/components/0/code", "/components/1/value", "/components/2/unit"],
        ),
    ] {
        given_result([], [placed(), collected()]).when(with_values(values)).then_fields(code, &pointers);
    }
    let missing = record(json!({"components": [value(POTASSIUM, "4")]}));
    let by_technician = given_result([], [placed(), collected()]).by(user(DOCTOR, "lab_technician"));
    let missing = by_technician.when(missing);
    missing.then_fields("missing-component", &["/components", "/components"]);
}

#[test]
fn an_import_tells_what_another_laboratory_reported_though_components_are_missing() {
    let partial = record(json!({"components": [value(POTASSIUM, "4")]}));
    let imported = given_result([], [placed(), collected()]).by(Caller::system("import")).when(partial).events();
    let imported = recorded(&imported);
    assert_eq!((imported.result_status, imported.components.len()), (ResultStatus::Final, 1));
}

#[test]
fn a_number_in_another_unit_is_converted() {
    let micromoles = json!([{"code": CREATININE, "value": "88.4", "unit": "umol/L"}]);
    let events = events_of(with_values(micromoles));
    let component = &recorded(&events).components[0];
    assert_eq!(component.value.map(|it| it.to_string()).as_deref(), Some("1"));
    assert_eq!(component.unit.as_ref().map(hims_domain::values::UcumCode::as_str), Some("mg/dL"));
    assert_eq!(component.flag, Some(Flag::Normal));
    let below = json!([{"code": CREATININE, "value": "12.4", "comparator": "<", "unit": "umol/L"}]);
    let events = events_of(with_values(below));
    let component = &recorded(&events).components[0];
    // The limit is not rounded, since the value may lie above a rounded one.
    assert_eq!(component.value.map(hims_domain::values::Measured::number), "0.140244".parse::<Decimal>().ok());
    assert_eq!((component.comparator, component.flag), (Some(Comparator::Below), Some(Flag::Low)));
}

#[test]
fn values_have_the_flags_of_the_patients_age_and_sex() {
    let flags = |patient: Value| {
        let patient = registered_as(with(ann(), patient));
        let events = given_result_of(patient, [], [placed(), collected()]).when(record(json!({
            "components": [value(POTASSIUM, "5.5"), value(CREATININE, "1.2"), {"code": SERUM, "text": "Hemolyzed"}],
        })));
        let events = events.events();
        recorded(&events).components.iter().map(|it| it.flag).collect::<Vec<_>>()
    };
    assert_eq!(flags(json!({})), [Some(Flag::High), Some(Flag::High), Some(Flag::Abnormal)]);
    assert_eq!(flags(json!({"gender": "male"})), [Some(Flag::High), Some(Flag::Normal), Some(Flag::Abnormal)]);
    assert_eq!(flags(json!({"gender": "other"})), [Some(Flag::High), None, Some(Flag::Abnormal)]);
    // A neonate of two days has a range of its own, and no range for creatinine.
    let born = json!({"date_of_birth": {"$personal": "2026-11-21"}});
    assert_eq!(flags(born), [Some(Flag::Normal), None, Some(Flag::Abnormal)]);
    let erased = json!({"date_of_birth": {"$erased": true}});
    assert_eq!(flags(erased), [None, None, Some(Flag::Abnormal)]);
}

#[test]
fn the_limits_are_kept_with_the_value() {
    let events = events_of(with_values(json!([value(POTASSIUM, "4")])));
    let limits = recorded(&events).components[0].limits.unwrap();
    assert_eq!(
        limits.low.zip(limits.critical_high).map(|(low, high)| format!("{low} {high}")).as_deref(),
        Some("3.5 6.5")
    );
}

#[test]
fn components_stand_in_the_order_of_the_test() {
    let turned = json!([{"code": SERUM, "text": "clear"}, value(POTASSIUM, "4")]);
    let events = events_of(with_values(turned));
    let codes: Vec<_> = recorded(&events).components.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, [POTASSIUM, SERUM]);
}

/// The key of potassium in the span of time of the tests.
fn key(patient_id: PatientId) -> String {
    key_at(crate::testing::now(), patient_id, POTASSIUM)
}

#[test]
fn a_final_exact_number_is_found_by_patient_and_component() {
    let keys = |code| key_at(crate::testing::at("2026-11-23T09:00:00Z"), PATIENT, code);
    let below = json!([value(POTASSIUM, "4"), {"code": CREATININE, "value": "0.1", "comparator": "<"},
                       {"code": SERUM, "text": "clear"}]);
    let then = given_result([], [placed(), collected()]).when(record(json!({"components": below})));
    // The item of the order is no longer pending.
    let pending = || crate::machinery::scopes::key(&[&PATIENT.to_string(), &TEST.to_string()]);
    let no_longer = of(ORDER, unshares(LAB_PENDING, pending()));
    then.then_claims([shares(LAB_LATEST, keys(POTASSIUM)), no_longer]);
    given_result([], [placed(), collected()]).when(preliminary("4")).then_claims([]);
    let wrong = given_result(events_of(record(json!({}))), resulted(true)).when(withdraw("wrong_patient"));
    wrong.then_claims([
        unshares(LAB_LATEST, keys(POTASSIUM)),
        unshares(LAB_LATEST, keys(CREATININE)),
        of(ORDER, shares(LAB_PENDING, pending())),
    ]);
}

/// A final result with this potassium, taken at a time, which is found by the key.
fn given_earlier(potassium: &str, taken_at: &str, of: PatientId) -> Given<LabResult> {
    let earlier = json!({"patient_id": of, "result_status": "F", "taken_at": taken_at,
                         "components": [with(component(), json!({"value": potassium}))]});
    let earlier = sample_with::<LabResult>("recorded", earlier);
    given_result([], [placed(), collected()]).and::<LabResult>(EARLIER, [earlier]).owner(LAB_LATEST, key(of), EARLIER)
}

fn component() -> Value {
    fields::<LabResult>("recorded")["components"][0].clone()
}

#[test]
fn a_number_that_differs_much_from_the_last_one_is_confirmed() {
    let last_week = "2026-11-17T09:00:00Z";
    let then = given_earlier("4.0", last_week, PATIENT).when(preliminary("5.3"));
    then.then_field("delta-exceeded", "/components/0/value");
    let confirmed = RecordLabResult { confirm_delta: true, ..preliminary("5.3") };
    let events = given_earlier("4.0", last_week, PATIENT).when(confirmed).events();
    assert_eq!(recorded(&events).components[0].delta_percent.map(|it| it.to_string()).as_deref(), Some("32.5"));
    // Up to 30 percent, or more than seven days later, nothing has to be confirmed.
    let near = given_earlier("4.0", last_week, PATIENT).when(preliminary("5.2")).events();
    assert_eq!(recorded(&near).components[0].delta_percent, None);
    for taken_at in ["2026-11-16T08:59:59Z", "2026-11-23T09:00:01Z"] {
        assert!(given_earlier("4.0", taken_at, PATIENT).when(preliminary("5.3")).is_accepted(), "{taken_at}");
    }
    let below = json!([{"code": POTASSIUM, "value": "5.3", "comparator": ">"}]);
    assert!(given_earlier("4.0", last_week, PATIENT).when(with_values(below)).is_accepted());
}

#[test]
fn earlier_values_are_looked_up_only_for_exact_numbers() {
    let test = fold::<LabTest>(&[sample::<LabTest>("defined")]).unwrap();
    for (values, number) in [
        (json!([value(POTASSIUM, "5.3")]), 1),
        (json!([{"code": POTASSIUM, "value": "5.3", "comparator": ">"}]), 0),
        (json!([{"code": POTASSIUM, "text": "hemolyzed"}]), 0),
        (json!([{"code": SERUM, "text": "clear"}]), 0),
    ] {
        let given: Vec<ComponentValue> = serde_json::from_value(values.clone()).unwrap();
        let (of, taken_at) = ((PATIENT, &test.definition), crate::testing::now());
        let reads = reads_earlier(Reads::nothing(), of, &given, taken_at, &Found::default());
        let looked_at: Vec<_> = reads.owners.iter().filter(|it| !it.is_relied_on).map(|it| &it.key).collect();
        assert_eq!(looked_at.iter().filter(|it| ***it == key(PATIENT)).count(), number, "{values}");
        assert_eq!(looked_at.is_empty(), number == 0, "{values}");
    }
}

#[test]
fn earlier_values_of_a_merged_record_count() {
    let into = patient::Event::MergedInto { patient_id: OTHER_PATIENT, reason: crate::testing::samples::said("twice") };
    let survivor = sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": PATIENT, "brought": []}));
    let male = with(ann(), json!({"gender": "male"}));
    let merged = |earlier: Given<LabResult>| {
        earlier
            .and::<Patient>(PATIENT, [registered(), into.clone()])
            .and::<Patient>(OTHER_PATIENT, [registered_as(male.clone()), survivor.clone()])
    };
    let earlier = merged(given_earlier("4.0", "2026-11-22T09:00:00Z", OTHER_PATIENT));
    earlier.when(preliminary("5.3")).then_code("delta-exceeded");
    // Sex and age are those of the record that survives; the result stays with the record of the order.
    let values = json!([value(POTASSIUM, "4"), value(CREATININE, "1.2")]);
    let events = merged(given_result([], [placed(), collected()])).when(with_values(values)).events();
    let it = recorded(&events);
    assert_eq!((it.patient_id, it.components[1].flag), (PATIENT, Some(Flag::Normal)));
}
