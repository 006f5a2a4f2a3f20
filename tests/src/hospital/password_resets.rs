//! New passwords by e-mail: what the link does, and that nothing tells who has an address.

use reqwest::Method;
use serde_json::{Value, json};

use super::delivery::with_mail;
use super::demo::{DOCTOR, PASSWORD, user};
use super::everything::record;
use super::notifications::all_done;
use super::second_factor::{post, secure};
use super::{Answer, Client, Hospital};
use crate::support::MailServer;

const NEW_PASSWORD: &str = "staple horse battery";

/// Everything that happens to a reset in a hospital without a mail server.
pub(crate) async fn everything(hospital: &Hospital) {
    let admin = hospital.login("admin").await;
    let stream = admin.did("start-password-reset", json!({"user_id": user(6)})).await;
    all_done(hospital).await;
    for event in ["used", "voided"] {
        record(hospital, "password_reset", &stream, event, json!({"request_id": user(6)})).await;
    }
}

async fn ask(nobody: &Client, email: &str) -> Answer {
    post(nobody, "password-resets", json!({ "email": email })).await
}

async fn choose(nobody: &Client, token: &str, new_password: &str) -> Answer {
    post(nobody, "password-resets/complete", json!({"token": token, "new_password": new_password})).await
}

/// The token in the last e-mail that the server took.
fn token_in(mails: &[String]) -> String {
    // The line is so long that it is sent in pieces (quoted-printable).
    let mail = mails.last().expect("an e-mail").replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, behind) = mail.split_once("https://hims.hill.example.org#password-reset=").expect("a link");
    behind.split_whitespace().next().expect("a token").to_owned()
}

/// The types of the events after a position.
async fn types_after(hospital: &Hospital, position: i64) -> Vec<String> {
    let events = hospital.node.store.read(position, i64::MAX).await.expect("the events are read");
    events.into_iter().map(|it| it.event_type).collect()
}

#[tokio::test]
async fn the_link_of_an_email_sets_a_password_once_ends_all_sessions_and_keeps_the_second_factor() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (doctor, nobody) = (hospital.login("doctor").await, hospital.nobody());
    let told = secure(&doctor).await;
    let asked = ask(&nobody, "Doctor@demo.hims").await;
    assert_eq!((asked.status, asked.text.as_str()), (202, ""));
    all_done(&hospital).await;
    let mails = server.taken();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("To: doctor@demo.hims") && mails[0].contains("Hill Hospital: choose a new password"));
    let token = token_in(&mails);
    // The token is nowhere but in the e-mail: neither in the log nor in what it seals.
    let events = hospital.node.store.read(0, i64::MAX).await.expect("the events are read");
    let opened = hospital.node.store.open(events).await.expect("the events are opened");
    let (_, mark) = token.rsplit_once('.').expect("a mark");
    assert!(opened.iter().all(|it| !format!("{it:?}").contains(mark)));

    doctor.get("departments").await.done();
    choose(&nobody, &token, "password1234").await.problem_at(422, "invalid-fields", "/new_password");
    let made_up = format!("{}0", &token[..token.len() - 1]);
    for wrong in ["made.up.token", if made_up == token { "made.up" } else { &made_up }] {
        choose(&nobody, wrong, NEW_PASSWORD).await.problem(422, "reset-over");
    }
    assert_eq!(choose(&nobody, &token, NEW_PASSWORD).await.status, 204);
    doctor.get_until("departments", 401).await;
    choose(&nobody, &token, "another horse battery").await.problem(422, "reset-over");
    let log_in = async |password: &str, code: Option<&str>| {
        post(&nobody, "sessions", json!({"email": "doctor@demo.hims", "password": password, "code": code})).await
    };
    log_in(PASSWORD, Some(&told.next_code)).await.problem(401, "wrong-credentials");
    log_in(NEW_PASSWORD, None).await.problem(401, "second-factor-needed");
    log_in(NEW_PASSWORD, Some(&told.next_code)).await.done();
    let admin = hospital.login("admin").await;
    let audit = admin.items("audit-logs?action=password_reset.used").await;
    assert_eq!(audit.len(), 1, "{audit:?}");
}

