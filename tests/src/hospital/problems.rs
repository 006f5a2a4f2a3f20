//! Every way in which a request can fail, as problem details.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{self, appointment, at, person};
use super::{Answer, Client, Hospital};

async fn raw(client: &Client, command: &str, body: &'static str) -> Answer {
    client.send(client.request(Method::POST, &format!("/api/v1/commands/{command}")).body(body)).await
}

#[tokio::test]
async fn a_body_that_is_not_of_the_commands_form_is_400() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    raw(&reception, "register-patient", "{\"first_name\": ").await.problem(400, "not-json");
    raw(&reception, "register-patient", "[]").await.problem(400, "malformed-request");
    let with = |field: &str, value: Value| {
        let mut body = person("Zuzanna", "Kowalczyk", 1);
        body[field] = value;
        body
    };
    let wrong_type = reception.command("register-patient", with("organ_donor", json!("yes"))).await;
    wrong_type.problem_at(400, "malformed-request", "/organ_donor");
    let unknown = reception.command("register-patient", with("shoe_size", json!(42))).await;
    unknown.problem_at(400, "malformed-request", "/shoe_size");
    let missing = reception.command("register-patient", json!({"first_name": "Zuzanna", "organ_donor": "yes"})).await;
    let errors = missing.problem(400, "malformed-request")["errors"].as_array().cloned().unwrap_or_default();
    assert_eq!(errors.iter().map(|it| &it["pointer"]).collect::<Vec<_>>(), ["/gender", "/organ_donor"]);
    for answer in [&wrong_type, &unknown, &missing] {
        assert!(!answer.text.contains("Zuzanna") && !answer.text.contains("Kowalczyk"), "{}", answer.text);
    }
    let sessions = hospital.nobody();
    let post = |body: Value| sessions.request(Method::POST, "/api/v1/sessions").json(&body);
    let wordless = sessions.send(post(json!({"email": "doctor@demo.hims"}))).await;
    wordless.problem_at(400, "malformed-request", "/password");
    let talkative = json!({"email": "doctor@demo.hims", "password": demo::PASSWORD, "otp": "1"});
    sessions.send(post(talkative)).await.problem_at(400, "malformed-request", "/otp");
}

