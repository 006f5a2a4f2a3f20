//! Notes on appointments, and their amendments.

use serde_json::{Value, json};

use super::demo::{self, DOCTOR, NURSE, patient, user, visit};
use super::merging::merge;
use super::{Client, Hospital, Start};

/// Adds a clinical note to an appointment, one of the desk and one that the patient may read, which is amended.
pub(crate) async fn notes(reception: &Client, doctor: &Client, appointment_id: &str) {
    let note = |note_type: &str, is_patient_visible: bool| {
        json!({"appointment_id": appointment_id, "note_type": note_type, "body": "The son drives",
               "is_patient_visible": is_patient_visible})
    };
    doctor.did("add-appointment-note", note("clinical", false)).await;
    reception.did("add-appointment-note", note("scheduling", false)).await;
    let shown = reception.did("add-appointment-note", note("general", true)).await;
    let amended = json!({"note_id": shown, "body": "The daughter drives", "reason": "mistyped"});
    reception.did("amend-appointment-note", amended).await;
}

#[tokio::test]
async fn a_note_is_amended_once_and_both_stay() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let before = reception.row("appointments", &visit(2)).await;
    let note = json!({"appointment_id": visit(2), "note_type": "call_log", "body": "Nobody answered"});
    let first = reception.did("add-appointment-note", note.clone()).await;
    let amend = |id: &str| json!({"note_id": id, "body": "The son answered", "reason": "mistyped"});
    let second = reception.did("amend-appointment-note", amend(&first)).await;
    let refused = doctor.command("amend-appointment-note", amend(&first)).await.problem(409, "already-amended");
    assert_eq!(refused["candidates"], json!([second]));
    let mut third = doctor.did("amend-appointment-note", amend(&second)).await;
    let path = format!("appointment-notes?appointment_id={}&sort=created_at", visit(2));
    let rows = reception.items(&path).await;
    let links: Vec<_> = rows.iter().map(|it| (&it["amends_id"], &it["amended_by_id"])).collect();
    let (one, two, three) = (json!(first), json!(second), json!(third));
    assert_eq!(links, [(&Value::Null, &two), (&one, &three), (&two, &Value::Null)]);
    let said: Vec<_> = rows.iter().map(|it| (&it["body"], &it["reason"], &it["author_id"])).collect();
    let (reception_id, doctor_id) = (json!(user(4)), json!(user(DOCTOR)));
    assert_eq!(said[0], (&json!("Nobody answered"), &Value::Null, &reception_id));
    assert_eq!(said[2], (&json!("The son answered"), &json!("mistyped"), &doctor_id));
    // Of two who amend the same note at the same time, one is told.
    for start in Start::rounds(4) {
        let both = [&reception, &doctor].map(|it| it.command("amend-appointment-note", amend(&third)));
        let mut answers = start.race(both).await;
        answers.sort_by_key(|it| it.status);
        assert_eq!((answers[0].status, answers[1].status), (201, 409), "{start:?}");
        third = answers[0].id();
    }
    assert_eq!(reception.row("appointments", &visit(2)).await["version"], before["version"]);
}

#[tokio::test]
async fn who_may_write_and_read_which_notes() {
    let hospital = Hospital::start().await;
    let (reception, nurse) = (hospital.login("reception").await, hospital.login("nurse").await);
    let note =
        |note_type: &str| json!({"appointment_id": visit(1), "note_type": note_type, "body": "Afraid of needles"});
    reception.command("add-appointment-note", note("clinical")).await.problem(403, "forbidden");
    let clinical = nurse.did("add-appointment-note", note("clinical")).await;
    assert_eq!(nurse.row("appointment-notes", &clinical).await["author_id"], user(NURSE));
    reception.get(&format!("appointment-notes/{clinical}")).await.problem(404, "not-found");
    let amended = json!({"note_id": clinical, "body": "Not afraid", "reason": "asked again"});
    reception.command("amend-appointment-note", amended).await.problem(403, "forbidden");
    let own = hospital.login("patient").await;
    own.command("add-appointment-note", note("general")).await.problem(403, "forbidden");
    let hidden = reception.did("add-appointment-note", note("billing")).await;
    let shown = hims_testing::patched(note("general"), json!({"is_patient_visible": true}));
    let shown = reception.did("add-appointment-note", shown).await;
    let seen = own.items(&format!("appointment-notes?patient_id={}", patient(1))).await;
    assert_eq!(seen.iter().map(|it| &it["id"]).collect::<Vec<_>>(), [&json!(shown)]);
    own.get(&format!("events?patient_id={}&stream_id={hidden}", patient(1))).await.done();
    own.get(&format!("streams/appointment_note/{hidden}")).await.problem(404, "not-found");
}

#[tokio::test]
async fn after_a_merge_the_patient_reads_only_the_notes_for_them() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let twin = reception.did("register-patient", demo::person("Paulina", "Rey", 71)).await;
    let booked = reception.did("schedule-appointment", demo::appointment(&twin, demo::at(40, 15))).await;
    let note = |is_patient_visible: bool| json!({"appointment_id": booked, "note_type": "billing", "body": "Owes", "is_patient_visible": is_patient_visible});
    reception.did("add-appointment-note", note(false)).await;
    let shown = reception.did("add-appointment-note", note(true)).await;
    merge(&hospital, &patient(1), &twin).await.done();
    let own = hospital.login("patient").await;
    assert_eq!(own.row("appointments", &booked).await["patient_id"], json!(twin));
    let seen = own.items(&format!("appointment-notes?appointment_id={booked}")).await;
    assert_eq!(seen.iter().map(|it| &it["id"]).collect::<Vec<_>>(), [&json!(shown)]);
}
