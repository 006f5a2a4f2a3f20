//! Sixteen callers want the same key, booking, stream or command at once: exactly one gets it, and each of the others
//! learns the reason.

use futures::future::join_all;
use hims_event_store::{Append, AppendError, Appended, Claim, Guard, Receipt};

use super::fixture::{Log, at, begin, book, claiming, id};

const CALLERS: usize = 16;

/// Runs each test on every kind of log, and on two processes that share one log.
macro_rules! on_every_log_and_on_two_nodes {
    ($($test:ident),* $(,)?) => {
        super::fixture::on_every_log!($($test),*);
        mod two_nodes {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                super::$test(super::Log::of_two_nodes().await).await;
            })*
        }
    };
}

on_every_log_and_on_two_nodes!(
    for_a_key,
    for_a_slot,
    for_the_version_of_a_stream,
    to_begin_a_stream,
    for_a_number_of_owners,
    for_the_version_of_a_guarded_stream,
    to_record_one_command,
);

/// Runs the appends of all callers at once, spread over the processes. Returns the append that won and the errors of
/// the other appends.
async fn race(log: &Log, append: impl Fn(usize) -> Append) -> (Appended, Vec<AppendError>) {
    let before = log.store().current_head().await.expect("a head");
    let callers = (0..CALLERS).map(|caller| log.stores[caller % log.stores.len()].append(append(caller)));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(callers).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{won:?} {lost:?}");
    assert_eq!(log.proved_length().await, before + 1);
    let winner = won.into_iter().next().expect("one").expect("won");
    (winner, lost.into_iter().filter_map(Result::err).collect())
}

async fn for_a_key(log: Log) {
    let owners: Vec<_> = (0..CALLERS).map(|_| id()).collect();
    let take = |owner| Claim::Take { scope: "email", key: "ann@example.org".to_owned(), owner };
    let (_, lost) = race(&log, |caller| claiming(owners[caller], [take(owners[caller])])).await;
    let owner = log.store().owners("email", "ann@example.org").await.expect("owners");
    assert_eq!(owner.len(), 1);
    assert!(lost.iter().all(|it| matches!(it, AppendError::Taken { owner: by, .. } if *by == owner[0])), "{lost:?}");
}

async fn for_a_slot(log: Log) {
    let (doctor, owners) = (id(), (0..CALLERS).map(|_| id()).collect::<Vec<_>>());
    let from = |caller| i64::try_from(caller % 3).expect("small");
    let (winner, lost) =
        race(&log, |caller| claiming(owners[caller], [book(doctor, from(caller), from(caller) + 3, owners[caller])]))
            .await;
    let owner = log.events().await[usize::try_from(winner.first).expect("small") - 1].stream_id;
    let by_winner = |error: &AppendError| matches!(error, AppendError::DoubleBooked { owner: by, .. } if *by == owner);
    assert!(lost.iter().all(by_winner), "{lost:?}");
}

async fn for_the_version_of_a_stream(log: Log) {
    let stream = id();
    log.append(begin(stream)).await.expect("begun");
    for version in 1..4 {
        let (_, lost) = race(&log, |_| at(stream, version)).await;
        assert!(lost.iter().all(|it| matches!(it, AppendError::Conflict { stream_id } if *stream_id == stream)));
    }
}

async fn to_begin_a_stream(log: Log) {
    let stream = id();
    let (_, lost) = race(&log, |_| begin(stream)).await;
    assert!(
        lost.iter().all(|it| matches!(it, AppendError::Conflict { stream_id } if *stream_id == stream)),
        "{lost:?}"
    );
}

async fn for_a_number_of_owners(log: Log) {
    let owners: Vec<_> = (0..CALLERS).map(|_| id()).collect();
    let guard = || Guard::Owners { scope: "birth-date", key: "1980".to_owned(), count: 0 };
    let share = |owner| Claim::Share { scope: "birth-date", key: "1980".to_owned(), owner };
    let first = |caller: usize| Append { guards: vec![guard()], ..claiming(owners[caller], [share(owners[caller])]) };
    let (_, lost) = race(&log, first).await;
    assert!(lost.iter().all(|it| matches!(it, AppendError::GuardFailed)), "{lost:?}");
}

async fn for_the_version_of_a_guarded_stream(log: Log) {
    // Every caller relies on version 1 of the stream and also appends to the stream, so only the first append can
    // succeed.
    let stream = id();
    log.append(begin(stream)).await.expect("begun");
    let relying = |_| Append { guards: vec![Guard::Version { stream_id: stream, version: 1 }], ..at(stream, 1) };
    let (_, lost) = race(&log, relying).await;
    assert!(lost.iter().all(|it| matches!(it, AppendError::GuardFailed | AppendError::Conflict { .. })), "{lost:?}");
}

async fn to_record_one_command(log: Log) {
    let command = id();
    let (winner, lost) = race(&log, |_| Append { receipt: Some(Receipt::new(command, vec![1])), ..begin(id()) }).await;
    assert!(lost.iter().all(|it| matches!(it, AppendError::Repeated { command_id } if *command_id == command)));
    let receipt = log.store().receipt(command).await.expect("an answer").expect("a receipt");
    assert_eq!((receipt.first, receipt.last), (winner.first, winner.last));
}
