//! Results of laboratories.

use hims_domain::lab_order::{LabOrder, Status};
use hims_domain::lab_result::{Comparator, Flag, LabResult, ResultStatus};
use hims_domain::lab_test::LabTest;
use rust_decimal::{Decimal, dec};

use super::*;

const POTASSIUM: &str = "2823-3";

fn concept(code: &str, words: &str) -> Value {
    json!({ "coding": [{ "system": "http://loinc.org", "code": code }], "text": words })
}

/// What a laboratory measured.
fn measured(id: &str, code: &str, value: f64, unit: &str) -> Value {
    let category = json!({ "category": [{ "coding": [{ "code": "laboratory" }] }], "code": concept(code, "Measured") });
    but(observation(id, code, value, unit), category)
}

fn report(results: &[&str]) -> Value {
    let results: Vec<_> = results.iter().map(|it| json!({ "reference": format!("Observation/{it}") })).collect();
    json!({
        "resourceType": "DiagnosticReport", "id": "panel", "status": "final",
        "category": [{ "coding": [{ "code": "LAB" }] }], "code": concept("51990-0", "Basic metabolic panel"),
        "subject": { "reference": format!("Patient/{PATIENT}") },
        "encounter": { "reference": format!("Encounter/{ENCOUNTER}") },
        "effectiveDateTime": "2011-09-11T21:30:00+00:00", "result": results,
    })
}

/// Imports resources beside a patient, a practitioner and an encounter.
async fn imported(hospital: &Hospital, resources: impl IntoIterator<Item = Value>) -> Summary {
    let all = [patient(), practitioner(), encounter()].into_iter().chain(resources);
    hospital.import_resources(all.collect::<Vec<_>>()).await
}

/// Defines the test of potassium in the catalogue.
async fn define(hospital: &Hospital) {
    let component = json!({
        "code": POTASSIUM, "name": "Potassium", "value_type": "numeric", "unit": "mmol/L", "possible_low": "0",
        "ranges": [{ "sex": "any", "age_from_days": 0, "low": "3.5", "high": "5.1", "critical_high": "6.2" }],
    });
    let test = json!({ "code": POTASSIUM, "name": "Potassium", "components": [component] });
    let define: hims_commands::lab_test::DefineLabTest = serde_json::from_value(test).unwrap();
    hospital.executor.execute(define, Request::of(Caller::system("test"))).await.unwrap();
}

#[tokio::test]
async fn a_report_and_what_stands_alone_are_items_of_one_order() {
    let hospital = Hospital::empty().await;
    let resources = || {
        [
            report(&["sodium", "calcium"]),
            measured("sodium", "2951-2", 140.0, "mmol/L"),
            measured("calcium", "49765-1", 9.123_456_789, "mg/dL"),
            measured("potassium", POTASSIUM, 4.1, "mmol/L"),
        ]
    };
    let summary = imported(&hospital, resources()).await;
    assert_eq!((summary.of("Observation").imported, summary.of("DiagnosticReport").imported), (3, 1), "{summary}");
    assert_eq!((summary.begun["lab_order"], summary.begun["lab_result"], summary.begun["lab_test"]), (1, 2, 2));
    let order: LabOrder = hospital.only().await;
    assert_eq!((order.status, order.items.len(), order.consultation_id.is_some()), (Status::Completed, 2, true));
    let results = hospital.all::<LabResult>().await;
    let values = results.iter().flat_map(|it| &it.revision.components).filter_map(|it| Some(it.value?.number()));
    assert_eq!(values.collect::<BTreeSet<Decimal>>(), BTreeSet::from([dec!(4.1), dec!(9.123457), dec!(140)]));
    let again = imported(&hospital, resources()).await;
    assert_eq!((again.events, again.of("Observation").already_there), (0, 3));
}

#[tokio::test]
async fn a_value_has_the_flag_that_the_catalogue_gives_and_raises_no_alarm() {
    let hospital = Hospital::empty().await;
    define(&hospital).await;
    imported(&hospital, [measured("potassium", POTASSIUM, 6.9, "mmol/L")]).await;
    let result: LabResult = hospital.only().await;
    assert_eq!((result.revision.components[0].flag, result.alarm), (Some(Flag::CriticalHigh), None));
}

