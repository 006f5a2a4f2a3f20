//! The network between a node and PostgreSQL falls silent: the connections stay open, and nothing comes any more.

use std::time::{Duration, Instant};

use super::Hospital;
use super::demo::person;
use super::releases::until_ready;
use crate::support::Proxy;

#[tokio::test]
async fn connections_that_fall_silent_are_replaced() {
    let mut hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let proxy = Proxy::start().await;
    hospital.settings.database_url = Some(proxy.url(&hospital.database.options));
    hospital.node = hospital.another_node().await;
    let reception = reception.at(&hospital.node.base);
    let id = reception.did("register-patient", person("Anna", "Before", 1)).await;
    reception.row("patients", &id).await;
    proxy.fall_silent();
    let mut written = None;
    let started = Instant::now();
    for number in 2..20 {
        let asked = Instant::now();
        let answer = reception.command("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?} {answer:?}", asked.elapsed());
        if answer.status == 201 {
            written = Some(answer.id());
            break;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let written = written.expect("the node opens other connections");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    until_ready(&reception).await;
    assert_eq!(reception.row("patients", &written).await["last_name"], "Unlike");
}
