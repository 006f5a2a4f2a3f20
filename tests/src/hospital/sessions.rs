//! Sessions: whoever has them lists them and ends them, and what has ended is over at once.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{DOCTOR, NURSE, PASSWORD, RECEPTION, patient, user};
use super::everything::record;
use super::problems::role;
use super::second_factor::{post, secure};
use super::{Client, Hospital};

async fn id_of(client: &Client) -> String {
    client.get("sessions/current").await.done()["session_id"].as_str().expect("an id").to_owned()
}

/// The sessions that a client is shown and that have not ended, as (id, user).
async fn open(client: &Client) -> Vec<(Value, Value)> {
    let rows = client.items("user-sessions?limit=500").await;
    rows.iter().filter(|it| it["ended_at"].is_null()).map(|it| (it["id"].clone(), it["user_id"].clone())).collect()
}

#[tokio::test]
async fn users_list_and_end_their_own_sessions() {
    let hospital = Hospital::start().await;
    let (doctor, left_behind) = (hospital.login("doctor").await, hospital.login("doctor").await);
    let nurse = hospital.login("nurse").await;
    hospital.settle().await;
    let [own, other, of_nurse] =
        [id_of(&doctor).await, id_of(&left_behind).await, id_of(&nurse).await].map(|it| json!(it));
    let shown = open(&doctor).await;
    assert!(shown.iter().all(|(_, whose)| *whose == json!(user(DOCTOR))), "{shown:?}");
    assert!([&own, &other].iter().all(|it| shown.iter().any(|(id, _)| id == *it)), "{shown:?}");
    let row = doctor.row("user-sessions", other.as_str().expect("an id")).await;
    assert!(row["ip_address"].is_string() && row["created_at"].is_string() && row.get("token_hash").is_none(), "{row}");
    doctor.command("revoke-session", json!({ "session_id": of_nurse })).await.problem(403, "forbidden");
    doctor.did("revoke-session", json!({ "session_id": other })).await;
    left_behind.get("departments").await.problem(401, "unauthenticated");
    assert_eq!(doctor.row("user-sessions", other.as_str().expect("an id")).await["end_reason"], "revoked");
    assert_eq!(doctor.command("revoke-session", json!({ "session_id": other })).await.done()["events"], json!([]));
    nurse.get("departments").await.done();
    doctor.did("revoke-session", json!({ "session_id": own })).await;
    doctor.get("departments").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn administrators_list_and_end_the_sessions_of_others() {
    let hospital = Hospital::start().await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let session = id_of(&nurse).await;
    let listed = admin.items(&format!("user-sessions?user_id={}", user(NURSE))).await;
    assert!(listed.iter().any(|it| it["id"] == json!(session)), "{listed:?}");
    admin.did("revoke-session", json!({ "session_id": session })).await;
    nurse.get("departments").await.problem(401, "unauthenticated");
    admin.command("revoke-session", json!({ "session_id": user(RECEPTION) })).await.problem(404, "not-found");
}

/// The rest of an event stream; it must end before the line that keeps it open, which comes after 15 seconds.
async fn rest(response: reqwest::Response) -> String {
    let read = response.bytes_stream().map(|it| String::from_utf8_lossy(&it.expect("a chunk")).into_owned());
    tokio::time::timeout(Duration::from_secs(10), read.collect::<String>()).await.expect("the stream ends")
}

#[tokio::test]
async fn a_session_that_is_ended_is_over_at_every_node_and_on_its_event_streams() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    let there = doctor.at(&other.base);
    there.get("departments").await.done();
    let mut streams = Vec::new();
    for (client, path) in [
        (&doctor, format!("/api/v1/events/stream?patient_id={}", patient(1))),
        (&there, format!("/api/v1/events/stream?patient_id={}", patient(1))),
        (&there, "/api/v1/notifications/stream".to_owned()),
    ] {
        streams.push(client.request(Method::GET, &path).send().await.expect("a stream"));
    }
    let nurse = hospital.login("nurse").await;
    admin.did("revoke-session", json!({ "session_id": id_of(&doctor).await })).await;
    // What happens after the end is told on none of the streams, and nothing has to happen for a stream to end.
    nurse.did("record-vital-signs", json!({"patient_id": patient(1), "heart_rate": 61})).await;
    for stream in streams {
        assert_eq!(rest(stream).await, "");
    }
    doctor.get("departments").await.problem(401, "unauthenticated");
    there.get("departments").await.problem(401, "unauthenticated");
}

/// Lets the proof of who a client is be too old.
async fn let_time_pass(hospital: &Hospital, client: &Client) {
    let passed = json!({"identity_confirmed_until": "2026-01-01T00:00:00Z"});
    record(hospital, "session", &id_of(client).await, "identity_confirmed", passed).await;
}

#[tokio::test]
async fn what_only_the_right_person_may_do_needs_a_proof_of_who_asks() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let needing = admin.items("commands").await.into_iter().filter(|it| it["needs_identity"] == true);
    let needing: Vec<_> = needing.map(|it| it["name"].as_str().expect("a name").to_owned()).collect();
    let expected = [
        "change-role-permissions",
        "change-user-role",
        "create-user",
        "define-role",
        "merge-patients",
        "remove-second-factor",
        "reset-password",
        "unmerge-patients",
    ];
    assert_eq!(needing, expected);
    let roles = |additional: &str| json!({"user_id": user(NURSE), "additional_role_ids": [role(additional)]});
    // A login is a proof, for a while.
    admin.did("change-user-role", roles("receptionist")).await;
    let_time_pass(&hospital, &admin).await;
    admin.command("change-user-role", roles("doctor")).await.problem(403, "confirm-identity");
    hospital.login("nurse").await.command("change-user-role", roles("doctor")).await.problem(403, "forbidden");
    let confirm = async |body: Value| post(&admin, "sessions/current/confirm", body).await;
    confirm(json!({"password": "a wrong password"})).await.problem(422, "wrong-password");
    admin.command("change-user-role", roles("doctor")).await.problem(403, "confirm-identity");
    assert!(confirm(json!({"password": PASSWORD})).await.done()["confirmed_until"].is_string());
    let other = hospital.another_node().await;
    admin.at(&other.base).did("change-user-role", roles("doctor")).await;
    // Other commands need no proof.
    let_time_pass(&hospital, &admin).await;
    admin.did("change-user-profile", json!({"user_id": user(NURSE), "last_name": "Luna"})).await;
}

#[tokio::test]
async fn who_has_a_second_factor_proves_with_it_too() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let told = secure(&admin).await;
    let_time_pass(&hospital, &admin).await;
    let confirm = async |code: Option<&str>| {
        post(&admin, "sessions/current/confirm", json!({"password": PASSWORD, "code": code})).await
    };
    confirm(None).await.problem(422, "second-factor-needed");
    confirm(Some("no code")).await.problem(422, "wrong-code");
    let porter = json!({"name": "porter", "display_name": "Porter", "permissions": {}});
    admin.command("define-role", porter.clone()).await.problem(403, "confirm-identity");
    confirm(Some(&told.next_code)).await.done();
    admin.did("define-role", porter).await;
    confirm(Some(&told.next_code)).await.problem(422, "wrong-code");
}
