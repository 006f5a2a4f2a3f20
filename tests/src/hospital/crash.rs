//! The real program is killed in the middle of its work. Every command that was acknowledged must be in the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::demo::person;
use super::process::{run, signal};
use super::tables::{assert_same_rows, contents, count};
use super::{Client, Process};
use crate::support::scratch;

/// How many commands are acknowledged before the server or its database is killed or stopped.
const ENOUGH: usize = 150;

/// Sixteen callers register patients until the server no longer answers. Returns the id of each acknowledged patient
/// with the position of the registration. `kill` is called once, after [`ENOUGH`] registrations.
async fn work_until(client: &Client, kill: impl Fn()) -> BTreeMap<String, i64> {
    let acknowledged = AtomicUsize::new(0);
    let (acknowledged, kill) = (&acknowledged, &kill);
    let callers = (0..16_u32).map(|caller| async move {
        let mut mine = Vec::new();
        for nth in 0.. {
            let body = person(&format!("Caller{caller}"), &format!("Patient{nth}"), caller * 500 + nth);
            let mut body = body;
            body["confirm_not_duplicate"] = true.into();
            match client.try_send(client.post("register-patient", &body)).await {
                Ok(answer) if answer.status == 201 => mine.push((answer.id(), answer.position())),
                // The server or its database has stopped.
                Ok(_) | Err(_) => break,
            }
            if acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == ENOUGH {
                kill();
            }
        }
        mine
    });
    let all: BTreeMap<_, _> = join_all(callers).await.into_iter().flatten().collect();
    assert!(all.len() >= ENOUGH, "{} were acknowledged", all.len());
    all
}

/// Connections of the server's login to the embedded database of a running server.
fn owner(data_dir: &Path) -> PgPool {
    let running = EmbeddedPostgres::reach(&EmbeddedOptions::new(data_dir)).expect("a running PostgreSQL");
    PgPoolOptions::new().max_connections(2).connect_lazy_with(running.connect_options())
}

/// Checks that every acknowledged registration is in the log and in the tables, that the log has no gap and its hash
/// chain is whole, and that a rebuild makes the same tables.
async fn check(data_dir: &Path, acknowledged: &BTreeMap<String, i64>) {
    let server = Process::start(data_dir);
    let doctor = server.nobody.login("doctor").await;
    let pool = owner(data_dir);
    let head = count(&pool, "log.events").await;
    assert_eq!(count(&pool, &format!("generate_series(1, {head}) n join log.events on position = n")).await, head);
    doctor.saw(head);
    for (id, position) in acknowledged {
        let at = format!("log.events where stream_id = '{id}' and position = {position}");
        assert_eq!(count(&pool, &at).await, 1, "{id} at {position}");
    }
    // A catalogue: that somebody read it is not recorded, so the tables stay as they are.
    assert_eq!(doctor.get("departments").await.status, 200);
    let ids: Vec<_> = acknowledged.keys().map(|it| format!("'{it}'")).collect();
    let there = count(&pool, &format!("patients where id in ({})", ids.join(", "))).await;
    assert_eq!(usize::try_from(there), Ok(acknowledged.len()));
    let before = contents(&pool, "hims").await;
    let verified = run(data_dir, &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let rebuilt = run(data_dir, &["rebuild"]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_same_rows(&contents(&pool, "hims").await, &before);
    pool.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_server_that_is_killed() {
    let folder = scratch("crash");
    let server = Process::start(folder.path());
    let reception = server.nobody.login("reception").await;
    let acknowledged = work_until(&reception, || server.signal("KILL")).await;
    assert!(!server.ended().success());
    check(folder.path(), &acknowledged).await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_database_that_is_killed() {
    let folder = scratch("crash");
    let server = Process::start(folder.path());
    let reception = server.nobody.login("reception").await;
    let postgres = server.postgres();
    let acknowledged = work_until(&reception, || signal(postgres, "KILL")).await;
    // The server ends when its embedded database has ended, so that a service manager starts the server again.
    assert_eq!(server.ended().code(), Some(1));
    check(folder.path(), &acknowledged).await;
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_what_it_acknowledges() {
    let folder = scratch("crash");
    let server = Process::start(folder.path());
    let reception = server.nobody.login("reception").await;
    let acknowledged = work_until(&reception, || server.signal("TERM")).await;
    assert_eq!(server.ended().code(), Some(0));
    check(folder.path(), &acknowledged).await;
}
