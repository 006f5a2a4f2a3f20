//! Which server of several may be written to. PostgreSQL numbers the histories of a database by timelines: a standby
//! that is promoted begins a timeline with a higher number, and a former primary that comes back still has the lower
//! one. Whoever knows of the higher number trusts no server with a lower one any more.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;

use super::read::{Head, head_on};
use crate::LogClock;
use crate::bounded::{ANSWER, lend, within};

/// How soon a server says which timeline it continues.
const SOON: Duration = Duration::from_secs(1);

/// A connection counts as newer than a timeline only if it was admitted so long after the timeline was known.
const DELAY: Duration = Duration::from_secs(1);

/// The history that a server continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// PostgreSQL's identifier of the database system, which a server and its standbys share.
    pub system: i64,
    /// The number of the timeline, from 1.
    pub number: i32,
}

impl Timeline {
    /// Stands for the timeline of a server on which the login may not call `pg_control_system()`, as at some providers.
    pub const UNTOLD: Self = Self { system: 0, number: 0 };
}

/// The timeline of a server. A standby replays the history of another server, and continues none.
const TIMELINE: &str = "
    select system_identifier,
           case when not pg_is_in_recovery()
                then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end
      from pg_control_system()";

/// The timeline that a server continues, [`Timeline::UNTOLD`] if it does not tell; `None` for a standby, which cannot be
/// written to.
///
/// # Errors
/// When the server does not answer.
pub async fn timeline_of(db: &mut PgConnection) -> Result<Option<Timeline>, sqlx::Error> {
    let told = sqlx::query_as(TIMELINE).fetch_one(&mut *db).await;
    if told.as_ref().err().is_some_and(is_withheld) {
        let is_standby: bool = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(db).await?;
        return Ok((!is_standby).then_some(Timeline::UNTOLD));
    }
    let (system, number): (i64, Option<i32>) = told?;
    Ok(number.map(|number| Timeline { system, number }))
}

/// Whether a login may not call a function (SQLSTATE 42501), or a server does not have it (42883, 0A000).
fn is_withheld(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else { return false };
    refusal.code().is_some_and(|it| ["42501", "42883", "0A000"].contains(&&*it))
}

/// The newest timeline that this process knows of. The connections to all servers of a database share this knowledge,
/// and with it refuse a former primary.
#[derive(Debug, Clone, Default)]
pub struct Timelines(Arc<watch::Sender<Option<Known>>>);

#[derive(Debug, Clone, Copy)]
struct Known {
    newest: Timeline,
    /// Since when this process knows, if it knew of another one before.
    since: Option<Instant>,
}

impl Timelines {
    /// Takes note of the timeline of a server that can be written to.
    ///
    /// # Errors
    /// When the server is a former primary, or belongs to another database system.
    pub fn meet(&self, found: Timeline) -> Result<(), sqlx::Error> {
        let mut judged = Ok(false);
        self.0.send_if_modified(|known| {
            judged = is_newer(found, known.map(|it| it.newest));
            if let Ok(true) = judged {
                *known = Some(Known { newest: found, since: known.map(|_| Instant::now()) });
            }
            matches!(judged, Ok(true))
        });
        judged.map(drop)
    }

    /// The newest timeline; `None` as long as no server was met.
    pub fn newest(&self) -> Option<Timeline> {
        self.0.borrow().map(|it| it.newest)
    }

    /// The number of the newest timeline; 0 as long as no server was met.
    pub fn number(&self) -> i32 {
        self.newest().map_or(0, |it| it.number)
    }

    /// Whether a connection of a certain age was opened while the newest timeline was known, so that it does not lead
    /// to a former primary. The age is counted from a moment after the connection was found to lead to the primary.
    pub fn is_known_for(&self, age: Duration) -> bool {
        let since = self.0.borrow().and_then(|it| it.since);
        since.is_none_or(|since| age + DELAY <= since.elapsed())
    }
}

