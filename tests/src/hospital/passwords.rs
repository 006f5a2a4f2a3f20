//! Passwords, and what must never be answered about them and about tokens.

use hims_event_store::chain::hex;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::demo;
use super::problems::role;
use super::{Client, Hospital};

/// Has a user created with a password.
async fn create(admin: &Client, password: &str) -> super::Answer {
    let user = json!({"email": "rosa.diaz@example.org", "first_name": "Rosa", "last_name": "Diaz",
                      "role_id": role("nurse"), "password": password});
    admin.command("create-user", user).await
}

#[tokio::test]
async fn a_password_that_others_try_first_is_422() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for password in
        ["elevenchars", "password1234", "123456789012", "qwertyuiop12", "rosa.diaz@example.org", "RosaDiaz2026"]
    {
        let answer = create(&admin, password).await;
        answer.problem_at(422, "invalid-fields", "/password");
        assert!(!answer.text.contains(password), "{}", answer.text);
    }
    let id = create(&admin, "correct horse battery").await.id();
    for password in ["password1234", "rosa-diaz-rosa-diaz"] {
        let reset = json!({"user_id": id, "new_password": password});
        admin.command("reset-password", reset).await.problem_at(422, "invalid-fields", "/new_password");
    }
    let rosa = hospital.nobody().login_as("rosa.diaz@example.org", "correct horse battery").await;
    let change = |new: &str| {
        let body = json!({"user_id": id, "current_password": "correct horse battery", "new_password": new});
        rosa.command("change-password", body)
    };
    change("Rosa Diaz 1979!").await.problem_at(422, "invalid-fields", "/new_password");
    change("staple horse battery").await.done();
}

#[tokio::test]
async fn the_schema_says_which_passwords_are_taken() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let commands = admin.items("commands").await;
    let schema = |command: &str, field: &str| {
        let entry = commands.iter().find(|it| it["name"] == command).expect("the command is listed");
        entry["schema"]["properties"][field].clone()
    };
    for (command, field) in [("reset-password", "new_password"), ("change-password", "new_password")] {
        let schema = schema(command, field);
        assert_eq!((&schema["minLength"], &schema["maxLength"]), (&json!(12), &json!(200)), "{schema}");
        assert!(schema["description"].to_string().contains("none of the common ones"), "{schema}");
    }
    // A password that is only compared may have been set under other rules.
    assert_eq!(schema("change-password", "current_password")["minLength"], 1);
}

#[tokio::test]
async fn after_a_change_of_the_password_the_next_request_works_at_once() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let id = demo::user(6);
    admin.did("reset-password", json!({"user_id": id, "new_password": "chosen by somebody"})).await;
    let lab = hospital.nobody().login_as("lab@demo.hims", "chosen by somebody").await;
    let mut current = "chosen by somebody".to_owned();
    for number in 0..5 {
        let asked = lab.request(Method::GET, "/api/v1/departments");
        let answer = lab.send(asked).await;
        assert_eq!(answer.status == 403, number == 0, "{}", answer.text);
        let new = format!("chosen by myself {number}");
        lab.did("change-password", json!({"user_id": id, "current_password": current, "new_password": new})).await;
        current = new;
        // Whatever the session did before is in the node's cache; the next request does not wait for any position.
        lab.send(lab.request(Method::GET, "/api/v1/departments")).await.done();
    }
}

#[tokio::test]
async fn the_hash_of_a_token_is_answered_to_nobody() {
    let hospital = Hospital::start().await;
    let login = json!({"email": "doctor@demo.hims", "password": demo::PASSWORD});
    let nobody = hospital.nobody();
    let answer = nobody.send(nobody.request(Method::POST, "/api/v1/sessions").json(&login)).await.done();
    let token = answer["token"].as_str().expect("a token");
    let hash = hex(&Sha256::digest(token.as_bytes()));
    let doctor = nobody.with_token(token);
    let session = doctor.get("sessions/current").await.done()["session_id"].as_str().expect("an id").to_owned();
    hospital.settle().await;
    let admin = hospital.login("admin").await;
    for client in [&admin, &doctor] {
        for path in [
            format!("events?stream_id={session}"),
            format!("events?stream_id={session}&raw=true"),
            format!("streams/session/{session}"),
            format!("user-sessions/{session}"),
        ] {
            let answer = client.get(&path).await;
            assert!(!answer.text.contains(&hash), "{path}: {}", answer.text);
        }
    }
    let raw = admin.get(&format!("events?stream_id={session}&raw=true")).await.done();
    let data: Value = serde_json::from_str(raw["items"][0]["data"].as_str().expect("a text")).expect("JSON");
    assert!(data["token_hash"]["$sealed"].is_string(), "{data}");
}
