//! A model of PostgreSQL as far as the writer works with it: a log whose head is compared and set under a row lock,
//! constraints, and commits that wait for a standby.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use sqlx::error::{DatabaseError, ErrorKind};
use thiserror::Error;

use super::chance::Chance;
use super::tables::{Change, Tables, Written};
use super::watched::Watched;
use crate::postgres::timeline::Timeline;

/// The database system of all servers.
const SYSTEM: i64 = 1;

/// A fault of the model, which a run must find: something that the writer relies on does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// A commit whose wait for the standby was cancelled is answered like any other.
    SilentCancel,
    /// Settling what became of a batch does not raise the fence.
    NoFence,
    /// Servers do not say their timelines.
    NoTimelines,
    /// The head is set without being compared.
    NoComparison,
}

/// A server. Its write-ahead log is the list of the changes that were committed, in their order.
pub(super) struct Server {
    timeline: i32,
    pub(super) accepts_changes: bool,
    wal: Vec<Change>,
    /// What every session sees. A change that waits for the standby is not seen yet.
    pub(super) tables: Tables,
}

/// What interrupts commits that wait for the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    Cancel,
    Terminate,
}

/// A server with what its sessions wait for.
pub(super) struct Place {
    server: Mutex<Server>,
    /// The row lock of the head.
    pub(super) row: Arc<tokio::sync::Mutex<()>>,
    /// How many changes the standby has; everything once no commit waits for a standby any more.
    standby_has: Watched<usize>,
    interrupted: Watched<(u64, Interruption)>,
    /// How often the server was started. A session does not outlive the start in which it began.
    pub(super) starts: Watched<u64>,
    /// Whether nothing passes between the server and the nodes.
    pub(super) isolated: Watched<bool>,
}

/// A primary with its standby. Their places change with each promotion.
pub(super) struct Cluster {
    pub(super) places: [Place; 2],
    pub(super) planted: Planted,
    pub(super) now: DateTime<Utc>,
    pub(super) chance: Chance,
}

/// Everything is replicated.
const EVERYTHING: usize = usize::MAX;

pub(super) fn lost(what: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, what.to_owned()))
}

/// What a server says of a violated constraint, with its SQLSTATE.
#[derive(Debug, Error)]
#[error("a constraint is violated ({0})")]
struct Refusal(&'static str);

impl DatabaseError for Refusal {
    fn message(&self) -> &'static str {
        "a constraint is violated"
    }

    fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        if self.0 == "23505" { ErrorKind::UniqueViolation } else { ErrorKind::ExclusionViolation }
    }
}

impl Cluster {
    pub(super) fn new(chance: Chance, planted: Planted, now: DateTime<Utc>) -> Arc<Self> {
        let place = |accepts_changes| Place {
            server: Mutex::new(Server { timeline: 1, accepts_changes, wal: Vec::new(), tables: Tables::empty(now) }),
            row: Arc::default(),
            standby_has: Watched::new(0),
            interrupted: Watched::new((0, Interruption::Cancel)),
            starts: Watched::new(0),
            isolated: Watched::new(false),
        };
        Arc::new(Self { places: [place(true), place(false)], planted, now, chance })
    }

