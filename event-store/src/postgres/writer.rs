//! Group commit: one task writes the appends of the whole process, all that wait in one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::attempt::{Lost, Outcome, Versions};
use super::batch::Batch;
use super::feed::stopping;
use super::read::Head;
use crate::prepare::Prepared;
use crate::{AppendError, Appended, Position, StoreError};

/// For so many batches after a surprise, be careful first.
const CAREFUL: u32 = 64;

/// An append that waits for its answer.
pub(super) struct Pending {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its place in the queue, given back with it.
    #[expect(dead_code, reason = "to be held until it is answered")]
    pub(super) place: OwnedSemaphorePermit,
}

impl Pending {
    /// Answers that nothing was written. Whoever asked may be gone.
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
    pub(super) versions: Versions,
    /// Batches before which everything is checked, since appends were refused lately.
    pub(super) thorough: u32,
    /// Batches before which the head is locked, since another process writes as well.
    pub(super) contended: u32,
    stop: watch::Receiver<bool>,
}

impl Writer {
    pub(super) fn new(
        pool: PgPool,
        requests: mpsc::UnboundedReceiver<Pending>,
        head: Head,
        known_head: Arc<watch::Sender<Position>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (waiting, connection, versions) = (VecDeque::new(), None, Versions::default());
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
                // Stopping first: under load there is always a next append.
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
        // Whoever was answered just now may have more to write: with that the batches are whole, not two halves in turns.
        tokio::task::yield_now().await;
        while let Ok(next) = self.requests.try_recv() {
            self.waiting.push_back(next);
        }
        true
    }

    /// Writes a batch, whatever it takes, and answers every request of it.
    async fn record(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let (mut violated, mut lost) = (false, Lost::default());
        loop {
            match self.attempt(&mut batch, &lost.aims).await {
                Outcome::Written(appended) => {
                    if !batch.requests.is_empty() {
                        metrics::histogram!("hims_append_batch_size").record(count(batch.requests.len()));
                        metrics::histogram!("hims_append_seconds").record(started.elapsed().as_secs_f64());
                    }
                    return answer(batch, appended);
                }
                Outcome::HeadMoved => self.contended = CAREFUL,
                Outcome::Violated if !violated => {
                    violated = true;
                    self.thorough = CAREFUL;
                }
                Outcome::Violated | Outcome::Failed(sqlx::Error::Database(_)) if batch.requests.len() > 1 => {
                    return self.record_one_by_one(batch).await;
                }
                Outcome::Violated => {
                    return batch.requests.into_iter().for_each(|it| it.refuse(AppendError::GuardFailed));
                }
                Outcome::Failed(error) => return fail(batch, &error),
                Outcome::Lost(error, aim) => {
                    tracing::warn!(%error, "lost the connection while appending; trying again");
                    if !lost.again(aim).await {
                        return fail(batch, &error);
                    }
                }
            }
        }
    }

    /// So that each gets its own answer and none its neighbour's fault.
    async fn record_one_by_one(&mut self, batch: Batch) {
        for request in batch.requests {
            Box::pin(self.record(Batch::of(request))).await;
        }
    }
}

fn answer(batch: Batch, appended: Vec<Appended>) {
    for (request, appended) in batch.requests.into_iter().zip(appended) {
        // Whoever asked may be gone; the events stay.
        let _ = request.answer.send(Ok(appended));
    }
}

/// Answers the requests of a batch that could not be written.
fn fail(batch: Batch, error: &sqlx::Error) {
    tracing::error!(%error, requests = batch.requests.len(), "appends failed");
    let refusal = match error {
        sqlx::Error::Database(refusal) if is_the_requests_fault(refusal.as_ref()) => {
            AppendError::Malformed(refusal.message().to_owned())
        }
        error => AppendError::Store(StoreError::Unavailable(error.to_string())),
    };
    for request in batch.requests {
        request.refuse(refusal.clone());
    }
}

/// Class 22: a value that cannot be; class 23: one that a constraint refuses.
fn is_the_requests_fault(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|it| it.starts_with("22") || it.starts_with("23"))
}

#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 requests")]
fn count(requests: usize) -> f64 {
    requests as f64
}
