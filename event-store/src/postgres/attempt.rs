//! One attempt to write a batch, and what became of it.

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

/// How many streams' versions are remembered.
const VERSIONS: usize = 200_000;
/// How long a lost database is sought again before the appends are answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait between two attempts to connect.
const BREATH: Duration = Duration::from_millis(100);
const EXCLUSION_VIOLATION: &str = "23P01";
/// How often a batch is sent.
const SENT: usize = 3;

/// Where the log ended before a batch, and where it ends once that is written.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    after: Head,
    head: Head,
}

enum Step {
    Written,
    HeadMoved,
}

/// What became of a batch.
pub(super) enum Outcome {
    Written(Vec<Appended>),
    /// Another process wrote first.
    HeadMoved,
    /// A constraint stood against one of the requests.
    Violated,
    /// The database refused the batch for another reason.
    Failed(sqlx::Error),
    /// The connection broke; the batch may be written or not.
    Lost(sqlx::Error, Aim),
}

/// The versions of streams at the head. True for as long as nobody else moves the head.
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

/// The losses of a batch.
#[derive(Default)]
pub(super) struct Lost {
    since: Option<Instant>,
    /// What was sent, and may arrive yet.
    pub(super) aims: Vec<Aim>,
}

impl Lost {
    /// Notes a loss; whether to try again. A batch that costs the connection whenever it is sent is not sent for ever.
    pub(super) async fn again(&mut self, aim: Aim) -> bool {
        if self.since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return false;
        }
        if aim.head.position > aim.after.position {
            self.aims.push(aim);
            return self.aims.len() < SENT;
        }
        sleep(BREATH).await;
        true
    }
}

impl Writer {
    /// Tries to write a batch. `lost` is what was sent on connections that are lost since: it may have been recorded.
    pub(super) async fn attempt(&mut self, batch: &mut Batch, lost: &[Aim]) -> Outcome {
        let mut aim = Aim { after: self.head, head: self.head };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.pool.acquire().await {
                Ok(connection) => connection,
                Err(error @ (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)) => return Outcome::Failed(error),
                Err(error) => return Outcome::Lost(error, aim),
            },
        };
        let outcome = if self.contended > 0 || !lost.is_empty() {
            self.contended = self.contended.saturating_sub(1);
            self.write_locked(batch, &mut connection, &mut aim, lost).await
        } else {
            self.write(batch, &mut connection, &mut aim).await
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

    /// Writes under the lock of the head's row: nobody can come between the check and the writing. A lost session that
    /// is still committing has that lock, and is waited for.
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
                // The hash tells: it is of these very events.
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

    /// The batch is recorded, and the log ends where it was to end. Tells where each request came to stand.
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

    /// Another process moved the head: what was known of the streams is no longer.
    fn moved_to(&mut self, head: Head) {
        self.head = head;
        self.versions.0.clear();
        raise(&self.known_head, head.position);
    }
}

fn is_violation(refusal: &dyn DatabaseError) -> bool {
    refusal.is_unique_violation() || refusal.code().is_some_and(|it| it == EXCLUSION_VIOLATION)
}

/// Whether the session is gone with whatever it was doing. Class 57P: the server is going away.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|it| it.starts_with("57P")),
        _ => true,
    }
}

/// The clock of the log, in the microseconds that are hashed.
#[expect(clippy::disallowed_methods, reason = "when an event is recorded is for the store to say")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
