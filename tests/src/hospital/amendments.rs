//! Requests of patients to amend their records: who asks, who decides, what stays beside the row, and who finds it
//! there.

use hims_domain::amendment_request::RecordTable;
use hims_domain::permission::Read;
use hims_projections::{TABLES, Table};
use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{self, at, patient, user};
use super::{Client, Hospital};

/// The body of `request-amendment`.
fn request(patient_id: &str, table: &str, row_id: &str) -> Value {
    json!({"patient_id": patient_id, "table_name": table, "row_id": row_id, "wrong": "The spelling is Quillfeather",
           "wanted": "Quillfeather"})
}

fn of(request_id: &str, more: Value) -> Value {
    patched(json!({"amendment_request_id": request_id}), more)
}

/// The requests about a row, as whoever reads the row finds them.
async fn about(client: &Client, table: &str, row_id: &str) -> Vec<Value> {
    client.items(&format!("amendment-requests?table_name={table}&row_id={row_id}")).await
}

/// The patient who has a login, with the id of one of their allergies.
async fn paula(hospital: &Hospital) -> (Client, String) {
    let paula = hospital.login("patient").await;
    let allergies = paula.items(&format!("patient-allergies?patient_id={}", patient(1))).await;
    let allergy = allergies[0]["id"].as_str().expect("an id").to_owned();
    (paula, allergy)
}

#[tokio::test]
async fn a_patient_asks_and_answers_a_denial_and_all_of_it_stays_beside_the_row() {
    let hospital = Hospital::start().await;
    let (paula, allergy) = paula(&hospital).await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let before = doctor.row("patient-allergies", &allergy).await;
    let asked = paula.did("request-amendment", request(&patient(1), "patient_allergies", &allergy)).await;
    for client in [&paula, &doctor, &nurse] {
        let found = about(client, "patient_allergies", &allergy).await;
        assert_eq!((found.len(), &found[0]["id"], &found[0]["wanted"]), (1, &json!(asked), &json!("Quillfeather")));
    }
    assert_eq!(about(&hospital.login("reception").await, "patient_allergies", &allergy).await, [] as [Value; 0]);
    // What the patient said is sealed in the log.
    let raw = hospital.login("admin").await.items(&format!("events?raw=true&stream_id={asked}")).await;
    let stored = raw[0]["data"].as_str().expect("the stored text");
    assert!(stored.contains("$sealed") && !stored.contains("Quillfeather"), "{stored}");
    // Neither the patient nor a nurse decides.
    let denial = of(&asked, json!({"basis": "accurate_and_complete", "reason": "A test has shown it."}));
    for client in [&paula, &nurse] {
        client.command("deny-amendment", denial.clone()).await.problem(403, "forbidden");
    }
    let disagreement = of(&asked, json!({"statement": "I eat it every week."}));
    paula.command("state-disagreement", disagreement.clone()).await.problem(409, "wrong-status");
    doctor.did("deny-amendment", denial.clone()).await;
    assert_eq!(doctor.command("deny-amendment", denial).await.done()["events"], json!([]), "once");
    doctor.command("accept-amendment", of(&asked, json!({"done": "removed"}))).await.problem(409, "wrong-status");
    doctor.command("withdraw-amendment-request", of(&asked, json!({}))).await.problem(409, "wrong-status");
    paula.did("state-disagreement", disagreement).await;
    doctor.did("rebut-disagreement", of(&asked, json!({"rebuttal": "The test was made twice."}))).await;
    let row = paula.row("amendment-requests", &asked).await;
    for (column, expected) in [
        ("status", json!("rebutted")),
        ("basis", json!("accurate_and_complete")),
        ("decision", json!("A test has shown it.")),
        ("decided_by", json!(user(demo::DOCTOR))),
        ("disagreement", json!("I eat it every week.")),
        ("rebuttal", json!("The test was made twice.")),
        ("created_by", json!(user(demo::PATIENT_LOGIN))),
    ] {
        assert_eq!(row[column], expected, "{column} of {row}");
    }
    assert_eq!(doctor.row("patient-allergies", &allergy).await, before, "the row itself is as it was");
}

#[tokio::test]
async fn a_request_names_a_row_of_the_patient_and_the_patient_speaks_for_nobody_else() {
    let hospital = Hospital::start().await;
    let (paula, allergy) = paula(&hospital).await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let of_another = doctor.items(&format!("patient-allergies?patient_id={}", patient(3))).await[0]["id"].clone();
    let of_another = of_another.as_str().expect("an id");
    let refused = paula.command("request-amendment", request(&patient(1), "patient_allergies", of_another)).await;
    refused.problem_at(422, "unknown-reference", "/row_id");
    let refused = paula.command("request-amendment", request(&patient(1), "vital_signs", &allergy)).await;
    refused.problem_at(422, "unknown-reference", "/row_id");
    paula
        .command("request-amendment", request(&patient(3), "patient_allergies", of_another))
        .await
        .problem(403, "forbidden");
    // A part is found in its record.
    let visit = doctor.did("start-consultation", json!({"patient_id": patient(1)})).await;
    let symptom = json!({"consultation_id": visit, "symptom_id": demo::room(9), "name": "Cough"});
    doctor.did("record-symptom", symptom).await;
    let part = request(&patient(1), "symptoms", &demo::room(9));
    paula.command("request-amendment", part.clone()).await.problem_at(422, "record-missing", "/record_id");
    let whole = patched(part, json!({"record_id": visit}));
    paula.did("request-amendment", whole).await;
    assert_eq!(about(&doctor, "symptoms", &demo::room(9)).await.len(), 1);
    // The staff asks on behalf of a patient who wrote a letter.
    let by_letter =
        |days| patched(request(&patient(1), "patient_allergies", &allergy), json!({"received_at": at(days, 0)}));
    let late = nurse.command("request-amendment", by_letter(2)).await;
    late.problem_at(422, "in-the-future", "/received_at");
    let own = paula.command("request-amendment", by_letter(-2)).await;
    own.problem_at(422, "received-by-staff", "/received_at");
    let asked = nurse.did("request-amendment", by_letter(-2)).await;
    let row = nurse.row("amendment-requests", &asked).await;
    let due: chrono::DateTime<chrono::Utc> = row["due_at"].as_str().expect("a time").parse().expect("a time");
    assert_eq!(due, at(58, 0), "within 60 days of its coming in");
    nurse.did("withdraw-amendment-request", of(&asked, json!({"reason": "the letter was of her sister"}))).await;
}

