//! One attempt to write a batch, and its outcome.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hashlink::LruCache;
use sqlx::error::DatabaseError;
use tokio::time::{self, sleep};
use uuid::Uuid;

use super::batch::Batch;
use super::check::{KnownVersions, refuse_hopeless};
use super::database::{Database, Session};
use super::read::Head;
use super::write::{Columns, chain};
use super::writer::Writer;
use crate::bounded::{ANSWER, within};
use crate::{AppendError, Appended, StoreError};

/// For how many streams the version is remembered.
const VERSIONS: usize = 200_000;
/// The pause between two attempts to connect.
const BREATH: Duration = Duration::from_millis(100);
const EXCLUSION_VIOLATION: &str = "23P01";
/// How many times a batch is sent at most if the connection breaks each time.
const SENT: usize = 3;

/// The end of the log before a batch, and the end of the log once the batch is written.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    after: Head,
    head: Head,
}

enum Step {
    Written,
    HeadMoved,
}

/// The outcome of an attempt to write a batch, or to find out what became of it.
pub(super) enum Outcome {
    Written(Vec<Appended>),
    /// Another process has moved the head, so nothing was written.
    HeadMoved,
    /// A unique or exclusion constraint refused one of the requests, so nothing was written.
    Violated,
    /// The clock of this node is wrong, so nothing was written.
    Refused(StoreError),
    /// The database refused the batch for another reason, or the pool gave no connection.
    Failed(sqlx::Error),
    /// The connection broke. The batch may have been written or not, if it was sent on this connection with an aim.
    Lost(sqlx::Error, Option<Aim>),
    /// The batch that was sent on a lost connection is not in the log, and never will be.
    Settled,
}

/// The versions of streams at the head of the log. They are valid until another process moves the head.
pub(super) struct Versions(LruCache<Uuid, i32>);

impl Default for Versions {
    fn default() -> Self {
        Self(LruCache::new(VERSIONS))
    }
}

impl KnownVersions for Versions {
    fn known(&mut self, stream_id: Uuid) -> Option<i32> {
        self.0.get(&stream_id).copied()
    }

    fn learn(&mut self, stream_id: Uuid, version: i32) {
        self.0.insert(stream_id, version);
    }
}

/// The connections that broke while a batch was being written.
#[derive(Default)]
pub(super) struct Lost {
    sent: usize,
    /// The positions that the batch has if it was recorded although its connection broke. Until that is settled, the
    /// batch may still reach the database, so nothing is sent again and no request is answered with a refusal.
    pub(super) unsettled: Option<Aim>,
}

impl Lost {
    /// Notes that the connection broke, and tells whether to go on, which is so up to the time `until`.
    pub(super) async fn again(&mut self, aim: Option<Aim>, until: time::Instant) -> bool {
        let goes_on = time::Instant::now() < until;
        if aim.is_some() {
            self.sent += 1;
            self.unsettled = aim;
        } else if goes_on {
            sleep(BREATH).await;
        }
        goes_on
    }

    /// Notes that the lost batch will never be recorded, and tells whether to send it again. That is limited, since a
    /// batch may itself be the reason why the connection breaks.
    pub(super) fn settled(&mut self) -> bool {
        self.unsettled = None;
        self.sent < SENT
    }
}

impl<D: Database> Writer<D> {
    /// Tries to write a batch. A connection that does not answer in time, or by `until`, counts as broken.
    pub(super) async fn attempt(&mut self, batch: &mut Batch, until: time::Instant) -> Outcome {
        let limit = patience(until);
        let mut session = match self.connected(limit).await {
            Ok(session) => session,
            Err(error @ (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)) => return Outcome::Failed(error),
            Err(error) => return Outcome::Lost(error, None),
        };
        self.refuse_of_other_timelines(batch);
        if let Err(error) = within(limit, self.look_at_the_clock(&mut session)).await {
            session.close();
            return Outcome::Lost(error, None);
        }
        if let Err(refusal) = self.clock.check() {
            self.session = Some(session);
            return Outcome::Refused(refusal);
        }
        let mut aim = Aim { after: self.head, head: self.head };
        self.shared.store(self.contended > 0, Ordering::Relaxed);
        let is_locked = self.contended > 0;
        let outcome = if is_locked {
            self.contended = self.contended.saturating_sub(1);
            within(limit, self.write_locked(batch, &mut session, &mut aim)).await
        } else {
            within(limit, self.write(batch, &mut session, &mut aim)).await
        };
        let outcome = match outcome {
            Ok(Step::Written) if self.timelines.number() != self.timeline => Err(promoted()),
            outcome => outcome,
        };
        match outcome {
            Err(error) if is_lost(&error) => {
                session.close();
                Outcome::Lost(error, (aim.head.position > aim.after.position).then_some(aim))
            }
            outcome => {
                if is_locked && !matches!(outcome, Ok(Step::Written)) {
                    // With the session ends its transaction.
                    session.close();
                } else {
                    self.session = Some(session);
                }
                match outcome {
                    Ok(Step::Written) => Outcome::Written(self.arrive(batch, &aim)),
                    Ok(Step::HeadMoved) => Outcome::HeadMoved,
                    Err(sqlx::Error::Database(refusal)) if is_violation(refusal.as_ref()) => Outcome::Violated,
                    Err(error) => Outcome::Failed(error),
                }
            }
        }
    }

