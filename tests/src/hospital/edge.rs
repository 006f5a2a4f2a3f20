//! The edge of the server: what it takes in, what it gives away in errors, and how much of it one client may use.

use std::time::Duration;

use hims_domain::{Aggregate as _, DomainEvent, user::User};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connections::connect;
use super::demo::{self, person};
use super::{Answer, Client, Hospital};

async fn send(client: &Client, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = client.request(Method::POST, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.send(request.body(body.to_owned())).await
}

const REGISTER: &str = "/api/v1/commands/register-patient";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_body_with_a_content_encoding_is_415_before_anything_is_read() {
    let hospital = Hospital::start().await;
    let (nobody, admin) = (hospital.nobody(), hospital.login("admin").await);
    for encoding in ["gzip", "deflate", "br", "identity", "nonsense"] {
        let headers = [("content-encoding", encoding), JSON];
        send(&nobody, "/api/v1/sessions", &headers, "{}").await.problem(415, "unsupported-content-encoding");
        send(&admin, REGISTER, &headers, "{}").await.problem(415, "unsupported-content-encoding");
    }
    let read = nobody.request(Method::GET, "/api/v1/patients").header("content-encoding", "gzip");
    nobody.send(read).await.problem(415, "unsupported-content-encoding");
    // The server does not wait for the body that is announced: it never comes.
    let head = "POST /api/v1/sessions HTTP/1.1\r\nhost: hims\r\ncontent-type: application/json\r\n\
                content-encoding: gzip\r\ncontent-length: 524288\r\n\r\n";
    let mut socket = connect(&hospital.node.base).await;
    socket.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    let body_seconds = Duration::from_secs(hospital.settings.body_seconds);
    let read = tokio::time::timeout(body_seconds / 3, socket.read_exact(&mut answer)).await;
    read.expect("long before the body is given up").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 415");
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_415() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for given in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
        for path in ["/api/v1/sessions", REGISTER] {
            let answer = send(&admin, path, &[("content-type", given)], "{}").await;
            answer.problem(415, "unsupported-media-type");
        }
    }
    send(&admin, REGISTER, &[("content-type", "application/json; charset=utf-8")], "{}")
        .await
        .problem(400, "malformed-request");
}

#[tokio::test]
async fn a_key_that_stands_twice_is_400() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let twice = r#"{"first_name": "Zuzanna", "first_name": "Paula"}"#;
    send(&admin, REGISTER, &[JSON], twice).await.problem(400, "duplicate-key");
    let twice = r#"{"email": "doctor@demo.hims", "password": "x", "password": "y"}"#;
    send(&admin, "/api/v1/sessions", &[JSON], twice).await.problem(400, "duplicate-key");
}

#[tokio::test]
async fn a_login_has_a_small_body() {
    let hospital = Hospital::start().await;
    let long = json!({"email": "a".repeat(20_000), "password": "b"}).to_string();
    send(&hospital.nobody(), "/api/v1/sessions", &[JSON], &long).await.problem(413, "payload-too-large");
}

#[tokio::test]
async fn an_error_is_short_and_repeats_no_value() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let many = |count| (0..count).map(|number| (format!("unknown_{number}"), json!(1))).collect::<Map<_, _>>();
    let answer = admin.command("register-patient", Value::Object(many(1_000))).await;
    answer.problem(400, "malformed-request");
    assert!(answer.text.len() < 64 * 1024, "{}", answer.text.len());
    let findings = json!({"consultation_id": uuid::Uuid::from_u128(1), "review_of_systems": many(1_001)});
    for body in [findings, Value::Object(many(30_000))] {
        admin.command("record-findings", body).await.problem(400, "list-too-long");
    }
    let named = admin.command("register-patient", json!({"Zuzanna Kowalczyk": "Zuzanna"})).await;
    named.problem(400, "malformed-request");
    let asked = admin.get("patients?Zuzanna%20Kowalczyk=1").await;
    asked.problem(400, "invalid-parameter");
    let path = admin.get("patients/Zuzanna%20Kowalczyk").await;
    path.problem_at(400, "invalid-parameter", "/id");
    let elsewhere = admin.get("Zuzanna/Kowalczyk").await;
    elsewhere.problem(404, "not-found");
    for answer in [named, asked, path, elsewhere] {
        assert!(!answer.text.contains("Zuzanna"), "{}", answer.text);
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let mut answers = Vec::new();
    for path in ["/health/live", "/metrics", "/api/v1/openapi.json", "/docs/", "/api/v1/patients", "/nowhere"] {
        answers.push(nobody.send(nobody.request(Method::GET, path)).await);
    }
    answers.push(nobody.send(nobody.request(Method::PUT, "/api/v1/sessions")).await);
    answers.push(send(&nobody, "/api/v1/sessions", &[("content-encoding", "gzip")], "{}").await);
    for answer in &answers {
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    let docs = answers[3].header("content-security-policy").expect("a policy");
    assert!(docs.contains("script-src 'self';") && docs.contains("connect-src 'self';"), "{docs}");
    assert!(!answers[3].text.contains("<script>"), "the policy allows no script in the page: {}", answers[3].text);
}

#[tokio::test]
async fn a_client_that_takes_no_form_of_the_answer_is_406() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let picky = nobody.request(Method::GET, "/health/live").header("accept-encoding", "br, identity;q=0");
    nobody.send(picky).await.problem(406, "not-acceptable");
}

