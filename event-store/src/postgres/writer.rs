//! Group commit: one task writes the appends of the whole process, all that wait in one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use hashlink::LruCache;
use sqlx::pool::PoolConnection;
use sqlx::{Acquire, PgConnection, PgPool, Postgres};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use uuid::Uuid;

use super::batch::Batch;
use super::check::{KnownVersions, refuse_hopeless};
use super::feed::{raise, stopping};
use super::read::{self, Head};
use super::write::{Columns, chain};
use crate::prepare::Prepared;
use crate::{AppendError, Appended, Position, StoreError};

/// For so many batches after a surprise, be careful first.
const CAREFUL: u32 = 64;
/// How many streams' versions are remembered.
const VERSIONS: usize = 200_000;
/// How long a lost connection is sought again before the appends are answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// An append that waits for its answer.
pub(super) struct Pending {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Pending {
    /// Answers that nothing was written. Whoever asked may be gone.
    pub(super) fn refuse(self, refusal: AppendError) {
        let _ = self.answer.send(Err(refusal));
    }
}

/// What became of a batch.
enum Outcome {
    Written(Vec<Appended>),
    /// Another process wrote first.
    HeadMoved,
    /// A constraint stood against one of the requests.
    Violated,
    /// The database refused the batch for another reason.
    Failed(sqlx::Error),
    /// The connection broke; the batch may be written or not.
    Lost(sqlx::Error, Head),
}

pub(super) struct Writer {
    pool: PgPool,
    requests: mpsc::Receiver<Pending>,
    waiting: VecDeque<Pending>,
    connection: Option<PoolConnection<Postgres>>,
    head: Head,
    known_head: Arc<watch::Sender<Position>>,
    versions: Versions,
    /// Batches before which everything is checked, since appends were refused lately.
    thorough: u32,
    /// Batches before which the head is locked, since another process writes as well.
    contended: u32,
    stop: watch::Receiver<bool>,
}

/// The versions of streams at the head. True for as long as nobody else moves the head.
struct Versions(LruCache<Uuid, i32>);

impl KnownVersions for Versions {
    fn known(&mut self, stream_id: Uuid) -> Option<i32> {
        self.0.get(&stream_id).copied()
    }

    fn learn(&mut self, stream_id: Uuid, version: i32) {
        self.0.insert(stream_id, version);
    }
}

impl Writer {
    pub(super) fn new(
        pool: PgPool,
        requests: mpsc::Receiver<Pending>,
        head: Head,
        known_head: Arc<watch::Sender<Position>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let versions = Versions(LruCache::new(VERSIONS));
        let (waiting, connection) = (VecDeque::new(), None);
        Self { pool, requests, waiting, connection, head, known_head, versions, thorough: 0, contended: 0, stop }
    }

