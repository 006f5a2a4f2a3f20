//! Second factors: how a user gets one, what a login asks for then, who must have one, and who takes one away.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use super::demo::{self, DOCTOR, NURSE, PASSWORD, user};
use super::tables::contents;
use super::{Answer, Client, Hospital};

/// What a user was told of a second factor.
pub(crate) struct Told {
    pub(crate) secret: String,
    pub(crate) recovery_codes: Vec<String>,
    /// A code that was not used yet: that of the step after the one with which the second factor was confirmed. It is
    /// right for a minute, since a clock may be one step ahead.
    pub(crate) next_code: String,
}

/// Posts something to a path below `/api/v1`.
pub(crate) async fn post(client: &Client, path: &str, body: Value) -> Answer {
    client.send(client.request(Method::POST, &format!("/api/v1/{path}")).json(&body)).await
}

fn program(secret: &str) -> Totp {
    Builder::new().with_secret(Secret::try_from_base32(secret).expect("base 32")).build().expect("a long secret")
}

/// Gives a client a second factor, whose password is that of the demo.
pub(crate) async fn secure(client: &Client) -> Told {
    let enrolled = post(client, "sessions/current/second-factor", json!({"current_password": PASSWORD})).await.done();
    let secret = enrolled["secret"].as_str().expect("a secret").to_owned();
    let address = enrolled["address"].as_str().expect("an address");
    assert!(address.starts_with("otpauth://totp/") && address.contains(&secret), "{address}");
    let second = u64::try_from((hims_api::surroundings().clock)().timestamp()).expect("after 1970");
    let [code, next_code] = [0, 30].map(|later| program(&secret).generate(second + later).to_string());
    let confirmed = post(client, "sessions/current/second-factor/confirm", json!({ "code": code })).await.done();
    let codes = confirmed["recovery_codes"].as_array().expect("recovery codes");
    let recovery_codes = codes.iter().map(|it| it.as_str().expect("a text").to_owned()).collect();
    Told { secret, recovery_codes, next_code }
}

async fn log_in(client: &Client, login: &str, password: &str, code: Option<&str>) -> Answer {
    let body = json!({"email": format!("{login}@demo.hims"), "password": password, "code": code});
    post(client, "sessions", body).await
}

/// Everything that happens to a second factor, until it is taken away.
pub(crate) async fn everything(nobody: &Client, owner: &Client, email: &str) {
    let told = secure(owner).await;
    for (code, status) in [("no code", 401), (&told.next_code, 201), (&told.recovery_codes[0], 201)] {
        let body = json!({"email": email, "password": PASSWORD, "code": code});
        assert_eq!(post(nobody, "sessions", body).await.status, status);
    }
}

#[tokio::test]
async fn a_login_asks_for_a_code_once_a_second_factor_is_confirmed() {
    let hospital = Hospital::start().await;
    let (doctor, elsewhere) = (hospital.login("doctor").await, hospital.login("doctor").await);
    let wrong = json!({"current_password": "a wrong password"});
    post(&doctor, "sessions/current/second-factor", wrong).await.problem(422, "wrong-password");
    post(&doctor, "sessions/current/second-factor/confirm", json!({"code": "123456"}))
        .await
        .problem(409, "not-enrolled");
    let told = secure(&doctor).await;
    assert_eq!(told.recovery_codes.len(), 10);
    doctor.get("departments").await.done();
    elsewhere.get("departments").await.problem(401, "unauthenticated");
    let again = json!({"current_password": PASSWORD});
    post(&doctor, "sessions/current/second-factor", again).await.problem(409, "second-factor-exists");
    assert_eq!(doctor.row("users", &user(DOCTOR)).await["has_second_factor"], true);

    let nobody = hospital.nobody();
    let try_code = async |code: Option<&str>| log_in(&nobody, "doctor", PASSWORD, code).await;
    // That there is a second factor is told only to whoever knows the password.
    for code in [None, Some(told.next_code.as_str())] {
        log_in(&nobody, "doctor", "a wrong password", code).await.problem(401, "wrong-credentials");
    }
    try_code(None).await.problem(401, "second-factor-needed");
    try_code(Some("no code")).await.problem(401, "wrong-code");
    let token = try_code(Some(&told.next_code)).await.done()["token"].as_str().expect("a token").to_owned();
    nobody.with_token(&token).get("departments").await.done();
    try_code(Some(&told.next_code)).await.problem(401, "wrong-code");
    for code in &told.recovery_codes[..2] {
        try_code(Some(code)).await.done();
        try_code(Some(code)).await.problem(401, "wrong-code");
    }
    let admin = hospital.login("admin").await;
    let failed = admin.items("events?type=access.login_failed&limit=5000").await;
    let codes = failed.iter().filter(|it| it["data"]["code"] == "wrong-code").count();
    assert!(codes > 0, "{failed:?}");
}

