//! What takes long is told in the log, with its request and without a value.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Executor as _, PgPool};

use super::demo::person;
use super::fixture::key_file;
use super::releases::until;
use super::{Answer, Process};
use crate::support::{database, scratch};

/// Answers a request, while another session holds what the request needs for longer than is slow.
async fn held_up(owner: &PgPool, lock: &'static str, request: impl Future<Output = Answer>) -> Answer {
    let mut holder = owner.begin().await.expect("a transaction");
    holder.execute(lock).await.expect("the lock");
    let hold = async {
        let sql =
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        let waiting = || sqlx::query_scalar::<_, i64>(sql).fetch_one(owner);
        until(async || waiting().await.expect("a count") > 0).await;
        holder.execute("select pg_sleep(0.1)").await.expect("the lock is held on");
        holder.rollback().await.expect("the lock is given back");
    };
    tokio::join!(request, hold).0
}

/// The fields of the only line of a log in JSON with this message about a request.
fn line<'a>(log: &'a [Value], message: &str, request: &Answer) -> &'a Value {
    let id = request.header("x-request-id").expect("the id of the request");
    let told = |it: &&Value| it["message"] == message && it["request_id"] == id;
    let lines: Vec<_> = log.iter().map(|it| &it["fields"]).filter(told).collect();
    let [line] = lines[..] else { panic!("one line {message} of {id}: {log:?}") };
    line
}

#[tokio::test]
async fn a_slow_read_and_a_slow_command_are_told_with_their_request_and_without_a_value() {
    let (database, folder) = (database().await, scratch("slow"));
    let key = key_file(&folder);
    let mut server = Process::start_with(folder.path(), &["--demo"], |command| {
        command.env("DATABASE_URL", database.options.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", key);
        command.env("HIMS_SLOW_QUERY_MS", "100").env("HIMS_LOG_FORMAT", "json").env("RUST_LOG", "warn");
        command.stderr(Stdio::piped());
    });
    let mut stderr = server.stderr().expect("standard error");
    let reception = server.nobody.login("reception").await;
    let register = async |last_name: &str, number| {
        let body = person("Zuzanna", last_name, number);
        reception.send(reception.post("register-patient", &body)).await
    };
    let first = register("Kowalczyk", 1).await;
    assert_eq!(reception.row("patients", &first.id()).await["last_name"], "Kowalczyk");
    let searched = reception.get("patients?q=Kowalczyk");
    let searched = held_up(&database.owner, "lock table hims.patients in access exclusive mode", searched).await;
    let registered = register("Kowalczyk", 2);
    let registered = held_up(&database.owner, "select from log.head for update", registered).await;
    assert_eq!((searched.status, registered.status), (200, 201));
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));

    let mut log = String::new();
    stderr.read_to_string(&mut log).expect("UTF-8");
    assert!(!log.contains("Kowalczyk") && !log.contains("Zuzanna"), "{log}");
    let log: Vec<Value> = log.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    let read = line(&log, "a read was slow", &searched);
    assert_eq!((&read["table"], &read["rows"]), (&json!("patients"), &json!(1)));
    let command = line(&log, "a command was slow", &registered);
    assert_eq!((&command["command"], &command["events"]), (&json!("register-patient"), &json!(1)));
    for line in [read, command] {
        assert!(line["milliseconds"].as_u64() >= Some(100), "{line}");
    }
}
