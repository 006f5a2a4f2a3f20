//! The event log in PostgreSQL. Its tables are in the schema `log`; `migrations/` defines and explains the tables.

mod archive;
mod attempt;
mod batch;
mod beside;
mod check;
mod database;
mod feed;
mod files;
mod keys;
mod log;
mod places;
mod processes;
mod read;
mod recount;
mod restore;
mod rotation;
mod timeline;
mod warnings;
mod write;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::instrument;
use uuid::Uuid;

pub use self::archive::{BESIDE, Beside, MASTER_KEYS, SUBJECT_KEYS, Still, copy_events};
use self::database::PgDatabase;
pub use self::files::{KeptFile, PgFiles};
pub use self::log::PgLog;
use self::places::Places;
pub use self::read::waits_for_standby;
use self::recount::Recounting;
pub use self::restore::{RestoreError, Restoring, restore_keys};
pub use self::rotation::{MasterKeyUse, Rotation, master_keys};
pub use self::timeline::{Timeline, Timelines, timeline_of};
use self::warnings::Warnings;
use self::writer::{Known, PATIENCE, Pending, Writer, not_sent};
use crate::beside::ReceiptsPage;
use crate::chain::Hash;
use crate::prepare::prepare;
use crate::recount::{ClaimsOf, ClaimsReport, Progress};
use crate::snapshot::{StoredSnapshot, is_superfluous};
use crate::{
    Append, AppendError, Appended, Booked, EventStore, LogClock, MasterKeys, NodeClock, Position, Reached, Receipt,
    Recorded, Snapshot, Span, StoreError, Upcasters, Vault, Wanted,
};

/// The settings of a [`PgEventStore`].
#[derive(Debug, Clone)]
pub struct PgOptions {
    /// How many appends may wait or be written at once; a further append is refused with [`AppendError::Overloaded`],
    /// unless it is urgent and finds one of the 256 places beside these.
    pub queue: usize,
    /// How long a receipt is kept, and so how long a repeated command is recognised.
    pub receipt_retention: Duration,
    /// The connections with which pages of the history are read; the connections of the store if `None`. With
    /// connections of their own, readers of the history do not hold up appends.
    pub history: Option<PgPool>,
    /// How long to wait for a notification before the head is read from the log, in case a notification was lost.
    pub poll: Duration,
    /// The clock of this node, which is compared with the clock of the database.
    pub clock: NodeClock,
    /// The newest timeline that this process knows of.
    pub timelines: Timelines,
}

impl Default for PgOptions {
    fn default() -> Self {
        Self {
            queue: 4096,
            receipt_retention: Duration::from_hours(7 * 24),
            history: None,
            poll: Duration::from_secs(1),
            clock: NodeClock::default(),
            timelines: Timelines::default(),
        }
    }
}

