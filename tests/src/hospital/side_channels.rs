//! What is hidden from a caller answers as what does not exist: the same status, body and headers, by the same
//! statements of the database, and with the same events about who asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_domain::DomainEvent;
use hims_projections::{Column, Kind, TABLES, Table, table_of};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};

use super::demo::person;
use super::{Answer, Client, Process};
use crate::support::scratch;

/// How many pairs of requests are compared at least.
const PAIRS: usize = 500;
/// Who asks: those who read some patients, but not all.
const LOGINS: [&str; 4] = ["nurse", "pharmacist", "lab", "patient"];
/// The columns by which a patient is looked for.
const IDENTIFYING: [&str; 5] = ["mrn", "last_name", "email", "phone_primary", "q"];

/// A question about something that the caller may not read.
#[derive(Debug, Clone)]
struct Probe {
    login: &'static str,
    /// The path, with `{}` for what is asked for.
    path: String,
    hidden: String,
}

/// A number that follows from another (`SplitMix64`).
fn drawn(nth: u64) -> u64 {
    let mut it = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

/// Something of the same form that does not exist: another id, or a text with other letters and digits.
fn absent(hidden: &str, nth: u64) -> String {
    if uuid::Uuid::parse_str(hidden).is_ok() {
        return uuid::Uuid::from_u64_pair(drawn(nth), drawn(!nth)).to_string();
    }
    let other = |(place, letter): (u64, char)| {
        let number = u8::try_from(drawn(nth + place) % 7).unwrap_or_default();
        match letter {
            // No names of the demo have these letters next to each other.
            'a'..='z' | 'A'..='Z' => char::from(b"jqvwxzk"[usize::from(number)]),
            // The first digits of a telephone number are those of a region.
            '0'..='9' if place >= 8 => char::from(b'3' + number),
            other => other,
        }
    };
    (0..).zip(hidden.chars()).map(other).collect()
}

/// A text as a value in a query.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

/// All rows of a table, as JSON.
async fn rows(db: &mut PgConnection, table: &Table) -> Vec<Value> {
    let sql = format!("select to_jsonb(t)::text from hims.{} t order by id", table.name);
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(db).await.expect("rows");
    rows.iter().map(|it| serde_json::from_str(it).expect("a row")).collect()
}

/// The questions of a caller about rows of a table that they may not read.
async fn probes_of(db: &mut PgConnection, login: &'static str, client: &Client, table: &'static Table) -> Vec<Probe> {
    let route = table.name.replace('_', "-");
    let page = client.get(&format!("{route}?limit=500")).await;
    if page.status == 403 {
        return Vec::new();
    }
    let visible: Vec<Value> = page.done()["items"].as_array().expect("items").clone();
    let ids: BTreeSet<_> = visible.iter().map(|it| it["id"].to_string()).collect();
    let hidden: Vec<_> = rows(db, table).await.into_iter().filter(|it| !ids.contains(&it["id"].to_string())).collect();
    let mut probes = Vec::new();
    let mut ask = |path: String, hidden: &Value| {
        if let Some(hidden) = hidden.as_str() {
            probes.push(Probe { login, path, hidden: hidden.to_owned() });
        }
    };
    let streams = DomainEvent::STREAMS.iter().filter(|it| table_of(it).is_some_and(|of| of.name == table.name));
    let streams: Vec<_> = streams.collect();
    let is_identity = |column: &&Column| column.indexed && column.kind == Kind::Uuid && column.name != "id";
    // The last rows, since the first ones of the demo are nearly all about patients whom somebody sees.
    for row in hidden.iter().rev().take(3) {
        ask(format!("{route}/{{}}"), &row["id"]);
        for column in table.visible().filter(is_identity) {
            let value = &row[column.name];
            if visible.iter().all(|it| it[column.name] != *value) {
                ask(format!("{route}?{}={{}}", column.name), value);
            }
        }
        for stream in &streams {
            ask(format!("streams/{stream}/{{}}"), &row["id"]);
        }
        if table.name == "patients" {
            for name in IDENTIFYING {
                ask(format!("patients?{name}={{}}"), &row[if name == "q" { "last_name" } else { name }]);
            }
            ask("events?patient_id={}".to_owned(), &row["id"]);
            ask("patients/{}/access-report".to_owned(), &row["id"]);
        }
    }
    probes
}

/// What a request left behind in the database.
#[derive(Debug, PartialEq)]
struct Traces {
    /// How often each statement that reads for a caller was carried out, by its id in `pg_stat_statements`.
    statements: BTreeMap<i64, i64>,
    /// The reads that were recorded, without what was asked for.
    events: Vec<Value>,
}

async fn statements(db: &mut PgConnection) -> BTreeMap<i64, i64> {
    // A statement that reads for a caller says who asks.
    let sql = "select queryid, sum(calls)::bigint from pg_stat_statements
                where userid = 'hims_reader'::regrole and query like '%set_config(%' group by queryid";
    sqlx::query_as::<_, (i64, i64)>(sql).fetch_all(db).await.expect("statistics").into_iter().collect()
}

/// Status, body and headers of an answer.
type Told = (u16, Value, BTreeSet<String>);

/// What is told, without the value that was asked for and what differs in each request.
fn told(answer: &Answer, value: &str) -> Told {
    let mut body: Value = serde_json::from_str(&answer.text.replace(value, "{}")).unwrap_or(Value::Null);
    if let Some(members) = body.as_object_mut() {
        members.retain(|name, _| !["request_id", "position"].contains(&name.as_str()));
    }
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "hims-position", "content-length"].contains(&name.as_str()));
    (answer.status, body, headers.map(|(name, value)| format!("{name}: {value:?}")).collect())
}

