//! A node is stopped, or its network falls silent, while it keeps the head of the log locked. The other nodes go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hims_event_store::{EventStore, PgEventStore, PgOptions, Upcasters};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::fixture::{Log, at, begin, id, key};
use crate::support::Proxy;

/// How soon the other node goes on.
const SOON: Duration = Duration::from_secs(5);
/// What a busy machine may take beyond that.
const SLACK: Duration = Duration::from_secs(3);

/// An event store whose sessions have the bounds that those of the server have.
async fn bounded(options: &PgConnectOptions) -> Arc<dyn EventStore> {
    let settings = "set role hims_writer; set lock_timeout = '3s'; set idle_in_transaction_session_timeout = '3s'";
    let pool = PgPoolOptions::new()
        .max_connections(5)
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(settings).await.map(drop) }))
        .connect_lazy_with(options.clone());
    let store = PgEventStore::connect(pool, key(), Upcasters::default(), PgOptions::default()).await;
    Arc::new(store.expect("a store"))
}

/// A log with two nodes: the first one behind a proxy.
async fn two_nodes() -> (Log, Proxy) {
    let (mut log, proxy) = (Log::in_postgres().await, Proxy::start().await);
    let options = log.database().options.clone();
    log.stores = vec![bounded(&proxy.options(&options)).await, bounded(&options).await];
    // The second append of the first node finds that the head has moved. From then on the node locks the head first.
    log.stores[0].append(begin(id())).await.expect("appended");
    log.stores[1].append(begin(id())).await.expect("appended");
    log.stores[0].append(begin(id())).await.expect("appended");
    (log, proxy)
}

/// Waits until sessions of the database are in this state.
async fn somebody_is(superuser: &mut PgConnection, state: &str) {
    let sql = format!("select count(*) from pg_stat_activity where datname = current_database() and {state}");
    let mut asked = async || {
        let sql = AssertSqlSafe(sql.clone());
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *superuser).await.expect("an answer")
    };
    let waiting = async { while asked().await == 0 {} };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it happens within a minute");
}

#[tokio::test]
async fn a_session_that_was_sent_half_a_statement_stops_nobody() {
    let (log, proxy) = two_nodes().await;
    let mut superuser = log.database().superuser().await;
    let captured = proxy.capture(b"account.credited");
    let (stalled, going_on) = (log.stores[0].clone(), log.stores[1].clone());
    let stalled = tokio::spawn(async move { stalled.append(begin(id())).await });
    let _open = captured.await.expect("the statement is sent").arrive_partly().await;
    somebody_is(&mut superuser, "state = 'active' and wait_event = 'ClientRead'").await;
    let started = Instant::now();
    let appended = going_on.append(begin(id())).await.expect("the other node goes on");
    assert!(started.elapsed() < SOON + SLACK, "{:?}", started.elapsed());
    let repeated = stalled.await.expect("the task ends").expect("the node sends the append again");
    assert_ne!(appended.last, repeated.last);
    assert_eq!(log.proved_length().await, 5);
}

#[tokio::test]
async fn a_connection_that_falls_silent_with_the_head_locked_stops_nobody() {
    let (log, proxy) = two_nodes().await;
    let mut superuser = log.database().superuser().await;
    superuser.execute("begin; select 1 from log.head for update").await.expect("locked");
    let silent = log.stores[0].clone();
    let silent = tokio::spawn(async move { silent.append(begin(id())).await });
    let mut watcher = log.database().superuser().await;
    somebody_is(&mut watcher, "wait_event_type = 'Lock'").await;
    proxy.fall_silent();
    // The session of the silent node gets the lock, and nobody will ever tell the session what to do next.
    superuser.execute("rollback").await.expect("unlocked");
    somebody_is(&mut watcher, "state = 'idle in transaction'").await;
    let started = Instant::now();
    log.stores[1].append(begin(id())).await.expect("the other node goes on");
    assert!(started.elapsed() < SOON + SLACK, "{:?}", started.elapsed());
    silent.await.expect("the task ends").expect("the node opens another connection");
    assert_eq!(log.proved_length().await, 5);
    let stream = id();
    log.stores[0].append(begin(stream)).await.expect("the node goes on");
    log.stores[0].append(at(stream, 1)).await.expect("the node goes on");
}
