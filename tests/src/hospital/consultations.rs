//! Consultations: steps, symptoms, diagnoses, signature and amendments, and the treatments that follow.

use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{DOCTOR, patient, user};
use super::{Client, Hospital, Start};

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0xc0_0000 + number)
}

/// The ids of the steps of a consultation, in their order.
async fn steps_of(doctor: &Client, consultation_id: &str) -> Vec<String> {
    let path = format!("consultation-steps?consultation_id={consultation_id}");
    let mut steps = doctor.items(&path).await;
    steps.sort_by_key(|it| it["step_number"].as_i64());
    steps.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

fn diagnosis(consultation_id: &str, number: u128, code: &str) -> Value {
    json!({"consultation_id": consultation_id, "diagnosis_id": id(number), "code": code,
           "description": "Acute bronchitis", "diagnosis_type": "final"})
}

/// Carries out every command on the parts of a consultation, and on treatments.
pub(crate) async fn every_part(doctor: &Client, patient_id: &str) {
    let started = json!({"patient_id": patient_id, "workflow_type": "adaptive", "confirm_another": true,
                         "steps": ["triage", "examination", "checkout"]});
    let consultation_id = doctor.did("start-consultation", started).await;
    let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
    let steps = steps_of(doctor, &consultation_id).await;
    let added = json!({"step_id": id(1), "step_type": "custom", "title": "Peak flow", "after": steps[0]});
    doctor.did("add-consultation-step", of(added)).await;
    doctor.did("start-consultation-step", of(json!({"step_id": steps[0]}))).await;
    let collected = json!({"step_id": steps[0], "data": {"arrival": "on foot"}});
    doctor.did("complete-consultation-step", of(collected)).await;
    for step in [&id(1).to_string(), &steps[1], &steps[2]] {
        doctor.did("skip-consultation-step", of(json!({"step_id": step, "reason": "in a hurry"}))).await;
    }
    let cough = json!({"symptom_id": id(2), "name": "Cough", "severity": "moderate", "duration_value": 2,
                       "duration_unit": "wk", "code_system": "http://snomed.info/sct", "code": "49727002"});
    doctor.did("record-symptom", of(cough)).await;
    doctor.did("retract-symptom", of(json!({"symptom_id": id(2), "reason": "of another patient"}))).await;
    doctor.did("record-diagnosis", diagnosis(&consultation_id, 3, "j209")).await;
    let first = hims_testing::patched(diagnosis(&consultation_id, 4, "J45.909"), json!({"rank": 1}));
    doctor.did("record-diagnosis", first).await;
    doctor.did("complete-consultation", of(json!({}))).await;
    doctor.did("sign-consultation", of(json!({}))).await;
    let amended = json!({"reason": "the plan was missing", "findings": {"plan": "Rest"}});
    doctor.did("amend-consultation", of(amended)).await;
    let confirmed = json!({"diagnosis_id": id(3), "verification_status": "confirmed", "reason": "the culture is back"});
    doctor.did("change-diagnosis", of(confirmed)).await;
    let planned = json!({"treatment_type": "therapy", "description": "Physiotherapy", "diagnosis_id": id(3)});
    for ends in ["complete-treatment", "stop-treatment", "mark-treatment-not-done"] {
        let treatment_id = doctor.did("plan-treatment", of(planned.clone())).await;
        let treatment = json!({ "treatment_id": treatment_id });
        let reasoned = json!({"treatment_id": treatment_id, "reason": "tested"});
        if ends != "mark-treatment-not-done" {
            doctor.did("start-treatment", treatment.clone()).await;
            doctor.did("hold-treatment", treatment.clone()).await;
            doctor.did("resume-treatment", treatment.clone()).await;
        }
        doctor.did(ends, if ends == "complete-treatment" { treatment } else { reasoned.clone() }).await;
        if ends == "mark-treatment-not-done" {
            doctor.did("mark-treatment-entered-in-error", reasoned).await;
        }
    }
}

#[tokio::test]
async fn a_consultation_is_signed_amended_and_signed_again() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let consultation_id = doctor.did("start-consultation", json!({"patient_id": patient(1)})).await;
    let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
    doctor.did("record-findings", of(json!({"assessment": "Bronchitis", "plan": "Rest"}))).await;
    doctor.command("sign-consultation", of(json!({}))).await.problem(409, "not-completed");
    doctor.did("complete-consultation", of(json!({}))).await;
    doctor.did("sign-consultation", of(json!({}))).await;
    let row = doctor.row("consultations", &consultation_id).await;
    assert_eq!(row["signed_by"], user(DOCTOR));
    assert!(row["signed_at"].is_string());
    // Nothing new names a consultation that is signed.
    let measured = json!({"patient_id": patient(1), "heart_rate": 70, "consultation_id": consultation_id});
    doctor.command("record-vital-signs", measured).await.problem(409, "signed");
    let diagnosis = diagnosis(&consultation_id, 1, "J20.9");
    doctor.command("record-diagnosis", diagnosis.clone()).await.problem(409, "signed");
    let amended = json!({"reason": "two words were missing", "findings": {"plan": "Rest and tea"}});
    doctor.did("amend-consultation", of(amended)).await;
    let row = doctor.row("consultations", &consultation_id).await;
    assert_eq!(
        (&row["plan"], &row["signed_at"], &row["signed_by"]),
        (&json!("Rest and tea"), &Value::Null, &Value::Null)
    );
    let amendments = doctor.items(&format!("consultation-amendments?consultation_id={consultation_id}")).await;
    assert_eq!(amendments[0]["changes"], json!({"plan": {"old": "Rest", "new": "Rest and tea"}}));
    assert_eq!((&amendments[0]["number"], &amendments[0]["amended_by"]), (&json!(1), &json!(user(DOCTOR))));
    doctor.did("record-diagnosis", diagnosis).await;
    doctor.did("sign-consultation", of(json!({}))).await;
    assert!(doctor.row("consultations", &consultation_id).await["signed_at"].is_string());
    // What the condition does later is no amendment, and the signature stays.
    let resolved = json!({"diagnosis_id": id(1), "clinical_status": "resolved"});
    doctor.did("change-diagnosis", of(resolved)).await;
    assert!(doctor.row("consultations", &consultation_id).await["signed_at"].is_string());
}

