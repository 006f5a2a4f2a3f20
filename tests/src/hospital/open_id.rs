//! Log-ins at an OpenID provider: who is let in, by what, and what does not hold.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hims_api::Settings;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::demo::{DOCTOR, NURSE, PASSWORD, user};
use super::problems::role;
use super::second_factor::{post, secure};
use super::sessions::let_time_pass;
use super::{Answer, Client, Hospital};
use crate::support::OpenIdProvider;

const BACK: &str = "https://hims.hill.example.org/back";

fn with(provider: &OpenIdProvider, groups: bool) -> impl FnOnce(&mut Settings) {
    let issuer = provider.issuer();
    move |settings| {
        settings.oidc_issuer = Some(issuer);
        settings.oidc_client_id = Some("hims".to_owned());
        settings.oidc_client_secret = Some(OpenIdProvider::SECRET.to_owned());
        settings.oidc_redirect_url = Some(BACK.to_owned());
        if groups {
            settings.oidc_roles_claim = Some("groups".to_owned());
            settings.oidc_roles = vec!["physicians=doctor".to_owned(), "ward=nurse".to_owned()];
        }
    }
}

/// What a page has of an attempt once the provider has sent the browser back.
#[derive(Clone)]
struct Back {
    /// Where the browser was sent.
    address: Url,
    body: Value,
}

/// Begins an attempt and lets the provider log somebody in, as the parameters say.
async fn sent_back(client: &Client, parameters: &[(&str, &str)]) -> Back {
    let begun = begin(client).await.done();
    let mut address: Url = begun["authorization_url"].as_str().expect("a URL").parse().expect("a URL");
    address.query_pairs_mut().extend_pairs(parameters);
    let back = Back { address, body: json!({"binding": begun["binding"]}) }.again().await;
    assert_eq!(back.body["state"], begun["state"]);
    back
}

impl Back {
    /// Sends the browser to the provider once more.
    async fn again(&self) -> Self {
        let browser = Client::builder([]).redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = browser.get(self.address.clone()).send().await.expect("the provider answers");
        let answer = Answer::of(answer).await;
        let back: Url = answer.header("location").expect("a location").parse().expect("a URL");
        assert!(back.as_str().starts_with(BACK), "{back}");
        let told: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        self.with("code", &told["code"]).with("state", &told["state"])
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut body = self.body.clone();
        body[name] = json!(value);
        Self { body, ..self.clone() }
    }

    async fn complete(&self, client: &Client) -> Answer {
        post(client, "sessions/openid/complete", self.body.clone()).await
    }
}

/// Logs in at the provider under a name.
async fn log_in(nobody: &Client, login: &str) -> Answer {
    sent_back(nobody, &[("login", login)]).await.complete(nobody).await
}

fn token(answer: &Answer) -> String {
    answer.done()["token"].as_str().expect("a token").to_owned()
}

fn identity(provider: &OpenIdProvider, who: u16, subject: &str) -> Value {
    json!({"user_id": user(who), "issuer": provider.issuer(), "subject": subject})
}

/// Every event of identities.
pub(crate) async fn everything(hospital: &Hospital) {
    let admin = hospital.login("admin").await;
    let of_doctor = json!({"user_id": user(DOCTOR), "issuer": "https://login.example.org", "subject": "somebody"});
    admin.did("link-user-identity", of_doctor.clone()).await;
    admin.did("unlink-user-identity", of_doctor).await;
}

