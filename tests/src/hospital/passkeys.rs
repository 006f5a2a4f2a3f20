//! Passkeys: who logs in with one, what they are good for, what does not hold, and who takes one away.

use std::collections::BTreeSet;

use hims_api::Settings;
use hims_testing::patched;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{DOCTOR, NURSE, PASSWORD, user};
use super::second_factor::{post, secure};
use super::sessions::{failures_of, let_time_pass};
use super::tables::contents;
use super::{Answer, Client, Hospital, Node};
use crate::support::Device;

/// The origin of the pages of the hospital.
const PAGES: &str = "https://hims.hill.example.org";
const DOCTORS: &str = "doctor@demo.hims";
const NURSES: &str = "nurse@demo.hims";

fn with_pages(settings: &mut Settings) {
    settings.public_url = Some(format!("{PAGES}/login"));
}

/// Posts nothing to a path below `/api/v1`.
async fn begin(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::POST, &format!("/api/v1/{path}"))).await
}

/// Begins to make a passkey, and answers what is sent to end that.
async fn made(client: &Client, device: &mut Device, origin: &str) -> Value {
    let begun = begin(client, "sessions/current/passkeys").await.done();
    let credential = device.answer(origin, &begun["options"]);
    json!({"attempt": begun["attempt"], "name": "Violet telephone", "credential": credential})
}

async fn add(client: &Client, made: &Value) -> Answer {
    post(client, "sessions/current/passkeys/complete", made.clone()).await
}

/// Gives a client a passkey on a device; answers the passkey's id.
async fn give(client: &Client, device: &mut Device) -> String {
    let added = add(client, &made(client, device, PAGES).await).await.done();
    added["id"].as_str().expect("an id").to_owned()
}

async fn ask(nobody: &Client, email: &str) -> Value {
    post(nobody, "sessions/passkeys", json!({ "email": email })).await.done()
}

/// What is sent to end a login.
fn login(email: &str, begun: &Value, credential: &Value) -> Value {
    json!({"email": email, "attempt": begun["attempt"], "credential": credential})
}

/// Begins a login, and answers what is sent to end that.
async fn signed(nobody: &Client, device: &mut Device, email: &str) -> Value {
    let begun = ask(nobody, email).await;
    let credential = device.answer(PAGES, &begun["options"]);
    login(email, &begun, &credential)
}

async fn complete(nobody: &Client, login: &Value) -> Answer {
    post(nobody, "sessions/passkeys/complete", login.clone()).await
}

async fn log_in(nobody: &Client, device: &mut Device, email: &str) -> Client {
    let session = complete(nobody, &signed(nobody, device, email).await).await.done();
    nobody.with_token(session["token"].as_str().expect("a token"))
}

async fn own(client: &Client) -> Vec<Value> {
    client.items("sessions/current/passkeys").await
}

/// Every event of passkeys, at a node whose pages may use them.
pub(crate) async fn everything(hospital: &Hospital) {
    let mut settings = hospital.settings.clone();
    with_pages(&mut settings);
    let node = Node::start(settings, hims_api::surroundings(), false).await;
    let operator = hospital.login("operator").await.at(&node.base);
    let mut device = Device::new();
    give(&operator, &mut device).await;
    let operator = log_in(&hospital.nobody().at(&node.base), &mut device, "operator@demo.hims").await;
    let user_id = operator.get("sessions/current").await.done()["user"]["id"].clone();
    operator.did("remove-passkey", json!({ "user_id": user_id })).await;
}

