//! Visits: what is not said stays as it is, and what is unlikely is asked back.

use serde_json::{Value, json};

use super::demo::{DOCTOR, NURSE, appointment, at, early, patient, room, user};
use super::{Client, Hospital};

/// Moves an appointment and returns its row.
async fn moved(reception: &Client, appointment_id: &str, mut changes: Value) -> Value {
    changes["appointment_id"] = json!(appointment_id);
    reception.did("reschedule-appointment", changes).await;
    reception.row("appointments", appointment_id).await
}

#[tokio::test]
async fn an_hour_in_the_afternoon_is_an_hour() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let mut hour = appointment(&patient(5), at(4, 0));
    hour["duration_minutes"] = json!(60);
    let id = reception.did("schedule-appointment", hour).await;
    let row = moved(&reception, &id, json!({"starts_at": at(4, 180)})).await;
    assert_eq!((&row["duration_minutes"], &row["room_id"]), (&json!(60), &json!(room(1))));
    // The whole hour is booked.
    let within = appointment(&patient(6), at(4, 210));
    reception.command("schedule-appointment", within.clone()).await.problem(409, "double-booking");
    let row = moved(&reception, &id, json!({"room_id": null})).await;
    assert_eq!((&row["duration_minutes"], &row["room_id"]), (&json!(60), &Value::Null));
    let row = moved(&reception, &id, json!({"duration_minutes": 30})).await;
    assert_eq!(row["duration_minutes"], 30);
    reception.did("schedule-appointment", within).await;
}

#[tokio::test]
async fn a_pressure_with_its_parts_exchanged_is_asked_back() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    let mut measured =
        json!({"patient_id": patient(1), "blood_pressure_systolic": 80, "blood_pressure_diastolic": 120});
    let refused = nurse.command("record-vital-signs", measured.clone()).await;
    refused.problem_at(422, "extreme-value", "/blood_pressure_diastolic");
    measured["confirm_extreme"] = json!(true);
    let wrong = nurse.did("record-vital-signs", measured).await;
    // A correction names the field as the request does, and keeps what it does not name.
    let correct = |diastolic: i32| json!({"vital_signs_id": wrong, "reason": "mistyped", "correction": {"blood_pressure_diastolic": diastolic}});
    let refused = nurse.command("mark-vital-signs-entered-in-error", correct(90)).await;
    refused.problem_at(422, "extreme-value", "/correction/blood_pressure_diastolic");
    nurse.did("mark-vital-signs-entered-in-error", correct(60)).await;
    let doctor = hospital.login("doctor").await;
    let right = doctor.row("vital-signs", &wrong).await["corrected_by_id"].as_str().expect("an id").to_owned();
    let right = doctor.row("vital-signs", &right).await;
    assert_eq!((&right["blood_pressure_systolic"], &right["blood_pressure_diastolic"]), (&json!(80), &json!(60)));
    assert_eq!((&right["extreme"], &right["recorded_by"]), (&json!([]), &json!(user(NURSE))));
    for (when, code) in [(at(-20_000, 0), "before-birth"), (at(-40, 0), "extreme-value")] {
        let measured = json!({"patient_id": patient(1), "heart_rate": 72, "recorded_at": when});
        nurse.command("record-vital-signs", measured).await.problem(422, code);
    }
}

#[tokio::test]
async fn a_visit_of_another_day_is_checked_in_with_a_reason_and_the_check_in_can_be_undone() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let id = reception.did("schedule-appointment", appointment(&patient(5), at(4, 0))).await;
    let of_id = || json!({ "appointment_id": id });
    reception.did("confirm-appointment", of_id()).await;
    reception.command("check-in-appointment", of_id()).await.problem(422, "not-today");
    reception.did("check-in-appointment", early(&id)).await;
    let row = reception.row("appointments", &id).await;
    assert_eq!((&row["status"], &row["other_day_reason"]), (&json!("checked_in"), &early(&id)["other_day_reason"]));
    let undone = json!({"appointment_id": id, "reason": "somebody else had come"});
    reception.did("undo-appointment-check-in", undone).await;
    let row = reception.row("appointments", &id).await;
    assert_eq!((&row["status"], &row["other_day_reason"]), (&json!("confirmed"), &Value::Null));
}

/// A visit is completed after it was started, and started after the patient was checked in, which asks why.
#[tokio::test]
async fn a_visit_days_ahead_is_not_completed() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let id = reception.did("schedule-appointment", appointment(&patient(5), at(4, 0))).await;
    let of_id = || json!({ "appointment_id": id });
    for command in ["start-appointment", "complete-appointment"] {
        reception.command(command, of_id()).await.problem(409, "wrong-status");
    }
    reception.command("check-in-appointment", of_id()).await.problem(422, "not-today");
    reception.command("complete-appointment", of_id()).await.problem(409, "wrong-status");
    assert_eq!(reception.row("appointments", &id).await["status"], "scheduled");
    // Whoever says why sees the patient earlier.
    reception.did("check-in-appointment", early(&id)).await;
    for command in ["start-appointment", "complete-appointment"] {
        reception.did(command, of_id()).await;
    }
}

#[tokio::test]
async fn who_walks_in_is_seen_once_and_may_be_sent_home() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let here = json!({"patient_id": patient(5), "provider_id": user(DOCTOR), "appointment_type": "urgent"});
    let id = reception.did("check-in-walk-in", here.clone()).await;
    let row = reception.row("appointments", &id).await;
    assert_eq!(
        (&row["status"], &row["duration_minutes"], &row["version"]),
        (&json!("checked_in"), &json!(15), &json!(2))
    );
    let mut other = here;
    other["patient_id"] = json!(patient(6));
    reception.command("check-in-walk-in", other).await.problem(409, "double-booking");
    let seen = |more: Value| hims_testing::patched(json!({"patient_id": patient(5)}), more);
    let consultation = doctor.did("start-consultation", seen(json!({ "appointment_id": id }))).await;
    let twice = doctor.command("start-consultation", seen(json!({}))).await;
    assert_eq!(twice.problem(409, "already-open")["candidates"], json!([consultation]));
    // Whoever asks and whatever they confirm, a visit leads to one consultation.
    let again =
        doctor.command("start-consultation", seen(json!({"appointment_id": id, "confirm_another": true}))).await;
    again.problem(409, "already-taken");
    let cancel = || json!({"appointment_id": id, "reason": "sent home"});
    reception.command("cancel-appointment", cancel()).await.problem(409, "wrong-status");
    doctor.did("cancel-consultation", json!({"consultation_id": consultation, "reason": "called away"})).await;
    reception.did("cancel-appointment", cancel()).await;
    assert_eq!(reception.row("appointments", &id).await["status"], "cancelled");
    // Nothing is measured in a consultation that was broken off; the patient may be seen anew.
    let measured = json!({"patient_id": patient(5), "consultation_id": consultation, "heart_rate": 72});
    doctor.command("record-vital-signs", measured).await.problem(409, "consultation-cancelled");
    let another = doctor.did("start-consultation", seen(json!({}))).await;
    doctor.did("start-consultation", seen(json!({"confirm_another": true}))).await;
    // A finding of one part keeps those of the others.
    for part in [json!({"heart": "regular", "lungs": "wheezing"}), json!({"lungs": "clear"})] {
        let found = json!({"consultation_id": another, "physical_examination": part});
        doctor.did("record-findings", found).await;
    }
    let row = doctor.row("consultations", &another).await;
    assert_eq!(row["physical_examination"], json!({"heart": "regular", "lungs": "clear"}));
}