#[tokio::test]
async fn a_nurse_completes_the_triage_while_the_doctor_records_findings() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    for start in Start::rounds(2) {
        let started = json!({"patient_id": patient(1), "steps": ["triage", "vitals", "examination"]});
        let consultation_id = doctor.did("start-consultation", started).await;
        let steps = steps_of(&doctor, &consultation_id).await;
        let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
        let completed = |step| nurse.command("complete-consultation-step", of(json!({ "step_id": step })));
        let plans = (0..5).map(|nth| doctor.command("record-findings", of(json!({"plan": format!("Plan {nth}")}))));
        let answers = start.race(steps.iter().map(completed).chain(plans)).await;
        assert!(answers.iter().all(|it| it.status == 200), "{start:?}: {answers:?}");
        doctor.did("complete-consultation", of(json!({}))).await;
    }
}

#[tokio::test]
async fn two_diagnoses_of_one_rank_that_come_at_once_get_a_rank_each() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    for (round, start) in (0..).zip(Start::rounds(2)) {
        let consultation_id = doctor.did("start-consultation", json!({"patient_id": patient(1)})).await;
        let codes = ["J20.9", "J45.909", "R05.1", "R06.2"];
        let first = codes.iter().zip(1 + 4 * round..).map(|(code, number)| {
            let ranked = hims_testing::patched(diagnosis(&consultation_id, number, code), json!({"rank": 1}));
            doctor.command("record-diagnosis", ranked)
        });
        let answers = start.race(first).await;
        assert!(answers.iter().all(|it| it.status == 200), "{start:?}: {answers:?}");
        hospital.settle().await;
        let rows = doctor.items(&format!("diagnoses?consultation_id={consultation_id}")).await;
        let mut ranks: Vec<_> = rows.iter().filter_map(|it| it["rank"].as_i64()).collect();
        ranks.sort_unstable();
        assert_eq!(ranks, [1, 2, 3, 4]);
        doctor.did("complete-consultation", json!({"consultation_id": consultation_id})).await;
    }
}