#[tokio::test]
async fn a_parameter_that_cannot_be_used_is_400() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for (path, pointer) in [
        ("patients?shoe_size=42", "/shoe_size"),
        ("patients?limit=0", "/limit"),
        ("patients?limit=501", "/limit"),
        ("patients?sort=gender", "/sort"),
        ("patients?cursor=nonsense", "/cursor"),
        ("patients?date_of_birth=yesterday", "/date_of_birth"),
        ("patients?date_of_birth=-1979-04-02", "/date_of_birth"),
        ("patients?created_at_from=%2B12345-01-01", "/created_at_from"),
        ("appointments?status=scheduled&status=confirmed", "/status"),
        ("patients?ssn=123-45-0001", "/ssn"),
        ("patients/not-a-uuid", "/id"),
        ("patients?q=%ff", "/q"),
        ("patients?q=%ed%a0%80", "/q"),
        ("events?limit=5001", "/limit"),
        ("events/stream?before=1", "/before"),
        ("events/stream?after=x", "/after"),
        ("events/stream?raw=true", "/raw"),
        ("events?from=yesterday", "/from"),
        ("events?raw=yes", "/raw"),
        ("sessions/current?x=1", "/x"),
        ("commands?x=1", "/x"),
    ] {
        admin.get(path).await.problem_at(400, "invalid-parameter", pointer);
    }
    // A cursor is valid only for the table, the filters and the order that it was made for.
    let page = admin.get("patients?sort=last_name&limit=1").await.done();
    let cursor = page["next"].as_str().expect("a next page");
    admin.get(&format!("patients?sort=last_name&limit=1&cursor={cursor}")).await.done();
    let other = format!("patients?sort=mrn&limit=1&cursor={cursor}");
    admin.get(&other).await.problem_at(400, "invalid-parameter", "/cursor");
    for other in
        ["users?sort=last_name", "patients?sort=last_name&date_of_birth=1980-05-17", "patients?sort=last_name&q=ann"]
    {
        let other = format!("{other}&limit=1&cursor={cursor}");
        admin.get(&other).await.problem_at(400, "invalid-parameter", "/cursor");
    }
    for (path, pointer) in [("events?colour=red", "/colour"), ("events?after=x", "/after")] {
        admin.get(path).await.problem_at(400, "invalid-parameter", pointer);
    }
    admin.get("streams/patient/x").await.problem_at(400, "invalid-parameter", "/id");
    admin.get("streams/patient/?version=x").await.problem(404, "not-found");
    for position in ["x", "-1"] {
        let request = admin.request(Method::GET, "/api/v1/patients").header("hims-min-position", position);
        admin.send(request).await.problem_at(400, "invalid-parameter", "/Hims-Min-Position");
    }
    let command = admin.post("register-patient", &person("A", "B", 1));
    admin.send(command.header("if-match", "\"x\"")).await.problem_at(400, "invalid-parameter", "/If-Match");
    let command = admin.post("register-patient", &person("A", "B", 1));
    let answer = admin.send(command.header("idempotency-key", "x")).await;
    answer.problem_at(400, "invalid-parameter", "/Idempotency-Key");
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_401() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    for path in ["patients", "events", "events/stream", "commands", "sessions/current"] {
        nobody.get(path).await.problem(401, "unauthenticated");
    }
    assert_eq!(nobody.get("patients").await.header("www-authenticate"), Some("Bearer"));
    nobody.command("register-patient", json!({})).await.problem(401, "unauthenticated");
    nobody.with_token("forged").get("patients").await.problem(401, "unauthenticated");
    nobody.log_in("doctor@demo.hims", "wrong password").await.problem(401, "wrong-credentials");
    nobody.log_in("nobody@demo.hims", "wrong password").await.problem(401, "wrong-credentials");
    let doctor = hospital.login("doctor").await;
    doctor.get("sessions/current").await.done();
    let left = doctor.send(doctor.request(Method::DELETE, "/api/v1/sessions/current")).await;
    assert_eq!(left.status, 204);
    doctor.get("patients").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_may_not_is_403() {
    let hospital = Hospital::start().await;
    let (patient, lab) = (hospital.login("patient").await, hospital.login("lab").await);
    patient.command("register-patient", person("Zuzanna", "Kowalczyk", 1)).await.problem(403, "forbidden");
    lab.get("prescriptions").await.problem(403, "forbidden");
    patient.get("events").await.problem(403, "forbidden");
    let answer = patient.get(&format!("events?patient_id={}", demo::patient(2))).await;
    answer.problem(403, "forbidden");
    let admin = hospital.login("admin").await;
    let chosen = json!({"user_id": demo::user(6), "new_password": "chosen by somebody"});
    admin.did("reset-password", chosen).await;
    // The user's sessions end a moment after the password was reset.
    lab.get_until("departments", 401).await.problem(401, "unauthenticated");
    let lab = hospital.nobody().login_as("lab@demo.hims", "chosen by somebody").await;
    lab.get("departments").await.problem(403, "password-change-required");
    let mine =
        json!({"user_id": demo::user(6), "current_password": "chosen by somebody", "new_password": "chosen by myself"});
    lab.did("change-password", mine).await;
    hospital.nobody().login_as("lab@demo.hims", "chosen by myself").await.get("departments").await.done();
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let no_id = Uuid::from_u128(404);
    for path in ["shoes", &format!("patients/{no_id}"), &format!("streams/patient/{no_id}"), "a/b/c/d"] {
        admin.get(path).await.problem(404, "not-found");
    }
    admin.command("tie-shoes", json!({})).await.problem(404, "no-such-command");
    let reception = hospital.login("reception").await;
    let unknown = reception.command("confirm-appointment", json!({"appointment_id": no_id})).await;
    unknown.problem(404, "not-found");
}

#[tokio::test]
async fn what_somebody_else_has_is_409() {
    let hospital = Hospital::start().await;
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    let first = reception.did("schedule-appointment", appointment(&demo::patient(5), at(4, 0))).await;
    let overlapping = reception.command("schedule-appointment", appointment(&demo::patient(6), at(4, 29))).await;
    let problem = overlapping.problem(409, "double-booking");
    assert_eq!(problem["candidates"], json!([first]));
    let pointers: Vec<_> = problem["errors"].as_array().expect("errors").iter().map(|it| &it["pointer"]).collect();
    assert_eq!(pointers, ["/provider_id", "/room_id"]);
    assert_eq!(problem["errors"][0]["code"], "double-booking");
    let second = reception.did("schedule-appointment", appointment(&demo::patient(6), at(4, 30))).await;
    // Both appointments stand against one that reaches into the other, and all are named in one answer.
    let between = reception.command("schedule-appointment", appointment(&demo::patient(7), at(4, 15))).await;
    let problem = between.problem(409, "double-booking");
    let named: BTreeSet<_> = problem["candidates"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(named, BTreeSet::from([first.as_str(), second.as_str()]));
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(4));
    let user = json!({"email": "Doctor@Demo.hims", "first_name": "A", "last_name": "B", "role_id": role("nurse")});
    admin.command("create-user", user).await.problem(409, "already-taken");
    let mut twin = person("Paula", "Reyes", 1);
    twin["date_of_birth"] = json!("1984-03-12");
    let duplicate = reception.command("register-patient", twin.clone()).await;
    let problem = duplicate.problem(409, "possible-duplicate");
    assert_eq!(problem["candidates"], json!([demo::patient(1)]));
    assert!(!duplicate.text.contains("Paula") && !duplicate.text.contains("1984-03-12"), "{}", duplicate.text);
    twin["confirm_not_duplicate"] = json!(true);
    reception.did("register-patient", twin).await;
    let mut again = person("Zuzanna", "Kowalczyk", 2);
    again["id"] = json!(demo::patient(1));
    reception.command("register-patient", again).await.problem(409, "already-exists");
}

