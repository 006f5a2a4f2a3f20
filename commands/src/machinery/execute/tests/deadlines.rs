//! A log that does not answer: every caller is told so within eight seconds, whatever the caller waits for.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hims_event_store::beside::ReceiptsPage;
use hims_event_store::chain::Hash;
use hims_event_store::{
    Append, AppendError, Appended, Booked, ClaimsOf, ClaimsReport, LogClock, MasterKey, MemoryEventStore, Position,
    Progress, Receipt, Recorded, Snapshot, Span, StoreError, Upcasters, Vault, Wanted,
};
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::*;
use crate::upcasters;

/// When every command must be over.
const BOUND: Duration = Duration::from_secs(8);
/// How much later the second caller comes.
const LATER: Duration = Duration::from_secs(3);

/// What an event log leaves unanswered.
#[derive(PartialEq)]
enum Paused {
    Nothing,
    Appends,
    Everything,
}

/// An event log in memory that can be paused.
struct Pausable {
    log: MemoryEventStore,
    paused: watch::Sender<Paused>,
    /// Whether a confirmation, which comes after the search for a receipt, fails.
    is_unconfirmed: watch::Sender<bool>,
}

impl Pausable {
    async fn answers(&self) {
        let _ = self.paused.subscribe().wait_for(|it| *it != Paused::Everything).await;
    }

    async fn appends(&self) {
        let _ = self.paused.subscribe().wait_for(|it| *it == Paused::Nothing).await;
    }
}