#[tokio::test]
async fn nothing_but_the_mailbox_tells_whether_somebody_has_an_address() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let nobody = hospital.nobody();
    let told =
        |answer: &Answer| (answer.status, answer.text.clone(), answer.header("hims-position").map(str::to_owned));
    let mut seen = Vec::new();
    for email in ["doctor@demo.hims", "nobody@demo.hims", "doctor@demo.hims", "nobody@demo.hims"] {
        all_done(&hospital).await;
        let before = hospital.node.store.current_head().await.expect("the head is read");
        let answer = ask(&nobody, email).await;
        all_done(&hospital).await;
        seen.push((told(&answer), types_after(&hospital, before).await));
    }
    assert_eq!(seen[0].1, ["password_reset.requested", "password_reset.settled"]);
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:?}");
    assert_eq!(server.taken().len(), 1, "the second request for an address sends nothing within five minutes");
    // The address that nobody has is in the log neither in the clear nor sealed.
    let events = hospital.node.store.read(0, i64::MAX).await.expect("the events are read");
    let opened = hospital.node.store.open(events).await.expect("the events are opened");
    assert!(opened.iter().all(|it| !format!("{it:?}").contains("nobody@")));
}

#[tokio::test]
async fn requests_from_one_network_have_to_pause_whomever_they_are_for() {
    let hospital = Hospital::start_with(|settings| settings.free_wrong_passwords = 2).await;
    let nobody = hospital.nobody();
    for (email, status) in [("nobody@demo.hims", 202), ("doctor@demo.hims", 202), ("nobody@demo.hims", 429)] {
        assert_eq!(ask(&nobody, email).await.status, status, "{email}");
    }
    hospital.login("doctor").await.get("departments").await.done();
}

#[tokio::test]
async fn an_administrator_sends_a_link_and_what_changes_the_password_otherwise_voids_it() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let start = async |client: &Client| client.command("start-password-reset", json!({"user_id": user(DOCTOR)})).await;
    start(&hospital.login("nurse").await).await.problem(403, "forbidden");
    start(&admin).await.done();
    all_done(&hospital).await;
    let first = token_in(&server.taken());
    let body = json!({"user_id": user(DOCTOR), "current_password": PASSWORD, "new_password": NEW_PASSWORD});
    hospital.login("doctor").await.did("change-password", body).await;
    choose(&nobody, &first, "another horse battery").await.problem(422, "reset-over");
    start(&admin).await.done();
    all_done(&hospital).await;
    let second = token_in(&server.taken());
    assert_ne!(first, second);
    // The link is good at every node.
    let other = hospital.another_node().await;
    assert_eq!(choose(&nobody.at(&other.base), &second, "another horse battery").await.status, 204);
    nobody.login_as("doctor@demo.hims", "another horse battery").await.get("departments").await.done();
    // Who left gets no link, and neither does who has no password unless somebody else asks for it.
    let role = admin.items("user-roles?name=nurse").await[0]["id"].clone();
    let new = json!({"email": "new@demo.hims", "first_name": "Nia", "last_name": "Ewing", "role_id": role});
    let new = admin.did("create-user", new).await;
    assert_eq!(ask(&nobody, "new@demo.hims").await.status, 202);
    all_done(&hospital).await;
    assert_eq!(server.taken().len(), 2);
    admin.did("start-password-reset", json!({ "user_id": new })).await;
    all_done(&hospital).await;
    assert_eq!(choose(&nobody, &token_in(&server.taken()), "first horse battery").await.status, 204);
    nobody.login_as("new@demo.hims", "first horse battery").await.get("sessions/current").await.done();
    admin.did("deactivate-user", json!({ "user_id": new })).await;
    admin.command("start-password-reset", json!({ "user_id": new })).await.problem(409, "inactive-user");
    assert_eq!(ask(&nobody, "new@demo.hims").await.status, 202);
    all_done(&hospital).await;
    assert_eq!(server.taken().len(), 3);
}

#[tokio::test]
async fn a_request_of_another_form_is_refused() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    for body in [json!({}), json!({"email": 1}), json!({"email": "a@example.org", "more": 1})] {
        post(&nobody, "password-resets", body).await.problem(400, "malformed-request");
    }
    let get = nobody.send(nobody.request(Method::GET, "/api/v1/password-resets")).await;
    assert_eq!((get.status, get.json()["code"].clone()), (405, Value::from("method-not-allowed")));
}
