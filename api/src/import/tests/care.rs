//! Diagnoses and treatments.

use hims_domain::consultation::{ClinicalStatus, Consultation, VerificationStatus};
use hims_domain::treatment::{Status, Treatment, TreatmentType};
use hims_domain::values::coding::{ICD_10_CM, SNOMED_CT};

use super::*;

const CONDITION: &str = "00000000-0000-4000-8000-000000000005";

fn code(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }], "text": "Bronchitis" })
}

fn about() -> Value {
    json!({
        "subject": { "reference": format!("Patient/{PATIENT}") },
        "encounter": { "reference": format!("Encounter/{ENCOUNTER}") },
    })
}

fn condition() -> Value {
    but(
        json!({
            "resourceType": "Condition", "id": CONDITION, "code": code(SNOMED_CT, "10509002"),
            "clinicalStatus": { "coding": [{ "code": "active" }] },
            "verificationStatus": { "coding": [{ "code": "confirmed" }] },
            "onsetDateTime": "2011-09-01T23:00:00-04:00",
        }),
        about(),
    )
}

fn procedure() -> Value {
    but(
        json!({
            "resourceType": "Procedure", "id": "spirometry", "status": "completed",
            "code": code(SNOMED_CT, "127783003"),
            "performedPeriod": { "start": "2011-09-11T21:10:00Z", "end": "2011-09-11T21:20:00Z" },
            "reasonReference": [{ "reference": format!("Condition/{CONDITION}") }],
        }),
        about(),
    )
}

fn care_plan(status: &str) -> Value {
    let detail = json!({ "code": code(SNOMED_CT, "304510005"), "status": status });
    but(
        json!({
            "resourceType": "CarePlan", "id": "plan", "status": "active", "intent": "order",
            "category": [code(SNOMED_CT, "53950000")], "period": { "start": "2011-09-11", "end": "2011-12-01" },
            "activity": [{ "detail": detail }],
        }),
        about(),
    )
}

async fn imported(hospital: &Hospital, resources: impl IntoIterator<Item = Value>) -> Summary {
    let all = [patient(), practitioner(), encounter()].into_iter().chain(resources);
    hospital.import_resources(all.collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_condition_becomes_a_diagnosis_and_ends_when_the_file_says_so() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, [condition()]).await;
    assert_eq!(summary.of("Condition").imported, 1, "{summary}");
    let consultation: Consultation = hospital.only().await;
    let diagnosis = &consultation.diagnoses.values().next().unwrap().diagnosis;
    let status = (diagnosis.clinical_status, diagnosis.verification_status);
    assert_eq!(status, (Some(ClinicalStatus::Active), VerificationStatus::Confirmed));
    // The day is the day where it was written down.
    assert_eq!(diagnosis.onset_date.as_ref().unwrap().known().unwrap().to_string(), "2011-09-01");
    let ended = || {
        let status = json!({ "coding": [{ "code": "resolved" }] });
        but(condition(), json!({ "clinicalStatus": status, "abatementDateTime": "2011-10-05" }))
    };
    imported(&hospital, [ended()]).await;
    let consultation: Consultation = hospital.only().await;
    let diagnosis = &consultation.diagnoses.values().next().unwrap().diagnosis;
    assert_eq!(diagnosis.clinical_status, Some(ClinicalStatus::Resolved));
    assert_eq!(diagnosis.abatement_date.as_ref().unwrap().known().unwrap().to_string(), "2011-10-05");
    assert_eq!(imported(&hospital, [ended()]).await.events, 0);
}

#[tokio::test]
async fn conditions_that_are_no_diagnosis_of_a_visit_are_skipped() {
    for (changes, reason) in [
        (json!({ "encounter": {} }), "names no encounter that is in the record"),
        (json!({ "code": { "text": "cough" } }), "has no code of the code system that the record needs"),
        (json!({ "code": code(ICD_10_CM, "cough") }), "refused by a rule of the record: malformed-code"),
        (json!({ "verificationStatus": { "coding": [{ "code": "entered-in-error" }] } }), "entered in error"),
        (json!({ "clinicalStatus": { "coding": [{ "code": "perhaps" }] } }), "its status is not known"),
        (json!({ "subject": {} }), "names no patient who is in the record"),
    ] {
        let summary = imported(&Hospital::empty().await, [but(condition(), changes.clone())]).await;
        assert_eq!(reasons(&summary, "Condition").into_keys().collect::<Vec<_>>(), [reason], "{changes}");
    }
}

#[tokio::test]
async fn a_procedure_is_a_treatment_of_its_diagnosis() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, [procedure(), condition()]).await;
    assert_eq!((summary.of("Procedure").imported, summary.left_out.get("Procedure.reasonReference")), (1, None));
    let treatment: Treatment = hospital.only().await;
    assert_eq!((treatment.treatment_type, treatment.status), (TreatmentType::Procedure, Status::Completed));
    let times: Vec<_> = hospital.events().await;
    let times =
        times.iter().filter(|it| it.stream_type == "treatment").map(|it| it.circumstances().unwrap().occurred_at);
    assert_eq!(times.collect::<Vec<_>>(), [at("2011-09-11T21:10:00Z"), at("2011-09-11T21:20:00Z")]);
    assert_eq!(imported(&hospital, [procedure(), condition()]).await.events, 0);
}

#[tokio::test]
async fn a_reason_that_is_not_in_the_record_is_left_out() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, [procedure()]).await;
    assert_eq!((summary.of("Procedure").imported, summary.left_out["Procedure.reasonReference"]), (1, 1));
}