#[tokio::test]
async fn a_filter_of_a_closed_set_names_the_set() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for (path, pointer, known) in [
        ("appointments?status=lost", "/status", "checked_in"),
        ("consultations?status=lost", "/status", "in_progress"),
        ("prescriptions?status=lost", "/status", "dispensed"),
        ("audit-logs?action=user.sneezed", "/action", "user.created"),
        ("audit-logs?resource_type=shoe", "/resource_type", "vital_signs"),
        ("events?stream_type=shoe", "/stream_type", "vital_signs"),
        ("events?type=user.sneezed", "/type", "user.created"),
        ("events/stream?type=user.sneezed", "/type", "user.created"),
    ] {
        let answer = admin.get(path).await;
        answer.problem_at(400, "invalid-parameter", pointer);
        let message = answer.json()["errors"][0]["message"].to_string();
        assert!(message.contains(known) && !message.contains("sneezed"), "{path}: {message}");
    }
    admin.get("appointments?status=checked_in").await.done();
    admin.get(&format!("events?stream_type={}&type={}", User::STREAM, DomainEvent::types()[0])).await.done();
}

#[tokio::test]
async fn a_filter_that_there_is_not_names_those_that_there_are() {
    let hospital = Hospital::start().await;
    let answer = hospital.login("admin").await.get("appointments?colour=red").await;
    answer.problem_at(400, "invalid-parameter", "/colour");
    let message = answer.json()["errors"][0]["message"].as_str().expect("a message").to_owned();
    for column in ["patient_id", "provider_id", "starts_at"] {
        assert!(message.contains(column), "{message}");
    }
}

#[tokio::test]
async fn a_route_without_parameters_refuses_them() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let login = json!({"email": "doctor@demo.hims", "password": demo::PASSWORD});
    let request = admin.request(Method::POST, "/api/v1/sessions?remember=true").json(&login);
    admin.send(request).await.problem_at(400, "invalid-parameter", "/remember");
    let request = admin.request(Method::DELETE, "/api/v1/sessions/current?all=true");
    admin.send(request).await.problem_at(400, "invalid-parameter", "/all");
    admin.get("sessions/current").await.done();
}

#[tokio::test]
async fn a_session_has_so_many_event_streams_and_no_more() {
    let hospital = Hospital::start_with(|settings| settings.streams_per_session = 2).await;
    let (admin, other) = (hospital.login("admin").await, hospital.login("admin").await);
    let follow =
        async |client: &Client| client.request(Method::GET, "/api/v1/events/stream").send().await.expect("an answer");
    let (first, _second) = (follow(&admin).await, follow(&admin).await);
    let third = follow(&admin).await;
    assert!(third.headers().contains_key("retry-after"));
    Answer::of(third).await.problem(429, "too-many-requests");
    assert_eq!(follow(&other).await.status(), 200, "another session has its own");
    drop(first);
    // The server notices that the client has gone when it next writes to the stream: one more event is enough.
    let reception = hospital.login("reception").await;
    let freed = async {
        for number in 0.. {
            reception.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
            if follow(&admin).await.status() == 200 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), freed).await.expect("a stream that ended frees its place");
}

#[tokio::test]
async fn a_user_whose_commands_are_refused_too_often_is_429() {
    let hospital = Hospital::start_with(|settings| settings.refusals_per_minute = 3).await;
    let (nurse, doctor) = (hospital.login("nurse").await, hospital.login("doctor").await);
    let open = json!({"code": "X", "name": "X", "time_zone": "UTC"});
    for _ in 0..10 {
        // What is not even read as a command is no refusal, and leaves no event.
        nurse.command("open-department", json!({})).await.problem(400, "malformed-request");
    }
    for _ in 0..3 {
        nurse.command("open-department", open.clone()).await.problem(403, "forbidden");
    }
    let limited = nurse.command("open-department", open.clone()).await;
    limited.problem(429, "too-many-requests");
    assert!(limited.header("retry-after").is_some());
    nurse.get("departments").await.done();
    doctor.command("open-department", open).await.problem(403, "forbidden");
}