#[tokio::test]
async fn of_many_logins_with_one_code_at_two_nodes_one_gets_in() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let told = secure(&hospital.login("doctor").await).await;
    let (here, there) = (hospital.nobody(), hospital.nobody().at(&other.base));
    for code in [&told.next_code, &told.recovery_codes[0]] {
        let tried = (0..8).map(|nth| log_in(if nth % 2 == 0 { &here } else { &there }, "doctor", PASSWORD, Some(code)));
        let answers = join_all(tried).await;
        assert_eq!(answers.iter().filter(|it| it.status == 201).count(), 1, "{answers:?}");
        answers.iter().filter(|it| it.status != 201).for_each(|it| drop(it.problem(401, "wrong-code")));
    }
}

#[tokio::test]
async fn whoever_has_a_role_that_demands_a_second_factor_enrols_before_anything_else() {
    let hospital = Hospital::start_with(|settings| settings.second_factor_roles = vec!["nurse".to_owned()]).await;
    let other = hospital.another_node().await;
    hospital.login("doctor").await.get("departments").await.done();
    let nurse = hospital.login("nurse").await;
    let there = nurse.at(&other.base);
    for client in [&nurse, &there] {
        assert_eq!(client.get("sessions/current").await.done()["user"]["must_enrol_second_factor"], true);
        client.get("departments").await.problem(403, "second-factor-required");
        client
            .get(&format!("events/stream?patient_id={}", demo::patient(1)))
            .await
            .problem(403, "second-factor-required");
        let profile = json!({"user_id": user(NURSE), "last_name": "Luna"});
        client.command("change-user-profile", profile).await.problem(403, "second-factor-required");
    }
    let told = secure(&nurse).await;
    // What the session could not do before is in no cache: the next request works at once, at each node.
    for client in [&there, &nurse] {
        assert_eq!(client.get("sessions/current").await.done()["user"]["must_enrol_second_factor"], false);
        client.get("departments").await.done();
    }
    log_in(&hospital.nobody(), "nurse", PASSWORD, Some(&told.next_code)).await.done();
}

#[tokio::test]
async fn a_lost_second_factor_is_taken_away_by_an_administrator() {
    let hospital = Hospital::start().await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let doctor = hospital.login("doctor").await;
    let told = secure(&doctor).await;
    let of_doctor = json!({"user_id": user(DOCTOR), "reason": "lost the telephone"});
    nurse.command("remove-second-factor", of_doctor.clone()).await.problem(403, "forbidden");
    doctor.command("remove-second-factor", of_doctor.clone()).await.problem(422, "code-missing");
    admin.command("remove-second-factor", json!({"user_id": user(DOCTOR)})).await.problem(400, "malformed-request");
    admin.did("remove-second-factor", of_doctor.clone()).await;
    doctor.get_until("departments", 401).await.problem(401, "unauthenticated");
    let doctor = hospital.login("doctor").await;
    assert_eq!(doctor.row("users", &user(DOCTOR)).await["has_second_factor"], false);
    // The old codes are good for nothing any more, and the user takes a new second factor away with a code of it.
    let renewed = secure(&doctor).await;
    log_in(&hospital.nobody(), "doctor", PASSWORD, Some(&told.recovery_codes[0])).await.problem(401, "wrong-code");
    let own = |code: &str| json!({"user_id": user(DOCTOR), "reason": "a new telephone", "code": code});
    doctor.command("remove-second-factor", own(&told.recovery_codes[0])).await.problem(422, "wrong-code");
    doctor.did("remove-second-factor", own(&renewed.next_code)).await;
    doctor.get("departments").await.done();
    hospital.login("doctor").await;
    // An administrator has no short cut for their own.
    let told = secure(&admin).await;
    let own = json!({"user_id": user(1), "reason": "a new telephone"});
    admin.command("remove-second-factor", own).await.problem(422, "code-missing");
    let own = json!({"user_id": user(1), "reason": "a new telephone", "code": told.recovery_codes[9]});
    admin.did("remove-second-factor", own).await;
}

