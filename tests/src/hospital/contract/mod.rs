//! The server answers as its OpenAPI document says, whatever it is asked: requests are drawn from the schemas of the
//! document, good ones and bad ones, as three users send them.

pub(crate) mod document;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::RequestBuilder;
use serde_json::Value;

use self::document::{Document, Operation};
use self::values::{Known, conforming, raw};
use super::{Client, Hospital};
use crate::support::{broken, strange};

/// How many requests are drawn for each operation.
const REQUESTS: usize = 2;

/// A request, as it was drawn.
#[derive(Debug, Default)]
struct Drawn {
    path: String,
    query: Vec<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_deref().map(|it| String::from_utf8_lossy(it).chars().take(400).collect::<String>());
        write!(f, "{}?{} {:?} {}", self.path, self.query.join("&"), self.headers, body.unwrap_or_default())
    }
}

impl Drawn {
    fn of(&self, client: &Client, operation: &Operation) -> RequestBuilder {
        let path =
            if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query.join("&")) };
        let mut request = client.request(operation.method.clone(), &path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => request.header("content-type", "application/json").body(body.clone()),
            None => request,
        }
    }
}

/// Draws requests.
struct Draw<'a> {
    runner: TestRunner,
    document: &'a Document,
    known: &'a Known,
}

impl Draw<'_> {
    fn one<T: fmt::Debug>(&mut self, of: &BoxedStrategy<T>) -> T {
        of.new_tree(&mut self.runner).expect("a value").current()
    }

    /// The request of an operation with this number: the first are as described, the others have a fault in a parameter
    /// or in the body.
    fn request(&mut self, operation: &Operation, nth: usize) -> Drawn {
        let is_good = nth < REQUESTS / 2;
        let mut drawn = Drawn { path: operation.path.clone(), ..Drawn::default() };
        let spoils_parameter = !is_good && (operation.body.is_none() || nth + 1 == REQUESTS);
        let spoilt = self.one(&(0..operation.parameters.len().max(1)).boxed());
        for (place, parameter) in operation.parameters.iter().enumerate() {
            let (name, is_strange) = (parameter["name"].as_str().expect("a name"), spoils_parameter && place == spoilt);
            let is_given = parameter["required"] == true || is_strange || self.one(&prop::bool::weighted(0.15).boxed());
            let value = if is_strange {
                self.one(&strange())
            } else {
                let known = self.ids_for(&operation.path, parameter);
                self.one(&known.unwrap_or_else(|| conforming(&parameter["schema"], self.document, self.known)))
            };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match parameter["in"].as_str() {
                Some("path") => drawn.path = drawn.path.replace(&format!("{{{name}}}"), &encoded(&text)),
                Some("query") if is_given => drawn.query.push(format!("{name}={}", encoded(&text))),
                Some("header") if is_given => {
                    let text = text.chars().filter(|it| (' '..='~').contains(it)).take(500).collect();
                    drawn.headers.push((name.to_owned(), text));
                }
                _ => {}
            }
        }
        if let Some(schema) = &operation.body {
            let good = conforming(schema, self.document, self.known);
            let body = |it: Value| it.to_string().into_bytes();
            drawn.body = Some(match nth {
                _ if is_good => body(self.one(&good)),
                nth if nth + 1 == REQUESTS => self.one(&raw()),
                _ => body(self.one(&broken(good))),
            });
        }
        drawn
    }

    /// The ids of the rows of a table, for the parameter in the path of a row.
    fn ids_for(&self, path: &str, parameter: &Value) -> Option<BoxedStrategy<Value>> {
        let table = path.strip_prefix("/api/v1/")?.strip_suffix("/{id}")?.replace('-', "_");
        let ids = self.known.get(&table).filter(|_| parameter["name"] == "id")?;
        Some(prop::sample::select(ids.iter().cloned().map(Value::from).collect::<Vec<_>>()).boxed())
    }
}

/// A text as it stands in a path or in a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .take(2_000)
        .map(|it| if it.is_ascii_alphanumeric() { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

/// The ids of records that there are. Users, sessions and roles are left out, so that nobody ends a session or takes
/// the rights away with which the next requests are asked.
async fn known(hospital: &Hospital) -> Known {
    let streams = "select stream_type, stream_id::text from log.events
                    where stream_type not in ('user', 'session', 'role', 'access', 'log') and version = 1
                    order by position";
    let records: Vec<(String, String)> = sqlx::query_as(streams).fetch_all(hospital.owner()).await.expect("streams");
    let mut known = Known::new();
    for (kind, id) in records {
        known.entry(kind).or_default().push(id);
    }
    for table in hims_projections::TABLES {
        let sql = format!("select id::text from hims.{} order by id limit 5", table.name);
        let ids: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(hospital.owner()).await.expect("ids");
        if !ids.is_empty() {
            known.insert(table.name.to_owned(), ids);
        }
    }
    known
}

/// Sends requests to every operation as a user of the demo, and compares the answers with the document. Returns how
/// many answers had each status.
async fn ask_everything(login: &str) -> BTreeMap<u16, usize> {
    let hospital = Hospital::start_with(|settings| settings.refusals_per_minute = 1_000_000).await;
    hospital.settle().await;
    let (mut document, known) = (Document::new(), known(&hospital).await);
    let seed: u8 = std::env::var("CONTRACT_SEED").map_or(13, |it| it.parse().expect("a number below 256"));
    let runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let asking = Document::new();
    let mut draw = Draw { runner, document: &asking, known: &known };
    let mut client = hospital.login(login).await;
    let (mut faults, mut answered) = (Vec::new(), BTreeMap::new());
    for operation in asking.operations() {
        for nth in 0..REQUESTS {
            let drawn = draw.request(&operation, nth);
            let answer = client.send(drawn.of(&client, &operation)).await;
            *answered.entry(answer.status).or_default() += 1;
            if let Some(fault) = document.fault_of(&operation, &answer) {
                faults.push(format!("{login}: {} {drawn}\n    {fault}", operation.method));
            }
            if operation.path == "/api/v1/sessions/current" && operation.method == reqwest::Method::DELETE {
                client = hospital.login(login).await;
            }
        }
    }
    assert!(faults.is_empty(), "{} faults, with CONTRACT_SEED={seed}:\n{}", faults.len(), faults.join("\n"));
    assert!(!answered.contains_key(&429), "requests were not looked at: {answered:?}");
    answered
}

#[tokio::test]
async fn an_administrator_is_answered_as_the_document_says() {
    let answered = ask_everything("admin").await;
    for status in [200, 201, 204, 400, 403, 404, 422] {
        assert!(answered.contains_key(&status), "{status} is among {answered:?}");
    }
}

#[tokio::test]
async fn a_doctor_is_answered_as_the_document_says() {
    let answered = ask_everything("doctor").await;
    for status in [200, 201, 204, 400, 403, 404, 422] {
        assert!(answered.contains_key(&status), "{status} is among {answered:?}");
    }
}

#[tokio::test]
async fn a_patient_is_answered_as_the_document_says() {
    let answered = ask_everything("patient").await;
    for status in [200, 204, 400, 403, 404] {
        assert!(answered.contains_key(&status), "{status} is among {answered:?}");
    }
}