#[tokio::test]
async fn a_bound_and_a_text_are_kept_as_they_are() {
    let hospital = Hospital::empty().await;
    let quantity = json!({ "valueQuantity": { "value": 5, "comparator": "<", "code": "ng/mL" } });
    let bound = but(measured("troponin", "6598-7", 0.0, ""), quantity);
    imported(&hospital, [bound]).await;
    let result: LabResult = hospital.only().await;
    assert_eq!(result.revision.components[0].comparator, Some(Comparator::Below));
    let hospital = Hospital::empty().await;
    let culture =
        but(measured("culture", "600-7", 0.0, ""), json!({ "valueQuantity": null, "valueString": "E. coli" }));
    imported(&hospital, [culture]).await;
    let result: LabResult = hospital.only().await;
    assert_eq!(result.revision.components[0].text.as_ref().unwrap().known().unwrap().as_str(), "E. coli");
}

#[tokio::test]
async fn what_does_not_fit_the_catalogue_is_skipped_and_the_rest_is_ordered() {
    let hospital = Hospital::empty().await;
    define(&hospital).await;
    let resources = || {
        [
            measured("sodium", "2951-2", 140.0, "mmol/L"),
            measured("potassium", POTASSIUM, 4.1, "meq/L"),
            but(report(&["magnesium"]), json!({ "code": concept(POTASSIUM, "Potassium") })),
            measured("magnesium", "19123-9", 2.0, "mg/dL"),
        ]
    };
    let summary = imported(&hospital, resources()).await;
    let expected = [("in a unit that is not known", 1), ("refused by a rule of the record: unknown-component", 1)];
    assert_eq!(reasons(&summary, "Observation"), expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!(hospital.only::<LabOrder>().await.items.len(), 1);
    assert_eq!(imported(&hospital, resources()).await.events, 0, "a second run adds nothing");
}

#[tokio::test]
async fn no_order_waits_for_a_result_that_the_record_refuses() {
    let hospital = Hospital::empty().await;
    define(&hospital).await;
    let resources = || [measured("potassium", POTASSIUM, -1.0, "mmol/L")];
    let summary = imported(&hospital, resources()).await;
    assert_eq!(reasons(&summary, "Observation")["refused by a rule of the record: impossible-value"], 1, "{summary}");
    assert_eq!(hospital.only::<LabOrder>().await.status, Status::Cancelled);
    assert!(hospital.all::<LabResult>().await.is_empty());
    let again = imported(&hospital, resources()).await;
    assert_eq!(again.events, 0, "{again}");
}

#[tokio::test]
async fn a_preliminary_report_becomes_final() {
    let hospital = Hospital::empty().await;
    let sodium = || measured("sodium", "2951-2", 140.0, "mmol/L");
    imported(&hospital, [but(report(&["sodium"]), json!({ "status": "preliminary" })), sodium()]).await;
    assert_eq!(hospital.only::<LabResult>().await.result_status, ResultStatus::Preliminary);
    imported(&hospital, [report(&["sodium"]), sodium()]).await;
    assert_eq!(hospital.only::<LabResult>().await.result_status, ResultStatus::Final);
    assert_eq!(hospital.only::<LabOrder>().await.status, Status::Completed);
}

#[tokio::test]
async fn reports_that_say_no_values_of_the_patient_are_skipped() {
    let sodium = || measured("sodium", "2951-2", 140.0, "mmol/L");
    for (changes, reason) in [
        (json!({ "status": "entered-in-error" }), "entered in error"),
        (json!({ "status": "registered" }), "has not happened"),
        (json!({ "result": [] }), "holds no value"),
        (json!({ "effectiveDateTime": "2031-01-01" }), "lies in the future"),
        (json!({ "effectiveDateTime": null }), "has no time"),
        (json!({ "subject": {} }), "names no patient who is in the record"),
        (json!({ "code": { "text": "Blood" } }), "has no code of the code system that the record needs"),
    ] {
        let hospital = Hospital::empty().await;
        let summary = imported(&hospital, [but(report(&["sodium"]), changes.clone()), sodium()]).await;
        assert_eq!(reasons(&summary, "DiagnosticReport").into_keys().collect::<Vec<_>>(), [reason], "{changes}");
        assert!(hospital.all::<LabTest>().await.len() <= 1);
    }
}
