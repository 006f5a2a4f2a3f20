//! Group commit: one task writes the appends of the whole process, and writes all waiting appends in one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use super::attempt::{Lost, Outcome, Versions};
use super::batch::Batch;
use super::database::Database;
use super::feed::stopping;
use super::read::Head;
use super::timeline::Timelines;
use crate::bounded::too_late;
use crate::prepare::Prepared;
use crate::{AppendError, Appended, LogClock, Reached, StoreError};

/// For how many batches the writer is careful after a constraint refused a batch or another process moved the head.
const CAREFUL: u32 = 64;

/// How long an append waits for its answer at most, whatever happens to the database.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// How long before the last of its callers stops waiting a batch is given up, so that the caller is told what is known.
const NOTICE: Duration = Duration::from_millis(500);

/// How much time an append must have left when it is taken to be written.
const LEAST: Duration = Duration::from_secs(1);

/// The error of an append whose time was over before it was sent to the database.
pub(super) fn not_sent() -> AppendError {
    StoreError::Unavailable("the append could not be sent in time".to_owned()).into()
}

/// An append that waits for its answer.
pub(super) struct Pending {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// When the caller stops waiting for the answer.
    pub(super) until: Instant,
    /// The timeline in which was read what was decided on.
    pub(super) timeline: i32,
    /// Whether the writer has taken the append, or the caller has taken it back, whichever came first.
    pub(super) taken: Arc<AtomicBool>,
    /// The permit of the append, which is given back when the append is dropped.
    #[expect(dead_code, reason = "the permit is held until the append is answered")]
    pub(super) place: OwnedSemaphorePermit,
    /// The span in which the caller waits, which the span of the batch refers to.
    pub(super) caller: Span,
}

impl Pending {
    /// Takes the append to write it. `None` when the caller has taken it back, or when too little time is left, which
    /// is answered: an append whose time ends while it is being written would break the connection.
    pub(super) fn take(self) -> Option<Self> {
        if self.until < Instant::now() + LEAST {
            self.refuse(not_sent());
            return None;
        }
        (!self.taken.swap(true, Ordering::SeqCst)).then_some(self)
    }

    /// Answers why nothing was written. The caller may no longer wait for the answer.
    pub(super) fn refuse(self, refusal: AppendError) {
        let _ = self.answer.send(Err(refusal));
    }
}

/// What the writer tells the rest of the event store.
pub(super) struct Known {
    pub(super) head: Arc<Reached>,
    pub(super) clock: Arc<LogClock>,
    pub(super) shared: Arc<AtomicBool>,
    pub(super) trouble: Arc<watch::Sender<Option<StoreError>>>,
    pub(super) timelines: Timelines,
}

pub(super) struct Writer<D: Database> {
    pub(super) database: D,
    requests: mpsc::UnboundedReceiver<Pending>,
    waiting: VecDeque<Pending>,
    pub(super) session: Option<D::Session>,
    pub(super) head: Head,
    pub(super) known_head: Arc<Reached>,
    /// Why the last batch could not be written; `None` if it was written.
    trouble: Arc<watch::Sender<Option<StoreError>>>,
    pub(super) clock: Arc<LogClock>,
    /// Whether another process has moved the head lately, for everybody to see.
    pub(super) shared: Arc<AtomicBool>,
    pub(super) versions: Versions,
    pub(super) timelines: Timelines,
    /// The timeline of the server to which the session leads, or led before it was lost.
    pub(super) timeline: i32,
    /// For how many more batches everything is checked before writing, since a constraint refused a batch lately.
    pub(super) thorough: u32,
    /// For how many more batches the head is locked before writing, since another process moved the head lately.
    pub(super) contended: u32,
    stop: watch::Receiver<bool>,
}

impl<D: Database> Writer<D> {
    pub(super) fn new(
        database: D,
        requests: mpsc::UnboundedReceiver<Pending>,
        head: Head,
        Known { head: known_head, clock, shared, trouble, timelines }: Known,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (waiting, session, versions) = (VecDeque::new(), None, Versions::default());
        let (thorough, contended, timeline) = (0, 0, 0);
        Self {
            database,
            requests,
            waiting,
            session,
            head,
            known_head,
            trouble,
            clock,
            shared,
            versions,
            timelines,
            timeline,
            thorough,
            contended,
            stop,
        }
    }

