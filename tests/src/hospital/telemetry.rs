//! Traces, metrics and log records that a real server sends to a receiver of OpenTelemetry over a real socket.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};

use hims_event_store::chain::hex;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;

use super::command_line::{assert_failed, text};
use super::demo::{PASSWORD, person};
use super::{Process, hims};
use crate::support::{Receiver, Taken, attribute, scratch};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The spans with this name below another span.
fn below<'a>(taken: &'a Taken, span: &Span, name: &str) -> Vec<&'a Span> {
    let of_the_span = |it: &&Span| it.trace_id == span.trace_id && it.parent_span_id == span.span_id;
    taken.spans.iter().filter(of_the_span).filter(|it| it.name == name).collect()
}

/// The only span with this name below another span.
fn only<'a>(taken: &'a Taken, span: &Span, name: &str) -> &'a Span {
    let [found] = below(taken, span, name)[..] else { panic!("one span {name} below {}", span.name) };
    found
}

fn doctor(data_dir: &Path, endpoint: &str) -> Output {
    let mut command = hims();
    command.args(["doctor", "--data-dir"]).arg(data_dir).env(ENDPOINT, endpoint).env("RUST_LOG", "off");
    command.output().expect("the program runs")
}

#[tokio::test]
async fn traces_metrics_and_records_arrive_and_nothing_personal_does() {
    let (receiver, folder) = (Receiver::start(), scratch("telemetry"));
    let server = Process::start_with(folder.path(), &["--demo"], |command| {
        // The demo hospital begins with thousands of commands in a second.
        command.env("OTEL_BSP_MAX_QUEUE_SIZE", "100000").env("OTEL_BLRP_MAX_QUEUE_SIZE", "100000");
        command.env(ENDPOINT, &receiver.endpoint).env("RUST_LOG", "info").stderr(Stdio::null());
    });
    let reception = server.nobody.login("reception").await;
    let registered = reception
        .post("register-patient", &person("Zuzanna", "Kowalczyk", 1))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "name=Zuzanna");
    let registered = reception.send(registered).await;
    let request_id = registered.header("x-request-id").expect("a request id").to_owned();
    assert_eq!(reception.row("patients", &registered.id()).await["last_name"], "Kowalczyk");
    assert_eq!(reception.items("patients?q=Kowalczyk").await.len(), 1);
    let refused = reception.command("no-such-command", person("Zuzanna", "Kowalczyk", 2)).await;
    let refused_id = refused.header("x-request-id").expect("a request id").to_owned();
    refused.problem(404, "no-such-command");
    let shown = server.nobody.send(server.nobody.request(Method::GET, "/metrics")).await.text;
    let examined = doctor(folder.path(), &receiver.endpoint);
    assert!(text(&examined.stdout).contains("ok      telemetry: the receiver takes it"), "{examined:?}");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));

    // What was not sent yet was sent at the end.
    let taken = receiver.taken();
    assert_eq!(attribute(&taken.senders, "service.name"), "hims");
    assert!(!attribute(&taken.senders, "service.instance.id").is_empty());
    let roots: Vec<_> = taken.spans.iter().filter(|it| hex(&it.parent_span_id) == CALLER).collect();
    let [root] = roots[..] else { panic!("one span continues the trace of the client") };
    assert_eq!((hex(&root.trace_id).as_str(), root.trace_state.as_str()), (TRACE, ""));
    assert_eq!(root.name, "POST /api/v1/commands/{name}");
    assert_eq!(attribute(&root.attributes, "request_id"), request_id);
    assert_eq!(attribute(&root.attributes, "http.response.status_code"), "201");
    let command = only(&taken, root, "command");
    assert_eq!(attribute(&command.attributes, "command"), "register-patient");
    assert_eq!(attribute(&command.attributes, "outcome"), "done");
    let append = only(&taken, command, "append");
    let batches: Vec<_> = taken.spans.iter().filter(|it| it.name == "append batch").collect();
    assert!(batches.iter().any(|it| it.links.iter().any(|link| link.span_id == append.span_id)), "a batch names it");
    let list = taken.spans.iter().find(|it| it.name == "GET /api/v1/{table}").expect("the search");
    only(&taken, list, "read");
    assert!(taken.spans.iter().any(|it| it.name == "projection batch"));

    let types = shown.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next());
    let sent: BTreeSet<_> = taken.metrics.iter().map(|it| it.name.as_str()).collect();
    assert!(sent.contains("hims_commands_total") && sent.contains("hims_connections"), "{sent:?}");
    assert_eq!(types.filter(|it| !sent.contains(it)).collect::<Vec<_>>(), Vec::<&str>::new());

    let of_the_refusal = taken.records.iter().filter(|it| attribute(&it.attributes, "request_id") == refused_id);
    let [record] = of_the_refusal.collect::<Vec<_>>()[..] else { panic!("one record tells of the refusal") };
    let body = record.body.as_ref().and_then(|it| it.value.clone());
    assert_eq!(body, Some(Value::StringValue("refused".to_owned())));
    assert_eq!(attribute(&record.attributes, "code"), "no-such-command");
    let its_span = taken.spans.iter().find(|it| it.span_id == record.span_id).expect("the span of the request");
    assert_eq!(attribute(&its_span.attributes, "request_id"), refused_id);

    let held = |text: &str| taken.bytes.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(held("register-patient") && held(&request_id));
    for personal in ["Zuzanna", "Kowalczyk", "1979-04-23", "reception@demo.hims", PASSWORD, "Hinterzarten"] {
        assert!(!held(personal), "{personal} was sent");
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_or_silent_costs_nothing_but_telemetry() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let closed = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let endpoint = |of: &TcpListener| format!("http://{}", of.local_addr().expect("an address"));
    let [of_nobody, of_the_silent] = [endpoint(&closed), endpoint(&silent)];
    drop(closed);
    for (endpoint, told) in [(of_nobody, 1..=1), (of_the_silent, 0..=1)] {
        let folder = scratch("telemetry");
        let mut server = Process::start_with(folder.path(), &["--demo"], |command| {
            command.env(ENDPOINT, &endpoint).env("RUST_LOG", "warn").stderr(Stdio::piped());
        });
        let mut stderr = server.stderr().expect("standard error");
        let reception = server.nobody.login("reception").await;
        for number in 0..50 {
            let id = reception.did("register-patient", person(&format!("Name{number}"), "Unheard", number)).await;
            assert_eq!(reception.row("patients", &id).await["last_name"], "Unheard");
        }
        if *told.start() == 1 {
            let examined = doctor(folder.path(), &endpoint);
            assert_failed(&examined);
            let fault = "FAULT   telemetry: the receiver of OTEL_EXPORTER_OTLP_ENDPOINT does not take it (Connection";
            assert!(text(&examined.stdout).contains(fault), "{examined:?}");
        }
        server.signal("TERM");
        assert_eq!(server.ended().code(), Some(0));
        let mut log = String::new();
        stderr.read_to_string(&mut log).expect("UTF-8");
        assert!(told.contains(&log.matches("does not take telemetry").count()), "{log}");
    }
    drop(silent);
}

#[test]
fn a_receiver_that_is_no_url_is_refused_at_the_start() {
    let folder = scratch("telemetry");
    let mut command = hims();
    command.args(["serve", "--data-dir"]).arg(folder.path()).env(ENDPOINT, "collector:4318");
    let refused = command.output().expect("the program runs");
    assert_failed(&refused);
    assert!(text(&refused.stderr).contains("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as"), "{refused:?}");
    assert!(!folder.path().join("postgres").exists());
}