/// Asks, and returns what is told and what is left behind.
async fn asked(db: &mut PgConnection, client: &Client, path: &str, value: &str) -> (Told, Traces) {
    let head = "select position from log.head";
    let before: i64 = sqlx::query_scalar(head).fetch_one(&mut *db).await.expect("a position");
    let counted = statements(db).await;
    let answer = client.get(&path.replace("{}", &encoded(value))).await;
    let mut statements = statements(db).await;
    for (statement, calls) in counted {
        statements.entry(statement).and_modify(|it| *it -= calls);
    }
    statements.retain(|_, calls| *calls != 0);
    let sql = "select jsonb_build_object('type', event_type,
                      'data', data - array['record_id', 'parameters', 'personal_parameters'],
                      'names', array(select jsonb_object_keys(coalesce(data -> 'parameters', '{}')
                                                              || coalesce(data -> 'personal_parameters', '{}'))),
                      'is_of_record', data ? 'record_id')::text
                 from (select position, event_type, data::jsonb as data from log.events) as event
                where position > $1 and event_type = 'access.read' order by position";
    let events: Vec<String> = sqlx::query_scalar(sql).bind(before).fetch_all(db).await.expect("events");
    let events = events.iter().map(|it| serde_json::from_str(it).expect("an event")).collect();
    (told(&answer, value), Traces { statements, events })
}

/// A server whose PostgreSQL counts statements, and a connection of its superuser.
async fn counting(data: &std::path::Path) -> (Process, PgConnection) {
    let server = Process::start(data);
    server.signal("TERM");
    assert!(server.ended().success());
    let settings = std::fs::File::options().append(true).open(data.join("postgres/postgresql.conf"));
    settings.expect("settings").write_all(b"shared_preload_libraries = 'pg_stat_statements'\n").expect("written");
    let server = Process::start(data);
    let sockets = EmbeddedPostgres::reach(&EmbeddedOptions::new(data)).expect("the server's socket");
    let mut db = sockets.connect_options().username("postgres").connect().await.expect("a superuser's connection");
    db.execute("create extension pg_stat_statements schema public; set search_path = public").await.expect("counted");
    (server, db)
}

#[tokio::test]
async fn what_is_hidden_is_answered_as_what_does_not_exist() {
    let folder = scratch("side-channels");
    let (server, mut db) = counting(&folder.path().join("data")).await;
    // Patients with an e-mail address, whom nobody treats.
    let reception = server.nobody.login("reception").await;
    for (nth, family) in ["Fontaine", "Grünwald", "Halloran"].into_iter().enumerate() {
        let number = u32::try_from(nth).expect("a number");
        let email = json!({"email": format!("{}@mail.example", family.to_lowercase().replace('ü', "u"))});
        reception.did("register-patient", hims_testing::patched(person("Odile", family, number), email)).await;
    }
    let (mut clients, mut probes) = (BTreeMap::new(), Vec::new());
    for login in LOGINS {
        let client = server.nobody.login(login).await;
        for table in TABLES {
            probes.extend(probes_of(&mut db, login, &client, table).await);
        }
        clients.insert(login, client);
    }
    let kinds: BTreeSet<_> = probes.iter().map(|it| (it.login, it.path.as_str())).collect();
    assert!(kinds.len() > 100, "{} kinds of questions", kinds.len());
    assert!(probes.len() >= PAIRS, "{} questions", probes.len());
    let mut differences = Vec::new();
    for (nth, probe) in (0..).zip(&probes) {
        let (client, other) = (&clients[probe.login], absent(&probe.hidden, nth + 1));
        let mut ask = async |value: &str| asked(&mut db, client, &probe.path, value).await;
        let (hidden, missing) = if nth % 2 == 0 {
            let hidden = ask(&probe.hidden).await;
            (hidden, ask(&other).await)
        } else {
            let missing = ask(&other).await;
            (ask(&probe.hidden).await, missing)
        };
        if hidden != missing {
            differences.push(format!("{probe:?} and {other}:\n  {hidden:?}\n  {missing:?}"));
        }
        let (answered, traces) = hidden;
        // Refused reads are recorded together, some time later.
        let leaves_traces = !traces.statements.is_empty() && !traces.events.is_empty();
        assert!(leaves_traces || answered.0 == 403, "{probe:?} leaves no traces: {answered:?} {traces:?}");
    }
    let (differing, of) = (differences.len(), probes.len());
    assert!(differences.is_empty(), "{differing} of {of} pairs differ:\n{}", differences.join("\n"));
}