#[tokio::test]
async fn whoever_has_a_passkey_logs_in_with_it_at_every_node() {
    let hospital = Hospital::start_with(with_pages).await;
    let other = hospital.another_node().await;
    let (doctor, elsewhere) = (hospital.login("doctor").await, hospital.login("doctor").await);
    let mut device = Device::new();
    let made = made(&doctor, &mut device, PAGES).await;
    let added = add(&doctor.at(&other.base), &made).await.done();
    assert_eq!(added["name"], "Violet telephone");
    for client in [&doctor, &doctor.at(&other.base)] {
        add(client, &made).await.problem(422, "invalid-attempt");
    }
    // The other session began with the password alone.
    elsewhere.get("departments").await.problem(401, "unauthenticated");
    let passkeys = own(&doctor).await;
    assert_eq!((passkeys.len(), &passkeys[0]["id"], &passkeys[0]["used_at"]), (1, &added["id"], &Value::Null));

    let (here, there) = (hospital.nobody(), hospital.nobody().at(&other.base));
    let login = signed(&here, &mut device, " Doctor@demo.HIMS").await;
    let session = complete(&there, &login).await;
    assert_eq!((session.status, session.json()["user"]["id"].clone()), (201, json!(user(DOCTOR))));
    for client in [&here, &there] {
        complete(client, &login).await.problem(401, "invalid-attempt");
    }
    let doctor = here.with_token(session.json()["token"].as_str().expect("a token"));
    let me = doctor.get("sessions/current").await.done();
    let row = doctor.row("user-sessions", me["session_id"].as_str().expect("an id")).await;
    assert_eq!(row["auth_method"], "passkey");
    assert!(own(&doctor).await[0]["used_at"].is_string());
    // The login is a proof. A second device is another passkey, and ends no session; each is told apart by its id.
    let mut second = Device::new();
    let second_id = give(&doctor, &mut second).await;
    let second_session = log_in(&there, &mut second, DOCTORS).await;
    doctor.did("remove-passkey", json!({"user_id": user(DOCTOR), "passkey_id": second_id})).await;
    second_session.get_until("departments", 401).await;
    let login = signed(&here, &mut device, DOCTORS).await;
    complete(&there, &login).await.done();
    hospital.login("doctor").await.get("departments").await.done();
}

