//! The views that say how the database works: who sees them, and what they show with and without
//! `pg_stat_statements`.

use std::io::Write as _;

use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use serde_json::Value;
use sqlx::{ConnectOptions as _, Executor as _};

use super::command_line::text;
use super::process::run;
use super::{Client, Hospital, Process};
use crate::support::scratch;

const VIEWS: [&str; 2] = ["query-performance", "table-bloat"];

#[tokio::test]
async fn administrators_and_operators_see_how_the_database_works() {
    let hospital = Hospital::start().await;
    for login in ["doctor", "nurse", "reception", "pharmacist", "lab", "patient", "auditor", "privacy"] {
        let client = hospital.login(login).await;
        for view in VIEWS {
            client.get(view).await.problem(403, "forbidden");
        }
    }
    // PostgreSQL tells what a session has done when the session ends, or when it is asked to.
    let mut superuser = hospital.database.superuser().await;
    superuser.execute("analyze hims.patients; select pg_stat_force_next_flush()").await.expect("counted");
    for login in ["admin", "operator"] {
        let client = hospital.login(login).await;
        for view in VIEWS {
            hospital.nobody().get(view).await.problem(401, "unauthenticated");
            client.get(&format!("{view}?limit=1")).await.problem(400, "invalid-parameter");
        }
        // PostgreSQL counts no statements here, so the view is empty.
        assert_eq!(client.get("query-performance").await.done()["items"], serde_json::json!([]));
        let tables = client.items("table-bloat").await;
        assert!(tables.iter().any(|it| it["relname"] == "patients"), "{login}: {tables:?}");
    }
}

#[tokio::test]
async fn in_sql_the_views_are_for_the_owner_of_the_log() {
    let hospital = Hospital::start().await;
    // PostgreSQL tells what a session has done when the session ends, or when it is asked to.
    let mut superuser = hospital.database.superuser().await;
    superuser.execute("analyze hims.patients; select pg_stat_force_next_flush()").await.expect("counted");
    superuser.execute("select pg_stat_clear_snapshot()").await.expect("forgotten");
    let count = "select count(*) from public.table_bloat where relname = 'patients' and n_live_tup > 0";
    let seen: i64 = sqlx::query_scalar(count).fetch_one(&hospital.database.migrator()).await.expect("a number");
    assert_eq!(seen, 1);
    let reader = hospital.database.pool_as("hims_reader");
    let seen: i64 = sqlx::query_scalar("select count(*) from public.table_bloat").fetch_one(&reader).await.expect("0");
    assert_eq!(seen, 0);
}

/// The statements that the administrator sees.
async fn statements(nobody: &Client) -> Vec<Value> {
    nobody.login("admin").await.items("query-performance").await
}

#[tokio::test]
async fn what_postgresql_counts_is_shown_and_the_doctor_says_what_is_missing() {
    let folder = scratch("statistics");
    let data = folder.path().join("data");
    let ended = |it: Process| {
        it.signal("TERM");
        assert!(it.ended().success());
    };
    let server = Process::start(&data);
    assert_eq!(statements(&server.nobody).await, Vec::<Value>::new());
    let sockets = EmbeddedPostgres::reach(&EmbeddedOptions::new(&data)).expect("the server's socket");
    let superuser = sockets.connect_options().username("postgres");
    let mut sql = superuser.connect().await.expect("a superuser's connection");
    sql.execute("create extension pg_stat_statements schema public").await.expect("the extension");
    let doctor = || text(&run(&data, &["doctor"]).stdout);
    assert!(doctor().contains("add it to shared_preload_libraries"), "{}", doctor());
    assert_eq!(statements(&server.nobody).await, Vec::<Value>::new());
    ended(server);
    let settings = std::fs::File::options().append(true).open(data.join("postgres/postgresql.conf"));
    settings.expect("settings").write_all(b"shared_preload_libraries = 'pg_stat_statements'\n").expect("written");
    let server = Process::start(&data);
    assert!(doctor().contains("grant pg_read_all_stats to hims_owner"), "{}", doctor());
    let mut sql = superuser.connect().await.expect("a superuser's connection");
    sql.execute("grant pg_read_all_stats to hims_owner").await.expect("granted");
    let told = doctor();
    assert!(told.contains("ok      extensions: pg_stat_statements") && !told.contains("pg_read_all_stats"), "{told}");
    let seen = statements(&server.nobody).await;
    assert!((1..=20).contains(&seen.len()), "{seen:?}");
    assert!(seen.iter().all(|it| it["calls"].as_i64() >= Some(1) && it["total_exec_time"].is_number()), "{seen:?}");
    assert!(seen.iter().all(|it| it["query"] != "<insufficient privilege>"), "{seen:?}");
    ended(server);
}
