//! One attempt to write a batch, and its outcome.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use hashlink::LruCache;
use sqlx::error::DatabaseError;
use sqlx::{Acquire, PgConnection};
use tokio::time::sleep;
use uuid::Uuid;

use super::batch::Batch;
use super::check::{KnownVersions, refuse_hopeless};
use super::feed::raise;
use super::read::{self, Head};
use super::write::{Columns, chain};
use super::writer::Writer;
use crate::Appended;
use crate::bounded::{ANSWER, within};

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

/// The outcome of an attempt to write a batch.
pub(super) enum Outcome {
    Written(Vec<Appended>),
    /// Another process has moved the head, so nothing was written.
    HeadMoved,
    /// A unique or exclusion constraint refused one of the requests, so nothing was written.
    Violated,
    /// The database refused the batch for another reason, or the pool gave no connection.
    Failed(sqlx::Error),
    /// The connection broke. The batch may have been written or not.
    Lost(sqlx::Error, Aim),
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
    /// For each time that the batch was sent, the positions that it would have. A sent batch may still reach the
    /// database.
    pub(super) aims: Vec<Aim>,
}

impl Lost {
    /// Notes that the connection broke, and tells whether to try again, which is so up to the time `until`. The attempts
    /// are limited as well, since a batch may itself be the reason why the connection breaks.
    pub(super) async fn again(&mut self, aim: Aim, until: Instant) -> bool {
        if aim.head.position > aim.after.position {
            self.aims.push(aim);
            return self.aims.len() < SENT && Instant::now() < until;
        }
        sleep(BREATH).await;
        Instant::now() < until
    }
}

impl Writer {
    /// Tries to write a batch. `lost` lists the positions that the batch would have if it was recorded through a
    /// connection that broke before the answer. A connection that does not answer in time, or by `until`, counts as
    /// broken.
    pub(super) async fn attempt(&mut self, batch: &mut Batch, lost: &[Aim], until: Instant) -> Outcome {
        let mut aim = Aim { after: self.head, head: self.head };
        let limit = ANSWER.min(until.saturating_duration_since(Instant::now()));
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match within(limit, self.pool.acquire()).await {
                Ok(connection) => connection,
                Err(error @ (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)) => return Outcome::Failed(error),
                Err(error) => return Outcome::Lost(error, aim),
            },
        };
        let outcome = if self.contended > 0 || !lost.is_empty() {
            self.contended = self.contended.saturating_sub(1);
            within(limit, self.write_locked(batch, &mut connection, &mut aim, lost)).await
        } else {
            within(limit, self.write(batch, &mut connection, &mut aim)).await
        };
        match outcome {
            Err(error) if is_lost(&error) => {
                drop(connection.detach());
                Outcome::Lost(error, aim)
            }
            outcome => {
                self.connection = Some(connection);
                match outcome {
                    Ok(Step::Written) => Outcome::Written(self.arrive(batch, &aim)),
                    Ok(Step::HeadMoved) => Outcome::HeadMoved,
                    Err(sqlx::Error::Database(refusal)) if is_violation(refusal.as_ref()) => Outcome::Violated,
                    Err(error) => Outcome::Failed(error),
                }
            }
        }
    }

    /// Writes a batch under a lock on the row of the head, so that no other process can append between the check and
    /// the write. A broken session that is still committing holds the lock, so the lock also waits for the end of the
    /// session.
    async fn write_locked(
        &mut self,
        batch: &mut Batch,
        connection: &mut PgConnection,
        aim: &mut Aim,
        lost: &[Aim],
    ) -> Result<Step, sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let head = read::head_locked(&mut transaction).await?;
        if head != self.head {
            for sent in lost {
                // The stored hash is that of the batch, so the batch was recorded although the answer was lost.
                if read::hash_at(&mut *transaction, sent.head.position).await? == Some(sent.head.hash) {
                    *aim = *sent;
                    return Ok(Step::Written);
                }
            }
            self.moved_to(head);
        }
        *aim = Aim { after: head, head };
        let step = self.write(batch, &mut transaction, aim).await?;
        transaction.commit().await?;
        Ok(step)
    }

    async fn write(
        &mut self,
        batch: &mut Batch,
        connection: &mut PgConnection,
        aim: &mut Aim,
    ) -> Result<Step, sqlx::Error> {
        let thoroughly = self.thorough > 0;
        self.thorough = self.thorough.saturating_sub(1);
        refuse_hopeless(batch, &mut self.versions, thoroughly, connection).await?;
        if batch.requests.is_empty() {
            return Ok(Step::Written);
        }
        let recorded_at = now().max(self.head.recorded_at);
        let hashes = chain(batch, &self.head, recorded_at);
        let columns = Columns::new(batch, &self.head, recorded_at, &hashes);
        aim.head = columns.head;
        let written = columns.write(connection).await?;
        Ok(if written { Step::Written } else { Step::HeadMoved })
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
        raise(&self.known_head, aim.head.position);
        appended
    }

    /// Takes note that another process moved the head. The remembered versions of streams are no longer valid.
    fn moved_to(&mut self, head: Head) {
        self.head = head;
        self.versions.0.clear();
        raise(&self.known_head, head.position);
    }
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

/// The current time in microseconds, the precision that is stored and hashed.
#[expect(clippy::disallowed_methods, reason = "the event store sets the time of recording")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