    /// Writes batches until the event store shuts down and no append waits any more.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            let batch = Batch::take(&mut self.waiting);
            if !batch.requests.is_empty() {
                let span = tracing::debug_span!("append batch", requests = batch.requests.len());
                for request in &batch.requests {
                    span.follows_from(&request.caller);
                }
                self.record(batch).instrument(span).await;
            }
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
        let until = batch.until().map_or(started, |it| it - NOTICE);
        let (mut violated, mut lost) = (false, Lost::default());
        loop {
            let outcome = match lost.unsettled {
                Some(aim) => self.settle(&batch, aim, until).await,
                None => self.attempt(&mut batch, until).await,
            };
            match outcome {
                Outcome::Written(appended) => {
                    self.trouble.send_if_modified(|trouble| trouble.take().is_some());
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
                Outcome::Failed(error) if is_busy(&error) && Instant::now() < until => {
                    tracing::warn!(%error, "a lock kept appends waiting; trying again");
                    self.free_head(until).await;
                }
                Outcome::Failed(error) if !may_be_the_requests_fault(&error) => return self.fail(batch, &error, &lost),
                Outcome::Violated | Outcome::Failed(_) if batch.requests.len() > 1 => {
                    return self.record_one_by_one(batch).await;
                }
                Outcome::Violated => return refuse(batch, &AppendError::GuardFailed),
                Outcome::Refused(refusal) => return refuse(batch, &refusal.into()),
                Outcome::Failed(error) => return self.fail(batch, &error, &lost),
                Outcome::Lost(error, aim) => {
                    tracing::warn!(%error, "lost the connection while writing a batch of appends");
                    if is_busy(&error) {
                        self.free_head(until).await;
                    }
                    if !lost.again(aim, until).await {
                        return self.fail(batch, &error, &lost);
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

impl<D: Database> Writer<D> {
    /// Answers the requests of a batch that could not be written. Nothing of the batch is recorded, unless it was sent
    /// on a connection that broke: then nobody knows.
    fn fail(&self, batch: Batch, error: &sqlx::Error, lost: &Lost) {
        tracing::error!(%error, requests = batch.requests.len(), "appends could not be written");
        let refusal = match error {
            sqlx::Error::Database(refusal) if is_the_requests_fault(refusal.as_ref()) => {
                AppendError::Malformed(refusal.message().to_owned())
            }
            error => {
                let unknown = || StoreError::Unsettled(error.to_string());
                let reason = if lost.unsettled.is_none() { error.into() } else { unknown() };
                self.trouble.send_replace(Some(reason.clone()));
                reason.into()
            }
        };
        refuse(batch, &refusal);
    }

    /// Ends the sessions that keep the head of the log locked and will never go on. Tries it up to the time `until`.
    async fn free_head(&self, until: Instant) {
        match timeout_at(until, self.database.free_head()).await.unwrap_or_else(|_| Err(too_late())) {
            Ok(0) => {}
            Ok(sessions) => tracing::warn!(sessions, "ended sessions that kept the head of the log locked"),
            Err(error) => tracing::warn!(%error, "sessions that keep the head of the log locked were not ended"),
        }
    }
}

fn answer(batch: Batch, appended: Vec<Appended>) {
    for (request, appended) in batch.requests.into_iter().zip(appended) {
        // The caller may no longer wait for the answer. The events are recorded all the same.
        let _ = request.answer.send(Ok(appended));
    }
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

/// Whether one request of a batch may be the reason why the database refused the whole batch. A lack of resources
/// (SQLSTATE class 53) or a lock that somebody else holds is nobody's fault.
fn may_be_the_requests_fault(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else { return false };
    !is_busy(error) && !refusal.code().is_some_and(|it| it.starts_with("53"))
}

/// Whether a statement was given up because somebody else held a lock: SQLSTATE 55P03 (a lock was not available), 57014
/// (the statement took too long) and class 40 (a deadlock). The statement had no effect.
fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else { return false };
    refusal.code().is_some_and(|it| it == "55P03" || it == "57014" || it.starts_with("40"))
}

#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 requests")]
fn count(requests: usize) -> f64 {
    requests as f64
}
