//! Programs: how a service account is made, gets secrets and tokens, and what its tokens may do.

use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

use super::demo::{DOCTOR, PASSWORD, user};
use super::problems::role;
use super::second_factor::post;
use super::sessions::let_time_pass;
use super::{Answer, Client, Hospital};

/// A program that measures, and what it may do of what a nurse may.
async fn program(admin: &Client) -> String {
    let scopes = json!({"create": ["vital_signs"], "read": ["staff"]});
    let body = json!({"name": "Ward monitor", "email": "monitor@example.org", "role_id": role("nurse"),
                      "scopes": scopes});
    admin.did("create-service-account", body).await
}

async fn add_secret(client: &Client, id: &str, more: Value) -> Answer {
    post(client, &format!("service-accounts/{id}/secrets"), more).await
}

/// Asks for a token with a form.
async fn ask(nobody: &Client, form: &[(&str, &str)]) -> Answer {
    nobody.send(sending(nobody.request(Method::POST, "/api/v1/oauth/token"), form)).await
}

/// A request with a form.
fn sending(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let mut url: Url = "form:it".parse().expect("a URL");
    url.query_pairs_mut().extend_pairs(form);
    let form = url.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(form)
}

fn form<'a>(id: &'a str, secret: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)]
}

/// Everything that happens to a service account.
pub(crate) async fn everything(hospital: &Hospital) {
    let admin = hospital.login("admin").await;
    let id = program(&admin).await;
    let secret = add_secret(&admin, &id, json!({})).await.done();
    ask(&hospital.nobody(), &form(&id, secret["client_secret"].as_str().expect("a secret"))).await.done();
    let fewer = json!({"user_id": id, "scopes": {"create": []}});
    admin.did("change-service-account-scopes", fewer).await;
    admin.did("end-client-secret", json!({"user_id": id, "secret_id": secret["secret_id"]})).await;
}

