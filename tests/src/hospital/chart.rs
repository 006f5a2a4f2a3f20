//! The chart of a patient: emergency contacts, medical history, and the list of what the patient takes.

use std::collections::BTreeSet;

use hims_testing::patched;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{self, medication, patient, person, prescription};
use super::everything::record;
use super::releases::rebuild;
use super::{Client, Hospital, Start};

const CVX: &str = "http://hl7.org/fhir/sid/cvx";

/// The body of `add-emergency-contact`.
fn contact(patient_id: &str, name: &str) -> Value {
    json!({"patient_id": patient_id, "name": name, "relationship": "friend", "phone_primary": "555-415-3087"})
}

/// The body of `record-medical-history` for a vaccination.
fn vaccination(patient_id: &str) -> Value {
    json!({"patient_id": patient_id, "history_type": "immunization", "description": "Influenza vaccine",
           "code_system": CVX, "code": "140", "onset_date": "2025-10-03", "lot_number": "FL-7", "source": "provider"})
}

/// The body of `add-patient-medication` for a medication in words.
fn tea(patient_id: &str) -> Value {
    json!({"patient_id": patient_id, "medication_name": "Nimbuswort tea", "dose": "one cup", "source": "otc"})
}

/// Runs every command of a chart, for a patient who has a medication list already.
pub(crate) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (reception, nurse) = (hospital.login("reception").await, hospital.login("nurse").await);
    let ids = [0xc0_01, 0xc0_02].map(|it| Uuid::from_u128(it).to_string());
    for id in &ids {
        let known = patched(contact(patient_id, "Clara Bell"), json!({ "contact_id": id }));
        reception.did("add-emergency-contact", known).await;
    }
    let moved = json!({"patient_id": patient_id, "contact_id": ids[1], "priority": 1, "email": "clara@example.org"});
    reception.did("change-emergency-contact", moved).await;
    reception.did("remove-emergency-contact", json!({"patient_id": patient_id, "contact_id": ids[0]})).await;
    let renamed = json!({"patient_id": patient_id, "emergency_contact_name": "Clara Cole"});
    reception.did("change-patient-demographics", renamed).await;

    let entry_id = nurse.did("record-medical-history", vaccination(patient_id)).await;
    nurse.did("change-medical-history", json!({"medical_history_id": entry_id, "notes": "no reaction"})).await;
    let wrong = json!({"medical_history_id": entry_id, "reason": "of another patient"});
    nurse.did("mark-medical-history-entered-in-error", wrong).await;

    let mut entries = Vec::new();
    for id in [0xc1_01, 0xc1_02, 0xc1_03].map(|it| Uuid::from_u128(it).to_string()) {
        nurse.did("add-patient-medication", patched(tea(patient_id), json!({ "entry_id": id }))).await;
        entries.push(id);
    }
    let of = |nth: usize, more: Value| patched(json!({"patient_id": patient_id, "entry_id": entries[nth]}), more);
    nurse.did("change-patient-medication", of(0, json!({"dose": "two cups"}))).await;
    nurse.did("hold-patient-medication", of(0, json!({"reason": "surgery"}))).await;
    nurse.did("resume-patient-medication", of(0, json!({}))).await;
    nurse.did("stop-patient-medication", of(0, json!({"reason": "interacts"}))).await;
    nurse.did("mark-patient-medication-entered-in-error", of(1, json!({"reason": "of another patient"}))).await;
    let open = nurse_open(hospital, patient_id).await;
    let decisions: Vec<_> = open.iter().map(|id| json!({"entry_id": id, "action": "continue"})).collect();
    let reconciled = json!({"patient_id": patient_id, "decisions": decisions});
    let list_id = nurse.did("reconcile-medication-list", reconciled).await;
    // A course ends in the night after its last day.
    record(hospital, "medication_list", &list_id, "completed", json!({"entries": [entries[2]]})).await;
}

