//! Several tasks append at random: positions have no gap, no acknowledged append is lost, no refused append is
//! recorded, and no unique key or hour of a resource has two owners.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use hims_event_store::{Append, AppendError, Claim, EventStore, Guard, StreamAppend};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::fixture::{Log, book, credited, hour};

#[derive(Debug, Clone)]
enum Step {
    /// Appends some events to a stream at its current version.
    Credit { stream: u8, events: u8 },
    /// Begins a stream that books a resource.
    Book { resource: u8, from: i64, hours: i64 },
    /// Begins a stream that takes a unique key.
    Take { key: u8 },
    /// Appends to two streams and relies on the version of a third stream.
    Transfer { from: u8, to: u8, relying_on: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3_u8, 1..3_u8).prop_map(|(stream, events)| Step::Credit { stream, events }),
        (0..2_u8, 0..6_i64, 1..3_i64).prop_map(|(resource, from, hours)| Step::Book { resource, from, hours }),
        (0..4_u8).prop_map(|key| Step::Take { key }),
        (0..3_u8, 0..3_u8, 0..3_u8).prop_map(|(from, to, relying_on)| Step::Transfer { from, to, relying_on }),
    ];
    vec(step, 1..12)
}

/// An append that was acknowledged as recorded.
struct Acknowledged {
    first: i64,
    /// The stream and the version of each event, in order.
    events: Vec<(Uuid, i32)>,
    claims: Vec<Claim>,
}

fn stream(number: u8) -> Uuid {
    Uuid::from_u128(1 + u128::from(number))
}

async fn version(store: &dyn EventStore, stream: Uuid) -> i32 {
    store.load(stream, 0, 1000).await.expect("a stream").last().map_or(0, |it| it.version)
}

async fn go_on(store: &dyn EventStore, number: u8, events: u8) -> StreamAppend {
    let credits: Vec<_> = (0..events).map(|it| credited(it.into())).collect();
    StreamAppend::at("account", stream(number), version(store, stream(number)).await, credits)
}

async fn append_of(store: &dyn EventStore, step: &Step, owner: Uuid) -> Append {
    let begin =
        |claim| Append { claims: vec![claim], ..Append::stream(StreamAppend::begin("account", owner, [credited(1)])) };
    match *step {
        Step::Credit { stream, events } => Append::stream(go_on(store, stream, events).await),
        Step::Book { resource, from, hours } => begin(book(stream(100 + resource), from, from + hours, owner)),
        Step::Take { key } => begin(Claim::Take { scope: "email", key: key.to_string(), owner }),
        Step::Transfer { from, to, relying_on } => {
            let mut streams = vec![go_on(store, from, 1).await];
            if from != to {
                streams.push(go_on(store, to, 1).await);
            }
            let stream_id = stream(relying_on);
            let guard = Guard::Version { stream_id, version: version(store, stream_id).await };
            Append { streams, guards: vec![guard], ..Append::default() }
        }
    }
}

async fn run(store: Arc<dyn EventStore>, task: u8, steps: Vec<Step>) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for (owner, step) in (u128::from(task) * 1000 + 1000..).map(Uuid::from_u128).zip(steps) {
        let append = append_of(store.as_ref(), &step, owner).await;
        let of_stream = |stream: &StreamAppend| {
            let (id, count) = (stream.stream_id, i32::try_from(stream.events.len()).expect("few"));
            (stream.expected_version + 1..=stream.expected_version + count).map(move |version| (id, version))
        };
        let events = append.streams.iter().flat_map(of_stream).collect();
        let claims = append.claims.clone();
        match store.append(append).await {
            Ok(appended) => acknowledged.push(Acknowledged { first: appended.first, events, claims }),
            Err(AppendError::Store(_) | AppendError::Malformed(_) | AppendError::Overloaded | AppendError::Closed) => {
                panic!("the append is well-formed, and the queue has room")
            }
            Err(_) => {}
        }
    }
    acknowledged
}

async fn holds(log: Log, scripts: Vec<Vec<Step>>) {
    let tasks = (0_u8..)
        .zip(scripts)
        .map(|(task, steps)| tokio::spawn(run(log.stores[usize::from(task) % log.stores.len()].clone(), task, steps)));
    let done = join_all(tasks).await;
    let mut acknowledged: Vec<_> = done.into_iter().flat_map(|task| task.expect("the task ends")).collect();
    acknowledged.sort_unstable_by_key(|it| it.first);
    log.proved_length().await;
    // The log holds exactly the acknowledged events, at the acknowledged positions.
    let told = acknowledged.iter().flat_map(|append| (append.first..).zip(&append.events));
    let told: Vec<_> = told.map(|(position, (stream, version))| (position, *stream, *version)).collect();
    let recorded: Vec<_> = log.events().await.iter().map(|it| (it.position, it.stream_id, it.version)).collect();
    assert_eq!(recorded, told);
    let mut hours: HashSet<(Uuid, DateTime<Utc>)> = HashSet::new();
    let mut keys = HashSet::new();
    for claim in acknowledged.iter().flat_map(|it| &it.claims) {
        match claim {
            Claim::Book { resource, from, until, .. } => {
                let booked = (0..8).map(hour).filter(|at| from <= at && at < until);
                booked.for_each(|at| assert!(hours.insert((*resource, at)), "double booking"));
            }
            Claim::Take { key, .. } => assert!(keys.insert(key.clone()), "a key with two owners"),
            _ => {}
        }
    }
    for store in &log.stores {
        store.shutdown().await;
    }
}

fn check(cases: u32, log: impl AsyncFn() -> Log) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(scripts in vec(steps(), 4))| runtime.block_on(async { holds(log().await, scripts).await }));
}

#[test]
fn any_interleaving_in_memory() {
    check(200, async || Log::in_memory());
}

#[test]
fn any_interleaving_in_postgres() {
    check(24, Log::in_postgres);
}

#[test]
fn any_interleaving_of_two_nodes() {
    check(24, Log::of_two_nodes);
}