#[tokio::test]
async fn a_program_gets_a_token_for_its_secret_and_may_do_what_its_scopes_say() {
    let hospital = Hospital::start().await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let id = program(&admin).await;
    let told = add_secret(&admin, &id, json!({})).await.done();
    let secret = told["client_secret"].as_str().expect("a secret");
    assert_eq!(told["client_id"], json!(id));
    let answer = ask(&nobody, &form(&id, secret)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = answer.done();
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(token["scope"], "create:vital_signs read:staff");
    let monitor = nobody.with_token(token["access_token"].as_str().expect("a token"));
    // A nurse may do both; the program only what its scopes say.
    let measured = json!({"patient_id": super::demo::patient(1), "heart_rate": 70});
    let vital_signs = monitor.did("record-vital-signs", measured).await;
    let allergy = json!({"patient_id": super::demo::patient(1), "allergen_type": "food", "allergen_name": "Walnut"});
    monitor.command("record-allergy", allergy).await.problem(403, "forbidden");
    assert!(monitor.items("users").await.len() > 3);
    monitor.get(&format!("patients/{}", super::demo::patient(1))).await.problem(403, "forbidden");
    monitor.get("audit-logs").await.problem(403, "forbidden");
    // The audit names the program, with its session and how it logged in.
    let audit = admin.items(&format!("audit-logs?resource_id={vital_signs}")).await;
    assert_eq!((&audit[0]["user_id"], audit[0]["session_id"].is_string()), (&json!(id), true), "{audit:?}");
    let session = admin.row("user-sessions", audit[0]["session_id"].as_str().expect("an id")).await;
    assert_eq!((&session["auth_method"], &session["user_id"]), (&json!("client_credentials"), &json!(id)));
    let row = admin.row("users", &id).await;
    assert_eq!((&row["is_service_account"], &row["last_name"]), (&json!(true), &json!("Ward monitor")));
    assert_eq!(admin.row("users", &user(DOCTOR)).await["is_service_account"], false);
    // Neither secret nor hash is ever answered again.
    for path in [format!("streams/user/{id}"), format!("events?stream_id={id}")] {
        let answer = admin.get(&path).await;
        assert!(!answer.text.contains("client_secret_hash") && !answer.text.contains(secret), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_token_for_fewer_scopes_may_do_less_and_none_may_do_more() {
    let hospital = Hospital::start().await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let id = program(&admin).await;
    let told = add_secret(&admin, &id, json!({})).await.done();
    let secret = told["client_secret"].as_str().expect("a secret");
    let scoped = async |scope: &str| {
        let mut form = form(&id, secret);
        form.push(("scope", scope));
        ask(&nobody, &form).await
    };
    let token = scoped("read:staff create:prescriptions").await.done();
    assert_eq!(token["scope"], "read:staff");
    let narrow = nobody.with_token(token["access_token"].as_str().expect("a token"));
    let permissions = narrow.get("sessions/current").await.done()["permissions"].clone();
    assert_eq!(permissions, json!({"read": ["staff"]}));
    let measured = json!({"patient_id": super::demo::patient(1), "heart_rate": 70});
    narrow.command("record-vital-signs", measured).await.problem(403, "forbidden");
    let problem = scoped("read:everything").await.problem(400, "invalid-scope");
    assert_eq!(problem["error"], "invalid_scope");
    // A scope that the role does not have is refused where it is given.
    for more in [json!({"read": ["all_data"]}), json!({"update": ["user_permissions"]})] {
        let body = json!({ "user_id": id, "scopes": more });
        admin.command("change-service-account-scopes", body).await.problem_at(422, "not-in-role", "/scopes");
    }
}

#[tokio::test]
async fn secrets_are_replaced_without_a_pause_and_wrong_ones_are_told_in_the_words_of_oauth() {
    let hospital = Hospital::start().await;
    let (admin, nobody) = (hospital.login("admin").await, hospital.nobody());
    let id = program(&admin).await;
    let added = async |more: Value| add_secret(&admin, &id, more).await.done();
    let first = added(json!({})).await;
    let second = added(json!({"overlap_hours": 1, "expires_in_days": 30})).await;
    let text = |it: &Value| it["client_secret"].as_str().expect("a secret").to_owned();
    let status = async |secret: &Value| ask(&nobody, &form(&id, &text(secret))).await.status;
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    let third = added(json!({"overlap_hours": 0})).await;
    assert_eq!((status(&first).await, status(&second).await, status(&third).await), (401, 401, 200));
    let problem = ask(&nobody, &form(&id, "wrong")).await.problem(401, "wrong-credentials");
    assert_eq!(problem["error"], "invalid_client");
    // With HTTP Basic, which every library for OAuth knows; but not in both places.
    let secret_text = text(&third);
    let basic = async |form: &[(&str, &str)]| {
        let request = nobody.request(Method::POST, "/api/v1/oauth/token").basic_auth(&id, Some(&secret_text));
        nobody.send(sending(request, form)).await
    };
    let grant = ("grant_type", "client_credentials");
    basic(&[grant]).await.done();
    let wrong: [(&[(&str, &str)], _, _); 4] = [
        (&[grant, ("client_id", id.as_str()), ("client_secret", "x")], "no-credentials", "invalid_request"),
        (&[("grant_type", "password")], "unsupported-grant", "unsupported_grant_type"),
        (&[grant, ("more", "x")], "invalid-parameter", "invalid_request"),
        (&[grant, grant], "invalid-parameter", "invalid_request"),
    ];
    for (form, code, error) in wrong {
        assert_eq!(basic(form).await.problem(400, code)["error"], error);
    }
    let json = post(&nobody, "oauth/token", json!({"grant_type": "client_credentials"})).await;
    assert_eq!(json.problem(415, "unsupported-media-type")["error"], "invalid_request");
    // An ended secret ends its tokens at every node.
    let token = ask(&nobody, &form(&id, &text(&third))).await.done();
    let monitor = nobody.with_token(token["access_token"].as_str().expect("a token"));
    monitor.get("sessions/current").await.done();
    admin.did("end-client-secret", json!({"user_id": id, "secret_id": third["secret_id"]})).await;
    monitor.get_until("sessions/current", 401).await;
    assert_eq!(status(&third).await, 401);
}

#[tokio::test]
async fn a_secret_needs_a_proof_of_who_adds_it_and_an_account_that_is_a_program() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let id = program(&admin).await;
    add_secret(&hospital.login("nurse").await, &id, json!({})).await.problem(403, "forbidden");
    add_secret(&admin, &user(DOCTOR), json!({})).await.problem(409, "no-service-account");
    add_secret(&admin, &user(999), json!({})).await.problem(404, "not-found");
    add_secret(&admin, &id, json!({"overlap_hours": 721})).await.problem_at(422, "invalid-fields", "/overlap_hours");
    let_time_pass(&hospital, &admin).await;
    add_secret(&admin, &id, json!({})).await.problem(403, "confirm-identity");
    post(&admin, "sessions/current/confirm", json!({ "password": PASSWORD })).await.done();
    add_secret(&admin, &id, json!({})).await.done();
    // A program has no password, by whichever way.
    let body = json!({"user_id": id, "new_password": "staple horse battery"});
    admin.command("reset-password", body).await.problem(409, "service-account");
    admin.command("start-password-reset", json!({ "user_id": id })).await.problem(409, "service-account");
    // Its role may demand a second factor of people; a program has none to give.
    let hospital = Hospital::start_with(|settings| settings.second_factor_roles = vec!["nurse".to_owned()]).await;
    let admin = hospital.login("admin").await;
    let id = program(&admin).await;
    let secret = add_secret(&admin, &id, json!({})).await.done();
    let nobody = hospital.nobody();
    let token = ask(&nobody, &form(&id, secret["client_secret"].as_str().expect("a secret"))).await.done();
    nobody.with_token(token["access_token"].as_str().expect("a token")).get("departments").await.done();
}