#[tokio::test]
async fn who_asks_without_a_pause_is_429_and_may_log_in_all_the_same() {
    let hospital = Hospital::start_with(|settings| settings.requests_per_minute_of_user = 4).await;
    let (nurse, doctor) = (hospital.login("nurse").await, hospital.login("doctor").await);
    for _ in 0..3 {
        nurse.get("departments").await.done();
    }
    // A user has the same share in every session.
    let again = hospital.login("nurse").await;
    again.get("departments").await.done();
    for session in [&nurse, &again] {
        let limited = session.get("departments").await;
        limited.problem(429, "too-many-requests");
        assert!(limited.header("retry-after").is_some());
        session.command("open-department", json!({})).await.problem(429, "too-many-requests");
    }
    doctor.get("departments").await.done();
}

#[tokio::test]
async fn an_address_that_asks_without_a_pause_is_429_and_may_log_in_all_the_same() {
    let hospital = Hospital::start_with(|settings| {
        (settings.requests_per_minute_of_address, settings.counts_this_machine) = (4, true);
    })
    .await;
    let (nurse, doctor) = (hospital.login("nurse").await, hospital.login("doctor").await);
    for session in [&nurse, &doctor, &nurse, &doctor] {
        session.get("departments").await.done();
    }
    nurse.get("departments").await.problem(429, "too-many-requests");
    doctor.get("departments").await.problem(429, "too-many-requests");
    hospital.login("reception").await.get("departments").await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn only_a_password_that_was_compared_counts_as_a_guess() {
    let hospital = Hospital::start_with(|settings| settings.free_wrong_passwords = 1).await;
    let nobody = hospital.nobody();
    for body in ["{}", "not json", r#"{"email": 1, "password": "x"}"#] {
        assert_eq!(send(&nobody, "/api/v1/sessions", &[JSON], body).await.status, 400);
    }
    let doctor = nobody.login("doctor").await;
    let change = |body: Value| doctor.command("change-password", body);
    let me = demo::user(demo::DOCTOR);
    for _ in 0..3 {
        change(json!({"user_id": me, "current_password": demo::PASSWORD})).await.problem(400, "malformed-request");
        let weak = json!({"user_id": me, "current_password": demo::PASSWORD, "new_password": "password1234"});
        change(weak).await.problem_at(422, "invalid-fields", "/new_password");
    }
    let wrong = json!({"user_id": me, "current_password": "wrong", "new_password": "staple horse battery"});
    change(wrong.clone()).await.problem(422, "wrong-password");
    change(wrong).await.problem(429, "too-many-requests");
}

/// The IP address that the audit names for the last login of a demo user, who logs in with these headers.
async fn address_of_login(hospital: &Hospital, headers: &[(&str, &str)]) -> Value {
    let login = json!({"email": "doctor@demo.hims", "password": demo::PASSWORD}).to_string();
    let all: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    assert_eq!(send(&hospital.nobody(), "/api/v1/sessions", &all, &login).await.status, 201);
    hospital.settle().await;
    let doctor = demo::user(demo::DOCTOR);
    let path = format!("audit-logs?user_id={doctor}&action=session.started&sort=-position&limit=1");
    hospital.login("admin").await.items(&path).await[0]["ip_address"].clone()
}

#[tokio::test]
async fn a_proxy_is_believed_only_if_it_is_trusted() {
    let forwarded = [("x-forwarded-for", "192.0.2.66, 198.51.100.7")];
    let hospital = Hospital::start().await;
    assert_eq!(address_of_login(&hospital, &forwarded).await, "127.0.0.1");
    let behind = Hospital::start_with(|settings| {
        settings.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    })
    .await;
    assert_eq!(address_of_login(&behind, &forwarded).await, "198.51.100.7");
    assert_eq!(address_of_login(&behind, &[("forwarded", "for=\"[2001:db8::7]:4711\"")]).await, "2001:db8::7");
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_limited_one_by_one() {
    let hospital = Hospital::start_with(|settings| {
        settings.free_wrong_passwords = 2;
        settings.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    })
    .await;
    let nobody = hospital.nobody();
    let log_in = |from: &'static str, email: &str, password: &str| {
        let body = json!({"email": email, "password": password}).to_string();
        let nobody = nobody.clone();
        async move { send(&nobody, "/api/v1/sessions", &[("x-forwarded-for", from), JSON], &body).await }
    };
    for host in ["2001:db8::1", "2001:db8::2"] {
        log_in(host, "nurse@demo.hims", "wrong password").await.problem(401, "wrong-credentials");
    }
    // The /64 network has to pause, whoever is asked for; clients from elsewhere do not.
    log_in("2001:db8::3", "nurse@demo.hims", demo::PASSWORD).await.problem(429, "too-many-requests");
    assert_eq!(log_in("198.51.100.7", "nurse@demo.hims", demo::PASSWORD).await.status, 201);
}