/// An event log in PostgreSQL 15 or later.
pub struct PgEventStore {
    pool: PgPool,
    /// Reads pages of the history.
    history: PgPool,
    queue: mpsc::UnboundedSender<Pending>,
    places: Places,
    head: Arc<Reached>,
    /// Why the last batch of appends could not be written; `None` if it was written.
    trouble: Arc<watch::Sender<Option<StoreError>>>,
    clock: Arc<LogClock>,
    /// Whether another process has appended to the log lately.
    shared: Arc<AtomicBool>,
    timelines: Timelines,
    warnings: Warnings,
    receipt_retention: Duration,
    vault: Vault,
    upcasters: Upcasters,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl PgEventStore {
    /// Connects to the log and starts the tasks of the store: the writer, the notifications between processes that
    /// share the log, and the removal of old receipts. The connections of the pool need the rights of the role
    /// `hims_writer`.
    ///
    /// # Errors
    /// When the database does not answer, the tables of the log are missing, or the log has another master key
    /// ([`VaultError::OtherMasterKey`](crate::VaultError::OtherMasterKey)).
    pub async fn connect(
        pool: PgPool,
        masters: impl Into<MasterKeys>,
        upcasters: Upcasters,
        options: PgOptions,
    ) -> Result<Self, StoreError> {
        let (timelines, warnings) = (options.timelines, Warnings::new());
        let keys = Arc::new(keys::PgKeys { pool: pool.clone(), timelines: timelines.clone() });
        let clock = Arc::new(LogClock::new(options.clock));
        let start = timeline::begin(&pool, &timelines, &clock).await?;
        let vault = Vault::of_log(masters.into(), keys).await?;
        let head = Arc::new(Reached::new(timelines.number(), start.position));
        let (stop, stopped) = watch::channel(false);
        let (queue, requests) = mpsc::unbounded_channel();
        let trouble = Arc::new(watch::Sender::new(None));
        let shared = Arc::new(AtomicBool::new(false));
        let known = Known {
            head: Arc::clone(&head),
            clock: Arc::clone(&clock),
            shared: Arc::clone(&shared),
            trouble: Arc::clone(&trouble),
            timelines: timelines.clone(),
        };
        let database = PgDatabase { pool: pool.clone(), warnings: warnings.clone() };
        let writer = Writer::new(database, requests, start, known, stopped.clone());
        let tasks = vec![
            tokio::spawn(writer.run()),
            tokio::spawn(feed::notify(pool.clone(), head.subscribe(), stopped.clone())),
            tokio::spawn(feed::listen(
                pool.clone(),
                (Arc::clone(&head), Arc::clone(&clock)),
                (timelines.clone(), warnings.clone()),
                options.poll,
                stopped.clone(),
            )),
            tokio::spawn(feed::forget_receipts(pool.clone(), options.receipt_retention, stopped)),
        ];
        let receipt_retention = options.receipt_retention;
        let places = Places::new(options.queue);
        let history = options.history.unwrap_or_else(|| pool.clone());
        let tasks = Mutex::new(tasks);
        Ok(Self {
            pool,
            history,
            queue,
            places,
            head,
            trouble,
            clock,
            shared,
            timelines,
            warnings,
            receipt_retention,
            vault,
            upcasters,
            stop,
            tasks,
        })
    }

    fn recounting<'a>(&'a self, claims_of: &'a ClaimsOf, progress: &'a Progress) -> Recounting<'a> {
        Recounting { vault: &self.vault, upcasters: &self.upcasters, claims_of, progress }
    }
}