/// The open entries of a patient's list.
async fn nurse_open(hospital: &Hospital, patient_id: &str) -> BTreeSet<String> {
    let listed = medications(&hospital.login("doctor").await, patient_id).await;
    let is_open = |it: &&Value| ["intended", "active", "on_hold"].iter().any(|status| it["status"] == *status);
    listed.iter().filter(is_open).map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

/// The medication list of a patient, as a client reads it.
async fn medications(client: &Client, patient_id: &str) -> Vec<Value> {
    client.items(&format!("patient-medications?patient_id={patient_id}")).await
}

/// The names of a patient's contacts in their order, and who stands in the row of the patient.
async fn contacts(client: &Client, patient_id: &str) -> (Vec<(i64, String)>, Value) {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let rows = client.items(&format!("emergency-contacts?patient_id={patient_id}&limit=50")).await;
    let mut places: Vec<_> =
        rows.iter().map(|it| (it["priority"].as_i64().expect("a place"), text(&it["name"]))).collect();
    places.sort();
    let row = client.row("patients", patient_id).await;
    (places, row["emergency_contact_name"].clone())
}

fn listed(names: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(names.iter().map(|it| (*it).to_owned())).collect()
}

#[tokio::test]
async fn who_is_removed_makes_room_in_the_patients_row_too() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let with_contact = patched(person("Ada", "Unlike", 3), json!({"emergency_contact_name": "Old Friend"}));
    let patient_id = reception.did("register-patient", with_contact).await;
    assert_eq!(contacts(&reception, &patient_id).await, (listed(&["Old Friend"]), json!("Old Friend")));
    let first = patched(contact(&patient_id, "New Friend"), json!({"priority": 1}));
    reception.did("add-emergency-contact", first).await;
    assert_eq!(contacts(&reception, &patient_id).await, (listed(&["New Friend", "Old Friend"]), json!("New Friend")));
    let rows = reception.items(&format!("emergency-contacts?patient_id={patient_id}")).await;
    let new = rows.iter().find(|it| it["name"] == "New Friend").expect("a contact");
    assert_eq!((&new["phone_primary"], &new["is_legal_guardian"]), (&json!("+15554153087"), &json!(false)));
    reception.did("remove-emergency-contact", json!({"patient_id": patient_id, "contact_id": new["id"]})).await;
    // Both reads are of one position: that of the command.
    assert_eq!(contacts(&reception, &patient_id).await, (listed(&["Old Friend"]), json!("Old Friend")));
    let nobody = json!({"patient_id": patient_id, "emergency_contact_name": null});
    reception.did("change-patient-demographics", nobody).await;
    assert_eq!(contacts(&reception, &patient_id).await, (listed(&[]), Value::Null));
    let unreachable = patched(contact(&patient_id, "Far Friend"), json!({"phone_primary": null}));
    let refused = reception.command("add-emergency-contact", unreachable).await;
    refused.problem_at(422, "no-way-to-reach", "/phone_primary");
}

#[tokio::test]
async fn sixteen_callers_leave_ten_contacts_without_a_hole() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (number, start) in (3..).zip(Start::rounds(1)) {
        let patient_id = reception.did("register-patient", person(&format!("Ada{number}"), "Unlike", number)).await;
        let adding = (0..16).map(|nth| {
            // Some want to be the first.
            let body = patched(
                contact(&patient_id, &format!("Friend {nth}")),
                json!({"priority": if nth % 2 == 0 { 1 } else { 10 }}),
            );
            reception.command("add-emergency-contact", body)
        });
        let answers = start.race(adding).await;
        assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 10, "{start:?}");
        answers.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(409, "too-many-contacts")));
        let (places, shown) = contacts(&reception, &patient_id).await;
        assert_eq!(places.iter().map(|it| it.0).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!(json!(places[0].1), shown);
    }
}

#[tokio::test]
async fn patients_keep_their_own_contacts_and_nobody_elses() {
    let hospital = Hospital::start().await;
    let own = hospital.login("patient").await;
    own.did("add-emergency-contact", contact(&patient(1), "Dear Friend")).await;
    own.command("add-emergency-contact", contact(&patient(2), "Dear Friend")).await.problem(403, "forbidden");
    let rows = own.items("emergency-contacts").await;
    assert!(rows.iter().any(|it| it["name"] == "Dear Friend"));
    assert!(rows.iter().all(|it| it["patient_id"] == json!(patient(1))));
}

#[tokio::test]
async fn a_vaccination_is_recorded_once_also_by_two_nurses_at_once() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    for (number, start) in (1..).zip(Start::rounds(4)) {
        let record = || nurse.command("record-medical-history", vaccination(&patient(number)));
        let mut answers = start.race([record(), record()]).await;
        answers.sort_by_key(|it| it.status);
        let [won, lost] = &answers[..] else { panic!("two answers") };
        let problem = lost.problem(409, "possible-duplicate");
        assert_eq!(problem["candidates"], json!([won.id()]));
        let wrong = json!({"medical_history_id": won.id(), "reason": "of another patient"});
        nurse.did("mark-medical-history-entered-in-error", wrong).await;
        let right = nurse.did("record-medical-history", vaccination(&patient(number))).await;
        // Who recorded something reads it, also if the patient visits another department, and nothing else of the chart.
        assert_eq!(nurse.row("medical-history", &right).await["code"], "140");
    }
}

