//! Connections as a network has them: heads and bodies that do not arrive, clients that do not read, and more
//! connections than there are places.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::Hospital;
use super::demo::{self, person};

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: hims\r\n\r\n";

/// The address and the port of a server's base URL.
pub(super) fn address(base: &str) -> &str {
    base.split_once("://").expect("a URL").1
}

/// A connection to the server at a base URL.
pub(super) async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(address(base)).await.expect("the server listens")
}

/// What the server answers to these bytes before it closes the connection.
pub(super) async fn exchange(base: &str, bytes: &[u8]) -> String {
    let mut socket = connect(base).await;
    // The server may answer, and close the connection, before it has read everything.
    let _ = socket.write_all(bytes).await;
    until_closed(socket).await
}

/// What the server still sends on a connection, which it closes.
pub(super) async fn until_closed(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(1), socket.read_to_end(&mut answer)).await;
    // A reset after the answer is an end of the connection too.
    let _ = read.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// What the server answers on a connection that stays open: the head of the answer.
async fn ask(socket: &mut TcpStream) -> String {
    socket.write_all(LIVE).await.expect("sent");
    let mut answer = vec![0; 1 << 14];
    let read = tokio::time::timeout(Duration::from_mins(1), socket.read(&mut answer)).await;
    let length = read.expect("in time").expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let hospital = Hospital::start_with(|settings| settings.body_seconds = 1).await;
    let head = "POST /api/v1/sessions HTTP/1.1\r\nhost: hims\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{\"email\":";
    let answer = exchange(&hospital.node.base, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"request-timeout\""), "{answer}");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_a_problem_too() {
    let hospital = Hospital::start().await;
    let many = "x: y\r\n".repeat(100);
    let post = "POST /api/v1/sessions HTTP/1.1\r\nhost: hims\r\n";
    for (head, status, code) in [
        ("NONSENSE\r\n\r\n".to_owned(), 400, "malformed-http"),
        ("GET /health/live HTTP/1.1\r\nhost: hims\r\nb\u{1}d: x\r\n\r\n".to_owned(), 400, "malformed-http"),
        (format!("GET /health/live HTTP/1.1\r\nhost: hims\r\n{many}\r\n"), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1\r\nhost: hims\r\n\r\n", "a".repeat(70_000)), 414, "address-too-long"),
        (format!("GET /{}", "a".repeat(140_000)), 414, "address-too-long"),
        ("GET /health/live HTTP/2.0\r\nhost: hims\r\n\r\n".to_owned(), 505, "http-version-not-supported"),
        (format!("{post}transfer-encoding: gzip, chunked\r\n\r\n"), 501, "not-implemented"),
        ("BREW /health/live HTTP/1.1\r\nhost: hims\r\n\r\n".to_owned(), 501, "not-implemented"),
        (format!("{post}connection: close\r\n\r\n").replace("POST", "PUT"), 405, "method-not-allowed"),
    ] {
        let answer = exchange(&hospital.node.base, head.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(head.contains("content-type: application/problem+json"), "{answer}");
        assert!(head.contains("x-content-type-options: nosniff"), "{answer}");
        let problem: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
        let id = problem["request_id"].as_str().expect("an id");
        assert!(head.contains(&format!("x-request-id: {id}")), "{answer}");
    }
}

#[tokio::test]
async fn heads_that_do_not_arrive_hold_nobody_up_and_are_408() {
    let hospital = Hospital::start_with(|settings| settings.workers = Some(1)).await;
    let base = &hospital.node.base;
    let mut slow = Vec::new();
    for begun in [&b""[..], b"GET", b"POST /api/v1/sessions HTTP/1.1\r\nhost: hims\r\ncontent-"].repeat(20) {
        let mut socket = connect(base).await;
        socket.write_all(begun).await.expect("sent");
        slow.push((socket, begun));
    }
    assert!(ask(&mut connect(base).await).await.starts_with("HTTP/1.1 200 "));
    hospital.login("reception").await.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    for (socket, begun) in slow {
        let answer = until_closed(socket).await;
        let is_told = answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"request-timeout\"");
        assert!(is_told, "after {begun:?}: {answer}");
    }
}

/// A connection with little room for answers, on which a client asks for a long answer many times.
async fn asks_and_reads_nothing(base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 << 10).expect("a small buffer");
    let mut socket = socket.connect(address(base).parse().expect("an address")).await.expect("the server listens");
    let asked = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: hims\r\n\r\n".repeat(8);
    socket.write_all(asked.as_bytes()).await.expect("sent");
    socket
}

#[tokio::test]
async fn clients_that_do_not_read_their_answers_hold_nobody_up() {
    let hospital = Hospital::start_with(|settings| settings.workers = Some(1)).await;
    let base = &hospital.node.base;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(asks_and_reads_nothing(base).await);
    }
    let admin = hospital.login("admin").await;
    for _ in 0..20 {
        admin.row("patients", &demo::patient(1)).await;
        assert!(ask(&mut connect(base).await).await.starts_with("HTTP/1.1 200 "));
    }
    hospital.login("reception").await.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    // The answers wait for their readers.
    let mut one = waiting.pop().expect("a connection");
    let mut beginning = [0; 12];
    one.read_exact(&mut beginning).await.expect("the answer begins");
    assert_eq!(&beginning, b"HTTP/1.1 200");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_one_more_is_answered_429() {
    let hospital = Hospital::start_with(|settings| {
        (settings.connections_per_address, settings.counts_this_machine) = (2, true);
    })
    .await;
    let (mut first, mut second) = (connect(&hospital.node.base).await, connect(&hospital.node.base).await);
    for socket in [&mut first, &mut second] {
        let answer = ask(socket).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let refused = ask(&mut connect(&hospital.node.base).await).await.to_lowercase();
    assert!(refused.starts_with("http/1.1 429 ") && refused.contains("\r\nretry-after: "), "{refused}");
    drop(first);
    let freed = async { while !ask(&mut connect(&hospital.node.base).await).await.starts_with("HTTP/1.1 200 ") {} };
    tokio::time::timeout(Duration::from_mins(1), freed).await.expect("a connection that is closed frees its place");
}

#[tokio::test]
async fn a_node_takes_so_many_connections_and_the_next_waits_until_one_is_closed() {
    let hospital = Hospital::start_with(|settings| (settings.workers, settings.connections) = (Some(1), 2)).await;
    let (mut first, mut second) = (connect(&hospital.node.base).await, connect(&hospital.node.base).await);
    for socket in [&mut first, &mut second] {
        assert!(ask(socket).await.starts_with("HTTP/1.1 200 "));
    }
    let mut third = connect(&hospital.node.base).await;
    third.write_all(LIVE).await.expect("sent");
    // The server answers others many times, and the third connection not once.
    for _ in 0..200 {
        assert!(ask(&mut second).await.starts_with("HTTP/1.1 200 "));
    }
    let early = third.try_read(&mut [0; 1]).expect_err("nobody has answered");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_mins(1), third.read_exact(&mut answer)).await;
    read.expect("the closed connection makes room").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
}