#[tokio::test]
async fn who_is_linked_logs_in_at_the_provider_and_nobody_is_linked_by_an_address() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    // The provider says that its 4711 has the doctor's address, and has verified it.
    log_in(&nobody, "4711").await.problem(401, "not-linked");
    admin.did("link-user-identity", identity(&provider, DOCTOR, "4711")).await;
    let session = log_in(&nobody, "4711").await;
    assert_eq!((session.status, session.json()["user"]["id"].clone()), (201, json!(user(DOCTOR))));
    let doctor = nobody.with_token(&token(&session));
    let me = doctor.get("sessions/current").await.done();
    assert_eq!(me["user"]["role"], "doctor");
    let row = doctor.row("user-sessions", me["session_id"].as_str().expect("an id")).await;
    assert_eq!(row["auth_method"], "oidc");
    // Names are told apart by letter and by provider, and an identity belongs to one user.
    log_in(&nobody, "47110").await.problem(401, "not-linked");
    let other = json!({"user_id": user(NURSE), "issuer": "https://other.example.org", "subject": "4712"});
    admin.did("link-user-identity", other).await;
    log_in(&nobody, "4712").await.problem(401, "not-linked");
    admin.command("link-user-identity", identity(&provider, NURSE, "4711")).await.problem(409, "already-taken");
    hospital
        .login("nurse")
        .await
        .command("link-user-identity", identity(&provider, NURSE, "1"))
        .await
        .problem(403, "forbidden");
    // Who is unlinked, or has left, is let in no more.
    admin.did("unlink-user-identity", identity(&provider, DOCTOR, "4711")).await;
    doctor.get_until("departments", 401).await;
    log_in(&nobody, "4711").await.problem(401, "not-linked");
    admin.did("link-user-identity", identity(&provider, NURSE, "4711")).await;
    log_in(&nobody, "4711").await.done();
    admin.did("deactivate-user", json!({"user_id": user(NURSE)})).await;
    log_in(&nobody, "4711").await.problem(401, "not-linked");
    let failed = admin.items("events?type=access.login_failed&limit=5000").await;
    assert!(failed.iter().any(|it| it["data"]["command"] == "start-openid-session"), "{failed:?}");
}

#[tokio::test]
async fn an_attempt_is_good_once_in_the_browser_that_began_it_at_every_node() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    admin.did("link-user-identity", identity(&provider, DOCTOR, "4711")).await;
    let back = sent_back(&nobody, &[("login", "4711")]).await;
    let other = sent_back(&nobody, &[("login", "4711")]).await;
    let of = |it: &Back, name: &str| it.body[name].as_str().expect("a text").to_owned();
    for wrong in [
        back.with("binding", &of(&other, "binding")),
        back.with("state", &of(&other, "state")),
        back.with("state", "made.up.state"),
    ] {
        wrong.complete(&nobody).await.problem(401, "invalid-attempt");
    }
    // The code of one attempt is no good in another: the provider wants the proof of the one (PKCE).
    other.with("code", &of(&back, "code")).complete(&nobody).await.problem(401, "not-vouched");
    let back = sent_back(&nobody, &[("login", "4711")]).await;
    let there = hospital.another_node().await;
    back.complete(&nobody.at(&there.base)).await.done();
    back.complete(&nobody).await.problem(401, "not-vouched");
    // A second code for the same attempt begins no second session.
    back.again().await.complete(&nobody).await.problem(409, "already-exists");
}

#[tokio::test]
async fn a_word_of_the_provider_that_does_not_hold_lets_nobody_in() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    admin.did("link-user-identity", identity(&provider, DOCTOR, "4711")).await;
    for bad in ["issuer", "audience", "nonce", "expired", "when", "none", "signature"] {
        let back = sent_back(&nobody, &[("login", "4711"), ("bad", bad)]).await;
        let answer = back.complete(&nobody).await;
        assert_eq!((bad, answer.status, answer.json()["code"].clone()), (bad, 401, json!("not-vouched")));
    }
    // A proof must not be older than the hospital asks for, nor of a time to come.
    for age in ["900", "-300"] {
        let back = sent_back(&nobody, &[("login", "4711"), ("age", age)]).await;
        back.complete(&nobody).await.problem(401, "not-vouched");
    }
    sent_back(&nobody, &[("login", "4711")])
        .await
        .with("code", "guessed")
        .complete(&nobody)
        .await
        .problem(401, "not-vouched");
    log_in(&nobody, "4711").await.done();
}