/// Whether a timeline is newer than what was known.
fn is_newer(found: Timeline, newest: Option<Timeline>) -> Result<bool, sqlx::Error> {
    match newest {
        Some(newest) if newest.system != found.system => Err(other_system()),
        Some(newest) if newest.number > found.number => Err(former_primary(found.number, newest.number)),
        newest => Ok(newest != Some(found)),
    }
}

fn other_system() -> sqlx::Error {
    let reason = "the server belongs to another database system than the one before: check the hosts in DATABASE_URL";
    sqlx::Error::Configuration(reason.into())
}

fn former_primary(found: i32, newest: i32) -> sqlx::Error {
    let reason = format!(
        "the server is a former primary: it continues timeline {found}, while another server was promoted to timeline \
         {newest}; make it a standby of the other one (pg_rewind or a new copy)"
    );
    sqlx::Error::Configuration(reason.into())
}

/// Makes sure that a connection leads to the server that may be written to, and notes its timeline in the log, if it is
/// new there. A noted timeline raises the fence: no batch that was sent before can be written any more. Answers the
/// number of the timeline.
///
/// # Errors
/// When the server does not answer, is a standby, or is a former primary.
pub(super) async fn take_up(db: &mut PgConnection, timelines: &Timelines) -> Result<i32, sqlx::Error> {
    // A connection that has fallen silent is found out soon, so that another one can be tried.
    let Some(found) = within(SOON, timeline_of(db)).await? else {
        return Err(sqlx::Error::Configuration("the server is a standby, which cannot be written to".into()));
    };
    timelines.meet(found)?;
    let sql = "select system_identifier, timeline from log.head";
    let (system, number): (i64, i32) = sqlx::query_as(sql).fetch_one(&mut *db).await?;
    let noted = Timeline { system, number };
    if noted == found {
        return Ok(found.number);
    }
    // Timelines of two systems cannot be compared: the log of the other one was copied here as a dump.
    if noted.system == found.system {
        is_newer(found, Some(noted))?;
    }
    let sql = "update log.head set system_identifier = $1, timeline = $2, fence = fence + 1
                where (system_identifier, timeline) is distinct from ($1, $2)";
    sqlx::query(sql).bind(found.system).bind(found.number).execute(db).await?;
    if noted.number > 0 {
        tracing::warn!(from = noted.number, to = found.number, "the log goes on in a new timeline of PostgreSQL");
    }
    Ok(found.number)
}

/// Reads the head of the log, and takes note of the timeline of the server that the pool leads to. A standby, whose log
/// can only be read, has none.
pub(super) async fn begin(pool: &PgPool, timelines: &Timelines, clock: &LogClock) -> Result<Head, sqlx::Error> {
    let mut db = lend(pool).await?;
    let beginning = async {
        if let Some(found) = timeline_of(&mut db).await? {
            timelines.meet(found)?;
            if found == Timeline::UNTOLD {
                tracing::warn!(
                    "PostgreSQL does not tell its timeline, since pg_control_system() may not be called: a former \
                     primary is not recognised"
                );
            }
        }
        head_on(&mut db, clock).await
    };
    let begun = within(ANSWER, beginning).await;
    db.back(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_former_primary_and_another_system_are_refused() {
        let timelines = Timelines::default();
        let of = |system, number| Timeline { system, number };
        assert_eq!((timelines.number(), timelines.is_known_for(Duration::MAX)), (0, true));
        timelines.meet(of(7, 1)).expect("the first server");
        tokio::time::advance(Duration::from_secs(9)).await;
        timelines.meet(of(7, 1)).expect("the same server again");
        assert!(timelines.is_known_for(Duration::from_secs(9)), "a connection to the first server");
        timelines.meet(of(7, 2)).expect("a promoted standby");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!timelines.is_known_for(Duration::from_secs(5)), "a connection to the first server");
        assert!(timelines.is_known_for(Duration::from_secs(4)), "a connection to the promoted server");
        let refused = timelines.meet(of(7, 1)).expect_err("a former primary").to_string();
        assert!(refused.contains("former primary") && refused.contains("timeline 2"), "{refused}");
        assert!(timelines.meet(of(8, 3)).is_err(), "a server of another system");
        assert_eq!(timelines.newest(), Some(of(7, 2)));
    }
}
