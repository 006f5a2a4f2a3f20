//! Several processes share one log.

use futures::future::join_all;
use hims_event_store::{Append, AppendError, Guard, PgOptions, Upcasters};

use super::fixture::{Log, at, begin, connect, id};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_append_at_once_without_a_gap_or_a_loss() {
    let log = Log::of_two_nodes().await;
    let tasks = (0..16).map(|task| {
        let store = log.stores[task % 2].clone();
        tokio::spawn(async move {
            let stream = id();
            let mut acknowledged = Vec::new();
            for version in 0..25 {
                let appended = store.append(at(stream, version)).await.expect("nobody else writes this stream");
                acknowledged.push((appended.first, stream, version + 1));
            }
            acknowledged
        })
    });
    let mut acknowledged: Vec<_> =
        join_all(tasks).await.into_iter().flat_map(|task| task.expect("the task ends")).collect();
    acknowledged.sort_unstable();
    assert_eq!(log.proved_length().await, 400);
    let recorded = log.events().await;
    assert!(recorded.iter().map(|it| (it.position, it.stream_id, it.version)).eq(acknowledged));
}

#[tokio::test]
async fn what_a_node_remembers_of_a_stream_is_never_taken_for_true() {
    let log = Log::of_two_nodes().await;
    let (one, other) = (&log.stores[0], &log.stores[1]);
    let stream = id();
    let relying = |version| Append { guards: vec![Guard::Version { stream_id: stream, version }], ..begin(id()) };
    one.append(begin(stream)).await.expect("begun");
    for version in (1..9).step_by(2) {
        other.append(at(stream, version)).await.expect("the other node moves it");
        assert!(matches!(one.append(relying(version)).await, Err(AppendError::GuardFailed)));
        assert!(matches!(one.append(at(stream, version)).await, Err(AppendError::Conflict { .. })));
        one.append(relying(version + 1)).await.expect("as it is");
        one.append(at(stream, version + 1)).await.expect("as it is");
        assert!(matches!(other.append(begin(stream)).await, Err(AppendError::Conflict { .. })));
    }
    assert_eq!(log.proved_length().await, 13);
}

#[tokio::test]
async fn a_node_hears_of_what_another_appends() {
    let log = Log::of_two_nodes().await;
    let mut head = log.stores[1].head();
    for _ in 0..5 {
        let appended = log.stores[0].append(begin(id())).await.expect("appended");
        head.wait_for(|it| *it >= appended.last).await.expect("the store lives");
    }
}

#[tokio::test]
async fn a_node_that_starts_later_goes_on_where_the_log_is() {
    let mut log = Log::in_postgres().await;
    let stream = id();
    for version in 0..3 {
        log.append(at(stream, version)).await.expect("appended");
        log.store().shutdown().await;
        let next = connect(log.database(), Upcasters::default(), PgOptions::default()).await;
        assert_eq!(*next.head().borrow(), i64::from(version) + 1);
        log.stores = vec![next];
    }
    assert_eq!(log.proved_length().await, 3);
}
