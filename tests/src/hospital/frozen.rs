//! Whole processes are stopped (SIGSTOP) at the worst moment: a node in the middle of writing, the node that projects,
//! and PostgreSQL itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::Executor as _;
use uuid::Uuid;

use super::demo::person;
use super::process::signal;
use super::releases::{ask, assert_unfit, ready, tell, until, until_ready};
use super::{Answer, Client, Hospital, Process};
use crate::support::scratch;

/// How soon the others go on.
const SOON: Duration = Duration::from_secs(5);
/// What a busy machine may take beyond that.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_node_that_is_stopped_in_the_middle_of_writing_stops_nobody() {
    let hospital = Hospital::start().await;
    let folder = scratch("frozen");
    let other = Process::beside(&hospital, folder.path(), |_| {});
    let here = hospital.login("reception").await;
    let there = other.nobody.login("reception").await;
    // The other node finds that the head has moved. From then on it locks the head before it writes.
    here.did("register-patient", person("Anna", "Here", 1)).await;
    there.did("register-patient", person("Berta", "There", 2)).await;
    let mut superuser = hospital.database.superuser().await;
    superuser.execute("begin; select 1 from log.head for update").await.expect("locked");
    let request = there
        .post("register-patient", &person("Cora", "Stopped", 3))
        .header("idempotency-key", Uuid::from_u128(1).to_string());
    let again = request.try_clone().expect("a request without a stream");
    let stopped = tokio::spawn(async move { there.send(request).await });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until(async || ask::<i64>(&hospital, waiting).await > 0).await;
    other.signal("STOP");
    // The session of the stopped node gets the lock on the head, and keeps it.
    superuser.execute("rollback").await.expect("unlocked");
    let idle = "select count(*) from pg_stat_activity
                 where datname = current_database() and state = 'idle in transaction'";
    until(async || ask::<i64>(&hospital, idle).await > 0).await;
    let started = Instant::now();
    let id = here.did("register-patient", person("Dora", "Goes On", 4)).await;
    assert!(started.elapsed() < SOON + SLACK, "{:?}", started.elapsed());
    assert_eq!(here.row("patients", &id).await["first_name"], "Dora");
    other.signal("CONT");
    // The node that goes on again answers the request that waited, or can be asked once more.
    let answer = stopped.await.expect("an answer");
    let answer = if answer.status == 503 { here.send(again).await } else { answer };
    here.saw(answer.position());
    assert_eq!(here.row("patients", &answer.id()).await["last_name"], "Stopped");
    let called_so = "select count(*) from hims.patients where last_name = 'Stopped'";
    assert_eq!(ask::<i64>(&hospital, called_so).await, 1);
}

#[tokio::test]
async fn a_stopped_node_that_projects_loses_its_lease() {
    let mut hospital = Hospital::start().await;
    let folder = scratch("frozen");
    let other = Process::beside(&hospital, folder.path(), |_| {});
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    let held_by = "select coalesce(held_by, 0) from hims.projection_checkpoint";
    let first: i32 = ask(&hospital, held_by).await;
    // The node that projected is gone, so the other process takes the lease.
    hospital.node.end();
    until(async || ask::<i32>(&hospital, held_by).await != first).await;
    hospital.node = hospital.another_node().await;
    let here = reception.at(&hospital.node.base);
    other.signal("STOP");
    let id = here.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    let started = Instant::now();
    assert_eq!(here.row("patients", &id).await["first_name"], "Ottilie");
    assert!(started.elapsed() < SOON + SLACK, "{:?}", started.elapsed());
    // The node that goes on again finds that it has lost the lease, and projects nothing twice.
    other.signal("CONT");
    let there = here.at(other.nobody.base());
    for number in 0..20 {
        let client = if number % 2 == 0 { &here } else { &there };
        let id = client.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
        assert_eq!(there.row("patients", &id).await["first_name"], format!("Name{number}"));
    }
    let audited = "select (select count(*) from hims.audit_logs) - (select position from hims.projection_checkpoint)";
    assert_eq!(ask::<i64>(&hospital, audited).await, 0);
}