#[tokio::test]
async fn wrong_codes_are_guesses_and_a_missing_code_is_none() {
    let hospital = Hospital::start_with(|settings| {
        settings.free_wrong_passwords = 2;
        settings.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    })
    .await;
    let doctor = hospital.login("doctor").await;
    let told = secure(&doctor).await;
    let nobody = hospital.nobody();
    let try_code = async |code: Option<&str>| {
        let body = json!({"email": "doctor@demo.hims", "password": PASSWORD, "code": code});
        let request = nobody.request(Method::POST, "/api/v1/sessions").header("x-forwarded-for", "198.51.100.7");
        nobody.send(request.json(&body)).await
    };
    for _ in 0..5 {
        try_code(None).await.problem(401, "second-factor-needed");
    }
    for _ in 0..2 {
        try_code(Some("123")).await.problem(401, "wrong-code");
    }
    // Whoever knows the password alone is at home nowhere.
    try_code(Some(&told.next_code)).await.problem(429, "too-many-requests");
    for _ in 0..2 {
        let removal = json!({"user_id": user(DOCTOR), "reason": "a new telephone", "code": "123"});
        doctor.command("remove-second-factor", removal).await.problem(422, "wrong-code");
    }
    let removal = json!({"user_id": user(DOCTOR), "reason": "a new telephone", "code": told.recovery_codes[0]});
    doctor.command("remove-second-factor", removal).await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn wrong_codes_of_a_removal_count_towards_the_twenty() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let told = secure(&doctor).await;
    let own = |code: &str| json!({"user_id": user(DOCTOR), "reason": "a new telephone", "code": code});
    for _ in 0..20 {
        doctor.command("remove-second-factor", own("123")).await.problem(422, "wrong-code");
    }
    // A code of the device is not right any more, wherever it is given; a recovery code is.
    doctor.command("remove-second-factor", own(&told.next_code)).await.problem(422, "wrong-code");
    let nobody = hospital.nobody();
    log_in(&nobody, "doctor", PASSWORD, Some(&told.next_code)).await.problem(401, "second-factor-locked");
    doctor.did("remove-second-factor", own(&told.recovery_codes[0])).await;
}

#[tokio::test]
async fn who_logs_in_with_the_last_recovery_code_replaces_the_lost_device() {
    let hospital = Hospital::start().await;
    let told = secure(&hospital.login("doctor").await).await;
    let nobody = hospital.nobody();
    let mut tokens = Vec::new();
    for code in &told.recovery_codes {
        let session = log_in(&nobody, "doctor", PASSWORD, Some(code)).await.done();
        tokens.push(session["token"].as_str().expect("a token").to_owned());
    }
    let own = json!({"user_id": user(DOCTOR), "reason": "the telephone is lost"});
    let [earlier, last] = [&tokens[0], &tokens[9]].map(|token| nobody.with_token(token));
    earlier.command("remove-second-factor", own.clone()).await.problem(422, "code-missing");
    last.did("remove-second-factor", own).await;
    let renewed = secure(&last).await;
    log_in(&nobody, "doctor", PASSWORD, Some(&renewed.next_code)).await.done();
}

