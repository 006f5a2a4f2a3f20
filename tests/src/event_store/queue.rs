//! The queue of appends: a full queue, callers that no longer wait, and faulty appends beside good ones.

use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use hims_event_store::{Append, AppendError, Appended, NewEvent, PgOptions, StreamAppend, Upcasters};
use sqlx::{Executor, PgConnection};

use super::fixture::{Log, at, begin, connect, id};

/// Locks the head, which stops all appends until the connection rolls its transaction back.
pub(super) async fn lock_head(log: &Log) -> PgConnection {
    let mut connection = log.database().superuser().await;
    connection.execute("begin; select 1 from log.head for update").await.expect("locked");
    connection
}

/// An append with a character that PostgreSQL takes in no text.
pub(super) fn with_nul() -> Append {
    let event = NewEvent { event_type: "account.\0".to_owned(), data: serde_json::json!({}) };
    Append::stream(StreamAppend::begin("account", id(), [event]))
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_nothing_that_was_taken_is_lost() {
    let mut log = Log::in_postgres().await;
    let options = PgOptions { queue: 2, poll: Duration::from_hours(1), ..PgOptions::default() };
    log.stores = vec![connect(log.database(), Upcasters::default(), options).await];
    let mut locked = lock_head(&log).await;
    let mut appends: FuturesUnordered<_> = (0..16).map(|_| log.append(begin(id()))).collect();
    // While the head is locked no append can be recorded, so the first answer is that the queue is full.
    assert!(matches!(appends.next().await, Some(Err(AppendError::Overloaded))));
    // What is urgent has a place all the same.
    let urgent = Append { is_urgent: true, ..begin(id()) };
    let mut urgent = Box::pin(log.append(urgent));
    assert!((&mut urgent).now_or_never().is_none(), "it waits");
    locked.execute("rollback").await.expect("unlocked");
    urgent.await.expect("appended");
    let answers: Vec<_> = appends.collect().await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|it| matches!(it, Err(AppendError::Overloaded))), "{refused:?}");
    // As many as the queue holds, and those that the writer had taken from it for the batch that waited for the head.
    assert!((2..=4).contains(&taken.len()), "{}", taken.len());
    assert_eq!(usize::try_from(log.proved_length().await), Ok(taken.len() + 1));
    log.append(begin(id())).await.expect("there is place again");
}

#[tokio::test]
async fn appends_that_nobody_waits_for_any_more_are_harmless() {
    let log = Log::in_postgres().await;
    let mut locked = lock_head(&log).await;
    for _ in 0..20 {
        assert!(log.append(begin(id())).now_or_never().is_none());
    }
    locked.execute("rollback").await.expect("unlocked");
    log.append(begin(id())).await.expect("appended");
    assert_eq!(log.proved_length().await, 21);
}

/// Sends all appends before the writer task runs, so that the writer takes them as one batch.
async fn together(log: &Log, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
    join_all(appends.into_iter().map(|it| log.append(it))).await
}

#[tokio::test]
async fn a_malformed_append_harms_no_neighbour() {
    let log = Log::in_postgres().await;
    let answers = together(&log, vec![begin(id()), with_nul(), begin(id()), with_nul(), begin(id())]).await;
    for (index, answer) in answers.iter().enumerate() {
        if index % 2 == 0 {
            assert!(answer.is_ok(), "{answer:?}");
        } else {
            assert!(matches!(answer, Err(AppendError::Malformed(_))), "{answer:?}");
        }
    }
    assert_eq!(log.proved_length().await, 3);
    log.append(begin(id())).await.expect("the writer goes on");
}

#[tokio::test]
async fn an_outdated_append_harms_no_neighbour() {
    let mut log = Log::in_postgres().await;
    let stream = id();
    log.append(begin(stream)).await.expect("begun");
    // A new store does not know that the stream exists, so it tries the append and the database refuses the whole
    // batch.
    log.stores = vec![connect(log.database(), Upcasters::default(), PgOptions::default()).await];
    let answers = together(&log, vec![begin(id()), begin(stream), begin(id()), at(stream, 1)]).await;
    assert!(answers[0].is_ok() && answers[2].is_ok() && answers[3].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(AppendError::Conflict { stream_id }) if stream_id == stream), "{answers:?}");
    assert_eq!(log.proved_length().await, 4);
}