#[tokio::test]
async fn a_local_second_factor_is_asked_for_and_the_time_of_the_proof_is_that_of_the_provider() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let told = secure(&hospital.login("doctor").await).await;
    for (who, subject) in [(DOCTOR, "4711"), (1, "the administrator")] {
        admin.did("link-user-identity", identity(&provider, who, subject)).await;
    }
    log_in(&nobody, "4711").await.problem(401, "second-factor-needed");
    let back = sent_back(&nobody, &[("login", "4711")]).await;
    back.with("second_factor", "123").complete(&nobody).await.problem(401, "wrong-code");
    let back = sent_back(&nobody, &[("login", "4711")]).await;
    back.with("second_factor", &told.next_code).complete(&nobody).await.done();
    // Until when a person has proved who they are follows from when the provider asked them.
    let porter = |name: &str| json!({"name": name, "display_name": "Porter", "permissions": {}});
    let admin = async |age: &str| {
        let back = sent_back(&nobody, &[("login", "the administrator"), ("age", age)]).await;
        nobody.with_token(&token(&back.complete(&nobody).await))
    };
    let until = async |client: &Client| {
        let session = client.get("sessions/current").await.done()["session_id"].clone();
        let path = format!("events?stream_id={}&type=session.started", session.as_str().expect("an id"));
        let until = client.items(&path).await[0]["data"]["identity_confirmed_until"].clone();
        until.as_str().expect("an instant").parse::<DateTime<Utc>>().expect("an instant")
    };
    let (earlier, later) = (admin("400").await, admin("30").await);
    assert!(until(&later).await - until(&earlier).await >= TimeDelta::seconds(370));
    later.did("define-role", porter("porter")).await;
    // The clocks may be a little apart, but what was proved so long ago is no proof any more.
    admin("630").await.command("define-role", porter("doorman")).await.problem(403, "confirm-identity");
}

#[tokio::test]
async fn users_link_themselves_with_a_proof_of_who_they_are() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (doctor, nobody) = (hospital.login("doctor").await, hospital.nobody());
    let link = async |client: &Client, login: &str| {
        let back = sent_back(&nobody, &[("login", login)]).await;
        post(client, "sessions/current/identities", back.body).await
    };
    link(&nobody, "4711").await.problem(401, "unauthenticated");
    let_time_pass(&hospital, &doctor).await;
    link(&doctor, "4711").await.problem(403, "confirm-identity");
    post(&doctor, "sessions/current/confirm", json!({ "password": PASSWORD })).await.done();
    let linked = link(&doctor, "4711").await.done();
    assert_eq!(linked, json!({"issuer": provider.issuer(), "subject": "4711"}));
    link(&hospital.login("nurse").await, "4711").await.problem(409, "already-taken");
    log_in(&nobody, "4711").await.done();
    doctor.did("unlink-user-identity", identity(&provider, DOCTOR, "4711")).await;
    log_in(&nobody, "4711").await.problem(401, "not-linked");
}

#[tokio::test]
async fn roles_follow_from_the_claim_at_each_login() {
    let provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, true)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    for (who, subject) in [(NURSE, "4711"), (1, "the administrator")] {
        admin.did("link-user-identity", identity(&provider, who, subject)).await;
    }
    let with_groups = async |login: &str, groups: &str| {
        sent_back(&nobody, &[("login", login), ("groups", groups)]).await.complete(&nobody).await
    };
    with_groups("4711", "choir").await.problem(401, "no-role");
    let session = with_groups("4711", "ward,physicians").await;
    assert_eq!(session.done()["user"]["role"], "doctor");
    // A login tells no position to wait for.
    admin.row_until("users", &user(NURSE), |it| it["role_id"] == json!(role("doctor"))).await;
    let both = nobody.with_token(&token(&session)).get("sessions/current").await.done()["permissions"].clone();
    assert!(both["create"].as_array().is_some_and(|it| it.contains(&json!("prescriptions"))), "{both}");
    let session = with_groups("4711", "ward").await;
    assert_eq!(session.done()["user"]["role"], "nurse");
    // Nobody becomes the last administrator who is none any more.
    with_groups("the administrator", "ward").await.problem(409, "last-administrator");
}

#[tokio::test]
async fn while_the_provider_is_out_of_order_others_log_in_with_passwords() {
    let mut provider = OpenIdProvider::start();
    let hospital = Hospital::start_with(with(&provider, false)).await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    admin.did("link-user-identity", identity(&provider, DOCTOR, "4711")).await;
    log_in(&nobody, "4711").await.done();
    provider.stop();
    let begun = begin(&nobody).await;
    assert!(begun.status == 201, "what the provider said of itself is remembered: {}", begun.text);
    let fresh = hospital.another_node().await;
    begin(&nobody.at(&fresh.base)).await.problem(503, "provider-unavailable");
    hospital.login("doctor").await.get("departments").await.done();
    let without = Hospital::start().await;
    begin(&without.nobody()).await.problem(404, "no-provider");
}

async fn begin(nobody: &Client) -> Answer {
    nobody.send(nobody.request(Method::POST, "/api/v1/sessions/openid")).await
}