#[tokio::test]
async fn nobody_decides_on_a_request_about_their_own_record() {
    let hospital = Hospital::start().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    admin.did("link-user-to-patient", json!({"user_id": user(demo::DOCTOR), "patient_id": patient(5)})).await;
    let asked = doctor.did("request-amendment", request(&patient(5), "patients", &patient(5))).await;
    let accept = of(&asked, json!({"done": "The name was changed.", "told": "The insurer"}));
    doctor.command("accept-amendment", accept.clone()).await.problem(422, "own-request");
    let extend = of(&asked, json!({"reason": "the registry office has to be asked"}));
    doctor.command("extend-amendment-request", extend.clone()).await.problem(422, "own-request");
    admin.did("extend-amendment-request", extend.clone()).await;
    assert_eq!(admin.command("extend-amendment-request", extend).await.done()["events"], json!([]), "once");
    admin.did("accept-amendment", accept).await;
    let row = admin.row("amendment-requests", &asked).await;
    assert_eq!((&row["status"], &row["decision"]), (&json!("accepted"), &json!("The name was changed.")));
    let [received, due] = ["received_at", "due_at"]
        .map(|it| row[it].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("a time"));
    assert_eq!((due - received).num_days(), 90);
    // The front desk reads who a patient is, and so the requests about that.
    let reception = hospital.login("reception").await;
    assert_eq!(about(&reception, "patients", &patient(5)).await.len(), 1);
}

/// The tables about patients, read by those who read charts, whose rows are nothing that was found or done.
const NO_CHART: [&str; 9] = [
    "amendment_requests",
    "appointment_series",
    "appointments",
    "care_team_assignments",
    "consents",
    "disclosures",
    "medication_lists",
    "patient_links",
    "waitlist_entries",
];

#[test]
fn every_clinical_row_can_be_amended() {
    let codes = RecordTable::CODES;
    let strangers: Vec<_> = codes.iter().filter(|code| !TABLES.iter().any(|it| it.name == **code)).collect();
    assert!(strangers.is_empty(), "no tables: {strangers:?}");
    let is_clinical =
        |it: &&Table| [Read::ClinicalRecords, Read::OwnRecords].iter().all(|word| it.readers.contains(word));
    let clinical = TABLES.iter().filter(is_clinical).map(|it| it.name).filter(|it| !NO_CHART.contains(it));
    let missing: Vec<_> = clinical.filter(|it| !codes.contains(it)).collect();
    assert!(missing.is_empty(), "say in RecordTable or NO_CHART what {missing:?} are");
}

/// A request that was taken back, for [`telling`](super::telling).
pub(super) async fn withdrawn(hospital: &Hospital, patient_id: &str) -> String {
    let doctor = hospital.login("doctor").await;
    let asked = doctor.did("request-amendment", request(patient_id, "patients", patient_id)).await;
    doctor.did("withdraw-amendment-request", of(&asked, json!({}))).await;
    asked
}

/// Requests to amend who a patient is, an allergy, an order of the laboratory and a prescription. For
/// [`access_matrix`](super::access_matrix).
pub(super) async fn fill(doctor: &Client, patient_id: &str, [allergy, order, prescription]: [&str; 3]) {
    let rows = [("patient_allergies", allergy), ("lab_orders", order), ("prescriptions", prescription)];
    for (table, row_id) in rows.into_iter().chain([("patients", patient_id)]) {
        doctor.did("request-amendment", request(patient_id, table, row_id)).await;
    }
}

/// Gives every command of amendments.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let doctor = hospital.login("doctor").await;
    let asked = doctor.did("request-amendment", request(patient_id, "patients", patient_id)).await;
    let extend = of(&asked, json!({"reason": "the registry office has to be asked"}));
    doctor.did("extend-amendment-request", extend).await;
    doctor.did("accept-amendment", of(&asked, json!({"done": "The name was changed.", "told": "The insurer"}))).await;
    let asked = doctor.did("request-amendment", request(patient_id, "patients", patient_id)).await;
    let denial = of(&asked, json!({"basis": "not_created_here", "reason": "The name is that of the passport."}));
    doctor.did("deny-amendment", denial).await;
    doctor.did("state-disagreement", of(&asked, json!({"statement": "The passport is wrong."}))).await;
    doctor.did("rebut-disagreement", of(&asked, json!({"rebuttal": "The registry office says so too."}))).await;
    withdrawn(hospital, patient_id).await;
}