#[tokio::test]
async fn patients_do_not_see_what_was_entered_about_them_in_error() {
    let hospital = Hospital::start().await;
    let (nurse, own) = (hospital.login("nurse").await, hospital.login("patient").await);
    let entry_id = nurse.did("record-medical-history", vaccination(&patient(1))).await;
    assert_eq!(own.row("medical-history", &entry_id).await["lot_number"], "FL-7");
    let wrong = json!({"medical_history_id": entry_id, "reason": "of another patient"});
    nurse.did("mark-medical-history-entered-in-error", wrong).await;
    own.get(&format!("medical-history/{entry_id}")).await.problem(404, "not-found");
    let row = hospital.login("doctor").await.row("medical-history", &entry_id).await;
    assert_eq!((&row["status"], &row["error_reason"]), (&json!("entered_in_error"), &json!("of another patient")));
    let stored: i64 = sqlx::query_scalar("select count(*) from log.events where data::text like '%another patient%'")
        .fetch_one(hospital.owner())
        .await
        .expect("a count");
    assert_eq!(stored, 0, "reasons lie sealed in the log");
}

/// Two doctors who prescribe at once are decided one after the other: both prescriptions are on one list.
#[tokio::test]
async fn two_prescriptions_in_one_moment_are_on_one_list() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    for (nth, start) in (0..).zip(Start::rounds(4)) {
        let patient_id = reception.did("register-patient", person(&format!("Race{nth}"), "Unlike", nth + 2)).await;
        let write = |product| doctor.command("write-prescription", prescription(&patient_id, product, "10", "tablet"));
        let answers = start.race([write(2), write(3)]).await;
        let [one, other] = &answers[..] else { panic!("two answers") };
        assert_eq!((one.status, other.status), (201, 201), "{start:?}: {} {}", one.text, other.text);
        let on_list = |answer: &Value| {
            let events = answer["events"].as_array().expect("events");
            let event = events.iter().find(|it| it["type"] == "medication_list.prescribed").expect("an event");
            event["version"].as_i64().expect("a version")
        };
        let mut versions = [on_list(&one.json()), on_list(&other.json())];
        versions.sort_unstable();
        assert_eq!(versions, [1, 2]);
        let products: BTreeSet<_> =
            medications(&doctor, &patient_id).await.iter().map(|it| it["medication_id"].to_string()).collect();
        assert_eq!(products, [medication(2), medication(3)].map(|it| json!(it).to_string()).into());
    }
}

#[tokio::test]
async fn a_medication_goes_from_intended_to_active_and_comes_again_after_it_was_stopped() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let patient_id = hospital.login("reception").await.did("register-patient", person("Ada", "Unlike", 3)).await;
    let write = async || {
        let mut body = prescription(&patient_id, 2, "10", "tablet");
        body["items"][0]["duration_days"] = json!(5);
        let prescription_id = doctor.did("write-prescription", body).await;
        doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
        prescription_id
    };
    let prescription_id = write().await;
    let entry = medications(&doctor, &patient_id).await.remove(0);
    assert_eq!((&entry["status"], &entry["source"]), (&json!("intended"), &json!("prescribed_here")));
    assert_eq!((&entry["ingredients"], &entry["rxnorm_code"]), (&json!(["11289"]), &json!("855332")));
    pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
    let entry = doctor.row("patient-medications", entry["id"].as_str().expect("an id")).await;
    assert_eq!(entry["status"], "active");
    assert!(entry["start_date"].is_string() && entry["end_date"].is_string(), "{entry}");
    let stop = json!({"patient_id": patient_id, "entry_id": entry["id"], "reason": "bleeding"});
    pharmacist.did("stop-patient-medication", stop).await;
    write().await;
    let statuses: BTreeSet<_> =
        medications(&doctor, &patient_id).await.iter().map(|it| it["status"].to_string()).collect();
    assert_eq!(statuses, [json!("stopped").to_string(), json!("intended").to_string()].into());
}

