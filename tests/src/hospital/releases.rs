//! A new release starts on a hospital with a history. The old read tables answer until new ones have replaced them,
//! whatever happens in between.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join;
use hims_projections::query::{self, Identity, QueryError};
use hims_projections::{Rebuild, RebuildError, TABLES, Target};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use super::demo::{RECEPTION, busy_day, lab_test, patient, person, user};
use super::process::hims;
use super::tables::{assert_same_rows, contents, count};
use super::{Answer, Client, Hospital};
use crate::support::{Proxy, pool_as, scratch};

/// Turns the read tables into those of an older release, without vital signs and without who entered a patient. The
/// views of the policies do not look at vital signs either.
const OLDER: &str = "update hims.projection_checkpoint set form = '1.1.older';
    create or replace view hims.visiting_patients as select null::uuid as patient_id where false;
    create or replace view hims.treating_users as select null::uuid as user_id where false;
    drop table hims.vital_signs; alter table hims.patients drop column created_by";

/// Runs SQL as a superuser.
pub(super) async fn tell(hospital: &Hospital, sql: &str) {
    let mut db = hospital.database.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.expect("a superuser may do anything");
}

/// The value that a query answers.
pub(super) async fn ask<T>(hospital: &Hospital, sql: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(sql).fetch_one(hospital.owner()).await.expect("a value")
}

/// The object id of the schema of the living tables. Each rebuild gives another schema.
pub(super) async fn schema(hospital: &Hospital) -> i64 {
    ask(hospital, "select 'hims'::regnamespace::oid::bigint").await
}

/// Takes the lock of a rebuild, after waiting for a rebuild that runs. Nobody rebuilds until the connection is dropped.
pub(super) async fn no_rebuild(hospital: &Hospital) -> PgConnection {
    let mut holder = hospital.owner().acquire().await.expect("a connection").detach();
    sqlx::query("select pg_advisory_lock(1751739762)").execute(&mut holder).await.expect("the lock of a rebuild");
    holder
}

/// Waits until no rebuild runs any more.
async fn no_more_rebuild(hospital: &Hospital) {
    let mut holder = no_rebuild(hospital).await;
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut holder).await.expect("the lock is given back");
}

pub(super) fn rebuild(hospital: &Hospital) -> Rebuild {
    Rebuild::new(hospital.node.store.clone(), hospital.owner().clone())
}

/// Asserts that a rebuild gives the rows that the read tables have already.
pub(super) async fn assert_rebuilt(hospital: &Hospital) {
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    no_more_rebuild(hospital).await;
    rebuild(hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
}

pub(super) async fn ready(client: &Client) -> Answer {
    client.send(client.request(Method::GET, "/health/ready")).await
}

/// Asserts that the server is not ready for this reason, and returns what the server says.
pub(super) async fn assert_unfit(client: &Client, reason: &str) -> Value {
    let answer = ready(client).await;
    let told = answer.json();
    assert_eq!(
        (answer.status, &told["status"], &told["reason"]),
        (503, &"unavailable".into(), &reason.into()),
        "{told}"
    );
    assert_eq!(told["database"], "up", "{told}");
    told
}

/// Returns when the tables show everything that is recorded; asks nothing that is recorded itself.
pub(super) async fn until_shown(nobody: &Client) {
    until(async || {
        let told = ready(nobody).await.json();
        told["read_position"].is_i64() && told["read_position"] == told["head_position"]
    })
    .await;
}

/// Asks again and again until the condition holds. Others run between two questions, also where a question waits for
/// nobody.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asking).await.expect("the condition holds within a minute");
}

pub(super) async fn until_ready(client: &Client) {
    until(async || ready(client).await.status == 200).await;
}

/// Reads without waiting for a position, so the answer may be old.
pub(super) async fn read(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::GET, &format!("/api/v1/{path}"))).await
}

async fn items(client: &Client, table: &str) -> Value {
    read(client, &format!("{table}?limit=500")).await.done()["items"].take()
}

pub(super) async fn count_of(client: &Client, table: &str) -> usize {
    items(client, table).await.as_array().expect("items").len()
}

#[track_caller]
pub(super) fn assert_behind(answer: &Answer) {
    answer.problem(503, "read-model-behind");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test]
