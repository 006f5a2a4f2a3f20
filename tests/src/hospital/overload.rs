//! A node that has too much to do refuses reads before commands, and answers log-ins and questions of its health.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{join, join_all};
use futures::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::demo::{patient, person};
use super::releases::until;
use super::{Answer, Client, Hospital};

/// Reads without a wait for a position.
async fn read(client: &Client) -> Answer {
    client.send(client.request(Method::GET, "/api/v1/patients?limit=1")).await
}

/// Whether a read is refused because there is too much to do.
async fn is_refused(client: &Client) -> bool {
    let answer = read(client).await;
    if answer.status != 503 {
        return false;
    }
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    true
}

/// The answers of requests that go on while `meanwhile` is done.
async fn while_they_go_on<T>(requests: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
    let mut requests = std::pin::pin!(requests);
    let mut meanwhile = std::pin::pin!(meanwhile);
    tokio::select! {
        _ = &mut requests => panic!("the requests were answered before they should"),
        () = &mut meanwhile => {}
    }
    requests.await
}

#[tokio::test]
async fn too_many_reads_are_refused_and_nothing_else() {
    let hospital = Hospital::start_with(|settings| settings.reads_at_once = 2).await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    // Reads that wait for an event which is not recorded meanwhile. The reads that look whether these wait may come
    // first.
    let waiting = async || loop {
        let request = reception.request(Method::GET, "/api/v1/patients").header("hims-min-position", 1_000_000_000);
        let answer = reception.send(request.header("prefer", "wait=10")).await;
        if answer.json()["code"] != "overloaded" {
            return answer;
        }
    };
    let meanwhile = async {
        until(async || is_refused(&reception).await).await;
        reception.did("register-patient", person("Anna", "Unlike", 1)).await;
        hospital.login("doctor").await;
        for path in ["/api/v1/sessions/current", "/health/live", "/health/ready", "/metrics"] {
            assert_eq!(reception.send(reception.request(Method::GET, path)).await.status, 200, "{path}");
        }
        assert!(is_refused(&reception).await, "the reads still wait");
    };
    for answer in while_they_go_on(join_all([waiting(), waiting()]), meanwhile).await {
        answer.problem(503, "read-model-behind");
    }
    assert_eq!(read(&reception).await.status, 200);
}

#[tokio::test]
async fn commands_that_wait_have_reads_refused() {
    let hospital = Hospital::start_with(|settings| settings.queue = 40).await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let lab = hospital.login("lab").await;
    hospital.settle().await;
    // Nothing can be appended while this transaction holds the lock of the head.
    let mut holding = hospital.owner().begin().await.expect("a transaction");
    sqlx::query("select position from log.head for update").execute(&mut *holding).await.expect("the head is locked");
    let mut waiting: FuturesUnordered<_> = (0..80)
        .map(|nth| doctor.command("record-vital-signs", json!({"patient_id": patient(1), "heart_rate": 60 + nth})))
        .collect();
    // The queue is full when the first command is refused.
    waiting.next().await.expect("an answer").problem(503, "overloaded");
    assert!(is_refused(&reception).await);
    let current = reception.send(reception.request(Method::GET, "/api/v1/sessions/current")).await;
    assert_eq!(current.status, 200);
    // Whoever logs in or out waits for the log like the commands, and is not refused.
    let leaving = lab.send(lab.request(Method::DELETE, "/api/v1/sessions/current"));
    let mut sessions = Box::pin(join(hospital.login("nurse"), leaving));
    assert!(timeout(Duration::from_secs(2), &mut sessions).await.is_err(), "nothing can be appended yet");
    holding.rollback().await.expect("the head is released");
    let (nurse, left) = sessions.await;
    assert_eq!((nurse.get("sessions/current").await.status, left.status), (200, 204));
    waiting.collect::<Vec<_>>().await;
    assert_eq!(read(&reception).await.status, 200);
}