    /// Finds out whether a batch was recorded whose connection broke, and keeps the batch out of the log if it was not.
    /// While that cannot be found out, for whatever reason, the answer is that the connection is lost.
    pub(super) async fn settle(&mut self, batch: &Batch, aim: Aim, until: time::Instant) -> Outcome {
        let limit = patience(until);
        let mut session = match self.connected(limit).await {
            Ok(session) => session,
            Err(error) => return Outcome::Lost(error, None),
        };
        let settled = match within(limit, session.settle(&aim.head)).await {
            Ok(_) if self.timelines.number() != self.timeline => Err(promoted()),
            settled => settled,
        };
        match settled {
            Ok((head, recorded)) => {
                self.session = Some(session);
                let outcome = if recorded { Outcome::Written(self.arrive(batch, &aim)) } else { Outcome::Settled };
                if head.position == self.head.position && head.hash == self.head.hash {
                    self.head = head;
                } else {
                    self.moved_to(head);
                }
                outcome
            }
            Err(error) => {
                session.close();
                Outcome::Lost(error, None)
            }
        }
    }

    /// The session of the writer, which leads to the server of the newest timeline. What is known of the log is read
    /// anew there when that is another server than before.
    async fn connected(&mut self, limit: Duration) -> Result<D::Session, sqlx::Error> {
        if let Some(session) = self.session.take() {
            if self.timelines.number() == self.timeline {
                return Ok(session);
            }
            session.close();
        }
        let mut session = within(limit, self.database.open()).await?;
        let taking_up = async {
            let timeline = session.take_up(&self.timelines).await?;
            if timeline != self.timeline {
                let head = session.head(&self.clock).await?;
                self.moved_to(head);
                self.timeline = timeline;
            }
            Ok(())
        };
        match within(limit, taking_up).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.close();
                Err(error)
            }
        }
    }

    /// Refuses the requests that were decided on what was read in another timeline: that may not be in the log.
    fn refuse_of_other_timelines(&self, batch: &mut Batch) {
        for request in batch.requests.extract_if(.., |it| it.timeline != self.timeline) {
            request.refuse(AppendError::GuardFailed);
        }
    }

    /// Measures the clock of the database before a batch is stamped, if what is known of the clock is doubtful.
    async fn look_at_the_clock(&self, session: &mut D::Session) -> Result<(), sqlx::Error> {
        if self.clock.is_doubtful() {
            session.head(&self.clock).await?;
        }
        Ok(())
    }

    /// Writes a batch under a lock on the row of the head, so that no other process can append between the check and
    /// the write.
    async fn write_locked(
        &mut self,
        batch: &mut Batch,
        session: &mut D::Session,
        aim: &mut Aim,
    ) -> Result<Step, sqlx::Error> {
        let head = session.lock_head().await?;
        if head != self.head {
            self.moved_to(head);
        }
        *aim = Aim { after: head, head };
        let step = self.write(batch, session, aim).await?;
        session.commit().await?;
        Ok(step)
    }

    async fn write(&mut self, batch: &mut Batch, session: &mut D::Session, aim: &mut Aim) -> Result<Step, sqlx::Error> {
        let thoroughly = self.thorough > 0;
        self.thorough = self.thorough.saturating_sub(1);
        refuse_hopeless(batch, &mut self.versions, thoroughly, session).await?;
        if batch.requests.is_empty() {
            return Ok(Step::Written);
        }
        let recorded_at = self.clock.now().max(self.head.recorded_at);
        let requests: Vec<_> = batch.requests.iter().map(|it| &it.prepared).collect();
        let hashes = chain(&requests, &self.head, recorded_at);
        let columns = Columns::new(&requests, &self.head, recorded_at, &hashes);
        aim.head = columns.head;
        let sent = Instant::now();
        let Some(time) = session.write(&columns).await? else { return Ok(Step::HeadMoved) };
        self.clock.measured(sent, Instant::now(), time);
        Ok(Step::Written)
    }

    /// Takes note that a batch is recorded: the log now ends where the batch ends. Tells the positions of each request.
    fn arrive(&mut self, batch: &Batch, aim: &Aim) -> Vec<Appended> {
        let mut last = aim.after.position;
        let mut appended = Vec::with_capacity(batch.requests.len());
        for request in &batch.requests {
            let first = last + 1;
            for stream in &request.prepared.streams {
                let events = i32::try_from(stream.events.len()).unwrap_or(i32::MAX);
                last += i64::from(events);
                self.versions.learn(stream.stream_id, stream.expected_version.saturating_add(events));
            }
            appended.push(Appended { first, last, recorded_at: aim.head.recorded_at });
        }
        self.head = aim.head;
        self.clock.reached(aim.head.recorded_at);
        self.known_head.see(self.timeline, aim.head.position);
        appended
    }

    /// Takes note that another process moved the head. The remembered versions of streams are no longer valid. Whoever
    /// follows the log is told by the task that listens for other processes, once the standby has the events.
    fn moved_to(&mut self, head: Head) {
        self.head = head;
        self.versions.0.clear();
        self.clock.reached(head.recorded_at);
    }
}

/// The error of an answer that came from a server after another one was promoted.
fn promoted() -> sqlx::Error {
    sqlx::Error::Protocol("another server was promoted while this one answered".to_owned())
}

/// How long to wait for the next answer of the database, if everything must be over by `until`.
fn patience(until: time::Instant) -> Duration {
    ANSWER.min(until.saturating_duration_since(time::Instant::now()))
}

fn is_violation(refusal: &dyn DatabaseError) -> bool {
    refusal.is_unique_violation() || refusal.code().is_some_and(|it| it == EXCLUSION_VIOLATION)
}

/// Whether an error means that the connection is lost. SQLSTATE 57Pxx and 25P03: the server shuts down or ended the
/// session.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|it| it.starts_with("57P") || it == "25P03"),
        _ => true,
    }
}