async fn the_old_tables_answer_until_new_ones_have_taken_their_place() {
    let mut hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    hospital.settle().await;
    let mut before = BTreeMap::new();
    for table in TABLES {
        before.insert(table.name, items(&admin, &table.name.replace('_', "-")).await);
    }
    let held = no_rebuild(&hospital).await;
    tell(&hospital, OLDER).await;
    hospital.node = hospital.another_node().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let told = assert_unfit(&admin, "read-tables-rebuilding").await;
    let (head, shown) = (told["head_position"].as_i64(), told["read_position"].as_i64());
    assert!(head > shown && shown > Some(50), "{told}");
    // The table that is new in this release is not answered yet. Every other table is answered in full.
    for table in TABLES {
        let route = table.name.replace('_', "-");
        if table.name == "vital_signs" {
            assert_behind(&read(&admin, &route).await);
            assert_behind(&read(&admin, &format!("{route}/{}", patient(1))).await);
            continue;
        }
        let mut expected = before[table.name].clone();
        if table.name == "patients" {
            expected.as_array_mut().expect("items").iter_mut().for_each(|it| it["created_by"] = Value::Null);
        }
        assert_eq!(items(&admin, &route).await, expected, "{route}");
    }
    // A column that is new reads as null, and lists can be filtered and sorted by the column.
    let row = read(&admin, &format!("patients/{}", patient(3))).await.done();
    assert_eq!((&row["last_name"], row.get("created_by")), (&"O'Brien".into(), Some(&Value::Null)));
    let found = read(&admin, "patients?q=kowalczyk&sort=-created_by").await.done();
    assert_eq!((&found["items"][0]["last_name"], &found["items"][1]), (&"Kowalczyk".into(), &Value::Null));
    let entered = format!("patients?created_by={}", user(RECEPTION));
    assert_eq!(read(&admin, &entered).await.done()["items"], json!([]));
    // Commands are carried out, but the read tables show their effects only after the rebuild.
    let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    let fresh = admin
        .request(Method::GET, "/api/v1/patients")
        .header("hims-min-position", shown.expect("the read position is answered") + 1);
    assert_behind(&admin.send(fresh.header("prefer", "wait=0")).await);
    assert_eq!(read(&admin, &format!("patients/{id}")).await.status, 404);
    let patients = count_of(&admin, "patients").await;
    drop(held);
    until(async || {
        let is_ready = ready(&admin).await.status == 200;
        assert!(count_of(&admin, "patients").await >= patients);
        let new = read(&admin, "vital-signs").await;
        assert!(new.status == 200 || !is_ready && new.json()["code"] == "read-model-behind", "{new:?}");
        is_ready
    })
    .await;
    assert_eq!(admin.row("patients", &id).await["first_name"], "Ottilie");
    assert_eq!(admin.items(&entered).await.len(), 2);
    assert_eq!(items(&admin, "vital-signs").await, before["vital_signs"]);
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn a_table_that_is_new_hides_neither_the_events_of_others_nor_candidates() {
    let mut hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let order = json!({"patient_id": patient(2), "items": [{"lab_test_id": lab_test(2)}]});
    let placed = doctor.did("place-lab-order", order.clone()).await;
    let pulse = doctor.did("record-vital-signs", json!({"patient_id": patient(2), "heart_rate": 72})).await;
    hospital.settle().await;
    let held = no_rebuild(&hospital).await;
    tell(&hospital, OLDER).await;
    hospital.node = hospital.another_node().await;
    let doctor = hospital.login("doctor").await;
    assert_unfit(&doctor, "read-tables-rebuilding").await;
    let events = read(&doctor, &format!("events?patient_id={}", patient(2))).await.done();
    let types: Vec<_> = events["items"].as_array().expect("items").iter().map(|it| it["type"].clone()).collect();
    assert!(types.contains(&json!("lab_order.placed")), "{types:?}");
    assert!(!types.contains(&json!("vital_signs.recorded")), "not before the table shows to whom: {types:?}");
    let asked = doctor.command("place-lab-order", order).await.problem(409, "possible-duplicate");
    assert_eq!(asked["candidates"], json!([placed]));
    // Of a record that only the missing table would show, it is not known whether the reader may read it.
    let mut db = PgConnection::connect_with(&hospital.database.options).await.expect("a connection");
    db.execute("set role hims_reader").await.expect("the connection reads as a reader");
    let who = Identity { reads: "all_data".to_owned(), ..Identity::default() };
    let all: Vec<_> = TABLES.iter().collect();
    let [placed, pulse] = [&placed, &pulse].map(|it| it.parse().expect("an id"));
    let seen = query::visible(&mut db, &all, &[placed, pulse], &who).await.expect("what is there is seen");
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [placed]);
    // Whoever reads few patients is shown them from tables that lack a column, too.
    let own = patient(2).parse().expect("an id");
    let oneself = Identity { reads: "own_records".to_owned(), patient_id: Some(own), ..Identity::default() };
    assert!(query::visible(&mut db, &all, &[own], &oneself).await.expect("what is there is seen").contains(&own));
    assert!(!read(&hospital.login("nurse").await, "patients").await.done()["items"].is_null());
    let unknown = query::visible(&mut db, &all, &[pulse], &who).await;
    assert!(matches!(unknown, Err(QueryError::Behind(_))), "{unknown:?}");
    drop(held);
    until_ready(&doctor).await;
    let seen = query::visible(&mut db, &all, &[pulse], &who).await.expect("the table is there");
    assert!(seen.contains(&pulse));
}