#[async_trait]
impl EventStore for Pausable {
    /// Keeps the promise of an event log to answer in time even while it is paused.
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let latest = Instant::now() + BOUND;
        tokio::select! {
            biased;
            () = self.appends() => self.log.append(append).await,
            () = sleep_until(append.until.unwrap_or(latest)) => {
                Err(StoreError::Unsettled("paused".to_owned()).into())
            }
        }
    }

    async fn load(&self, stream_id: Uuid, after: i32, limit: i32) -> Result<Vec<Recorded>, StoreError> {
        self.answers().await;
        self.log.load(stream_id, after, limit).await
    }

    async fn load_all(&self, streams: &[Uuid], limit: i32) -> Result<Vec<Recorded>, StoreError> {
        self.answers().await;
        self.log.load_all(streams, limit).await
    }

    async fn versions(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, i32>, StoreError> {
        self.answers().await;
        self.log.versions(streams).await
    }

    async fn read(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        self.answers().await;
        self.log.read(after, limit).await
    }

    async fn search(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
        self.answers().await;
        self.log.search(wanted).await
    }

    async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, StoreError> {
        self.answers().await;
        self.log.owners(scope, key).await
    }

    async fn bookings(&self, spans: &[Span]) -> Result<Vec<Booked>, StoreError> {
        self.answers().await;
        self.log.bookings(spans).await
    }

    async fn receipt(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.answers().await;
        self.log.receipt(command_id).await
    }

    async fn acknowledge(&self, receipt: Receipt, id: Uuid, version: i32) -> Result<Option<Position>, StoreError> {
        self.answers().await;
        self.log.acknowledge(receipt, id, version).await
    }

    async fn compare_claims(&self, claims_of: &ClaimsOf, progress: &Progress) -> Result<ClaimsReport, StoreError> {
        self.log.compare_claims(claims_of, progress).await
    }

    async fn mend_claims(
        &self,
        claims_of: &ClaimsOf,
        note: Append,
        progress: &Progress,
    ) -> Result<ClaimsReport, AppendError> {
        self.log.mend_claims(claims_of, note, progress).await
    }

    async fn compare_receipts(&self, after: Uuid, limit: i64) -> Result<ReceiptsPage, StoreError> {
        self.log.compare_receipts(after, limit).await
    }

    async fn without_receipt(&self, commands: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        self.log.without_receipt(commands).await
    }

    fn receipts_kept_since(&self) -> DateTime<Utc> {
        self.log.receipts_kept_since()
    }

    async fn snapshot(&self, stream_type: &str, stream_id: Uuid) -> Result<Option<Snapshot>, StoreError> {
        self.answers().await;
        self.log.snapshot(stream_type, stream_id).await
    }

    async fn save_snapshot(
        &self,
        stream_type: &'static str,
        stream_id: Uuid,
        subject: Option<Uuid>,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.answers().await;
        self.log.save_snapshot(stream_type, stream_id, subject, snapshot).await
    }

    async fn snapshots(&self, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        self.log.snapshots(after, limit).await
    }

    async fn forget_snapshots(&self) -> Result<u64, StoreError> {
        self.log.forget_snapshots().await
    }

    async fn streams_of_version(&self, version: i32) -> Result<Vec<(String, Uuid)>, StoreError> {
        self.log.streams_of_version(version).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }

    async fn current_head(&self) -> Result<Position, StoreError> {
        self.log.current_head().await
    }

    async fn end(&self) -> Result<(Position, Hash), StoreError> {
        self.log.end().await
    }

    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError> {
        self.log.misplaced(after, last).await
    }

    async fn confirm(&self, timeline: i32) -> Result<(), StoreError> {
        self.answers().await;
        if *self.is_unconfirmed.borrow() {
            return Err(StoreError::Unavailable("no standby".to_owned()));
        }
        self.log.confirm(timeline).await
    }

    fn timeline(&self) -> i32 {
        self.log.timeline()
    }

    fn knows_head(&self) -> bool {
        self.log.knows_head()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn clock(&self) -> &LogClock {
        self.log.clock()
    }

    fn vault(&self) -> &Vault {
        self.log.vault()
    }

    fn upcasters(&self) -> &Upcasters {
        self.log.upcasters()
    }

    async fn shutdown(&self) {
        self.log.shutdown().await;
    }
}

/// An executor on a log that can be paused, with one department that the executor remembers.
async fn pausable() -> (Arc<Pausable>, Executor) {
    let log = MemoryEventStore::new(MasterKey::generate().unwrap(), upcasters());
    let (paused, is_unconfirmed) = (watch::Sender::new(Paused::Nothing), watch::Sender::new(false));
    let store = Arc::new(Pausable { log, paused, is_unconfirmed });
    let executor = Executor::new(Arc::clone(&store) as Arc<dyn EventStore>, World::new().surroundings);
    let open = ask::<OpenDepartment>(with(cardiology(), json!({"id": DEPARTMENT})));
    executor.execute(open, Request::of(Caller::system("test"))).await.unwrap();
    (store, executor)
}

/// Renames the department, under a key if there is one. Tells the outcome and how long it took.
async fn rename(executor: &Executor, name: &str, key: Option<Uuid>) -> (Result<Outcome, Failure>, Duration) {
    let began = Instant::now();
    let command = ask::<ChangeDepartment>(json!({"department_id": DEPARTMENT, "name": name}));
    let request = Request { idempotency_key: key, ..Request::of(Caller::system("test")) };
    (executor.execute(command, request).await, began.elapsed())
}

fn is_unknown(outcome: &Result<Outcome, Failure>) -> bool {
    matches!(outcome, Err(Failure::Store(StoreError::Unsettled(_))))
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_and_then_for_the_append_waits_no_longer_than_anybody() {
    let (store, executor) = pausable().await;
    store.paused.send_replace(Paused::Appends);
    let second = async {
        sleep(LATER).await;
        rename(&executor, "Heart", None).await
    };
    let ((first, first_took), (second, second_took)) = tokio::join!(rename(&executor, "Hearts", None), second);
    assert!(is_unknown(&first), "{first:?}");
    assert!(is_unknown(&second), "it had its turn, and was appended: {second:?}");
    assert!(first_took <= BOUND && second_took <= BOUND, "{first_took:?} {second_took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_earlier_request_under_the_key_waits_no_longer_than_anybody() {
    let (store, executor) = pausable().await;
    store.paused.send_replace(Paused::Appends);
    let second = async {
        sleep(LATER).await;
        rename(&executor, "Heart", Some(KEY)).await
    };
    // The last request finds no receipt out, since the log answers nothing any more when its turn comes.
    let third = async {
        sleep(LATER * 2).await;
        let third = rename(&executor, "Heart", Some(KEY));
        store.paused.send_replace(Paused::Everything);
        third.await
    };
    let renamed = tokio::join!(rename(&executor, "Heart", Some(KEY)), second, third);
    for (outcome, took) in [renamed.0, renamed.1, renamed.2] {
        assert!(is_unknown(&outcome), "{outcome:?}");
        assert!(took <= BOUND, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_never_came_to_its_append_recorded_nothing() {
    let (store, executor) = pausable().await;
    store.paused.send_replace(Paused::Everything);
    let began = Instant::now();
    let nowhere = ask::<ChangeDepartment>(json!({"department_id": id::<Uuid>(77), "name": "Heart"}));
    let outcome = executor.execute(nowhere, Request::of(Caller::system("test"))).await;
    assert!(matches!(outcome, Err(Failure::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    assert!(began.elapsed() <= BOUND);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_answered_in_time_and_recorded_when_the_log_takes_it() {
    let (store, executor) = pausable().await;
    store.paused.send_replace(Paused::Everything);
    let began = Instant::now();
    let refusal = refused(executor.execute(ask::<OpenDepartment>(cardiology()), Request::of(somebody("nurse"))).await);
    assert_eq!(refusal.code, "forbidden");
    assert!(began.elapsed() <= BOUND);
    store.paused.send_replace(Paused::Nothing);
    executor.finish_recording().await;
    let last = store.log.read(0, i64::MAX).await.unwrap().pop().unwrap();
    assert_eq!(last.event_type, "access.command_refused");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_does_not_wait_for_ever_for_a_log_that_does_not_answer() {
    let (store, executor) = pausable().await;
    store.paused.send_replace(Paused::Everything);
    refused(executor.execute(ask::<OpenDepartment>(cardiology()), Request::of(somebody("nurse"))).await);
    let began = Instant::now();
    executor.finish_recording().await;
    assert!(began.elapsed() <= BOUND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_has_a_receipt_but_is_not_confirmed_may_be_recorded() {
    let (store, executor) = pausable().await;
    rename(&executor, "Heart", Some(KEY)).await.0.unwrap();
    store.is_unconfirmed.send_replace(true);
    let again = rename(&executor, "Heart", Some(KEY)).await.0;
    assert!(is_unknown(&again), "{again:?}");
    store.is_unconfirmed.send_replace(false);
    assert!(rename(&executor, "Heart", Some(KEY)).await.0.is_ok_and(|it| it.replayed));
}
