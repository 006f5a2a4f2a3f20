//! Nothing is imported as the opposite of what the file says.

use hims_domain::consultation::Consultation;
use hims_domain::medical_history::MedicalHistory;
use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::prescription::Prescription;
use hims_domain::treatment::Treatment;

use super::*;

/// Imports one resource beside a patient, a practitioner and an encounter, and says why the resource was skipped.
async fn why(resource: Value) -> String {
    let hospital = Hospital::empty().await;
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    let summary = hospital.import_resources([patient(), practitioner(), encounter(), resource]).await;
    assert!(hospital.all::<Prescription>().await.is_empty());
    assert!(hospital.all::<Patient>().await.iter().all(|it| it.allergies.is_empty()));
    reasons(&summary, &kind).into_keys().collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn an_order_that_must_not_be_carried_out_is_no_prescription() {
    let modifier = json!([{ "url": "http://example.org/not", "valueBoolean": true }]);
    let bound = json!({ "value": 5, "unit": "mg", "comparator": "<" });
    for (change, reason) in [
        (json!({ "doNotPerform": true }), "asks that something is not done"),
        (json!({ "status": "on-hold" }), "is on hold"),
        (json!({ "status": "unknown" }), "its status is not known"),
        (json!({ "status": "entered-in-error" }), "entered in error"),
        (json!({ "intent": "plan" }), "has not happened"),
        (
            json!({ "dosageInstruction": [{ "doseAndRate": [{ "doseQuantity": bound }] }] }),
            "gives a bound and not an amount",
        ),
        (
            json!({ "modifierExtension": modifier }),
            "has a modifier extension or implicit rules, which may change its meaning",
        ),
        (
            json!({ "dosageInstruction": [{ "modifierExtension": modifier }] }),
            "has a modifier extension or implicit rules, which may change its meaning",
        ),
        (json!({ "context": {} }), "in the form of FHIR STU3; export it as FHIR R4"),
    ] {
        assert_eq!(why(but(request(), change.clone())).await, reason, "{change}");
    }
    assert_eq!(why(but(request(), json!({ "doNotPerform": false, "status": "on-hold" }))).await, "is on hold");
}

#[tokio::test]
async fn the_absence_of_an_allergy_is_no_allergy() {
    let snomed = |code: &str| json!({ "coding": [{ "system": "http://snomed.info/sct", "code": code }] });
    let ips = json!({ "coding": [{
        "system": "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "code": "no-allergy-info",
    }] });
    for code in [snomed("716186003"), snomed("409137002"), ips, json!({ "text": "No known drug allergies" })] {
        assert_eq!(
            why(but(allergy(), json!({ "code": code }))).await,
            "says that an allergy is absent or not known",
            "{code}"
        );
    }
    let refuted = json!({ "verificationStatus": { "coding": [{ "code": "refuted" }] } });
    assert_eq!(why(but(allergy(), refuted)).await, "entered in error");
    let refuted = json!({ "verificationStatus": { "text": "Refuted" } });
    assert_eq!(why(but(allergy(), refuted)).await, "entered in error");
    for element in ["clinicalStatus", "verificationStatus"] {
        let odd = json!({ element: { "coding": [{ "code": "never" }] } });
        assert_eq!(why(but(allergy(), odd)).await, "its status is not known", "{element}");
    }
}

/// A resource of each type that may say that there is nothing to record, with this concept. The resources are about the
/// patient and the encounter of the tests.
fn of_each_type(concept: &Value) -> Vec<Value> {
    let about = json!({ "reference": format!("Patient/{PATIENT}") });
    let all = [
        json!({ "resourceType": "Condition", "code": concept }),
        json!({ "resourceType": "Procedure", "status": "completed", "code": concept }),
        json!({
            "resourceType": "CarePlan", "status": "active", "intent": "plan",
            "activity": [{ "detail": { "status": "scheduled", "code": concept } }],
        }),
        json!({
            "resourceType": "Immunization", "status": "completed", "vaccineCode": concept, "patient": about,
            "occurrenceDateTime": "2011-09-11",
        }),
        json!({ "resourceType": "Medication", "code": concept }),
        but(request(), json!({ "medicationCodeableConcept": concept })),
        but(
            request(),
            json!({
                "medicationCodeableConcept": null, "medicationReference": { "reference": "#none" },
                "contained": [{ "resourceType": "Medication", "id": "none", "code": concept }],
            }),
        ),
    ];
    let encounter = json!({ "reference": format!("Encounter/{ENCOUNTER}") });
    all.map(|it| but(it, json!({ "id": "nothing", "subject": about, "encounter": encounter }))).into()
}

#[tokio::test]
async fn the_absence_of_anything_is_no_diagnosis_no_treatment_and_no_product() {
    const IPS: &str = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips";
    const SNOMED: &str = "http://snomed.info/sct";
    let why = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
    for (system, code) in [
        (IPS, "no-known-problems"),
        (IPS, "no-known-medications"),
        (IPS, "no-medication-info"),
        (SNOMED, "160245001"),
        (SNOMED, "787481004"),
        (why, "unknown"),
    ] {
        let concept = json!({ "coding": [{ "system": system, "code": code }], "text": "Nothing" });
        for resource in of_each_type(&concept) {
            let hospital = Hospital::empty().await;
            let kind = resource["resourceType"].as_str().unwrap().to_owned();
            let files = [patient(), practitioner(), encounter(), resource];
            let summary = hospital.import_resources(files).await;
            assert_eq!(summary.of(&kind).skipped, BTreeMap::from([(Reason::NothingKnown, 1)]), "{kind} {code}");
            assert!(hospital.only::<Consultation>().await.diagnoses.is_empty(), "{kind} {code}");
            let begun = [
                hospital.streams::<Treatment>().await,
                hospital.streams::<MedicalHistory>().await,
                hospital.streams::<Medication>().await,
                hospital.streams::<Prescription>().await,
            ];
            assert!(begun.iter().all(BTreeSet::is_empty), "{kind} {code}: {summary}");
        }
    }
}

#[tokio::test]
async fn a_code_that_only_says_that_no_other_code_fits_denies_nothing() {
    let other = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "OTH" });
    let unknown = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK" });
    let snomed = json!({ "system": "http://snomed.info/sct", "code": "10509002" });
    for codes in [json!([other]), json!([unknown, snomed])] {
        let concept = json!({ "coding": codes, "text": "Bronchoscopy" });
        let hospital = Hospital::empty().await;
        let mut files = vec![patient(), practitioner(), encounter()];
        files.extend(of_each_type(&concept).into_iter().filter(|it| it["resourceType"] == "Procedure"));
        let summary = hospital.import_resources(files).await;
        assert_eq!(summary.of("Procedure").imported, 1, "{codes}: {summary}");
    }
}