#[tokio::test]
async fn a_patient_reads_everything_but_what_was_entered_in_error() {
    let hospital = Hospital::start().await;
    let (doctor, own) = (hospital.login("doctor").await, hospital.login("patient").await);
    let consultation_id = doctor.did("start-consultation", json!({"patient_id": patient(1)})).await;
    let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
    for number in [1, 2] {
        doctor.did("record-symptom", of(json!({"symptom_id": id(number), "name": "Cough"}))).await;
    }
    doctor.did("record-diagnosis", diagnosis(&consultation_id, 3, "J20.9")).await;
    doctor.did("record-diagnosis", diagnosis(&consultation_id, 4, "J45.909")).await;
    let planned = of(json!({"treatment_type": "diet", "description": "Less salt"}));
    let kept = doctor.did("plan-treatment", planned.clone()).await;
    let wrong = doctor.did("plan-treatment", planned).await;
    doctor.did("retract-symptom", of(json!({"symptom_id": id(2), "reason": "of another patient"}))).await;
    let in_error = json!({"diagnosis_id": id(4), "verification_status": "entered_in_error"});
    doctor.did("change-diagnosis", of(in_error)).await;
    let in_error = json!({"treatment_id": wrong, "reason": "of another patient"});
    doctor.did("mark-treatment-entered-in-error", in_error).await;
    hospital.settle().await;
    for (table, seen) in [("symptoms", id(1)), ("diagnoses", id(3)), ("treatments", kept.parse().expect("an id"))] {
        let path = format!("{table}?consultation_id={consultation_id}");
        assert_eq!(doctor.items(&path).await.len(), 2, "{table}");
        let own: Vec<_> = own.items(&path).await.into_iter().map(|it| it["id"].clone()).collect();
        assert_eq!(own, [json!(seen)], "{table}");
    }
}

#[tokio::test]
async fn a_referral_is_completed_long_after_the_visit_was_signed() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let consultation_id = doctor.did("start-consultation", json!({"patient_id": patient(1)})).await;
    let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
    let planned = of(json!({"treatment_type": "referral", "description": "To the lung specialist"}));
    let treatment_id = doctor.did("plan-treatment", planned.clone()).await;
    doctor.did("complete-consultation", of(json!({}))).await;
    doctor.did("sign-consultation", of(json!({}))).await;
    doctor.command("plan-treatment", planned).await.problem(409, "signed");
    let completed = json!({"treatment_id": treatment_id, "outcome": "No asthma"});
    doctor.did("complete-treatment", completed).await;
    let row = doctor.row("treatments", &treatment_id).await;
    assert_eq!((&row["status"], &row["outcome"]), (&json!("completed"), &json!("No asthma")));
}

#[tokio::test]
async fn steps_are_fixed_in_a_standard_workflow_and_skipped_with_a_reason() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let started = json!({"patient_id": patient(1), "steps": ["triage", "checkout"], "confirm_another": true});
    let consultation_id = doctor.did("start-consultation", started).await;
    let steps = steps_of(&doctor, &consultation_id).await;
    let of = |more: Value| hims_testing::patched(json!({ "consultation_id": consultation_id }), more);
    let added = of(json!({"step_type": "custom", "title": "Peak flow"}));
    doctor.command("add-consultation-step", added).await.problem(409, "fixed-workflow");
    let skip = |more: Value| hims_testing::patched(of(json!({"step_id": steps[0]})), more);
    doctor.command("skip-consultation-step", skip(json!({}))).await.problem_at(400, "malformed-request", "/reason");
    let blank = skip(json!({"reason": " "}));
    doctor.command("skip-consultation-step", blank).await.problem_at(422, "invalid-fields", "/reason");
    doctor.did("skip-consultation-step", skip(json!({"reason": "came by ambulance"}))).await;
    assert_eq!(doctor.row("consultation-steps", &steps[0]).await["status"], "skipped");
    assert_eq!(doctor.row("consultation-steps", &steps[1]).await["status"], "pending");
}
