//! What the log keeps for processes: their place, their lease and their timers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_event_store::{
    EventStore, MemoryEventStore, NodeClock, PgEventStore, PgOptions, ProcessStore, Timer, Upcasters,
};
use serde_json::json;
use sqlx::Executor as _;
use uuid::Uuid;

use super::fixture::{begin, hour, id, key};
use crate::support::{TestDatabase, database};

/// Runs each test on a log in memory and on a log in PostgreSQL.
macro_rules! on_both_logs {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $test() {
                let log = std::sync::Arc::new(super::MemoryEventStore::new(super::key(), super::Upcasters::default()));
                super::$test(log.clone(), log).await;
            })*
        }
        mod postgres {
            $(#[tokio::test] async fn $test() {
                let database = super::database().await;
                let log = super::in_postgres(&database).await;
                super::$test(log.clone(), log).await;
            })*
        }
    };
}

on_both_logs!(
    a_process_begins_at_the_end_of_the_log,
    one_node_leads_a_process_until_it_resigns,
    a_process_moves_only_from_where_it_is,
    timers_are_due_in_the_order_of_their_times,
    a_timer_with_the_same_key_replaces_the_old_one,
    a_timer_ends_once_and_may_be_followed_by_one_of_the_same_key,
    a_place_that_was_not_reached_sets_no_timer,
    a_missing_timer_is_set_and_one_that_is_there_stays,
);

async fn in_postgres(database: &TestDatabase) -> Arc<PgEventStore> {
    let options = PgOptions { clock: NodeClock::default(), ..PgOptions::default() };
    let store = PgEventStore::connect(database.pool_as("hims_writer"), key(), Upcasters::default(), options);
    Arc::new(store.await.expect("the log is there"))
}

fn timer(key: &str, due_at: DateTime<Utc>) -> Timer {
    Timer { id: id(), key: key.to_owned(), due_at, payload: json!({ "about": key }) }
}

async fn a_process_begins_at_the_end_of_the_log(log: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    for _ in 0..3 {
        log.append(begin(id())).await.expect("appended");
    }
    let leading = processes.lead("bell", id()).await.expect("an answer").expect("nobody else leads");
    assert_eq!((leading.position, leading.next_timer), (3, None));
    log.append(begin(id())).await.expect("appended");
    assert_eq!(processes.processes().await.expect("an answer"), [("bell".to_owned(), 3)]);
}

async fn one_node_leads_a_process_until_it_resigns(_: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    let (one, other) = (id(), id());
    let leads = async |node| processes.lead("bell", node).await.expect("an answer").is_some();
    assert!(leads(one).await && leads(one).await && !leads(other).await);
    // Only the node that leads can resign.
    processes.resign("bell", other).await.expect("an answer");
    assert!(!leads(other).await);
    processes.resign("bell", one).await.expect("an answer");
    assert!(leads(other).await && !leads(one).await);
    assert!(processes.lead("whistle", one).await.expect("an answer").is_some(), "another process is free");
}

async fn a_process_moves_only_from_where_it_is(log: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    processes.lead("bell", id()).await.expect("an answer");
    for _ in 0..2 {
        log.append(begin(id())).await.expect("appended");
    }
    assert!(processes.advance("bell", 0, 1, &[]).await.expect("an answer"));
    assert!(!processes.advance("bell", 0, 2, &[]).await.expect("an answer"));
    assert!(!processes.advance("unknown", 0, 2, &[]).await.expect("an answer"));
    assert_eq!(processes.processes().await.expect("an answer"), [("bell".to_owned(), 1)]);
}

/// The keys of the timers that are due at a time.
async fn due(processes: &dyn ProcessStore, now: DateTime<Utc>) -> Vec<String> {
    let due = processes.due_timers("bell", now, 10).await.expect("an answer");
    due.into_iter().map(|it| it.key).collect()
}