#[tokio::test]
async fn a_bound_or_a_value_of_somebody_else_is_no_measurement() {
    let weight = || observation("weight", "29463-7", 81.0, "kg");
    let bound = json!({ "valueQuantity": { "value": 150, "code": "kg", "comparator": ">" } });
    for (change, reason) in [
        (bound, "gives a bound and not an amount"),
        (
            json!({ "focus": [{ "reference": "Patient/fetus" }] }),
            "was observed of somebody or something else than the patient",
        ),
        (json!({ "status": "unknown" }), "its status is not known"),
        (json!({ "status": "registered" }), "has not happened"),
    ] {
        assert_eq!(why(but(weight(), change)).await, reason);
    }
}

#[tokio::test]
async fn a_record_that_was_replaced_and_an_animal_are_no_patients() {
    for (change, reason) in [
        (
            json!({ "active": false, "link": [{ "other": { "reference": "Patient/2" }, "type": "replaced-by" }] }),
            "was replaced by another record",
        ),
        (
            json!({ "link": [{ "other": { "reference": "Patient/2" }, "type": "replace" }] }),
            "was replaced by another record",
        ),
        (json!({ "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/patient-animal" }] }), "is an animal"),
    ] {
        let hospital = Hospital::empty().await;
        let summary = hospital.import_resources([but(patient(), change), allergy()]).await;
        assert_eq!(reasons(&summary, "Patient"), BTreeMap::from([(reason.to_owned(), 1)]));
        let without = BTreeMap::from([("names no patient who is in the record".to_owned(), 1)]);
        assert_eq!((summary.events, reasons(&summary, "AllergyIntolerance")), (0, without));
    }
}

/// A resource of each type with a status, which the record would take without the status.
fn with_status() -> Vec<Value> {
    let about = json!({ "reference": format!("Patient/{PATIENT}") });
    let snomed = json!({ "coding": [{ "system": "http://snomed.info/sct", "code": "10509002" }], "text": "It" });
    let loinc = json!({ "coding": [{ "system": "http://loinc.org", "code": "718-7" }] });
    let detail = json!({ "status": "scheduled", "code": snomed });
    let all = [
        json!({ "resourceType": "Procedure", "code": snomed }),
        json!({ "resourceType": "CarePlan", "intent": "plan", "activity": [{ "detail": detail }] }),
        json!({ "resourceType": "DiagnosticReport", "code": loinc, "category": [{ "coding": [{ "code": "LAB" }] }] }),
        json!({ "resourceType": "Immunization", "vaccineCode": snomed, "occurrenceDateTime": "2011-09-11" }),
        json!({ "resourceType": "Medication", "code": snomed }),
        observation("weight", "29463-7", 81.0, "kg"),
        request(),
        encounter(),
        super::money::claim("c"),
        json!({ "resourceType": "ExplanationOfBenefit", "use": "claim", "outcome": "complete" }),
    ];
    let encounter = json!({ "reference": format!("Encounter/{ENCOUNTER}") });
    all.map(|it| but(it, json!({ "id": "it", "subject": about, "patient": about, "encounter": encounter }))).into()
}

#[tokio::test]
async fn a_status_that_is_not_known_or_says_that_there_was_an_error_is_never_passed_over() {
    for (status, reason) in [("entered-in-error", "entered in error"), ("perhaps", "its status is not known")] {
        for resource in with_status() {
            assert_eq!(why(but(resource.clone(), json!({ "status": status }))).await, reason, "{resource}");
        }
    }
    // A status of its own, of an activity within a plan.
    for (status, reason) in [("entered-in-error", "entered in error"), ("unknown", "its status is not known")] {
        let plan = with_status().into_iter().find(|it| it["resourceType"] == "CarePlan").unwrap();
        let mut plan = but(plan, json!({ "status": "active" }));
        plan["activity"][0]["detail"]["status"] = json!(status);
        assert_eq!(why(plan).await, reason);
    }
}

#[tokio::test]
async fn a_deletion_deletes_nothing_and_imports_nothing() {
    let hospital = Hospital::empty().await;
    let entry = json!({ "request": { "method": "DELETE", "url": "Patient/1" }, "resource": patient() });
    let path = hospital.file("history.json", json!({ "resourceType": "Bundle", "entry": [entry] }).to_string());
    let summary = hospital.import(&[path]).await;
    assert_eq!((summary.events, summary.of("(deletion)").skipped()), (0, 1));
}
