//! Sessions: whoever has them lists them and ends them, and what has ended is over at once.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{DOCTOR, NURSE, PASSWORD, RECEPTION, patient, user};
use super::everything::record;
use super::problems::role;
use super::reports::{run, schedule_of_the_visits};
use super::second_factor::{post, secure};
use super::{Answer, Client, Hospital};

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

/// The codes of the recorded failures of a command that needs a proof of who somebody is.
pub(super) async fn failures_of(admin: &Client, command: &str) -> Vec<Value> {
    let failed = admin.items("events?type=access.login_failed&limit=5000").await;
    failed.iter().filter(|it| it["data"]["command"] == command).map(|it| it["data"]["code"].clone()).collect()
}

/// Reads as a program that asks by itself, such as a screen that refreshes itself.
async fn in_background(client: &Client, path: &str) -> Answer {
    let request = client.request(Method::GET, &format!("/api/v1/{path}"));
    client.send(request.header("Hims-Background", "true")).await
}

#[tokio::test]
async fn a_request_in_the_background_prolongs_no_session() {
    let hospital = Hospital::start().await;
    let (doctor, admin) = (hospital.login("doctor").await, hospital.login("admin").await);
    let session = id_of(&doctor).await;
    let idle_end = async || -> DateTime<Utc> {
        hospital.settle().await;
        let row = admin.row("user-sessions", &session).await;
        row["idle_expires_at"].as_str().expect("a time").parse().expect("a time")
    };
    let now = (hims_api::surroundings().clock)().trunc_subsecs(0);
    let left = async |minutes| {
        let renewed = json!({"idle_expires_at": now + TimeDelta::minutes(minutes)});
        record(&hospital, "session", &session, "renewed", renewed).await;
    };
    // Of the half hour without a request, ten minutes are left. The other node has not met the session before.
    left(10).await;
    let other = hospital.another_node().await;
    let there = doctor.at(&other.base);
    for path in ["patients?limit=3", "departments", "notifications?limit=3"] {
        in_background(&there, path).await.done();
    }
    assert_eq!(idle_end().await, now + TimeDelta::minutes(10));
    there.get("patients?limit=3").await.done();
    let prolonged = idle_end().await;
    assert!(prolonged >= now + TimeDelta::minutes(30), "{prolonged} is not half an hour after {now}");
    // Once the time is over, no request brings the session back.
    left(-1).await;
    there.get_until("departments", 401).await.problem(401, "unauthenticated");
    in_background(&there, "departments").await.problem(401, "unauthenticated");
}

/// Lets the proof of who a client is be too old.
pub(super) async fn let_time_pass(hospital: &Hospital, client: &Client) {
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
        "change-service-account-scopes",
        "change-user-role",
        "confirm-erasure",
        "create-service-account",
        "create-user",
        "define-role",
        "erase-patient",
        "erase-user",
        "link-user-identity",
        "merge-patients",
        "remove-passkey",
        "remove-second-factor",
        "reset-password",
        "start-password-reset",
        "unlink-user-identity",
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
async fn exports_need_a_proof_of_who_asks() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let made = run(&admin, schedule_of_the_visits("csv")).await;
    let file = format!("report-executions/{}/file", made["id"].as_str().expect("an id"));
    let exports = [file.as_str(), "events?raw=true&limit=1"];
    for export in exports {
        assert_eq!(admin.get(export).await.status, 200, "{export}");
    }
    let_time_pass(&hospital, &admin).await;
    for export in exports {
        admin.get(export).await.problem(403, "confirm-identity");
    }
    // One stream, or what the caller may read of the log, is no export.
    admin.get("events?limit=1").await.done();
    admin.get(&format!("events?raw=true&stream_id={}", user(NURSE))).await.done();
    post(&admin, "sessions/current/confirm", json!({ "password": PASSWORD })).await.done();
    for export in exports {
        assert_eq!(admin.get(export).await.status, 200, "{export}");
    }
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