#[tokio::test]
async fn an_activity_has_the_status_of_the_plan() {
    for (told, status) in [
        ("scheduled", Status::Planned),
        ("in-progress", Status::InProgress),
        ("on-hold", Status::OnHold),
        ("completed", Status::Completed),
        ("stopped", Status::Stopped),
        ("cancelled", Status::NotDone),
    ] {
        let hospital = Hospital::empty().await;
        let summary = imported(&hospital, [care_plan(told)]).await;
        assert_eq!(summary.of("CarePlan").imported, 1, "{summary}");
        assert_eq!(hospital.only::<Treatment>().await.status, status, "{told}");
        assert_eq!(imported(&hospital, [care_plan(told)]).await.events, 0, "{told}");
    }
    let hospital = Hospital::empty().await;
    imported(&hospital, [care_plan("in-progress")]).await;
    imported(&hospital, [care_plan("completed")]).await;
    assert_eq!(hospital.only::<Treatment>().await.status, Status::Completed, "it ended since the first import");
}

#[tokio::test]
async fn an_activity_that_must_not_be_done_is_no_treatment() {
    let activity = |code_of: &str, changes: Value| {
        let detail = json!({ "code": code(SNOMED_CT, code_of), "status": "scheduled" });
        json!({ "detail": but(detail, changes) })
    };
    for (element, value) in [("doNotPerform", true), ("prohibited", true), ("doNotPerform", false)] {
        let forbidden = activity("304510005", json!({ element: value }));
        let reasons_of = |summary: &Summary, kind: &str| reasons(summary, kind).into_iter().collect::<Vec<_>>();
        let expected = if value { vec![("asks that something is not done".to_owned(), 1)] } else { Vec::new() };
        let hospital = Hospital::empty().await;
        let alone = but(care_plan("scheduled"), json!({ "activity": [forbidden] }));
        let summary = imported(&hospital, [alone]).await;
        assert_eq!(reasons_of(&summary, "CarePlan"), expected, "{element}: {value}");
        assert_eq!(hospital.all::<Treatment>().await.len(), usize::from(!value), "{element}: {value}");

        let hospital = Hospital::empty().await;
        let both = [forbidden, activity("229070002", json!({}))];
        let beside = || [but(care_plan("scheduled"), json!({ "activity": both }))];
        let summary = imported(&hospital, beside()).await;
        assert_eq!(summary.of("CarePlan").imported, 1, "{summary}");
        assert_eq!(reasons_of(&summary, "CarePlan.activity"), expected, "{element}: {value}");
        let codes: Vec<_> = hospital.all::<Treatment>().await.into_iter().filter_map(|it| it.code).collect();
        assert_eq!(codes.iter().any(|it| it.as_str() == "304510005"), !value, "{element}: {value}");
        assert!(codes.iter().any(|it| it.as_str() == "229070002"), "the other activity is planned");
        let again = imported(&hospital, beside()).await;
        assert_eq!((again.events, reasons_of(&again, "CarePlan.activity")), (0, expected), "{element}: {value}");
    }
}

#[tokio::test]
async fn a_procedure_that_was_not_done_is_no_treatment_in_whatever_version_it_is_told() {
    for (changes, reason) in [
        (json!({ "notDone": true }), "in the form of FHIR STU3; export it as FHIR R4"),
        (json!({ "notPerformed": true }), "in the form of FHIR DSTU2; export it as FHIR R4"),
    ] {
        let hospital = Hospital::empty().await;
        let summary = imported(&hospital, [but(procedure(), changes.clone())]).await;
        assert_eq!(reasons(&summary, "Procedure").into_keys().collect::<Vec<_>>(), [reason], "{changes}");
        assert!(hospital.all::<Treatment>().await.is_empty());
    }
}

#[tokio::test]
async fn plans_that_nobody_carries_out_are_skipped() {
    for (changes, reason) in [
        (json!({ "status": "entered-in-error" }), "entered in error"),
        (json!({ "intent": "proposal" }), "has not happened"),
        (json!({ "status": "perhaps" }), "its status is not known"),
        (json!({ "encounter": {} }), "names no encounter that is in the record"),
        (json!({ "activity": [] }), "not part of the record yet"),
    ] {
        let summary = imported(&Hospital::empty().await, [but(care_plan("completed"), changes.clone())]).await;
        assert_eq!(reasons(&summary, "CarePlan").into_keys().collect::<Vec<_>>(), [reason], "{changes}");
    }
}

#[tokio::test]
async fn a_death_is_recorded_last_and_once() {
    let hospital = Hospital::empty().await;
    let died = || but(patient(), json!({ "deceasedDateTime": "2011-09-12T03:00:00Z" }));
    let all = || [died(), practitioner(), encounter(), request()];
    let summary = hospital.import_resources(all()).await;
    assert_eq!(summary.of("MedicationRequest").imported, 1, "{summary}");
    let patient: hims_domain::patient::Patient = hospital.only().await;
    assert_eq!(*patient.death.unwrap().deceased_at.known().unwrap(), at("2011-09-12T03:00:00Z"));
    assert_eq!(hospital.import_resources(all()).await.events, 0);
    let hospital = Hospital::empty().await;
    let ahead = but(super::patient(), json!({ "deceasedDateTime": "2031-09-12" }));
    let summary = hospital.import_resources([ahead]).await;
    assert_eq!(summary.left_out["Patient.deceased[x]"], 1);
}
