//! Disclosures: who records them, and the account of them that the patient gets.

use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{at, patient};
use super::reports::{file, run};
use super::{Client, Hospital};

/// The body of `record-disclosure`.
pub(super) fn disclosure(patient_id: &str) -> Value {
    json!({"patient_id": patient_id, "disclosed_at": at(-3, 0), "recipient_name": "Sheriff of Quillfeather County",
           "recipient_address": "2 Mill Lane", "description": "The days of the visits in October",
           "purpose": "law_enforcement", "statement": "a warrant of 12 October"})
}

/// The rows of the account of disclosures of a patient.
async fn account(client: &Client, patient_id: &str) -> Vec<Value> {
    let asked = json!({"report_code": "disclosures", "format": "json", "parameters": {"patient": patient_id}});
    let execution = run(client, asked).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    file(client, &execution).await.json()["rows"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn the_patient_gets_an_account_of_six_years_of_what_was_disclosed() {
    let hospital = Hospital::start().await;
    let (officer, paula) = (hospital.login("privacy").await, hospital.login("patient").await);
    let recorded = officer.did("record-disclosure", disclosure(&patient(1))).await;
    let long_ago = json!({"disclosed_at": at(-7 * 365, 0), "recipient_name": "Board of Health"});
    let long_ago = officer.did("record-disclosure", patched(disclosure(&patient(1)), long_ago)).await;
    officer.did("record-disclosure", disclosure(&patient(8))).await;
    // Patients read their own in the table and in the report; what is sealed in the log is in the clear there.
    let own = paula.items("disclosures?sort=disclosed_at").await;
    assert_eq!(own.iter().map(|it| it["id"].clone()).collect::<Vec<_>>(), [json!(long_ago), json!(recorded)]);
    let raw = hospital.login("admin").await.items(&format!("events?raw=true&stream_id={recorded}")).await;
    let stored = raw[0]["data"].as_str().expect("the stored text");
    assert!(stored.contains("$sealed") && !stored.contains("Quillfeather") && !stored.contains("Mill"), "{stored}");
    for client in [&paula, &officer] {
        let rows = account(client, &patient(1)).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((&rows[0][1], &rows[0][4]), (&json!("Sheriff of Quillfeather County"), &json!("law_enforcement")));
    }
    // What was recorded by mistake is told to nobody.
    let mistaken = json!({"disclosure_id": recorded, "reason": "of another patient"});
    officer.did("mark-disclosure-entered-in-error", mistaken).await;
    assert_eq!(paula.items("disclosures").await.len(), 1);
    assert_eq!(account(&paula, &patient(1)).await, [] as [Value; 0]);
}

#[tokio::test]
async fn patients_ask_for_reports_on_themselves_only_and_for_those_that_are_for_patients() {
    let hospital = Hospital::start().await;
    let paula = hospital.login("patient").await;
    let asked = |code: &str, patient_id: &str| {
        let parameters = json!({"patient": patient_id});
        json!({"report_code": code, "format": "json", "parameters": parameters})
    };
    for body in [asked("disclosures", &patient(3)), asked("patient-access", &patient(1))] {
        paula.command("run-report", body).await.problem(403, "forbidden");
    }
    for login in ["reception", "lab"] {
        let client = hospital.login(login).await;
        client.command("record-disclosure", disclosure(&patient(1))).await.problem(403, "forbidden");
        client.command("run-report", asked("disclosures", &patient(1))).await.problem(403, "forbidden");
    }
    let later = patched(disclosure(&patient(1)), json!({"disclosed_at": at(2, 0)}));
    let refused = hospital.login("doctor").await.command("record-disclosure", later).await;
    refused.problem_at(422, "in-the-future", "/disclosed_at");
}

/// A disclosure that was recorded by mistake, for [`telling`](super::telling).
pub(super) async fn mistaken(hospital: &Hospital, patient_id: &str) -> String {
    let officer = hospital.login("privacy").await;
    let recorded = officer.did("record-disclosure", disclosure(patient_id)).await;
    let mistaken = json!({"disclosure_id": recorded, "reason": "of another patient"});
    officer.did("mark-disclosure-entered-in-error", mistaken).await;
    recorded
}

/// A disclosure, and one that was recorded by mistake. For [`access_matrix`](super::access_matrix) and, since these are
/// all of the commands, for [`everything`](super::everything).
pub(super) async fn fill(hospital: &Hospital, patient_id: &str) {
    hospital.login("doctor").await.did("record-disclosure", disclosure(patient_id)).await;
    mistaken(hospital, patient_id).await;
}