#[tokio::test]
async fn a_wrong_code_is_recorded_with_what_it_was_given_for() {
    let hospital = Hospital::start().await;
    let (doctor, admin) = (hospital.login("doctor").await, hospital.login("admin").await);
    secure(&doctor).await;
    log_in(&hospital.nobody(), "doctor", PASSWORD, Some("123")).await.problem(401, "wrong-code");
    let confirm = json!({"password": PASSWORD, "code": "123"});
    post(&doctor, "sessions/current/confirm", confirm).await.problem(422, "wrong-code");
    hospital.settle().await;
    let failed = admin.items("events?type=access.login_failed&limit=5000").await;
    let commands: Vec<_> = failed.iter().filter(|it| it["data"]["code"] == "wrong-code").collect();
    let commands: Vec<_> = commands.iter().map(|it| it["data"]["command"].as_str().expect("a name")).collect();
    assert_eq!(commands, ["start-session", "confirm-identity"]);
}

#[tokio::test]
async fn refusals_of_the_routes_of_sessions_count_as_those_of_commands_do() {
    let hospital = Hospital::start_with(|settings| {
        settings.refusals_per_minute = 3;
        settings.second_factor_roles = vec!["nurse".to_owned()];
    })
    .await;
    let wrong = || json!({"current_password": "a wrong password"});
    let doctor = hospital.login("doctor").await;
    for _ in 0..2 {
        post(&doctor, "sessions/current/second-factor", wrong()).await.problem(422, "wrong-password");
    }
    let proof = json!({"password": "a wrong password"});
    post(&doctor, "sessions/current/confirm", proof.clone()).await.problem(422, "wrong-password");
    post(&doctor, "sessions/current/confirm", proof).await.problem(429, "too-many-requests");
    let ticket = || json!({"stream": "events"});
    post(&doctor, "stream-tickets", ticket()).await.problem(429, "too-many-requests");
    let nurse = hospital.login("nurse").await;
    for _ in 0..3 {
        post(&nurse, "stream-tickets", ticket()).await.problem(403, "second-factor-required");
    }
    post(&nurse, "stream-tickets", ticket()).await.problem(429, "too-many-requests");
    post(&nurse, "sessions/current/second-factor", wrong()).await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn what_was_told_once_is_told_nobody_again() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let told = secure(&doctor).await;
    log_in(&hospital.nobody(), "doctor", PASSWORD, Some(&told.recovery_codes[0])).await.done();
    hospital.settle().await;
    let admin = hospital.login("admin").await;
    let id = user(DOCTOR);
    for client in [&admin, &doctor, &hospital.login("nurse").await] {
        for path in [
            format!("events?stream_id={id}"),
            format!("events?stream_id={id}&raw=true"),
            format!("streams/user/{id}"),
            format!("users/{id}"),
            "audit-logs?limit=500".to_owned(),
        ] {
            let answer = client.get(&path).await;
            for secret in told.recovery_codes.iter().chain([&told.secret]) {
                assert!(!answer.text.contains(secret), "{path}: {}", answer.text);
            }
            if answer.status == 200 && !path.contains("raw") {
                for field in ["\"second_factor\":", "second_factor_secret", "recovery_code_hash"] {
                    assert!(!answer.text.contains(field), "{field} in {path}: {}", answer.text);
                }
            }
        }
    }
    let events = admin.items(&format!("events?stream_id={id}&raw=true")).await;
    let kinds: Vec<_> = events.iter().filter_map(|it| it["type"].as_str()).collect();
    for kind in ["user.second_factor_enrolled", "user.second_factor_confirmed", "user.recovery_code_used"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let log = sqlx::query_scalar::<_, String>("select data::text || metadata::text from log.events");
    let log = log.fetch_all(hospital.owner()).await.expect("events").concat();
    for whole in [log, format!("{:?}", contents(hospital.owner(), "hims").await)] {
        for secret in told.recovery_codes.iter().chain([&told.secret]) {
            assert!(!whole.contains(secret), "{secret} is in plain text in the database");
        }
    }
}
