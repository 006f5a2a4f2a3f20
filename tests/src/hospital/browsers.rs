//! What browsers ask and are told: pages of other origins (CORS), and whom to tell of a weakness (security.txt).

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;

use super::{Answer, Client, Hospital};

const APP: &str = "https://app.example.org";
const ALLOWED: &str = "access-control-allow-origin";

/// Asks as a browser does before a page of an origin may send a command.
async fn preflight(client: &Client, origin: &str, header: &str) -> Answer {
    let request = client.request(Method::OPTIONS, "/api/v1/commands/register-patient");
    let request = request.header("origin", origin).header("access-control-request-method", "POST");
    client.send(request.header("access-control-request-headers", header)).await
}

async fn list(client: &Client, origin: &str) -> Answer {
    client.send(client.request(Method::GET, "/api/v1/patients").header("origin", origin)).await
}

#[tokio::test]
async fn pages_of_the_origins_that_are_named_may_ask_and_others_may_not() {
    let origins = format!("{APP}, http://localhost:3000");
    let hospital = Hospital::start_with(|settings| settings.allowed_origins = origins.parse().expect("origins")).await;
    let (nobody, doctor) = (hospital.nobody(), hospital.login("doctor").await);
    for origin in [APP, "http://localhost:3000"] {
        let may = preflight(&nobody, origin, "authorization, content-type, idempotency-key, hims-min-position").await;
        assert_eq!((may.status, may.header(ALLOWED)), (200, Some(origin)));
        assert!(may.header("access-control-allow-methods").is_some_and(|it| it.contains("POST")));
        let listed = list(&doctor, origin).await;
        assert_eq!((listed.status, listed.header(ALLOWED)), (200, Some(origin)));
        assert!(listed.header("access-control-expose-headers").is_some_and(|it| it.contains("hims-position")));
        assert!(listed.header("vary").is_some_and(|it| it.to_lowercase().contains("origin")));
        assert_eq!(listed.header("access-control-allow-credentials"), None);
        let problem = list(&nobody, origin).await;
        problem.problem(401, "unauthenticated");
        assert_eq!(problem.header(ALLOWED), Some(origin), "a page may read why it was refused");
    }
    for origin in ["https://evil.example.org", "https://app.example.org.evil.example", "http://app.example.org", "null"]
    {
        let may = preflight(&nobody, origin, "authorization").await;
        may.problem(400, "origin-not-allowed");
        let listed = list(&doctor, origin).await;
        assert_eq!((may.header(ALLOWED), listed.header(ALLOWED)), (None, None), "{origin}");
    }
    preflight(&nobody, APP, "x-unknown").await.problem(400, "origin-not-allowed");
}

#[tokio::test]
async fn without_the_setting_no_other_page_may_ask_and_nobody_is_named() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    preflight(&nobody, APP, "authorization").await.problem(405, "method-not-allowed");
    assert_eq!(list(&hospital.login("doctor").await, APP).await.header(ALLOWED), None);
    let file = nobody.send(nobody.request(Method::GET, "/.well-known/security.txt")).await;
    assert_eq!(file.problem(404, "not-found")["instance"], "/.well-known/security.txt");
}

#[tokio::test]
async fn whom_to_tell_of_a_weakness_is_told() {
    let contacts = "mailto:security@example.org, https://example.org/report";
    let hospital =
        Hospital::start_with(|settings| settings.security_contacts = contacts.parse().expect("contacts")).await;
    let nobody = hospital.nobody();
    let file = nobody.send(nobody.request(Method::GET, "/.well-known/security.txt")).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let lines: Vec<_> = file.text.lines().collect();
    let [first, second, expires, "Preferred-Languages: en"] = lines[..] else { panic!("{lines:?}") };
    assert_eq!([first, second], ["Contact: mailto:security@example.org", "Contact: https://example.org/report"]);
    let expires: DateTime<Utc> = expires.strip_prefix("Expires: ").expect("an end").parse().expect("RFC 3339");
    let left = expires - (hims_api::surroundings().clock)();
    assert!(left > TimeDelta::days(1) && left < TimeDelta::days(365), "{left}");
}

#[tokio::test]
async fn no_answer_may_be_kept_by_a_cache() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    for (method, path) in [
        (Method::GET, "/api/v1/patients"),
        (Method::HEAD, "/api/v1/patients"),
        (Method::GET, "/api/v1/sessions/current"),
        (Method::GET, "/api/v1/departments"),
        (Method::GET, "/api/v1/commands"),
        (Method::GET, "/api/v1/nowhere/at/all"),
        (Method::GET, "/metrics"),
        (Method::GET, "/health/ready"),
        (Method::POST, "/api/v1/commands/register-patient"),
        (Method::PUT, "/api/v1/patients"),
        (Method::from_bytes(b"BREW").expect("a method"), "/api/v1/patients"),
        (Method::DELETE, "/api/v1/sessions/current"),
    ] {
        let answer = doctor.send(doctor.request(method.clone(), path)).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
    }
}
