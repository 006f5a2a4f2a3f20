//! A receiver of OpenTelemetry over HTTP, which decodes what a program sends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// What a receiver has taken so far.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) spans: Vec<Span>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) records: Vec<LogRecord>,
    /// What described the senders of traces.
    pub(crate) senders: Vec<KeyValue>,
    /// Every byte of every request, headers included.
    pub(crate) bytes: Vec<u8>,
}

/// A receiver on a port of this machine.
pub(crate) struct Receiver {
    pub(crate) endpoint: String,
    taken: Arc<Mutex<Taken>>,
}

impl Receiver {
    /// Starts a receiver that takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let taken = Arc::<Mutex<Taken>>::default();
        let all = Arc::clone(&taken);
        // Both threads end with the program that sends, or with the tests.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, taken) = (client.expect("a connection"), Arc::clone(&all));
                std::thread::spawn(move || while take(&client, &taken).is_some() {});
            }
        });
        Self { endpoint, taken }
    }

    /// Everything that was taken so far; nothing is left behind.
    pub(crate) fn taken(&self) -> Taken {
        std::mem::take(&mut self.taken.lock().expect("a lock"))
    }
}

/// The value of an attribute, as text; empty if there is none.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let value = attributes.iter().find(|it| it.key == key).and_then(|it| it.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => other.map(|it| format!("{it:?}")).unwrap_or_default(),
    }
}

/// Takes a request and answers it. `None` when the client has ended.
fn take(client: &TcpStream, taken: &Mutex<Taken>) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(head.clone()).expect("the head of a request").to_lowercase();
    let header = |name: &str| text.lines().find_map(|it| it.strip_prefix(name)).map(|it| it.trim().to_owned());
    assert_eq!(header("content-type:").as_deref(), Some("application/x-protobuf"));
    let length = header("content-length:").and_then(|it| it.parse().ok()).expect("the length of the body");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    {
        let mut taken = taken.lock().expect("a lock");
        taken.keep(text.split(' ').nth(1).expect("a path"), &body);
        taken.bytes.extend(head);
        taken.bytes.extend(body);
    }
    (&*client).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

impl Taken {
    fn keep(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" => {
                for sent in ExportTraceServiceRequest::decode(body).expect("traces").resource_spans {
                    self.senders.extend(sent.resource.expect("a sender").attributes);
                    self.spans.extend(sent.scope_spans.into_iter().flat_map(|it| it.spans));
                }
            }
            "/v1/metrics" => {
                let sent = ExportMetricsServiceRequest::decode(body).expect("metrics").resource_metrics;
                self.metrics.extend(sent.into_iter().flat_map(|it| it.scope_metrics).flat_map(|it| it.metrics));
            }
            "/v1/logs" => {
                let sent = ExportLogsServiceRequest::decode(body).expect("records").resource_logs;
                self.records.extend(sent.into_iter().flat_map(|it| it.scope_logs).flat_map(|it| it.log_records));
            }
            path => panic!("nothing is sent to {path}"),
        }
    }
}