#[async_trait]
impl EventStore for PgEventStore {
    #[instrument(level = "debug", skip_all)]
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // The permit comes before the sealing, so that refusing an append when the queue is full costs nothing.
        let place = self.places.take(append.is_urgent).ok_or(AppendError::Overloaded)?;
        let latest = Instant::now() + PATIENCE;
        let until = append.until.map_or(latest, |it| it.min(latest));
        let timeline = append.timeline.unwrap_or_else(|| self.timelines.number());
        let erased = append.erases.clone();
        let prepared = timeout_at(until, prepare(append, &self.vault, &self.upcasters)).await;
        let prepared = prepared.map_err(|_| not_sent())??;
        let (answer, answered) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let caller = tracing::Span::current();
        let pending = Pending { prepared, answer, until, timeline, taken: Arc::clone(&taken), place, caller };
        self.queue.send(pending).map_err(|_| AppendError::Closed)?;
        match timeout_at(until, answered).await {
            Ok(answer) => answer.unwrap_or(Err(AppendError::Closed)).inspect(|_| self.vault.forget(&erased, timeline)),
            Err(_) if taken.swap(true, Ordering::SeqCst) => {
                Err(StoreError::Unsettled("the append was still being written".to_owned()).into())
            }
            Err(_) => Err(not_sent()),
        }
    }

    async fn load(&self, stream_id: Uuid, after_version: i32, limit: i32) -> Result<Vec<Recorded>, StoreError> {
        let events = read::load(&self.pool, stream_id, after_version, limit).await?;
        if let Some(last) = events.last() {
            self.clock.reached(last.recorded_at);
        }
        Ok(events)
    }

    async fn load_all(&self, streams: &[Uuid], limit: i32) -> Result<Vec<Recorded>, StoreError> {
        let events = read::load_all(&self.pool, streams, limit).await?;
        if let Some(last) = events.iter().map(|it| it.recorded_at).max() {
            self.clock.reached(last);
        }
        Ok(events)
    }

    async fn versions(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, i32>, StoreError> {
        read::versions(&self.pool, streams).await
    }

    async fn read(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        read::read(&self.history, after, limit).await
    }

    async fn search(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
        read::search(&self.history, wanted).await
    }

    async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, StoreError> {
        read::owners(&self.pool, scope, &self.vault.blind(scope, key.as_bytes())).await
    }

    async fn bookings(&self, spans: &[Span]) -> Result<Vec<Booked>, StoreError> {
        read::bookings(&self.pool, spans).await
    }

    async fn receipt(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        read::receipt(&self.pool, command_id).await
    }

    async fn acknowledge(
        &self,
        receipt: Receipt,
        stream_id: Uuid,
        version: i32,
    ) -> Result<Option<Position>, StoreError> {
        read::acknowledge((&self.pool, &self.warnings), &receipt, stream_id, version).await
    }

    async fn compare_claims(&self, claims_of: &ClaimsOf, progress: &Progress) -> Result<ClaimsReport, StoreError> {
        recount::compare(&self.pool, &self.recounting(claims_of, progress)).await
    }

    async fn mend_claims(
        &self,
        claims_of: &ClaimsOf,
        note: Append,
        progress: &Progress,
    ) -> Result<ClaimsReport, AppendError> {
        let note = prepare(note, &self.vault, &self.upcasters).await?;
        Ok(recount::mend(&self.pool, &self.recounting(claims_of, progress), &note).await?)
    }

    async fn compare_receipts(&self, after: Uuid, limit: i64) -> Result<ReceiptsPage, StoreError> {
        beside::compare_receipts(&self.pool, after, limit).await
    }

    async fn without_receipt(&self, commands: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        beside::without_receipt(&self.pool, commands).await
    }

    fn receipts_kept_since(&self) -> DateTime<Utc> {
        self.clock.now() - self.receipt_retention
    }

    async fn snapshot(&self, stream_type: &str, stream_id: Uuid) -> Result<Option<Snapshot>, StoreError> {
        match beside::snapshot(&self.pool, stream_id).await? {
            Some((stored, hash)) => stored.open(&self.vault, (stream_type, stream_id), hash.as_ref()).await,
            None => Ok(None),
        }
    }

    async fn save_snapshot(
        &self,
        stream_type: &'static str,
        stream_id: Uuid,
        subject: Option<Uuid>,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let Some(hash) = beside::hash_of(&self.pool, stream_id, snapshot.version).await? else { return Ok(()) };
        if is_superfluous(&snapshot, self.snapshot(stream_type, stream_id).await?.as_ref()) {
            return Ok(());
        }
        let stored = StoredSnapshot::seal(&self.vault, (stream_type, stream_id), &hash, subject, snapshot).await?;
        beside::save_snapshot(&self.pool, stream_id, stored).await
    }

    async fn snapshots(&self, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        beside::snapshots(&self.pool, after, limit).await
    }

    async fn forget_snapshots(&self) -> Result<u64, StoreError> {
        beside::forget_snapshots(&self.pool).await
    }

    async fn streams_of_version(&self, version: i32) -> Result<Vec<(String, Uuid)>, StoreError> {
        beside::streams_of_version(&self.pool, version).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn current_head(&self) -> Result<Position, StoreError> {
        Ok(read::head(&self.pool, &self.clock).await?.position)
    }

    async fn end(&self) -> Result<(Position, Hash), StoreError> {
        let head = read::head(&self.pool, &self.clock).await?;
        Ok((head.position, head.hash))
    }

    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError> {
        read::misplaced(&self.pool, after, last).await
    }

    async fn confirm(&self, timeline: i32) -> Result<(), StoreError> {
        read::confirm(&self.pool, &self.warnings).await?;
        if self.timeline() == timeline {
            Ok(())
        } else {
            Err(StoreError::Unavailable("another server was promoted meanwhile".to_owned()))
        }
    }

    fn timeline(&self) -> i32 {
        self.timelines.number()
    }

    fn knows_head(&self) -> bool {
        self.head.timeline() == self.timeline()
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn clock(&self) -> &LogClock {
        &self.clock
    }

    async fn can_append(&self) -> Result<(), StoreError> {
        if self.trouble.borrow().is_some() {
            read::write_in_vain(&self.pool).await?;
            self.trouble.send_replace(None);
        }
        Ok(())
    }

    fn vault(&self) -> &Vault {
        &self.vault
    }

    fn upcasters(&self) -> &Upcasters {
        &self.upcasters
    }

    async fn shutdown(&self) {
        self.stop.send_replace(true);
        for task in self.tasks.lock().await.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the event log panicked");
            }
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
