//! The connection breaks while an append is written: the caller still gets a true answer, and nothing is recorded
//! twice.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hims_event_store::{Append, AppendError, NewEvent, PgEventStore, PgOptions, StreamAppend, Upcasters};
use sqlx::{Executor, PgConnection};

use super::fixture::{Log, at, begin, id, key};
use super::queue::{lock_head, with_nul};
use crate::support::{Proxy, pool_as, until};

/// Waits until a session waits for a lock, which is the lock on the head.
async fn somebody_waits(superuser: &mut PgConnection) {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let waits =
        async { while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *superuser).await.expect("an answer") == 0 {} };
    tokio::time::timeout(Duration::from_mins(1), waits).await.expect("somebody waits at last");
}

/// A log of one event, whose store reaches PostgreSQL through a proxy.
async fn behind_a_proxy() -> (Log, Proxy) {
    let (mut log, proxy) = (Log::in_postgres().await, Proxy::start().await);
    let pool = pool_as("hims_writer", &proxy.options(&log.database().options));
    let store = PgEventStore::connect(pool, key(), Upcasters::default(), PgOptions::default()).await;
    log.stores = vec![Arc::new(store.expect("a store"))];
    log.append(begin(id())).await.expect("appended");
    (log, proxy)
}

#[tokio::test]
async fn an_append_that_was_recorded_though_nobody_heard_of_it_is_acknowledged() {
    let (log, proxy) = behind_a_proxy().await;
    let mut superuser = log.database().superuser().await;
    let mut locked = lock_head(&log).await;
    let appends = join_all((0..3).map(|_| log.append(begin(id()))));
    let cut = async {
        somebody_waits(&mut superuser).await;
        proxy.cut();
        locked.execute("rollback").await.expect("unlocked");
    };
    let (appended, ()) = futures::join!(appends, cut);
    let appended = appended.into_iter().map(|answer| answer.expect("recorded"));
    let places: Vec<_> = appended.map(|it| (it.first, it.last)).collect();
    assert_eq!(places, [(2, 2), (3, 3), (4, 4)]);
    assert_eq!(log.proved_length().await, 4);
    let events = log.events().await;
    log.append(at(events[3].stream_id, 1)).await.expect("its version is known");
    assert_eq!(*log.store().head().borrow(), 5);
}

#[tokio::test]
async fn an_append_that_arrives_after_it_was_sent_again_is_not_recorded_twice() {
    let (log, proxy) = behind_a_proxy().await;
    let captured = proxy.capture(b"account.credited");
    let appended = log.append(begin(id())).await.expect("sent again");
    assert_eq!(appended.last, 2);
    captured.await.expect("captured").arrive().await;
    assert_eq!(log.proved_length().await, 2);
    log.append(begin(id())).await.expect("it goes on");
    assert_eq!(log.proved_length().await, 3);
}

#[tokio::test]
async fn a_session_that_the_server_ends_costs_nobody_an_append() {
    let log = Log::in_postgres().await;
    let mut superuser = log.database().superuser().await;
    for round in 1..5 {
        let mut locked = lock_head(&log).await;
        let appends = join_all((0..10).map(|_| log.append(begin(id()))));
        let kill = async {
            somebody_waits(&mut superuser).await;
            let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock'";
            superuser.execute(sql).await.expect("the session is taken away");
            locked.execute("rollback").await.expect("unlocked");
        };
        let (appended, ()) = futures::join!(appends, kill);
        assert!(appended.iter().all(Result::is_ok), "{appended:?}");
        assert_eq!(log.proved_length().await, round * 10);
    }
}

#[tokio::test]
async fn while_it_is_unknown_what_became_of_a_batch_nobody_is_refused() {
    let (log, proxy) = behind_a_proxy().await;
    let mut superuser = log.database().superuser().await;
    let mut locked = lock_head(&log).await;
    let appends = join_all((0..3).map(|_| log.append(begin(id()))));
    let cut = async {
        somebody_waits(&mut superuser).await;
        // Further sessions give up at once while the first session waits for the head, so that what became of the
        // batch cannot be found out yet.
        let name = log.database().options.get_database().expect("a name");
        let impatient = format!("alter database {name} set lock_timeout = '20ms'");
        superuser.execute(sqlx::AssertSqlSafe(impatient)).await.expect("a setting");
        proxy.cut();
        let two_wait = "select count(*) = 2 from pg_stat_activity
                         where datname = current_database() and wait_event_type = 'Lock'";
        let one_waits = "select count(*) = 1 from pg_stat_activity
                          where datname = current_database() and wait_event_type = 'Lock'";
        until(&mut superuser, two_wait).await;
        until(&mut superuser, one_waits).await;
        locked.execute("rollback").await.expect("unlocked");
    };
    let (appended, ()) = futures::join!(appends, cut);
    let last: Vec<_> = appended.into_iter().map(|answer| answer.expect("recorded").last).collect();
    assert_eq!(last, [2, 3, 4]);
    assert_eq!(log.proved_length().await, 4);
}

/// A malformed append makes the writer record the appends of its batch one by one. The connection breaks while the last
/// of them is sent.
#[tokio::test]
async fn what_is_recorded_one_by_one_is_neither_lost_nor_recorded_twice() {
    let (log, proxy) = behind_a_proxy().await;
    let mut superuser = log.database().superuser().await;
    let mut locked = lock_head(&log).await;
    let event = NewEvent { event_type: "account.closed".to_owned(), data: serde_json::json!({}) };
    let last = Append::stream(StreamAppend::begin("account", id(), [event]));
    let appends = join_all([begin(id()), with_nul(), last].map(|it| log.append(it)));
    let cut = async {
        // By now the batch was refused, and the first append waits by itself for the head.
        somebody_waits(&mut superuser).await;
        let captured = proxy.capture(b"account.closed");
        locked.execute("rollback").await.expect("unlocked");
        captured.await.expect("the last append is sent by itself")
    };
    let (appended, captured) = futures::join!(appends, cut);
    assert!(matches!(appended[1], Err(AppendError::Malformed(_))), "{appended:?}");
    let places: Vec<_> = appended.iter().flatten().map(|it| (it.first, it.last)).collect();
    assert_eq!(places, [(2, 2), (3, 3)]);
    captured.arrive().await;
    assert_eq!(log.proved_length().await, 3);
    log.append(begin(id())).await.expect("it goes on");
    assert_eq!(log.proved_length().await, 4);
}
