//! The read tables can be dropped tonight: whatever somebody does to them or to their checkpoint, `hims rebuild` makes
//! them anew, and until then the server does not say that it is ready.

use std::process::{Output, Stdio};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use super::Hospital;
use super::demo::{busy_day, person};
use super::process::hims;
use super::releases::{assert_rebuilt, assert_unfit, no_rebuild, ready, rebuild, schema, tell, until, until_ready};
use super::tables::{assert_same_rows, contents};
use hims_projections::Target;

/// What somebody may do to the read tables so that they are missing or incomplete.
const GONE: [&str; 5] = [
    "drop schema hims cascade",
    "drop table hims.projection_checkpoint",
    "delete from hims.projection_checkpoint",
    "drop table hims.vital_signs cascade",
    "alter table hims.patients drop column created_by cascade",
];

/// What somebody may do to the checkpoint so that it does not fit the log or the tables.
const IMPOSSIBLE: [&str; 5] = [
    "update hims.projection_checkpoint set position = position + 1000",
    "update hims.projection_checkpoint set position = -5",
    "update hims.projection_checkpoint set position = 0",
    "update hims.projection_checkpoint set position = 0, hash = null",
    "update hims.projection_checkpoint c set position = e.position, hash = e.hash from log.events e where e.position = 10",
];

#[tokio::test]
async fn the_command_line_makes_the_tables_anew_whatever_happened_to_them() {
    let mut hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    hospital.node.end();
    let before = contents(hospital.owner(), "hims").await;
    for damage in GONE.into_iter().chain(IMPOSSIBLE) {
        tell(&hospital, damage).await;
        let mut command = hims();
        command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("RUST_LOG", "off");
        command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
        let rebuilt: Output = command.arg("rebuild").stdin(Stdio::null()).output().expect("the program runs");
        assert_eq!(rebuilt.status.code(), Some(0), "{damage}: {rebuilt:?}");
        assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    }
}

#[tokio::test]
async fn a_server_is_not_ready_while_a_table_is_missing_and_makes_it_anew() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let reception = hospital.login("reception").await;
    for damage in &GONE[3..] {
        hospital.settle().await;
        let held = no_rebuild(&hospital).await;
        tell(&hospital, damage).await;
        until(async || ready(&reception).await.status == 503).await;
        assert_unfit(&reception, "read-tables-rebuilding").await;
        drop(held);
        until_ready(&reception).await;
    }
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn a_server_projects_nothing_from_an_impossible_checkpoint() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let reception = hospital.login("reception").await;
    let parked = "select count(*) from hims.projection_failures";
    for (number, damage) in (0..).zip(IMPOSSIBLE) {
        hospital.settle().await;
        let before = schema(&hospital).await;
        tell(&hospital, damage).await;
        until(async || ready(&reception).await.status == 503).await;
        assert_unfit(&reception, "read-tables-beyond-the-log").await;
        let id = reception.did("register-patient", person(&format!("Name{number}"), "Unlike", 60 + number)).await;
        let parked: i64 =
            sqlx::query_scalar(AssertSqlSafe(parked)).fetch_one(hospital.owner()).await.expect("a number");
        assert_eq!((parked, schema(&hospital).await), (0, before), "{damage}");
        rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
        until_ready(&reception).await;
        assert_eq!(reception.row("patients", &id).await["first_name"], format!("Name{number}"));
    }
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn a_rebuild_whose_process_was_stopped_keeps_nobody_from_rebuilding() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    // A stopped rebuild is a session that holds the lock of rebuilds and does nothing any more.
    let mut stopped = no_rebuild(&hospital).await;
    stopped.execute("set application_name = 'hims rebuild'").await.expect("the session has the name");
    tell(&hospital, GONE[0]).await;
    until(async || ready(&reception).await.status == 503).await;
    until_ready(&reception).await;
    assert!(stopped.execute("select 1").await.is_err(), "the session was ended");
    assert_rebuilt(&hospital).await;
}
