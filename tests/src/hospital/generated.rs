//! `hims generate`: how much is made, that it is the same again, that an interrupted run goes on, and that people can
//! work in what was made.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Output, Stdio};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::Client;
use super::command_line::{assert_failed, on, text};
use super::process::{Process, hims, run, signal};
use super::releases::until;
use hims_testing::assert_same;

use crate::support::{TestDatabase, empty_database, scratch};

/// Forty patients.
const SCALE: &str = "0.0004";
const PATIENTS: usize = 40;
const PASSWORD: &str = "demo-hims-2026";

/// How much there is of each table for each patient, according to the schema document's Appendix A.
const VOLUMES: [(&str, usize); 8] = [
    ("appointments", 5),
    ("consultations", 5),
    ("vital-signs", 20),
    ("prescriptions", 3),
    ("lab-orders", 2),
    ("lab-results", 10),
    ("billing-records", 5),
    ("notifications", 10),
];

fn generate(folder: &Path, more: &[&str]) -> Output {
    let arguments = [&["generate", "--scale", SCALE], more].concat();
    let mut command = hims();
    command.args(arguments).arg("--data-dir").arg(folder).env("RUST_LOG", "off").stdin(Stdio::null());
    command.output().expect("the program runs")
}

/// How many rows of a table there are.
async fn count(client: &Client, table: &str) -> usize {
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = client.get(&format!("{table}?limit=500{after}")).await.done();
        count += page["items"].as_array().expect("rows").len();
        match page["next"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => return count,
        }
    }
}

