//! Refusals that could not be recorded at once, because the queue of the log was full or the log did not answer.
//!
//! A refused command is answered whether or not its refusal is recorded. A refusal that was not recorded waits here
//! until the log takes it. There is room for some thousands; beyond that, refusals are only counted, and the count is
//! recorded as an event of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hims_domain::Aggregate as _;
use hims_domain::access::{Access, Event};
use hims_event_store::{Append, AppendError, EventStore, Metadata, NewEvent, StreamAppend};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::Surroundings;
use crate::machinery::context::new_id;

/// How many refusals wait at most.
const ROOM: usize = 4_096;
/// The pause before the log is tried again.
const BREATH: Duration = Duration::from_millis(100);
/// How long a server that stops waits for the log to take the refusals that wait.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Records refusals: at once, or as soon as the log takes them.
pub(super) struct Backlog {
    store: Arc<dyn EventStore>,
    surroundings: Surroundings,
    waiting: Mutex<Waiting>,
    /// Whether a task is recording what waits. It changes only while `waiting` is locked.
    is_recording: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiting {
    refusals: VecDeque<Append>,
    /// How many refusals found no room.
    lost: u32,
}

/// What is to be recorded next.
struct Next {
    append: Result<Append, AppendError>,
    /// How many lost refusals the append counts; 0 when the append is a refusal.
    counts: u32,
}

impl Backlog {
    pub(super) fn new(store: Arc<dyn EventStore>, surroundings: Surroundings) -> Arc<Self> {
        Arc::new(Self { store, surroundings, waiting: Mutex::default(), is_recording: watch::Sender::new(false) })
    }

    /// Records a refusal, or lets it wait when the log has not taken it by `until`, if a time is given.
    pub(super) async fn record(self: &Arc<Self>, refusal: Append, until: Option<Instant>) {
        let Err(error) = self.store.append(Append { until, ..refusal.clone() }).await else { return };
        if !may_pass(&error) {
            tracing::error!(%error, "a refused attempt was not recorded for the audit");
            metrics::counter!("hims_refusals_lost_total").increment(1);
            return;
        }
        let begins = {
            let mut waiting = self.waiting();
            if waiting.refusals.len() < ROOM {
                waiting.refusals.push_back(refusal);
            } else {
                waiting.lost = waiting.lost.saturating_add(1);
                metrics::counter!("hims_refusals_lost_total").increment(1);
            }
            measure(&waiting);
            !self.is_recording.send_replace(true)
        };
        if begins {
            tracing::warn!(%error, "refused attempts cannot be recorded now; they are recorded when the log takes them");
            tokio::spawn(Arc::clone(self).record_later());
        }
    }

    /// Records what waits, until nothing waits any more or the log is closed.
    async fn record_later(self: Arc<Self>) {
        while let Some(Next { append, counts }) = self.next() {
            let recorded = match append {
                Ok(append) => self.store.append(append).await.map(drop),
                Err(error) => Err(error),
            };
            match recorded {
                Err(AppendError::Closed) => return self.give_up(),
                Err(error) if may_pass(&error) => sleep(BREATH).await,
                // A conflict means that an attempt whose answer was lost has recorded the refusal.
                Ok(()) | Err(AppendError::Conflict { .. }) => self.done(counts),
                Err(error) => {
                    tracing::error!(%error, "a refused attempt was not recorded for the audit");
                    metrics::counter!("hims_refusals_lost_total").increment(1);
                    self.done(counts);
                }
            }
        }
    }

    /// Waits for the log to take what waits, for a few seconds at most, before the log is closed.
    pub(super) async fn finish(&self) {
        let mut is_recording = self.is_recording.subscribe();
        if timeout(LAST_CHANCE, is_recording.wait_for(|it| !it)).await.is_err() {
            self.give_up();
        }
    }

    /// Takes note that what waits will never be recorded. The refusals that found no room were counted when they came.
    fn give_up(&self) {
        let mut waiting = self.waiting();
        let Waiting { refusals, lost } = std::mem::take(&mut *waiting);
        self.is_recording.send_replace(false);
        measure(&waiting);
        if !refusals.is_empty() || lost > 0 {
            let left = refusals.len();
            tracing::error!(left, lost, "refused attempts were not recorded for the audit");
            metrics::counter!("hims_refusals_lost_total").increment(u64::try_from(left).unwrap_or(u64::MAX));
        }
    }

    fn next(&self) -> Option<Next> {
        let waiting = self.waiting();
        let (first, lost) = (waiting.refusals.front().cloned(), waiting.lost);
        self.is_recording.send_replace(first.is_some() || lost > 0);
        match first {
            Some(refusal) => Some(Next { append: Ok(refusal), counts: 0 }),
            None if lost > 0 => Some(Next { append: self.count_of(lost), counts: lost }),
            None => None,
        }
    }

    /// Takes note that the next refusal, or the count of so many lost refusals, is recorded.
    fn done(&self, counts: u32) {
        let mut waiting = self.waiting();
        if counts == 0 {
            waiting.refusals.pop_front();
        }
        waiting.lost = waiting.lost.saturating_sub(counts);
        measure(&waiting);
    }

    /// The append of an event with the number of refusals that found no room.
    fn count_of(&self, count: u32) -> Result<Append, AppendError> {
        let now = (self.surroundings.clock)();
        let id = |nth| new_id(now, (self.surroundings.entropy)(), nth);
        let event = NewEvent::try_new(Access::STREAM, &Event::RefusalsLost { count })?;
        let command_id = id(0);
        let metadata = Metadata {
            command_id,
            command: "record-refusals".to_owned(),
            correlation_id: command_id,
            occurred_at: now,
            ..Metadata::default()
        };
        let stream = StreamAppend::begin(Access::STREAM, id(1), [event]);
        Ok(Append { metadata, ..Append::stream(stream) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A lock that a panic left behind is used all the same: each change of the waiting refusals is complete in itself.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an append that failed in this way may succeed later.
fn may_pass(error: &AppendError) -> bool {
    matches!(error, AppendError::Overloaded | AppendError::Store(_))
}

#[expect(clippy::cast_precision_loss, reason = "there is room for a few thousand")]
fn measure(waiting: &Waiting) {
    metrics::gauge!("hims_refusals_waiting").set(waiting.refusals.len() as f64);
}