#[tokio::test]
async fn tables_that_stand_still_are_told() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    let mut superuser = hospital.database.superuser().await;
    superuser.execute("begin; select from hims.projection_checkpoint for update").await.expect("locked");
    reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    until(async || ready(&reception).await.status == 503).await;
    assert_unfit(&reception, "read-tables-stand-still").await;
    superuser.execute("rollback").await.expect("unlocked");
    until_ready(&reception).await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_recorded() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    // The error that PostgreSQL gives when a file cannot grow.
    let full = "create function public.no_space() returns trigger language plpgsql as
            $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
        create trigger no_space before insert on log.events for each statement execute function public.no_space();
        create trigger no_space before insert on log.receipts for each statement execute function public.no_space()";
    tell(&hospital, full).await;
    assert_eq!(ready(&reception).await.status, 200, "nobody has noticed yet");
    let answer = reception.command("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    let told = answer.problem(503, "unavailable");
    assert!(
        told["detail"].as_str().is_some_and(|it| it.contains("disk") && it.contains("nothing was recorded")),
        "{told}"
    );
    assert_unfit(&reception, "disk-full").await;
    tell(&hospital, "drop trigger no_space on log.events; drop trigger no_space on log.receipts").await;
    until_ready(&reception).await;
    reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
}

/// The processes of a PostgreSQL server: the server itself, and those that it has started.
fn family(server: u32) -> Vec<u32> {
    let children = std::fs::read_dir("/proc").expect("the processes").filter_map(|entry| {
        let process: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|it| it.strip_prefix("PPid:"))?.trim().parse();
        (parent == Ok(server)).then_some(process)
    });
    std::iter::once(server).chain(children).collect()
}

/// A PostgreSQL server that is stopped until this value is dropped.
pub(crate) struct Paused(Vec<u32>);

impl Paused {
    pub(crate) fn new(server: u32) -> Self {
        // The server itself is stopped first, so that it starts no process afterwards.
        signal(server, "STOP");
        let paused = Self(family(server));
        paused.0[1..].iter().for_each(|it| signal(*it, "STOP"));
        paused
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // The server itself goes on last, so that until then no process of its own is gone.
        self.0.iter().rev().for_each(|it| signal(*it, "CONT"));
    }
}

#[tokio::test]
async fn a_paused_database_gives_everybody_an_answer_within_ten_seconds() {
    let folder = scratch("frozen");
    let server = Process::start(folder.path());
    let reception = server.nobody.login("reception").await;
    let written = reception.did("register-patient", person("Anna", "Before", 1)).await;
    reception.row("patients", &written).await;
    let key = Uuid::from_u128(2).to_string();
    let register = || reception.post("register-patient", &person("Berta", "Paused", 2)).header("idempotency-key", &key);
    let paused = Paused::new(server.postgres());
    let get = |path: &str| reception.request(Method::GET, path);
    let login = json!({"email": "doctor@demo.hims", "password": super::demo::PASSWORD});
    let requests = vec![
        register(),
        reception.post("change-patient-demographics", &json!({"patient_id": written, "city": "Freiburg"})),
        get("/api/v1/patients"),
        get(&format!("/api/v1/patients/{written}")),
        get(&format!("/api/v1/streams/patient/{written}")),
        get(&format!("/api/v1/events?patient_id={written}")),
        get("/health/ready"),
        reception.request(Method::POST, "/api/v1/sessions").json(&login),
        // A session that this node does not remember.
        reception.with_token(&"0".repeat(64)).request(Method::GET, "/api/v1/departments"),
    ];
    let answers = futures::future::join_all(requests.into_iter().map(|request| async {
        let started = Instant::now();
        let answer = tokio::time::timeout(Duration::from_secs(20), reception.send(request)).await.expect("an answer");
        (answer, started.elapsed())
    }));
    let answers: Vec<(Answer, Duration)> = answers.await;
    for (answer, lasted) in &answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(*lasted < Duration::from_secs(10), "{lasted:?} {answer:?}");
    }
    assert_eq!(answers[6].0.json()["reason"], "database-down");
    // A command says what is known: that it was not recorded, or that nobody knows.
    let told = answers[0].0.json();
    assert!(["unavailable", "outcome-unknown"].contains(&told["code"].as_str().expect("a code")), "{told}");
    let login = &answers[7].0;
    assert!(!login.text.contains("Idempotency-Key") && login.text.contains("session"), "{login:?}");
    live(&reception).await;
    drop(paused);
    until_ready(&reception).await;
    let id = reception.send(register()).await.id();
    assert_eq!(reception.row("patients", &id).await["last_name"], "Paused");
    let named_so = reception.items("patients?q=paused").await.into_iter().filter(|it| it["last_name"] == "Paused");
    assert_eq!(named_so.count(), 1, "the patient is registered once");
}

async fn live(client: &Client) {
    assert_eq!(client.send(client.request(Method::GET, "/health/live")).await.status, 200);
}