#[tokio::test]
async fn people_can_work_in_a_generated_hospital() {
    let folder = scratch("generated");
    let folder = folder.path().join("data");
    let made = generate(&folder, &[]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert!(text(&made.stdout).starts_with("40 patients; "), "{made:?}");
    let verified = run(&folder, &["verify", "--deep"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let again = generate(&folder, &[]);
    assert!(text(&again.stdout).starts_with("40 patients; 0 events recorded"), "{again:?}");
    assert_failed(&generate(&folder, &["--seed", "2"]));

    let server = Process::start_with(&folder, &[], |_| {});
    assert_failed(&generate(&folder, &[]));
    let login = async |role: &str| server.nobody.login_as(&format!("{role}@generated.example"), PASSWORD).await;
    let administrator = login("administrator").await;
    assert_eq!(count(&administrator, "patients").await, PATIENTS);
    for (table, each) in VOLUMES {
        assert_eq!(count(&administrator, table).await, PATIENTS * each, "{table}");
    }
    assert_eq!(count(&administrator, "patient-allergies").await, PATIENTS / 2);
    let status = run(&folder, &["status"]);
    assert!(text(&status.stdout).contains("up to date") && !text(&status.stdout).contains("parked"), "{status:?}");

    // What was generated holds its times, names and numbers as what people recorded does.
    let reception = login("receptionist").await;
    let ahead = reception.items("appointments?status=scheduled&sort=starts_at").await;
    let (visit, other) = (&ahead[0], &ahead[1]);
    let there = json!({"patient_id": other["patient_id"], "provider_id": visit["provider_id"],
                       "department_id": visit["department_id"], "starts_at": visit["starts_at"],
                       "duration_minutes": 10, "appointment_type": "follow_up"});
    reception.command("schedule-appointment", there).await.problem(409, "double-booking");
    reception.did("confirm-appointment", json!({"appointment_id": visit["id"]})).await;
    let somebody = reception.row("patients", visit["patient_id"].as_str().expect("an id")).await;
    let same = json!({"first_name": somebody["first_name"], "last_name": somebody["last_name"],
                      "date_of_birth": somebody["date_of_birth"], "gender": somebody["gender"]});
    reception.command("register-patient", same).await.problem(409, "possible-duplicate");
    let unpaid = &reception.items("billing-records?status=billed").await[0];
    let payment = json!({"billing_record_id": unpaid["id"], "amount": unpaid["balance_amount"], "method": "cash",
                         "kind": "payment"});
    reception.did("record-payment", payment).await;
    let paid =
        reception.row_until("billing-records", unpaid["id"].as_str().expect("an id"), |it| it["status"] == "paid");
    assert_eq!(paid.await["balance_amount"].as_f64(), Some(0.0));
    let pharmacist = login("pharmacist").await;
    let waiting = &pharmacist.items("prescriptions?status=sent_to_pharmacy").await[0];
    let ready = pharmacist.command("mark-prescription-ready", json!({"prescription_id": waiting["id"]})).await;
    ready.problem(409, "insufficient-stock");
    drop(server);
    // Somebody has worked in it, so it is no longer only a generated hospital.
    assert_failed(&generate(&folder, &[]));
}

/// What the log holds of the patients: the streams with their events, whatever the order.
async fn streams(database: &TestDatabase) -> BTreeSet<(Uuid, i32, String)> {
    let sql = "select stream_id, version, event_type from log.events where metadata ->> 'command' = 'generate'";
    let mut superuser = database.superuser().await;
    sqlx::query_as(sql).fetch_all(&mut superuser).await.expect("events").into_iter().collect()
}

/// How long the log is; 0 while there is none.
async fn head(superuser: &mut PgConnection) -> i64 {
    let is_there = "select to_regclass('log.head') is not null";
    if !sqlx::query_scalar::<_, bool>(is_there).fetch_one(&mut *superuser).await.expect("an answer") {
        return 0;
    }
    sqlx::query_scalar("select position from log.head").fetch_one(superuser).await.expect("the head")
}

#[tokio::test]
async fn a_run_that_was_killed_is_gone_on_with_and_ends_with_the_same() {
    let (whole, killed, folder) = (empty_database().await, empty_database().await, scratch("generated"));
    let arguments = ["generate", "--scale", "0.001", "--seed", "7"];
    let output = on(&whole, &folder).args(arguments).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let folder = scratch("generated");
    let mut superuser = killed.superuser().await;
    for events in [2_000, 6_000] {
        let mut running = on(&killed, &folder).args(arguments).spawn().expect("the program starts");
        while head(&mut superuser).await < events {
            assert!(running.try_wait().expect("its status").is_none(), "ended before {events} events");
        }
        signal(running.id(), "KILL");
        running.wait().expect("it ends");
    }
    let output = on(&killed, &folder).args(arguments).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_same(streams(&killed).await, streams(&whole).await);
    let verified = on(&killed, &folder).args(["verify", "--deep"]).output().expect("the program runs");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    a_rebuild_that_is_killed_or_stopped_is_in_nobodys_way(&killed, &folder).await;
}

/// Starts a rebuild, and holds it up in the middle of its work until the returned session is gone.
async fn rebuilding(database: &TestDatabase, folder: &TempDir) -> (Child, PgConnection) {
    let mut superuser = database.superuser().await;
    let mut rebuild = on(database, folder);
    let running = rebuild.arg("rebuild").stderr(Stdio::piped()).spawn().expect("the program starts");
    // The tables are there before the first batch is read, and the checkpoint moves with each batch.
    let is_there = "select to_regclass('hims_rebuild.projection_checkpoint') is not null";
    while !sqlx::query_scalar::<_, bool>(is_there).fetch_one(&mut superuser).await.expect("an answer") {}
    superuser.execute("begin; lock table hims_rebuild.projection_checkpoint in exclusive mode").await.expect("held");
    let waits = "select exists (select from pg_stat_activity where datname = current_database()
                                and application_name = 'hims rebuild' and wait_event_type = 'Lock')";
    let mut looking = database.superuser().await;
    until(async || sqlx::query_scalar(waits).fetch_one(&mut looking).await.expect("an answer")).await;
    (running, superuser)
}

async fn a_rebuild_that_is_killed_or_stopped_is_in_nobodys_way(database: &TestDatabase, folder: &TempDir) {
    let run = |arguments: &[&str]| on(database, folder).args(arguments).output().expect("the program runs");
    let (mut killed, held) = rebuilding(database, folder).await;
    killed.kill().expect("it is killed");
    killed.wait().expect("it ends");
    held.close().await.expect("let go");
    let again = run(&["rebuild"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");

    let (stopped, held) = rebuilding(database, folder).await;
    signal(stopped.id(), "STOP");
    let told = run(&["status"]);
    let is_told = |it: &str| it.starts_with("rebuild ") && it.contains("has come to position");
    assert!(text(&told.stdout).lines().any(is_told), "{told:?}");
    held.close().await.expect("let go");
    let refused = run(&["rebuild"]);
    assert!(text(&refused.stderr).contains("another process is making or dropping read tables"), "{refused:?}");
    // After half a minute in which it has done nothing, another one may take its place.
    until(async || run(&["rebuild"]).status.success()).await;
    signal(stopped.id(), "CONT");
    let ended = stopped.wait_with_output().expect("it ends");
    assert_failed(&ended);
    let told = run(&["status"]);
    assert!(text(&told.stdout).contains("up to date") && !text(&told.stdout).contains("\nrebuild "), "{told:?}");
    let sql = "select count(*) = (select position from log.head) from hims.audit_logs";
    let is_whole = sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut database.superuser().await).await;
    assert!(is_whole.expect("an answer"), "a row for each event");

    // A rebuild that somebody holds up says so.
    let mut superuser = database.superuser().await;
    let held = "create schema hims_rebuild authorization hims_tables; create table hims_rebuild.held ();
                alter table hims_rebuild.held owner to hims_tables; begin; table hims_rebuild.held";
    superuser.execute(held).await.expect("held");
    let mut waiting = on(database, folder);
    waiting.arg("rebuild").env("RUST_LOG", "warn").stderr(Stdio::piped());
    let mut waiting = waiting.spawn().expect("the program starts");
    let said = BufReader::new(waiting.stderr.take().expect("standard error")).lines();
    let mut said = said.map_while(Result::ok);
    assert!(said.any(|it| it.contains("this stands still: it waits for a lock")), "nobody is told");
    superuser.execute("rollback").await.expect("let go");
    assert!(waiting.wait().expect("it ends").success());
}