#[tokio::test]
async fn what_does_not_hold_lets_nobody_in() {
    let hospital = Hospital::start_with(with_pages).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let (mut device, mut nurses) = (Device::new(), Device::new());
    give(&hospital.login("doctor").await, &mut device).await;
    give(&hospital.login("nurse").await, &mut nurses).await;
    let mut copy = device.clone();
    log_in(&nobody, &mut device, DOCTORS).await;

    let (begun, other) = (ask(&nobody, DOCTORS).await, ask(&nobody, DOCTORS).await);
    let options = |changes: Value| patched(begun["options"].clone(), changes);
    let mut spoilt = device.answer(PAGES, &begun["options"]);
    spoilt["response"]["signature"] = device.answer(PAGES, &other["options"])["response"]["signature"].clone();
    let mut careless = device.clone().that_asks_nobody();
    let wrong = [
        ("other-origin", device.answer("https://attack.hims.hill.example.org", &begun["options"])),
        ("other-domain", device.answer(PAGES, &options(json!({"rpId": "hill.example.org"})))),
        ("user-not-verified", careless.answer(PAGES, &begun["options"])),
        ("copied-passkey", copy.answer(PAGES, &begun["options"])),
        ("other-challenge", device.answer(PAGES, &other["options"])),
        ("unknown-passkey", nurses.answer(PAGES, &options(json!({"allowCredentials": nurses.known()})))),
        ("wrong-passkey", spoilt),
        ("unreadable-passkey", json!({"id": "nothing"})),
    ];
    for (code, credential) in &wrong {
        let answer = complete(&nobody, &login(DOCTORS, &begun, credential)).await;
        assert_eq!((code, answer.status, answer.json()["code"].clone()), (code, 401, json!("wrong-passkey")));
    }
    // The attempt is still good for the right answer, and only for whom it began.
    let right = device.answer(PAGES, &begun["options"]);
    complete(&nobody, &login(NURSES, &begun, &right)).await.problem(401, "invalid-attempt");
    complete(&nobody, &login(DOCTORS, &begun, &right)).await.done();
    for email in ["nobody@example.org", NURSES] {
        admin.did("deactivate-user", json!({"user_id": user(NURSE)})).await;
        let begun = ask(&nobody, email).await;
        let known = json!({"allowCredentials": nurses.known()});
        let credential = nurses.answer(PAGES, &patched(begun["options"].clone(), known));
        complete(&nobody, &login(email, &begun, &credential)).await.problem(401, "wrong-passkey");
    }
    let failed = admin.items("events?type=access.login_failed&limit=5000").await;
    assert!(failed.iter().all(|it| it["data"]["command"] == "start-passkey-session"), "{failed:?}");
    let codes: BTreeSet<_> = failed.iter().map(|it| it["data"]["code"].as_str().expect("a code")).collect();
    let codes_of_wrong = wrong.iter().map(|(code, _)| *code);
    let expected = codes_of_wrong.chain(["invalid-attempt", "unknown-user", "inactive-user"]);
    assert_eq!(codes, expected.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn a_key_that_does_not_hold_becomes_no_passkey() {
    let hospital = Hospital::start_with(with_pages).await;
    let (doctor, other) = (hospital.login("doctor").await, hospital.login("doctor").await);
    let begun = begin(&doctor, "sessions/current/passkeys").await.done();
    let options = |changes: Value| patched(begun["options"].clone(), changes);
    let wrong = [
        Device::new().answer("https://attack.hims.hill.example.org", &begun["options"]),
        Device::new().answer(PAGES, &options(json!({"rp": {"id": "hill.example.org"}}))),
        Device::new().that_asks_nobody().answer(PAGES, &begun["options"]),
        Device::new().answer(PAGES, &options(json!({"challenge": "AAAA"}))),
        json!({"id": "nothing"}),
    ];
    let new =
        |name: &str, credential: &Value| json!({"attempt": begun["attempt"], "name": name, "credential": credential});
    for credential in &wrong {
        add(&doctor, &new("Violet telephone", credential)).await.problem(422, "invalid-passkey");
    }
    let right = Device::new().answer(PAGES, &begun["options"]);
    add(&other, &new("Violet telephone", &right)).await.problem(422, "invalid-attempt");
    add(&doctor, &new(&"long ".repeat(30), &right)).await.problem(422, "invalid-fields");
    add(&doctor, &new("Violet telephone", &right)).await.done();
    assert_eq!(own(&doctor).await.len(), 1);
    // A new passkey needs a proof of who asks.
    let_time_pass(&hospital, &doctor).await;
    begin(&doctor, "sessions/current/passkeys").await.problem(403, "confirm-identity");
}

#[tokio::test]
async fn nothing_tells_which_addresses_are_known() {
    let hospital = Hospital::start_with(with_pages).await;
    let nobody = hospital.nobody();
    give(&hospital.login("nurse").await, &mut Device::new()).await;
    let mut told = BTreeSet::new();
    for email in [NURSES, DOCTORS, "nobody@example.org"] {
        let (begun, again) = (ask(&nobody, email).await, ask(&nobody, email).await);
        let allowed = &begun["options"]["allowCredentials"];
        assert_eq!(*allowed, again["options"]["allowCredentials"], "{email}");
        for passkey in allowed.as_array().expect("a list") {
            assert_eq!(names(passkey), ["id", "type"], "{email}");
        }
        let refused = complete(&nobody, &login(email, &begun, &json!({}))).await.problem(401, "wrong-passkey");
        told.insert((names(&begun), names(&begun["options"]), refused["detail"].to_string()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    // Passkeys are made up for most addresses, and none for some, since users need not have any.
    let mut made_up = 0;
    for nth in 0..20 {
        let begun = ask(&nobody, &format!("nobody{nth}@example.org")).await;
        made_up += usize::from(begun["options"]["allowCredentials"] != json!([]));
    }
    assert!(made_up >= 8, "{made_up}");
}

/// The names of the members of an object.
fn names(object: &Value) -> Vec<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

#[tokio::test]
async fn wrong_passkeys_count_as_wrong_passwords_do() {
    let hospital = Hospital::start_with(|settings| {
        with_pages(settings);
        settings.free_wrong_passwords = 3;
    })
    .await;
    let (doctor, nobody) = (hospital.login("doctor").await, hospital.nobody());
    let mut device = Device::new();
    give(&doctor, &mut device).await;
    let login_of_doctor = signed(&nobody, &mut device, DOCTORS).await;
    for _ in 0..3 {
        let begun = ask(&nobody, DOCTORS).await;
        complete(&nobody, &login(DOCTORS, &begun, &json!({}))).await.problem(401, "wrong-passkey");
    }
    complete(&nobody, &login_of_doctor).await.problem(429, "too-many-requests");
    nobody.log_in(DOCTORS, PASSWORD).await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn a_passkey_proves_again_who_asks() {
    let hospital = Hospital::start_with(with_pages).await;
    let other = hospital.another_node().await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let mut device = Device::new();
    give(&admin, &mut device).await;
    let_time_pass(&hospital, &admin).await;
    let porter = json!({"name": "porter", "display_name": "Porter", "permissions": {}});
    admin.command("define-role", porter.clone()).await.problem(403, "confirm-identity");
    let prove = async |client: &Client, proof: &Value| {
        post(client, "sessions/current/confirm/passkey/complete", proof.clone()).await
    };
    let begun = begin(&admin, "sessions/current/confirm/passkey").await.done();
    let proof = |begun: &Value, credential: Value| json!({"attempt": begun["attempt"], "credential": credential});
    let wrong = device.answer("https://attack.hims.hill.example.org", &begun["options"]);
    prove(&admin, &proof(&begun, wrong)).await.problem(422, "wrong-passkey");
    // What was signed for a login is no proof, and what was signed in a session is none in another.
    let of_login = ask(&nobody, "admin@demo.hims").await;
    let credential = device.answer(PAGES, &of_login["options"]);
    prove(&admin, &proof(&of_login, credential)).await.problem(422, "invalid-attempt");
    let right = proof(&begun, device.answer(PAGES, &begun["options"]));
    prove(&hospital.login("admin").await, &right).await.problem(422, "invalid-attempt");
    admin.command("define-role", porter.clone()).await.problem(403, "confirm-identity");
    assert!(prove(&admin.at(&other.base), &right).await.done()["confirmed_until"].is_string());
    admin.did("define-role", porter).await;
    prove(&admin, &right).await.problem(422, "invalid-attempt");
    let failed = failures_of(&admin, "confirm-identity-by-passkey").await;
    assert_eq!((&failed[0], &failed[1]), (&json!("other-origin"), &json!("invalid-attempt")), "{failed:?}");
}

#[tokio::test]
async fn a_passkey_is_enough_where_a_role_demands_a_second_factor_and_a_password_is_not() {
    let hospital = Hospital::start_with(|settings| {
        with_pages(settings);
        settings.second_factor_roles = vec!["nurse".to_owned()];
    })
    .await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let nurse = hospital.login("nurse").await;
    nurse.get("departments").await.problem(403, "second-factor-required");
    begin(&nurse, "sessions/current/confirm/passkey").await.problem(403, "second-factor-required");
    let mut device = Device::new();
    give(&nurse, &mut device).await;
    nurse.get("departments").await.done();
    assert_eq!(nurse.get("sessions/current").await.done()["user"]["must_enrol_second_factor"], false);
    nobody.log_in(NURSES, "a wrong password").await.problem(401, "wrong-credentials");
    nobody.log_in(NURSES, PASSWORD).await.problem(401, "passkey-needed");
    post(&nurse, "sessions/current/confirm", json!({ "password": PASSWORD })).await.problem(422, "passkey-needed");
    assert_eq!(failures_of(&admin, "confirm-identity").await, ["passkey-needed"]);
    let nurse = log_in(&nobody, &mut device, NURSES).await;
    nurse.get("departments").await.done();
    // Who has both uses either.
    let told = secure(&nurse).await;
    let with_code = json!({"email": NURSES, "password": PASSWORD, "code": told.next_code});
    post(&nobody, "sessions", with_code).await.done();
    log_in(&nobody, &mut device, NURSES).await;
    admin.did("remove-second-factor", json!({"user_id": user(NURSE), "reason": "a new telephone"})).await;
    nobody.log_in(NURSES, PASSWORD).await.problem(401, "passkey-needed");
    // Where pages may not use passkeys, there are none.
    let without = Settings { public_url: None, ..hospital.settings.clone() };
    let node = Node::start(without, hims_api::surroundings(), false).await;
    let elsewhere = nobody.at(&node.base).login("nurse").await;
    elsewhere.get("departments").await.problem(403, "second-factor-required");
    admin.did("remove-passkey", json!({"user_id": user(NURSE)})).await;
    let nurse = hospital.login("nurse").await;
    nurse.get("departments").await.problem(403, "second-factor-required");
}

#[tokio::test]
async fn a_passkey_is_taken_away_by_its_owner_or_an_administrator_and_goes_with_the_user() {
    let hospital = Hospital::start_with(with_pages).await;
    let (admin, nurse, nobody) = (hospital.login("admin").await, hospital.login("nurse").await, hospital.nobody());
    let (doctor, mut device) = (hospital.login("doctor").await, Device::new());
    let of_doctor = json!({"user_id": user(DOCTOR)});
    give(&doctor, &mut device).await;
    nurse.command("remove-passkey", of_doctor.clone()).await.problem(403, "forbidden");
    let_time_pass(&hospital, &doctor).await;
    doctor.command("remove-passkey", of_doctor.clone()).await.problem(403, "confirm-identity");
    let by_passkey = log_in(&nobody, &mut device, DOCTORS).await;
    let begun = signed(&nobody, &mut device, DOCTORS).await;
    admin.did("remove-passkey", of_doctor.clone()).await;
    complete(&nobody, &begun).await.problem(401, "wrong-passkey");
    for session in [&doctor, &by_passkey] {
        session.get_until("departments", 401).await;
    }
    let doctor = hospital.login("doctor").await;
    assert!(own(&doctor).await.is_empty());
    let mut device = Device::new();
    give(&doctor, &mut device).await;
    doctor.did("remove-passkey", of_doctor).await;
    doctor.get("departments").await.done();
    // What is known of an erased user's passkeys is erased with everything else.
    let mut device = Device::new();
    give(&nurse, &mut device).await;
    let begun = signed(&nobody, &mut device, NURSES).await;
    let erasure = json!({"user_id": user(NURSE), "ground": "requested", "reason": "left long ago"});
    let erasure = admin.did("erase-user", erasure).await;
    hospital.login("privacy").await.did("confirm-erasure", json!({"erasure_id": erasure})).await;
    complete(&nobody, &begun).await.problem(401, "wrong-passkey");
    let events = admin.items(&format!("events?stream_id={}&type=user.passkey_added", user(NURSE))).await;
    assert!(!events[0].to_string().contains("Violet telephone"), "{events:?}");
}

#[tokio::test]
async fn what_is_known_of_a_key_is_told_nobody() {
    let hospital = Hospital::start_with(with_pages).await;
    let (doctor, mut device) = (hospital.login("doctor").await, Device::new());
    give(&doctor, &mut device).await;
    hospital.settle().await;
    let id = device.known()[0]["id"].as_str().expect("an id").to_owned();
    let admin = hospital.login("admin").await;
    for client in [&admin, &doctor, &hospital.login("nurse").await] {
        for path in ["events?stream_id=", "streams/user/", "users/"].map(|it| format!("{it}{}", user(DOCTOR))) {
            let answer = client.get(&path).await;
            for secret in [id.as_str(), "\"passkeys\"", "\"credential\"", "\"credential_id\""] {
                assert!(!answer.text.contains(secret), "{secret} in {path}: {}", answer.text);
            }
        }
    }
    let log = sqlx::query_scalar::<_, String>("select data::text || metadata::text from log.events");
    let log = log.fetch_all(hospital.owner()).await.expect("events").concat();
    assert!(log.contains("passkey_id"), "the passkey is in the log");
    for whole in [log, format!("{:?}", contents(hospital.owner(), "hims").await)] {
        assert!(!whole.contains(&id) && !whole.contains("Violet telephone"), "in plain text in the database");
    }
}

#[tokio::test]
async fn a_hospital_without_pages_has_no_passkeys() {
    let hospital = Hospital::start().await;
    let (nobody, doctor) = (hospital.nobody(), hospital.login("doctor").await);
    let asked = post(&nobody, "sessions/passkeys", json!({ "email": DOCTORS })).await.problem(404, "no-passkeys");
    assert!(asked["detail"].as_str().is_some_and(|it| it.contains("HIMS_PUBLIC_URL")), "{asked}");
    let nothing = json!({"attempt": "none", "credential": {}});
    complete(&nobody, &login(DOCTORS, &nothing, &json!({}))).await.problem(404, "no-passkeys");
    for path in ["sessions/current/passkeys", "sessions/current/confirm/passkey"] {
        begin(&doctor, path).await.problem(404, "no-passkeys");
    }
    let named = patched(nothing.clone(), json!({"name": "Violet telephone"}));
    add(&doctor, &named).await.problem(404, "no-passkeys");
    post(&doctor, "sessions/current/confirm/passkey/complete", nothing).await.problem(404, "no-passkeys");
    assert!(own(&doctor).await.is_empty());
}
