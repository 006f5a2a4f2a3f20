use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::{Aggregate as _, Subject, access};
use uuid::Uuid;

use super::{Executor, PATIENCE};
use crate::Request;
use crate::machinery::decision::stored_subject;

/// For how long attempts that repeat a recorded one are only counted.
const FOLDED_FOR: TimeDelta = TimeDelta::minutes(1);

/// How often the server looks for attempts whose minute is over.
const LOOKED_AT: Duration = Duration::from_secs(10);

/// How many different attempts are remembered. Further ones are recorded one by one.
const REMEMBERED: usize = 10_000;

/// The refused attempts of the last minute, so that an attempt that is repeated many times does not fill the log. The
/// first attempt is recorded at once; its repetitions are counted, and then recorded together as one event.
#[derive(Default)]
pub(super) struct Repeats(Mutex<HashMap<String, Folded>>);

/// An attempt that was recorded, and how often it was repeated since.
struct Folded {
    since: DateTime<Utc>,
    count: u32,
    attempt: Attempt,
}

/// A refused attempt, with all that is recorded about it.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) command: &'static str,
    pub(super) request: Request,
    pub(super) event: access::Event,
    pub(super) patient: Option<Subject>,
}

impl Attempt {
    /// What two attempts have in common if they differ in nothing but their time.
    fn key(&self) -> String {
        let caller = &self.request.caller;
        let subject = self.patient.map(stored_subject);
        serde_json::json!([self.command, caller.actor, caller.session_id, caller.ip, self.event, subject]).to_string()
    }

    /// The event that stands for `count` repetitions of the attempt.
    fn repeated(&self, count: u32) -> access::Event {
        let command = self.command.to_owned();
        match self.event.clone() {
            access::Event::CommandRefused { code, stream_type, stream_id, .. } => {
                access::Event::Repeated { command, code, stream_type, stream_id, count }
            }
            access::Event::LoginFailed { command, user_id, code } => {
                let stream_id = user_id.map_or_else(Uuid::nil, Uuid::from);
                access::Event::Repeated { command, code, stream_type: "user".to_owned(), stream_id, count }
            }
            access::Event::ReadRefused { source, code } => {
                let (command, stream_type) = (format!("{command} {source}"), access::Access::STREAM.to_owned());
                access::Event::Repeated { command, code, stream_type, stream_id: Uuid::nil(), count }
            }
            event @ (access::Event::Read(_)
            | access::Event::ReadRecordingChanged { .. }
            | access::Event::Repeated { .. }
            | access::Event::RefusalsLost { .. }
            | access::Event::ClaimsRebuilt) => event,
        }
    }
}

impl Repeats {
    /// Whether the attempt repeats one that was recorded less than a minute ago, and was therefore only counted.
    pub(super) fn count(&self, attempt: &Attempt, now: DateTime<Utc>) -> bool {
        let mut folded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = attempt.key();
        if let Some(known) = folded.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            return true;
        }
        if folded.len() < REMEMBERED {
            folded.insert(key, Folded { since: now, count: 0, attempt: attempt.clone() });
        }
        false
    }

    /// Takes out the attempts that were remembered before `until`, and gives those that were repeated.
    fn take(&self, until: DateTime<Utc>) -> Vec<(Attempt, u32)> {
        let mut folded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = folded.extract_if(|_, it| it.since <= until);
        over.filter(|(_, it)| it.count > 0).map(|(_, it)| (it.attempt, it.count)).collect()
    }
}

impl Executor {
    /// Records the repetitions of refused attempts, each once its minute is over, for as long as the server runs.
    pub async fn keep_recording_repeats(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOKED_AT).await;
            self.record_repeats(false).await;
        }
    }

    /// Records the repetitions of refused attempts whose minute is over; with `all`, those of every attempt.
    pub(super) async fn record_repeats(&self, all: bool) {
        let until = if all { DateTime::<Utc>::MAX_UTC } else { self.now() - FOLDED_FOR };
        // One deadline for all of them: when the log does not answer, they wait for it in the backlog.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for (attempt, count) in self.repeats.take(until) {
            let event = attempt.repeated(count);
            self.write_attempt(&Attempt { event, ..attempt }, Some(deadline)).await;
        }
    }

    /// Records all that is still to be recorded about refused attempts, for a server that stops: their repetitions, and
    /// those attempts that the log did not take at once. Waits a few seconds at most for a log that does not answer.
    pub async fn finish_recording(&self) {
        self.record_repeats(true).await;
        self.backlog.finish().await;
    }
}
