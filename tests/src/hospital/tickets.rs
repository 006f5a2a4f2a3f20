//! Tickets: a page follows events with `EventSource`, which sends no header, and no address ever holds a token.

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::demo::{NURSE, user};
use super::events::read_events;
use super::notifications::message;
use super::{Answer, Client, Hospital, Process};
use crate::support::{Receiver, scratch};

async fn ask(client: &Client, stream: &str) -> Answer {
    let request = client.request(Method::POST, "/api/v1/stream-tickets");
    client.send(request.json(&json!({ "stream": stream }))).await
}

async fn send_nothing(client: &Client) -> Answer {
    client.send(client.request(Method::POST, "/api/v1/stream-tickets").json(&json!({}))).await
}

async fn ticket(client: &Client, stream: &str) -> String {
    let answer = ask(client, stream).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    answer.json()["ticket"].as_str().expect("a ticket").to_owned()
}

/// Opens an event stream as a browser does: without a token.
async fn open(nobody: &Client, stream: &str, ticket: &str) -> Response {
    let address = format!("/api/v1/{stream}/stream?ticket={ticket}");
    nobody.request(Method::GET, &address).send().await.expect("the server answers")
}

async fn refused(nobody: &Client, stream: &str, ticket: &str) {
    Answer::of(open(nobody, stream, ticket).await).await.problem(401, "invalid-ticket");
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once_on_any_node() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let (nobody, nurse) = (hospital.nobody(), hospital.login("nurse").await);
    let there = nobody.at(&other.base);
    let given = ticket(&nurse, "notifications").await;
    let marked = given.rsplit_once('.').expect("a mark").0;
    for forged in [format!("{marked}.{}", "0".repeat(64)), marked.to_owned(), "x".to_owned(), String::new()] {
        refused(&nobody, "notifications", &forged).await;
    }
    for other in ["events", "%65vents", "event%73"] {
        refused(&there, other, &given).await;
    }
    let for_events = ticket(&nurse, "events").await;
    refused(&there, "notification%73", &for_events).await;
    let stream = open(&there, "notifications", &given).await;
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    hospital.login("admin").await.did("send-notification", message(json!([{"user_id": user(NURSE)}]))).await;
    let mut told = Value::Null;
    read_events(stream, |_, _, event| {
        told = event;
        true
    })
    .await;
    assert_eq!(told["title"], "Water");
    // EventSource connects again with the same address, and the page learns that it needs another ticket.
    for node in [&nobody, &there] {
        refused(node, "notifications", &given).await;
    }
    let other_routes = nobody.send(nobody.request(Method::GET, &format!("/api/v1/patients?ticket={given}"))).await;
    other_routes.problem(401, "unauthenticated");
    ask(&nobody, "events").await.problem(401, "unauthenticated");
    ask(&nurse, "patients").await.problem(422, "invalid-fields");
    send_nothing(&nurse).await.problem(400, "malformed-request");
}

#[tokio::test]
async fn of_many_who_come_with_a_ticket_one_is_let_in() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let (nobody, nurse) = (hospital.nobody(), hospital.login("nurse").await);
    let there = nobody.at(&other.base);
    let given = ticket(&nurse, "notifications").await;
    let all = join_all((0..16).map(|nth| open(if nth % 2 == 0 { &nobody } else { &there }, "notifications", &given)));
    let mut statuses: Vec<_> = all.await.iter().map(|it| it.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[401; 15]].concat());
}

#[tokio::test]
async fn a_ticket_ends_with_its_session() {
    let hospital = Hospital::start().await;
    let (nobody, nurse) = (hospital.nobody(), hospital.login("nurse").await);
    let [used, unused] = [ticket(&nurse, "notifications").await, ticket(&nurse, "notifications").await];
    let stream = open(&nobody, "notifications", &used).await;
    assert_eq!(stream.status().as_u16(), 200);
    let left = nurse.send(nurse.request(Method::DELETE, "/api/v1/sessions/current")).await;
    assert_eq!(left.status, 204);
    refused(&nobody, "notifications", &unused).await;
    let sent = tokio::time::timeout(std::time::Duration::from_mins(1), stream.text()).await;
    assert!(!sent.expect("the stream ends").expect("in good order").contains("event:"));
}

#[tokio::test]
async fn no_ticket_is_in_a_log_or_a_trace() {
    let (receiver, folder) = (Receiver::start(), scratch("tickets"));
    let log = folder.path().join("server.log");
    let server = Process::start_with(folder.path(), &["--demo"], |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint);
        command.env("RUST_LOG", "debug").stderr(std::fs::File::create(&log).expect("a file"));
    });
    let nurse = server.nobody.login("nurse").await;
    let given = ticket(&nurse, "notifications").await;
    assert_eq!(open(&server.nobody, "notifications", &given).await.status().as_u16(), 200);
    refused(&server.nobody, "notifications", &given).await;
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let mut told = std::fs::read(&log).expect("the log is read");
    told.extend(receiver.taken().bytes);
    let has = |text: &str| told.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(has("/api/v1/notifications/stream"), "the requests are in the log and in the traces");
    let [_, id, _, mark] = given.split('.').collect::<Vec<_>>()[..] else { panic!("four parts") };
    assert!(!has(id) && !has(mark) && !has("ticket="));
}
