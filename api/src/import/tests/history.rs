use hims_domain::medical_history::{Entry, HistoryType, MedicalHistory, OnsetPrecision, Source};
use hims_domain::values::coding::{CVX, LOINC, SNOMED_CT};

use super::*;

const IMMUNIZATION: &str = "00000000-0000-4000-8000-00000000000a";

fn about_patient() -> Value {
    json!({ "reference": format!("Patient/{PATIENT}") })
}

fn influenza() -> Value {
    json!({
        "resourceType": "Immunization", "id": IMMUNIZATION, "status": "completed", "patient": about_patient(),
        "vaccineCode": { "coding": [{ "system": CVX, "code": "140" }], "text": "Influenza vaccine" },
        "occurrenceDateTime": "2025-10-03T23:30:00-04:00", "lotNumber": "FL-7",
        "protocolApplied": [{ "doseNumberPositiveInt": 2 }], "note": [{ "text": "no reaction" }],
    })
}

fn smoker() -> Value {
    json!({
        "resourceType": "Observation", "id": IMMUNIZATION, "status": "final", "subject": about_patient(),
        "code": { "coding": [{ "system": LOINC, "code": "72166-2" }], "text": "Tobacco smoking status" },
        "effectiveDateTime": "2025-10-03T09:00:00Z",
        "valueCodeableConcept": { "coding": [{ "system": SNOMED_CT, "code": "8517006" }], "text": "Former smoker" },
    })
}

async fn imported(resource: Value) -> (Summary, Entry) {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([patient(), resource]).await;
    (summary, hospital.only::<MedicalHistory>().await.entry)
}

async fn why(resource: Value) -> Vec<String> {
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    let summary = Hospital::empty().await.import_resources([patient(), resource]).await;
    reasons(&summary, &kind).into_keys().collect()
}

#[tokio::test]
async fn an_immunization_becomes_an_entry_of_the_medical_history() {
    let (summary, entry) = imported(influenza()).await;
    assert_eq!((summary.of("Immunization").imported, summary.left_out.len()), (1, 0), "{:?}", summary.left_out);
    assert_eq!(
        (entry.history_type, entry.source, entry.dose_number),
        (HistoryType::Immunization, Source::Import, Some(2))
    );
    assert_eq!(entry.code.unwrap().as_str(), "140");
    assert_eq!(entry.lot_number.unwrap().as_str(), "FL-7");
    // The day is the day on which it was given where it was given.
    assert_eq!(entry.onset_date.unwrap().known().unwrap().as_str(), "2025-10-03");
    assert_eq!(entry.onset_precision, Some(OnsetPrecision::Day));
    assert_eq!(entry.notes.unwrap().known().unwrap().as_str(), "no reaction");
}

#[tokio::test]
async fn what_has_no_place_in_an_entry_is_named() {
    let codes = json!({ "coding": [{ "system": CVX, "code": "flu" }, { "code": "x" }], "text": "Influenza vaccine" });
    let (summary, entry) = imported(but(influenza(), json!({ "vaccineCode": codes, "primarySource": true }))).await;
    assert_eq!((entry.code_system, entry.code), (None, None));
    assert_eq!(summary.left_out["Immunization.vaccineCode.coding"], 2);
    assert_eq!(summary.left_out["Immunization.primarySource"], 1);
    let (_, entry) = imported(but(influenza(), json!({ "isSubpotent": true }))).await;
    assert_eq!(entry.notes.unwrap().known().unwrap().as_str(), "no reaction; the dose was subpotent");
}

#[tokio::test]
async fn what_was_not_given_is_no_immunization() {
    for (changes, reason) in [
        (json!({ "status": "not-done" }), "has not happened"),
        (json!({ "status": "entered-in-error" }), "entered in error"),
        (json!({ "status": "perhaps" }), "its status is not known"),
        (json!({ "occurrenceDateTime": null }), "has no time"),
        (json!({ "vaccineCode": {} }), "has no name"),
        (json!({ "occurrenceDateTime": "2027-01-01" }), "lies in the future"),
        (json!({ "patient": { "reference": "Patient/other" } }), "names no patient who is in the record"),
    ] {
        assert_eq!(why(but(influenza(), changes)).await, [reason]);
    }
}

#[tokio::test]
async fn a_tobacco_status_becomes_an_entry_of_the_social_history() {
    let (summary, entry) = imported(smoker()).await;
    assert_eq!(summary.of("Observation").imported, 1);
    assert_eq!(summary.left_out["Observation.valueCodeableConcept.coding"], 1);
    assert_eq!((entry.history_type, entry.code.unwrap().as_str()), (HistoryType::Social, "72166-2"));
    assert_eq!(entry.description.known().unwrap().as_str(), "Tobacco smoking status: Former smoker");
    assert_eq!(why(but(smoker(), json!({ "valueCodeableConcept": null }))).await, ["holds no value"]);
    assert_eq!(why(but(smoker(), json!({ "status": "cancelled" }))).await, ["has not happened"]);
}

#[tokio::test]
async fn a_second_run_adds_no_entry_and_nothing_to_somebody_else() {
    let hospital = Hospital::empty().await;
    hospital.import_resources([patient(), influenza()]).await;
    let again = hospital.import_resources([patient(), influenza()]).await;
    assert_eq!((again.of("Immunization").already_there, again.events), (1, 0));
    let other = "00000000-0000-4000-8000-0000000000ff";
    let somebody = but(patient(), json!({ "id": other, "name": [{ "family": "Other" }], "birthDate": "1950-01-01" }));
    let of_other = but(influenza(), json!({ "patient": { "reference": format!("Patient/{other}") } }));
    let summary = hospital.import_resources([somebody, of_other]).await;
    assert_eq!(summary.of("Immunization").skipped.keys().copied().collect::<Vec<_>>(), [Reason::OtherRecord]);
}