    pub(super) fn server(&self, at: usize) -> MutexGuard<'_, Server> {
        self.places[at].server.lock().expect("no panic under the lock")
    }

    /// What everybody sees on a server.
    pub(super) fn tables(&self, at: usize) -> Tables {
        self.server(at).tables.clone()
    }

    /// The timeline of a server, as far as servers say it.
    pub(super) fn timeline(&self, at: usize) -> Timeline {
        let number = if self.planted == Planted::NoTimelines { 1 } else { self.server(at).timeline };
        Timeline { system: SYSTEM, number }
    }

    /// Sends the standby of a server the next change that it lacks.
    pub(super) fn replicate(&self, primary: usize) {
        let has = self.places[primary].standby_has.get();
        let Some(change) = self.server(primary).wal.get(has).cloned() else { return };
        let mut standby = self.server(1 - primary);
        standby.tables.apply(&change);
        standby.wal.push(change);
        drop(standby);
        self.places[primary].standby_has.set(has + 1);
    }

    /// Cancels or terminates the sessions whose commits wait for the standby.
    pub(super) fn interrupt(&self, at: usize, how: Interruption) {
        self.places[at].interrupted.change(|(times, last)| (*times, *last) = (*times + 1, how));
    }

    /// Ends all sessions of a server. What waited for the standby is recorded there, and seen.
    pub(super) fn restart(&self, at: usize) {
        self.places[at].starts.change(|it| *it += 1);
    }

    /// Cuts a server off from the nodes, or ends that. What was sent meanwhile arrives then.
    pub(super) fn isolate(&self, at: usize, is_isolated: bool) {
        self.places[at].isolated.set(is_isolated);
    }

    /// Lets no commit of a server wait for a standby any more.
    pub(super) fn detach(&self, at: usize) {
        self.places[at].standby_has.set(EVERYTHING);
    }

    /// Makes the standby of a server a primary, with what it has. The former primary goes on.
    pub(super) fn promote(&self, former: usize) {
        let mut standby = self.server(1 - former);
        (standby.timeline, standby.accepts_changes) = (standby.timeline + 1, true);
        drop(standby);
        self.detach(1 - former);
    }

    /// Ends the former primary, and makes it a standby of the new one.
    pub(super) async fn rejoin(&self, former: usize) {
        self.restart(former);
        // What was under way there ends before the data are replaced.
        drop(self.places[former].row.lock().await);
        let primary = self.server(1 - former);
        let copy = Server {
            timeline: primary.timeline,
            accepts_changes: false,
            wal: primary.wal.clone(),
            tables: primary.tables.clone(),
        };
        let has = copy.wal.len();
        drop(primary);
        *self.server(former) = copy;
        self.places[1 - former].standby_has.set(has);
    }

    /// Waits until the standby has everything that is seen on a server.
    pub(super) async fn confirm(&self, at: usize) -> Result<(), sqlx::Error> {
        let wanted = self.server(at).wal.len();
        self.wait_for_standby(at, wanted).await
    }

    async fn wait_for_standby(&self, at: usize, wanted: usize) -> Result<(), sqlx::Error> {
        let place = &self.places[at];
        let (interruptions, start) = (place.interrupted.get().0, place.starts.get());
        tokio::select! {
            biased;
            _ = place.standby_has.until(|it| it >= wanted) => Ok(()),
            _ = place.starts.until(|it| it != start) => Err(lost("the server was restarted")),
            (_, how) = place.interrupted.until(|it| it.0 != interruptions) => match how {
                Interruption::Cancel if self.planted == Planted::SilentCancel => Ok(()),
                Interruption::Cancel => Err(sqlx::Error::Protocol("the wait for the standby was cut short".to_owned())),
                Interruption::Terminate => Err(lost("the session was ended")),
            },
        }
    }

    /// Commits a change under the lock on the row of the head. The change is recorded at once, and seen once the standby
    /// has it, or once the wait is over for another reason.
    pub(super) async fn commit(&self, at: usize, change: Change) -> Result<(), sqlx::Error> {
        let wanted = {
            let mut server = self.server(at);
            server.wal.push(change.clone());
            server.wal.len()
        };
        let waited = self.wait_for_standby(at, wanted).await;
        self.server(at).tables.apply(&change);
        waited
    }

    /// Carries a batch out, under the lock on the row of the head.
    pub(super) fn judge(&self, at: usize, batch: &Written) -> Result<bool, sqlx::Error> {
        let server = self.server(at);
        if !server.accepts_changes {
            return Err(lost("the server is a standby"));
        }
        let head = &server.tables.head;
        let compared = head.position == batch.before && head.fence == batch.fence;
        let is_let_through = self.planted == Planted::NoComparison && head.fence == batch.fence;
        if !compared && !is_let_through {
            return Ok(false);
        }
        match server.tables.violated(batch) {
            Some(code) => Err(sqlx::Error::Database(Box::new(Refusal(code)))),
            None => Ok(true),
        }
    }
}