    /// Writes until the store shuts down and nothing waits any more.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            let batch = Batch::take(&mut self.waiting);
            self.record(batch).await;
        }
    }

    /// Waits for appends and takes all that there are; `false` when there will be no more.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            let first = tokio::select! {
                biased;
                first = self.requests.recv() => first,
                () = stopping(&mut self.stop) => {
                    self.requests.close();
                    self.requests.recv().await
                }
            };
            let Some(first) = first else { return false };
            self.waiting.push_back(first);
        }
        while let Ok(next) = self.requests.try_recv() {
            self.waiting.push_back(next);
        }
        true
    }

    /// Writes a batch, whatever it takes, and answers every request of it.
    async fn record(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let mut surprises = 0;
        while !batch.requests.is_empty() {
            match self.try_record(&mut batch).await {
                Outcome::Written(appended) => {
                    metrics::histogram!("hims_append_batch_size").record(count(batch.requests.len()));
                    metrics::histogram!("hims_append_seconds").record(started.elapsed().as_secs_f64());
                    for (request, appended) in batch.requests.into_iter().zip(appended) {
                        // Whoever asked may be gone; the events stay.
                        let _ = request.answer.send(Ok(appended));
                    }
                    return;
                }
                Outcome::HeadMoved => {
                    self.contended = CAREFUL;
                    if let Err(error) = self.reload().await {
                        return fail(batch, &error);
                    }
                }
                Outcome::Violated if surprises == 0 => {
                    surprises += 1;
                    self.thorough = CAREFUL;
                }
                Outcome::Violated | Outcome::Failed(sqlx::Error::Database(_)) if batch.requests.len() > 1 => {
                    // One by one, so that each gets its own answer and none its neighbour's fault.
                    for request in batch.requests {
                        Box::pin(self.record(Batch::of(request))).await;
                    }
                    return;
                }
                Outcome::Violated => {
                    return batch.requests.into_iter().for_each(|it| it.refuse(AppendError::GuardFailed));
                }
                Outcome::Failed(error) => return fail(batch, &error),
                Outcome::Lost(error, aim) => {
                    tracing::warn!(%error, "lost the connection while appending; finding out whether it was recorded");
                    match self.was_recorded(&aim).await {
                        Ok(true) => {
                            let columns = self.columns(&batch, aim.recorded_at, |it| it.appended);
                            self.head = aim;
                            raise(&self.known_head, aim.position);
                            for (request, appended) in batch.requests.into_iter().zip(columns) {
                                let _ = request.answer.send(Ok(appended));
                            }
                            return;
                        }
                        Ok(false) => {}
                        Err(error) => return fail(batch, &error),
                    }
                }
            }
        }
    }

    async fn try_record(&mut self, batch: &mut Batch) -> Outcome {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.pool.acquire().await {
                Ok(connection) => connection,
                Err(error) => return Outcome::Failed(error),
            },
        };
        let mut aim = self.head;
        let outcome = if self.contended > 0 {
            self.contended -= 1;
            self.write_locked(batch, &mut connection, &mut aim).await
        } else {
            self.write(batch, &mut connection, &mut aim).await
        };
        let outcome = outcome.unwrap_or_else(|error| match &error {
            sqlx::Error::Database(refusal) if refusal.is_unique_violation() || is_exclusion(refusal.as_ref()) => {
                Outcome::Violated
            }
            sqlx::Error::Database(refusal) if !is_shutdown(refusal.as_ref()) => Outcome::Failed(error),
            _ => Outcome::Lost(error, aim),
        });
        if !matches!(outcome, Outcome::Lost(..)) {
            self.connection = Some(connection);
        }
        if let Outcome::Written(_) = outcome {
            self.head = aim;
            for stream in batch.requests.iter().flat_map(|it| &it.prepared.streams) {
                let written = i32::try_from(stream.events.len()).unwrap_or(i32::MAX);
                self.versions.learn(stream.stream_id, stream.expected_version.saturating_add(written));
            }
            raise(&self.known_head, aim.position);
        }
        outcome
    }

    /// Writes under the lock of the head's row: nobody can come between the check and the writing.
    async fn write_locked(
        &mut self,
        batch: &mut Batch,
        connection: &mut PgConnection,
        aim: &mut Head,
    ) -> Result<Outcome, sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let head = read::head_locked(&mut transaction).await?;
        if head != self.head {
            self.moved_to(head);
        }
        *aim = self.head;
        let outcome = self.write(batch, &mut transaction, aim).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn write(
        &mut self,
        batch: &mut Batch,
        connection: &mut PgConnection,
        aim: &mut Head,
    ) -> Result<Outcome, sqlx::Error> {
        let thoroughly = self.thorough > 0;
        self.thorough = self.thorough.saturating_sub(1);
        refuse_hopeless(batch, &mut self.versions, thoroughly, connection).await?;
        if batch.requests.is_empty() {
            return Ok(Outcome::Written(Vec::new()));
        }
        let recorded_at = now().max(self.head.recorded_at);
        let hashes = chain(batch, &self.head, recorded_at);
        let columns = Columns::new(batch, &self.head, recorded_at, &hashes);
        *aim = columns.head;
        let written = columns.write(connection).await?;
        Ok(if written { Outcome::Written(columns.appended) } else { Outcome::HeadMoved })
    }

    fn columns<T>(&self, batch: &Batch, recorded_at: DateTime<Utc>, then: impl FnOnce(Columns<'_>) -> T) -> T {
        let hashes = chain(batch, &self.head, recorded_at);
        then(Columns::new(batch, &self.head, recorded_at, &hashes))
    }

    /// Whether the batch that would have moved the head to `aim` was recorded. The hash tells: it is of these very events.
    async fn was_recorded(&mut self, aim: &Head) -> Result<bool, sqlx::Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let looked = async {
                let mut connection = self.pool.acquire().await?;
                // The lost session may still be committing: its lock on the head is waited for.
                let mut transaction = connection.begin().await?;
                read::head_locked(&mut transaction).await?;
                let recorded = read::hash_at(&mut *transaction, aim.position).await?;
                transaction.commit().await?;
                Ok::<_, sqlx::Error>(recorded == Some(aim.hash) && aim.position > self.head.position)
            };
            match looked.await {
                Ok(recorded) => return Ok(recorded),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn reload(&mut self) -> Result<(), sqlx::Error> {
        let head = read::head(&self.pool).await?;
        self.moved_to(head);
        Ok(())
    }

    /// Another process moved the head: what was known of the streams is no longer.
    fn moved_to(&mut self, head: Head) {
        self.head = head;
        self.versions.0.clear();
        raise(&self.known_head, head.position);
    }
}

/// Answers the requests of a batch that could not be written.
fn fail(batch: Batch, error: &sqlx::Error) {
    tracing::error!(%error, requests = batch.requests.len(), "appends failed");
    let error = AppendError::Store(StoreError::Unavailable(error.to_string()));
    for request in batch.requests {
        request.refuse(error.clone());
    }
}

fn is_exclusion(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|it| it == "23P01")
}

/// Class 57P: the server is going away, and took the session with it.
fn is_shutdown(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|it| it.starts_with("57P"))
}

#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 requests")]
fn count(requests: usize) -> f64 {
    requests as f64
}

/// The clock of the log, in the microseconds that are hashed.
#[expect(clippy::disallowed_methods, reason = "when an event is recorded is for the store to say")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