async fn timers_are_due_in_the_order_of_their_times(_: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    let node = id();
    processes.lead("bell", node).await.expect("an answer");
    let timers = [timer("late", hour(30)), timer("early", hour(10)), timer("noon", hour(12))];
    assert!(processes.advance("bell", 0, 0, &timers).await.expect("an answer"));
    assert_eq!(due(&*processes, hour(9)).await, [""; 0]);
    assert_eq!(due(&*processes, hour(10)).await, ["early"]);
    assert_eq!(due(&*processes, hour(29)).await, ["early", "noon"]);
    assert_eq!(processes.due_timers("bell", hour(40), 2).await.expect("an answer").len(), 2);
    assert_eq!(processes.due_timers("whistle", hour(40), 2).await.expect("an answer"), []);
    let leading = processes.lead("bell", node).await.expect("an answer").expect("still ours");
    assert_eq!(leading.next_timer, Some(hour(10)));
    let found = processes.due_timers("bell", hour(10), 1).await.expect("an answer");
    assert_eq!(found[0], timers[1]);
}

async fn a_timer_with_the_same_key_replaces_the_old_one(_: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    processes.lead("bell", id()).await.expect("an answer");
    let (first, second) = (timer("visit", hour(10)), timer("visit", hour(20)));
    processes.advance("bell", 0, 0, std::slice::from_ref(&first)).await.expect("an answer");
    processes.advance("bell", 0, 0, std::slice::from_ref(&second)).await.expect("an answer");
    assert_eq!(due(&*processes, hour(19)).await, [""; 0]);
    assert_eq!(processes.due_timers("bell", hour(20), 10).await.expect("an answer"), [second]);
    // Whoever was about to fire the old timer does not end the new one.
    assert!(!processes.end_timer("bell", first.id, &[]).await.expect("an answer"));
    assert_eq!(due(&*processes, hour(20)).await, ["visit"]);
}

async fn a_timer_ends_once_and_may_be_followed_by_one_of_the_same_key(
    _: Arc<dyn EventStore>,
    processes: Arc<dyn ProcessStore>,
) {
    processes.lead("bell", id()).await.expect("an answer");
    let nightly = timer("nightly", hour(10));
    processes.advance("bell", 0, 0, std::slice::from_ref(&nightly)).await.expect("an answer");
    let next = [timer("nightly", hour(34)), timer("tea", hour(12))];
    assert!(processes.end_timer("bell", nightly.id, &next).await.expect("an answer"));
    assert!(!processes.end_timer("bell", nightly.id, &[timer("again", hour(1))]).await.expect("an answer"));
    assert_eq!(due(&*processes, hour(100)).await, ["tea", "nightly"]);
}

async fn a_place_that_was_not_reached_sets_no_timer(_: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    processes.lead("bell", id()).await.expect("an answer");
    assert!(!processes.advance("bell", 5, 6, &[timer("visit", hour(10))]).await.expect("an answer"));
    assert_eq!(due(&*processes, hour(100)).await, [""; 0]);
}

#[tokio::test]
async fn a_lease_that_is_not_extended_lapses() {
    let database = database().await;
    let log = in_postgres(&database).await;
    let (one, other): (Uuid, Uuid) = (id(), id());
    assert!(log.lead("bell", one).await.expect("an answer").is_some());
    let mut superuser = database.superuser().await;
    let lasts = "select held_until - clock_timestamp() between interval '1 second' and interval '4 seconds'
                   from log.processes";
    let lasts: bool = sqlx::query_scalar(lasts).fetch_one(&mut superuser).await.expect("a lease");
    assert!(lasts, "the lease lasts four seconds by the clock of the database");
    superuser
        .execute("update log.processes set held_until = clock_timestamp() - interval '1 microsecond'")
        .await
        .expect("time passes");
    assert!(log.lead("bell", other).await.expect("an answer").is_some());
    assert!(log.lead("bell", one).await.expect("an answer").is_none());
}

async fn a_missing_timer_is_set_and_one_that_is_there_stays(_: Arc<dyn EventStore>, processes: Arc<dyn ProcessStore>) {
    let (there, other, missing) = (timer("visit", hour(10)), timer("visit", hour(20)), timer("walk", hour(12)));
    processes.set_missing_timers("bell", std::slice::from_ref(&there)).await.expect("an answer");
    assert_eq!(due(&*processes, hour(30)).await, [""; 0], "a process that the log does not know has no timers");
    processes.lead("bell", id()).await.expect("an answer");
    processes.set_missing_timers("bell", std::slice::from_ref(&there)).await.expect("an answer");
    processes.set_missing_timers("bell", &[other, missing.clone()]).await.expect("an answer");
    assert_eq!(processes.due_timers("bell", hour(30), 10).await.expect("an answer"), [there, missing]);
}