/// The id of a system role, which holds the bytes of the role's name.
pub(crate) fn role(name: &str) -> Uuid {
    hims_commands::role_id(name).0
}

#[tokio::test]
async fn an_old_version_is_412() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let change = |city: &str, etag: &str| {
        let body = json!({"patient_id": demo::patient(2), "city": city});
        reception.post("change-patient-demographics", &body).header("if-match", etag)
    };
    let row = reception.get(&format!("patients/{}", demo::patient(2))).await;
    let etag = row.header("etag").expect("an ETag").to_owned();
    reception.send(change("Freiburg", &etag)).await.done();
    reception.send(change("Hinterzarten", &etag)).await.problem(412, "stale-version");
    assert_eq!(reception.row("patients", &demo::patient(2)).await["city"], "Freiburg");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let answer = reception.command("register-patient", json!({"first_name": "a".repeat(1 << 20)})).await;
    answer.problem(413, "payload-too-large");
}

#[tokio::test]
async fn what_a_rule_forbids_is_422() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let past = reception.command("schedule-appointment", appointment(&demo::patient(5), at(-2, 0))).await;
    past.problem(422, "in-the-past");
    let mut unborn = person("Zuzanna", "Kowalczyk", 1);
    unborn["date_of_birth"] = json!(at(3, 0).date_naive());
    let answer = reception.command("register-patient", unborn).await;
    answer.problem_at(422, "implausible-birth-date", "/date_of_birth");
    let mut no_phone = person("Zuzanna", "Kowalczyk", 1);
    no_phone["phone_primary"] = json!("call me");
    let answer = reception.command("register-patient", no_phone).await;
    answer.problem_at(422, "invalid-fields", "/phone_primary");
    assert!(!answer.text.contains("call me"), "{}", answer.text);
}

#[tokio::test]
async fn too_many_wrong_current_passwords_are_429() {
    let hospital = Hospital::start_with(|settings| settings.free_wrong_passwords = 2).await;
    let doctor = hospital.nobody().login("doctor").await;
    let change = |current: &str| {
        let body = json!({"user_id": demo::user(2), "current_password": current, "new_password": "a better password"});
        doctor.command("change-password", body)
    };
    for _ in 0..2 {
        change("wrong password").await.problem(422, "wrong-password");
    }
    change(demo::PASSWORD).await.problem(429, "too-many-requests");
    // Neither the logins of others nor other requests of this user are limited.
    hospital.nobody().login("nurse").await;
    doctor.get("sessions/current").await.done();
}

#[tokio::test]
async fn too_many_logins_are_429() {
    let hospital = Hospital::start_with(|settings| settings.free_wrong_passwords = 3).await;
    let nobody = hospital.nobody();
    for _ in 0..5 {
        // Logins with the right password are not counted.
        nobody.login("doctor").await;
    }
    for _ in 0..3 {
        nobody.log_in("doctor@demo.hims", "wrong password").await.problem(401, "wrong-credentials");
    }
    let answer = nobody.log_in("doctor@demo.hims", demo::PASSWORD).await;
    answer.problem(429, "too-many-requests");
    let seconds: u32 = answer.header("retry-after").expect("a number of seconds").parse().expect("seconds");
    assert!((1..=60).contains(&seconds));
}

#[tokio::test]
async fn tables_that_are_behind_are_503() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let future = hospital.node.store.current_head().await.expect("the head is read") + 1_000;
    for path in ["patients", &format!("patients/{}", demo::patient(1))] {
        let request = doctor.request(Method::GET, &format!("/api/v1/{path}"));
        let answer = doctor.send(request.header("hims-min-position", future).header("prefer", "wait=0")).await;
        answer.problem(503, "read-model-behind");
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_405() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/patients", "GET, HEAD"),
        (Method::PUT, &format!("/api/v1/patients/{}", demo::patient(1)), "GET, HEAD"),
        (Method::GET, "/api/v1/commands/register-patient", "POST"),
        (Method::PATCH, "/api/v1/sessions/current", "GET, DELETE"),
        (Method::POST, "/metrics", "GET, HEAD"),
        (Method::POST, "/docs/", "GET"),
        (Method::from_bytes(b"QUERY").expect("a method"), "/api/v1/patients", "GET, HEAD"),
    ] {
        let answer = admin.send(admin.request(method, path)).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
}

#[tokio::test]
async fn what_is_read_may_be_asked_for_without_the_body() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    hospital.settle().await;
    for path in ["/health/live", "/api/v1/patients", &format!("/api/v1/patients/{}", demo::patient(1))] {
        let answer = admin.send(admin.request(Method::HEAD, path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
    }
}
