//! The log has the clock of the database, whatever the clocks of the nodes show.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use hims_event_store::{AppendError, EventStore, NodeClock, PgOptions, StoreError, Upcasters};

use super::fixture::{Log, at, begin, connect, id};

/// A node whose clock is ahead of the right time by what the test says.
async fn node(log: &Log, ahead: &Arc<Mutex<TimeDelta>>) -> Arc<dyn EventStore> {
    let (ahead, right) = (Arc::clone(ahead), hims_api::surroundings().clock);
    let clock = NodeClock::new(move || right() + *ahead.lock().expect("a lock"));
    connect(log.database(), Upcasters::default(), PgOptions { clock, ..PgOptions::default() }).await
}

/// The time of the database, and the time of the newest event.
async fn times(log: &Log) -> (DateTime<Utc>, DateTime<Utc>) {
    let mut superuser = log.database().superuser().await;
    let sql = "select clock_timestamp(), recorded_at from log.head";
    sqlx::query_as(sql).fetch_one(&mut superuser).await.expect("the times")
}

#[tokio::test]
async fn a_node_with_a_wrong_clock_records_nothing_and_stamps_nothing() {
    let log = Log::in_postgres().await;
    let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
    let node = node(&log, &ahead).await;
    let stream = id();
    node.append(begin(stream)).await.expect("the clock is right");
    for days in [35, -35] {
        *ahead.lock().expect("a lock") = TimeDelta::days(days);
        match node.append(at(stream, 1)).await {
            Err(AppendError::Store(StoreError::WrongClock { seconds })) => {
                assert!((seconds - days * 86_400).abs() < 60, "{seconds}");
            }
            other => panic!("recorded, or refused otherwise: {other:?}"),
        }
        assert_eq!(log.proved_length().await, 1);
    }
    log.append(at(stream, 1)).await.expect("another node goes on");
    *ahead.lock().expect("a lock") = TimeDelta::zero();
    node.append(at(stream, 2)).await.expect("the clock was set");
    let (database, newest) = times(&log).await;
    assert!(newest <= database && database - newest < TimeDelta::minutes(1), "{newest} is the database's {database}");
}

#[tokio::test]
async fn a_node_whose_clock_is_a_little_wrong_stamps_with_the_databases() {
    let log = Log::in_postgres().await;
    for seconds in [20, -20] {
        let node = node(&log, &Arc::new(Mutex::new(TimeDelta::seconds(seconds)))).await;
        let (before, _) = times(&log).await;
        node.append(begin(id())).await.expect("a small difference refuses nothing");
        let (database, newest) = times(&log).await;
        // Both bounds are measured to within the time of a round trip.
        let slack = TimeDelta::seconds(5);
        assert!(before - slack < newest && newest < database + slack, "{newest} between {before} and {database}");
        let lead = node.clock().lead();
        assert!((lead - TimeDelta::seconds(seconds)).abs() < slack, "{lead}");
        assert!((node.clock().now() - database).abs() < slack);
    }
    assert_eq!(log.proved_length().await, 2);
}

#[tokio::test]
async fn a_clock_that_is_set_while_nothing_is_recorded_stamps_nothing_either() {
    let log = Log::in_postgres().await;
    let ahead = Arc::new(Mutex::new(TimeDelta::days(35)));
    let node = node(&log, &ahead).await;
    let refused = node.append(begin(id())).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::WrongClock { .. }))), "{refused:?}");
    *ahead.lock().expect("a lock") = TimeDelta::seconds(29);
    node.append(begin(id())).await.expect("29 s are a warning");
    let (database, newest) = times(&log).await;
    assert!(newest <= database + TimeDelta::seconds(5), "{newest} is the database's {database}");
}
