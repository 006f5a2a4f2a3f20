//! Group commit: one task writes the appends of the whole process, and writes all waiting appends in one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::attempt::{Lost, Outcome, Versions};
use super::batch::Batch;
use super::feed::stopping;
use super::read::Head;
use crate::prepare::Prepared;
use crate::{AppendError, Appended, LogClock, Position, StoreError};

/// For how many batches the writer is careful after a constraint refused a batch or another process moved the head.
const CAREFUL: u32 = 64;

/// An append that waits for its answer.
pub(super) struct Pending {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// The permit of the append, which is given back when the append is dropped.
    #[expect(dead_code, reason = "the permit is held until the append is answered")]
    pub(super) place: OwnedSemaphorePermit,
}

impl Pending {
    /// Answers why nothing was written. The caller may no longer wait for the answer.
    pub(super) fn refuse(self, refusal: AppendError) {
        let _ = self.answer.send(Err(refusal));
    }
}

pub(super) struct Writer {
    pub(super) pool: PgPool,
    requests: mpsc::UnboundedReceiver<Pending>,
    waiting: VecDeque<Pending>,
    pub(super) connection: Option<PoolConnection<Postgres>>,
    pub(super) head: Head,
    pub(super) known_head: Arc<watch::Sender<Position>>,
    pub(super) clock: Arc<LogClock>,
    /// Whether another process has moved the head lately, for everybody to see.
    pub(super) shared: Arc<AtomicBool>,
    pub(super) versions: Versions,
    /// For how many more batches everything is checked before writing, since a constraint refused a batch lately.
    pub(super) thorough: u32,
    /// For how many more batches the head is locked before writing, since another process moved the head lately.
    pub(super) contended: u32,
    stop: watch::Receiver<bool>,
}

impl Writer {
    pub(super) fn new(
        pool: PgPool,
        requests: mpsc::UnboundedReceiver<Pending>,
        head: Head,
        (known_head, clock, shared): (Arc<watch::Sender<Position>>, Arc<LogClock>, Arc<AtomicBool>),
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (waiting, connection, versions) = (VecDeque::new(), None, Versions::default());
        let (thorough, contended) = (0, 0);
        Self {
            pool,
            requests,
            waiting,
            connection,
            head,
            known_head,
            clock,
            shared,
            versions,
            thorough,
            contended,
            stop,
        }
    }

    /// Writes batches until the event store shuts down and no append waits any more.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            let batch = Batch::take(&mut self.waiting);
            self.record(batch).await;
        }
    }

    /// Waits for an append and takes all appends that wait; `false` when there will be no more appends.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            let first = tokio::select! {
                // The stop signal is looked at first, since under load there is always another append.
                biased;
                () = stopping(&mut self.stop) => {
                    self.requests.close();
                    self.requests.recv().await
                }
                first = self.requests.recv() => first,
            };
            let Some(first) = first else { return false };
            self.waiting.push_back(first);
        }
        // Callers that were just answered may append again at once. Their appends join this batch, so that the callers
        // do not split into two halves that take turns in smaller batches.
        tokio::task::yield_now().await;
        while let Ok(next) = self.requests.try_recv() {
            self.waiting.push_back(next);
        }
        true
    }

    /// Writes a batch, with further attempts if necessary, and answers every request of the batch.
    async fn record(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let (mut violated, mut lost) = (false, Lost::default());
        loop {
            let outcome = match lost.unsettled {
                Some(aim) => self.settle(&batch, aim).await,
                None => self.attempt(&mut batch).await,
            };
            match outcome {
                Outcome::Written(appended) => {
                    if !batch.requests.is_empty() {
                        metrics::histogram!("hims_append_batch_size").record(count(batch.requests.len()));
                        metrics::histogram!("hims_append_seconds").record(started.elapsed().as_secs_f64());
                    }
                    return answer(batch, appended);
                }
                Outcome::HeadMoved => self.contended = CAREFUL,
                Outcome::Settled => {
                    if !lost.settled() {
                        let reason = "the connection broke whenever the append was sent; nothing was recorded";
                        return refuse(batch, &StoreError::Unavailable(reason.to_owned()).into());
                    }
                }
                Outcome::Violated if !violated => {
                    violated = true;
                    self.thorough = CAREFUL;
                }
                Outcome::Violated | Outcome::Failed(sqlx::Error::Database(_)) if batch.requests.len() > 1 => {
                    return self.record_one_by_one(batch).await;
                }
                Outcome::Violated => return refuse(batch, &AppendError::GuardFailed),
                Outcome::Refused(refusal) => return refuse(batch, &refusal.into()),
                Outcome::Failed(error) => return fail(batch, &error),
                Outcome::Lost(error, aim) => {
                    tracing::warn!(%error, "lost the connection while writing a batch of appends");
                    if !lost.again(aim).await {
                        return fail(batch, &error);
                    }
                }
            }
        }
    }

    /// Writes the requests of a batch one by one, so that a faulty request fails alone.
    async fn record_one_by_one(&mut self, batch: Batch) {
        for request in batch.requests {
            Box::pin(self.record(Batch::of(request))).await;
        }
    }
}

fn answer(batch: Batch, appended: Vec<Appended>) {
    for (request, appended) in batch.requests.into_iter().zip(appended) {
        // The caller may no longer wait for the answer. The events are recorded all the same.
        let _ = request.answer.send(Ok(appended));
    }
}

/// Answers the requests of a batch that could not be written.
fn fail(batch: Batch, error: &sqlx::Error) {
    tracing::error!(%error, requests = batch.requests.len(), "appends could not be written");
    let refusal = match error {
        sqlx::Error::Database(refusal) if is_the_requests_fault(refusal.as_ref()) => {
            AppendError::Malformed(refusal.message().to_owned())
        }
        error => AppendError::Store(StoreError::Unavailable(error.to_string())),
    };
    refuse(batch, &refusal);
}

/// Answers all requests of a batch with the same refusal.
fn refuse(batch: Batch, refusal: &AppendError) {
    for request in batch.requests {
        request.refuse(refusal.clone());
    }
}

/// Whether the database refused a value of the request. SQLSTATE class 22: an invalid value; class 23: a violated
/// constraint.
fn is_the_requests_fault(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|it| it.starts_with("22") || it.starts_with("23"))
}

#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 requests")]
fn count(requests: usize) -> f64 {
    requests as f64
}