#[tokio::test]
async fn what_was_stopped_is_not_handed_out() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let patient_id = hospital.login("reception").await.did("register-patient", person("Ada", "Unlike", 3)).await;
    let prescription_id = doctor.did("write-prescription", prescription(&patient_id, 2, "10", "tablet")).await;
    let body = json!({"prescription_id": prescription_id});
    doctor.did("send-prescription-to-pharmacy", body.clone()).await;
    let entry = medications(&doctor, &patient_id).await.remove(0);
    let stop = json!({"patient_id": patient_id, "entry_id": entry["id"], "reason": "bleeding"});
    doctor.did("stop-patient-medication", stop).await;
    pharmacist.command("dispense-prescription", body.clone()).await.problem(409, "medication-stopped");
    doctor.did("cancel-prescription", patched(body, json!({"reason": "bleeding"}))).await;
    assert_eq!(medications(&doctor, &patient_id).await[0]["stop_reason"], "bleeding");
}

#[tokio::test]
async fn a_reconciliation_forgets_nothing_and_is_seen_on_the_list() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let patient_id = hospital.login("reception").await.did("register-patient", person("Ada", "Unlike", 3)).await;
    let reconcile = |decisions: Value| {
        doctor.command("reconcile-medication-list", json!({"patient_id": patient_id, "decisions": decisions}))
    };
    reconcile(json!([])).await.problem(404, "not-found");
    let begun = pharmacist.command("add-patient-medication", tea(&patient_id)).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    let joined = pharmacist.command("add-patient-medication", tea(&patient_id)).await;
    assert_eq!((joined.status, joined.id()), (200, begun.id()));
    let ids: Vec<_> = medications(&doctor, &patient_id).await.iter().map(|it| it["id"].clone()).collect();
    let one = reconcile(json!([{"entry_id": ids[0], "action": "continue"}])).await.problem(422, "unreconciled");
    assert_eq!(one["candidates"], json!([ids[1]]));
    let both = json!([{"entry_id": ids[0], "action": "continue"},
                      {"entry_id": ids[1], "action": "stop", "reason": "interacts"}]);
    reconcile(both).await.done();
    let rows = medications(&doctor, &patient_id).await;
    let of = |id: &Value| rows.iter().find(|it| it["id"] == *id).expect("a row");
    assert_eq!((&of(&ids[0])["status"], &of(&ids[1])["status"]), (&json!("active"), &json!("stopped")));
    assert_eq!(of(&ids[1])["stop_reason"], "interacts");
    assert!(rows.iter().all(|it| it["reconciled_by"] == json!(demo::user(demo::DOCTOR))));
    let list = doctor.row("medication-lists", &begun.id()).await;
    assert_eq!((&list["reconciled_by"], &list["version"]), (&json!(demo::user(demo::DOCTOR)), &json!(3)));
    // The history of the list is read like the list.
    let history = doctor.items(&format!("events?patient_id={patient_id}&stream_id={}", begun.id())).await;
    assert_eq!(history.len(), 3);
    assert_eq!(history[0]["data"]["taken"]["dose"], "one cup");
}

/// A patient whose key is destroyed keeps a list, in which no name can be read.
#[tokio::test]
async fn the_name_of_a_medication_is_erased_with_the_patient() {
    let hospital = Hospital::start().await;
    let (reception, nurse) = (hospital.login("reception").await, hospital.login("nurse").await);
    let patient_id = reception.did("register-patient", person("Ada", "Unlike", 3)).await;
    nurse.did("add-patient-medication", tea(&patient_id)).await;
    reception.did("add-emergency-contact", contact(&patient_id, "Dear Friend")).await;
    nurse.did("record-medical-history", vaccination(&patient_id)).await;
    hospital.settle().await;
    let subject: Uuid = patient_id.parse().expect("an id");
    hospital.node.store.vault().destroy_key(subject).await.expect("the key is destroyed");
    rebuild(&hospital).run(&hims_projections::Target::Swap, |_| {}).await.expect("a rebuild");
    let doctor = hospital.login("doctor").await;
    let entry = medications(&doctor, &patient_id).await.remove(0);
    assert_eq!((&entry["medication_name"], &entry["dose"]), (&json!("[erased]"), &Value::Null));
    assert_eq!(entry["status"], "active");
    let (places, shown) = contacts(&doctor, &patient_id).await;
    assert_eq!((places, shown), (vec![(1, String::new())], Value::Null));
    let history = doctor.items(&format!("medical-history?patient_id={patient_id}")).await.remove(0);
    assert_eq!((&history["description"], &history["onset_date"]), (&json!("[erased]"), &Value::Null));
    assert_eq!(history["code"], "140");
    doctor.command("add-patient-medication", tea(&patient_id)).await.problem(409, "erased");
}