#[tokio::test]
async fn the_server_answers_while_its_tables_are_made_anew() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let (reception, done) = (hospital.login("reception").await, AtomicBool::new(false));
    let patients = count_of(&reception, "patients").await;
    let reading = async {
        let mut answers = 0;
        while !done.load(Ordering::SeqCst) {
            assert_eq!(count_of(&reception, "patients").await, patients);
            answers += 1;
        }
        answers
    };
    let releasing = async {
        for _ in 0..3 {
            let before = schema(&hospital).await;
            tell(&hospital, "update hims.projection_checkpoint set form = '1.1.older'").await;
            until(async || schema(&hospital).await != before).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = join(reading, releasing).await;
    assert!(answers > 3, "{answers}");
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn of_two_nodes_that_start_at_once_one_rebuilds() {
    let mut hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let held = no_rebuild(&hospital).await;
    let counting = "create table public.made (name text);
        grant select on public.made to hims;
        create function public.note_made() returns event_trigger language plpgsql security definer as
            'begin insert into public.made select object_identity from pg_event_trigger_ddl_commands(); end';
        create event trigger note_made on ddl_command_end when tag in ('CREATE SCHEMA') execute function public.note_made()";
    tell(&hospital, counting).await;
    tell(&hospital, OLDER).await;
    let (one, other) = join(hospital.another_node(), hospital.another_node()).await;
    hospital.node = one;
    let here = hospital.nobody();
    let there = here.at(&other.base);
    assert_unfit(&here, "read-tables-rebuilding").await;
    assert_unfit(&there, "read-tables-rebuilding").await;
    drop(held);
    until_ready(&here).await;
    until_ready(&there).await;
    no_more_rebuild(&hospital).await;
    assert_eq!(count(hospital.owner(), "public.made").await, 1);
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn a_rebuild_that_breaks_off_anywhere_leaves_whole_tables() {
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    let proxy = Proxy::start().await;
    let pool = pool_as("hims", &proxy.options(&hospital.database.options));
    let broken = Rebuild::new(hospital.node.store.clone(), pool);
    let statements: [&[u8]; 9] = [
        b"create schema hims_rebuild",
        b"set local role hims_projector",
        b"update projection_checkpoint set position",
        b" add constraint ",
        b"CREATE INDEX ",
        b"for update",
        b"alter schema hims rename to hims_old",
        b"alter schema hims_rebuild rename to hims",
        b"set position = -1",
    ];
    for statement in statements {
        let captured = proxy.capture(statement);
        let broken = broken.run(&Target::Swap, |_| {});
        let (broken, ()) = join(broken, async { drop(captured.await.expect("the statement is sent")) }).await;
        let error = broken.expect_err(&String::from_utf8_lossy(statement));
        assert!(!matches!(error, RebuildError::Busy), "{error}");
        // Once the lock is free, PostgreSQL has noticed that the connection is broken.
        no_more_rebuild(&hospital).await;
        assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
        assert_eq!(count_of(&admin, "vital-signs").await, before["vital_signs"].len());
    }
    // The program may also give up waiting for a rebuild that has begun.
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let whole = rebuild(&hospital);
    let begin = |position| assert!(begun.send(position).is_ok());
    tokio::select! {
        biased;
        _ = has_begun.recv() => {}
        _ = whole.run(&Target::Swap, begin) => panic!("the rebuild ended without reporting that it has begun"),
    }
    no_more_rebuild(&hospital).await;
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    // Where the connection breaks after the swap, only the old tables are left to drop.
    let captured = proxy.capture(b"set lock_timeout = '5s'");
    let broken = broken.run(&Target::Swap, |_| {});
    let (swapped, ()) = join(broken, async { drop(captured.await.expect("the statement is sent")) }).await;
    swapped.expect("the tables are swapped");
    no_more_rebuild(&hospital).await;
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    assert_rebuilt(&hospital).await;
    assert_eq!(count(hospital.owner(), "pg_namespace where nspname in ('hims_old', 'hims_rebuild')").await, 0);
}

/// Runs the program on the hospital's database, and asserts that the program succeeds.
fn program(hospital: &Hospital, arguments: &[&str]) -> Output {
    let mut command = hims();
    command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("RUST_LOG", "off");
    command.env("HIMS_MIGRATION_URL", hospital.database.migrations.to_url_lossy().as_str());
    command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output
}

#[tokio::test]
async fn on_the_command_line_the_old_tables_stay_until_they_are_rebuilt() {
    let mut hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let held = no_rebuild(&hospital).await;
    tell(&hospital, OLDER).await;
    let before = contents(hospital.owner(), "hims").await;
    let migrated = program(&hospital, &["migrate", "up"]);
    assert!(String::from_utf8_lossy(&migrated.stdout).contains("They go on answering"), "{migrated:?}");
    let folder = scratch("import");
    let nothing = r#"{ "resourceType": "Bundle", "type": "collection" }"#;
    std::fs::write(folder.path().join("nothing.json"), nothing).expect("a file");
    program(&hospital, &["import", "fhir", folder.path().to_str().expect("UTF-8")]);
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    drop(held);
    until_ready(&hospital.nobody()).await;
    no_more_rebuild(&hospital).await;
    tell(&hospital, "update hims.projection_checkpoint set position = position + 1000").await;
    program(&hospital, &["rebuild"]);
    until_ready(&hospital.nobody()).await;
    let migrated = program(&hospital, &["migrate", "up"]);
    assert!(!String::from_utf8_lossy(&migrated.stdout).contains("They go on answering"), "{migrated:?}");
    hospital.node = hospital.another_node().await;
    assert_rebuilt(&hospital).await;
}
