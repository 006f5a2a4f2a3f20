//! Logins while somebody guesses passwords, and many logins at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::demo::PASSWORD;
use super::{Answer, Client, Hospital};

/// A login that a trusted proxy forwards from an address.
async fn log_in_from(client: &Client, address: &str, login: &str, password: &str) -> Answer {
    let body = json!({"email": format!("{login}@demo.hims"), "password": password});
    let request = client.request(Method::POST, "/api/v1/sessions").header("x-forwarded-for", address);
    client.send(request.json(&body)).await
}

#[tokio::test]
async fn whoever_logged_in_from_a_network_gets_in_there_though_others_guess_and_the_node_has_restarted() {
    let mut hospital = Hospital::start_with(|settings| {
        settings.free_wrong_passwords = 2;
        settings.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    })
    .await;
    let before = hospital.nobody();
    for (address, login) in [("198.51.100.7", "doctor"), ("2001:db8::7", "nurse")] {
        assert_eq!(log_in_from(&before, address, login, PASSWORD).await.status, 201);
    }
    hospital.settle().await;
    hospital.node.end();
    hospital.node = hospital.another_node().await;
    let nobody = hospital.nobody();
    for address in ["198.51.100.7", "2001:db8::ffff"] {
        for _ in 0..2 {
            log_in_from(&nobody, address, "admin", "a wrong password").await.problem(401, "wrong-credentials");
        }
    }
    for (address, stranger, known) in [("198.51.100.7", "nurse", "doctor"), ("2001:db8::8", "doctor", "nurse")] {
        log_in_from(&nobody, address, stranger, PASSWORD).await.problem(429, "too-many-requests");
        assert_eq!(log_in_from(&nobody, address, known, PASSWORD).await.status, 201, "{known} at {address}");
    }
    // An address that nobody has is at home nowhere.
    log_in_from(&nobody, "198.51.100.7", "nobody", PASSWORD).await.problem(429, "too-many-requests");
}

/// Whoever has never logged in from a network cannot be told from those who guess there, until the password is
/// compared. Their turn comes all the same.
#[tokio::test]
async fn a_newcomer_gets_in_when_the_server_says_so_though_others_guess_without_a_pause() {
    let hospital = Hospital::start_with(|settings| {
        settings.free_wrong_passwords = 2;
        settings.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    })
    .await;
    let nobody = hospital.nobody();
    let guess = async || log_in_from(&nobody, "198.51.100.7", "admin", "a wrong password").await;
    for _ in 0..2 {
        guess().await.problem(401, "wrong-credentials");
    }
    let refused = log_in_from(&nobody, "198.51.100.7", "nurse", PASSWORD).await;
    refused.problem(429, "too-many-requests");
    let seconds = refused.header("retry-after").expect("a number of seconds").parse().expect("seconds");
    let comes_again_at = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < comes_again_at {
        guess().await.problem(429, "too-many-requests");
    }
    assert_eq!(log_in_from(&nobody, "198.51.100.7", "nurse", PASSWORD).await.status, 201);
}

#[tokio::test]
async fn right_passwords_at_the_same_time_are_no_guesses() {
    let hospital = Hospital::start_with(|settings| settings.free_wrong_passwords = 5).await;
    let nobody = hospital.nobody();
    let answers = join_all((0..60).map(|_| nobody.log_in("doctor@demo.hims", PASSWORD))).await;
    let statuses: BTreeSet<u16> = answers.iter().map(|it| it.status).collect();
    assert_eq!(statuses, BTreeSet::from([201]));
}
