//! The death of a patient, and what follows from it.

use chrono::{DateTime, Utc};
use hims_event_store::{Append, NewEvent, StreamAppend};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{appointment, at, patient, person, prescription};
use super::releases::{ask, until};
use super::tables::{by_process, count};
use super::{Client, Hospital, Process};
use crate::support::scratch;

/// Waits until the process has cancelled an appointment, and returns its row.
async fn cancelled(client: &Client, id: &str) -> Value {
    client.row_until("appointments", id, |row| row["status"] == "cancelled").await
}

/// Records that a process could not do its work. The event is appended directly, since a process is refused only in a
/// state that no test brings about at the right moment.
pub(super) async fn failure(hospital: &Hospital) {
    let failed = json!({"process": "after-death", "position": 1, "command": "cancel-appointments-of-deceased",
                        "code": "erased", "resource_type": "patient", "resource_id": patient(1)});
    let event = NewEvent { event_type: "process_failure.occurred".to_owned(), data: failed };
    let stream = StreamAppend::begin("process_failure", Uuid::from_u128(0xfa11), [event]);
    hospital.node.store.append(Append::stream(stream)).await.expect("the event is recorded");
}

/// Records the death of a patient with an open appointment, corrects and revokes it. Part of
/// [`everything`](super::everything).
pub(super) async fn death(doctor: &Client, reception: &Client) {
    let patient_id = reception.did("register-patient", person("Egon", "Late", 88)).await;
    let open = reception.did("schedule-appointment", appointment(&patient_id, at(25, 0))).await;
    let died = json!({"patient_id": patient_id, "deceased_at": at(-2, 0), "source": "death_certificate"});
    doctor.did("record-patient-death", died.clone()).await;
    cancelled(reception, &open).await;
    let mistaken = json!({"patient_id": patient_id, "reason": "a namesake"});
    doctor.did("revoke-patient-death", mistaken).await;
}

#[tokio::test]
async fn the_open_appointments_of_the_dead_are_cancelled_and_nothing_new_is_made() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let patient_id = reception.did("register-patient", person("Egon", "Late", 88)).await;
    let mut open = Vec::new();
    for day in [5, 40] {
        open.push(reception.did("schedule-appointment", appointment(&patient_id, at(day, 0))).await);
    }
    let died = json!({"patient_id": patient_id, "deceased_at": at(-1, 0), "source": "death_certificate"});
    reception.command("record-patient-death", died.clone()).await.problem(403, "forbidden");
    let early = json!({"patient_id": patient_id, "deceased_at": at(2, 0)});
    doctor.command("record-patient-death", early).await.problem_at(422, "in-the-future", "/deceased_at");
    doctor.did("record-patient-death", died.clone()).await;
    assert_eq!(doctor.command("record-patient-death", died).await.done()["events"], json!([]));
    let deceased_at = doctor.row("patients", &patient_id).await["deceased_at"].clone();
    assert_eq!(serde_json::from_value::<DateTime<Utc>>(deceased_at).expect("an instant"), at(-1, 0));
    for id in &open {
        let row = cancelled(&reception, id).await;
        assert_eq!((&row["cancellation_reason"], &row["cancelled_by"]), (&json!("deceased"), &Value::Null));
    }
    let again = appointment(&patient_id, at(5, 0));
    reception.command("schedule-appointment", again.clone()).await.problem(409, "deceased");
    doctor.command("write-prescription", prescription(&patient_id, 2, "5", "tablet")).await.problem(409, "deceased");
    // The doctor is told once of both visits, and without their details.
    let told = doctor.items("notifications?type=appointment_changed").await;
    let path = format!("/appointments?patient_id={patient_id}");
    let told: Vec<_> = told.iter().filter(|it| it["action_url"] == path.as_str()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["message"].as_str().is_some_and(|it| it.contains("Egon Late (MRN ")), "{told:?}");
    // The time that was booked is free for others.
    let other = reception.did("register-patient", person("Edda", "Soon", 89)).await;
    reception.did("schedule-appointment", appointment(&other, at(5, 0))).await;
    let mistaken = json!({"patient_id": patient_id, "reason": "a namesake"});
    doctor.did("revoke-patient-death", mistaken).await;
    assert_eq!(doctor.row("patients", &patient_id).await["deceased_at"], Value::Null);
    reception.did("schedule-appointment", appointment(&patient_id, at(6, 0))).await;
    assert_eq!(by_process(hospital.owner(), "after-death", "appointment.cancelled").await, 2);
    hospital.settle().await;
    let admin = hospital.login("admin").await;
    assert_eq!(admin.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn two_nodes_cancel_each_appointment_once() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let mut open = Vec::new();
    for number in 0..10 {
        let patient_id = reception.did("register-patient", person(&format!("Name{number}"), "Late", number)).await;
        let visit = appointment(&patient_id, at(30 + i64::from(number), 0));
        open.push(reception.did("schedule-appointment", visit).await);
        let there = if number % 2 == 0 { doctor.at(&other.base) } else { doctor.at(doctor.base()) };
        there.did("record-patient-death", json!({"patient_id": patient_id, "deceased_at": at(-1, 0)})).await;
    }
    for id in &open {
        cancelled(&reception, id).await;
    }
    assert_eq!(by_process(hospital.owner(), "after-death", "appointment.cancelled").await, 10);
}

#[tokio::test]
async fn when_the_node_that_runs_the_process_is_killed_another_goes_on() {
    let mut hospital = Hospital::start().await;
    let folder = scratch("death");
    let other = Process::beside(&hospital, folder.path(), |_| {});
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let (mut patients, mut open) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let patient_id = reception.did("register-patient", person(&format!("Name{number}"), "Late", number)).await;
        let visit = appointment(&patient_id, at(30 + i64::from(number), 0));
        open.push(reception.did("schedule-appointment", visit).await);
        patients.push(patient_id);
    }
    // The first node stops in good order, so that the other one runs the process at once.
    hospital.node.end();
    until(async || ask(&hospital, "select held_by is not null from log.processes where name = 'after-death'").await)
        .await;
    hospital.node = hospital.another_node().await;
    let [doctor, reception] = [doctor, reception].map(|it| it.at(&hospital.node.base));
    for (nth, patient_id) in patients.iter().enumerate() {
        if nth == 5 {
            other.signal("KILL");
        }
        doctor.did("record-patient-death", json!({"patient_id": patient_id, "deceased_at": at(-1, 0)})).await;
    }
    for id in &open {
        cancelled(&reception, id).await;
    }
    assert_eq!(by_process(hospital.owner(), "after-death", "appointment.cancelled").await, 10);
    assert_eq!(count(hospital.owner(), "log.events where stream_type = 'process_failure'").await, 0);
}

#[tokio::test]
async fn how_far_processes_are_is_told_to_operators() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    until(async || {
        let told = get("/health/ready").await.json();
        told["processes"]["after-death"].is_i64() && told["processes"]["after-death"] == told["head_position"]
    })
    .await;
    let metrics = get("/metrics").await;
    for name in ["hims_process_position{process=\"after-death\"}", "hims_process_lag_events"] {
        assert!(metrics.text.contains(name), "{name} in {}", metrics.text);
    }
}
