//! Rebuilds the read tables from the log: makes new tables beside the old ones, with the same `project` functions, and
//! swaps the two.

mod fill;
mod scaffold;
pub(crate) mod schema;
mod swap;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_event_store::bounded::{ANSWER, LONG_ANSWER, session_of, while_it_lives, within};
use hims_event_store::{EventStore, Position, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use thiserror::Error;

use self::fill::Load;
use crate::machinery::archive::{Archiving, move_old};
use crate::machinery::batch::ProjectError;
use crate::machinery::form::{self, Standing};
use crate::{READ_SCHEMA, REBUILD_SCHEMA};

/// The advisory lock of the process that makes or drops read tables ("himr" in ASCII). The lock ends with the session.
pub(crate) const LOCK: i64 = 0x6869_6d72;

/// The name of the sessions of a rebuild, as PostgreSQL lists them.
const NAME: &str = "hims rebuild";

/// What a rebuild does, in words for the log.
const WHAT: &str = "rebuilding the read tables";

/// Which tables a rebuild makes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The current read tables, which replace the living ones.
    Swap,
    /// The read tables as they were at a position, in the named schema.
    Position(Position, String),
    /// The read tables as they were at an instant, in the named schema.
    Instant(DateTime<Utc>, String),
}

/// The outcome of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// The position of the new tables.
    pub position: Position,
    /// The number of parked streams: streams with an event that cannot be projected.
    pub parked: i64,
}

/// Why a rebuild failed.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The schema exists already, or its name is not allowed.
    #[error(
        "the schema {0:?} exists already or has no valid name: choose another, of lower-case letters, digits and _"
    )]
    Schema(String),
    /// The wanted position is beyond the end of the log.
    #[error("the log ends at position {0}; choose a position up to that")]
    Beyond(Position),
    /// Another process is making or dropping read tables.
    #[error(
        "another process is making or dropping read tables: a rebuild, a server that makes the tables of a new release, \
         or `hims migrate down`; wait until the other process is done"
    )]
    Busy,
    /// The head of the log names a position beyond the last event.
    #[error("the log has no event after position {0}, although its head names a later one: run `hims verify`")]
    Gap(Position),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database refused a statement or did not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A batch could not be projected.
    #[error("the new read tables could not be written: {0}")]
    Project(String),
}

impl RebuildError {
    fn breaks_a_constraint(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|it| it.starts_with("23"))
    }
}

impl From<ProjectError> for RebuildError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Database(error) | ProjectError::Table { error, .. } => Self::Database(error),
            ProjectError::Store(error) => Self::Store(error),
            ProjectError::MissingRow { .. } | ProjectError::CheckpointMoved => Self::Project(error.to_string()),
        }
    }
}

/// Rebuilds the read tables of a database from a log.
pub struct Rebuild {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The database. The login of the pool must be a member of the role that owns the read tables.
    pub pool: PgPool,
}

impl Rebuild {
    /// A rebuild from a log, on connections of a login that is a member of the role that owns the read tables.
    pub fn new(store: Arc<dyn EventStore>, pool: PgPool) -> Self {
        Self { store, pool }
    }

    /// Makes the tables. `progress` is called with the position after each batch.
    ///
    /// # Errors
    /// See [`RebuildError`]. After an error, the living tables are as before.
    pub async fn run(&self, target: &Target, progress: impl FnMut(Position) + Send) -> Result<Rebuilt, RebuildError> {
        let mut db = self.pool.acquire().await?.detach();
        if let Target::Position(_, schema) | Target::Instant(_, schema) = target {
            schema::check_name(&mut db, schema).await?;
        }
        lock(&mut db).await?;
        let session = session_of(&mut db).await?;
        let making = Box::pin(self.make(&mut db, target, progress));
        let made = while_it_lives(&self.pool, session, WHAT, making).await;
        close(db).await;
        made
    }

    /// Rebuilds the living tables if they are due; `None` if they are not, such as when another node was faster.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`RebuildError::Busy`] while another node is rebuilding.
    pub async fn run_if_due(&self, progress: impl FnMut(Position) + Send) -> Result<Option<Rebuilt>, RebuildError> {
        let mut db = self.pool.acquire().await?.detach();
        lock(&mut db).await?;
        let session = session_of(&mut db).await?;
        let made = match within(LONG_ANSWER, form::look(&mut db)).await {
            Ok(living) if living.standing == Standing::Due => {
                let making = Box::pin(self.make(&mut db, &Target::Swap, progress));
                while_it_lives(&self.pool, session, WHAT, making).await.map(Some)
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        };
        close(db).await;
        made
    }

    /// The position that a rebuild has reached; `None` if nobody rebuilds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn underway(db: &mut PgConnection) -> Result<Option<Position>, sqlx::Error> {
        let sql = "
            select to_regclass($1) is not null
                   and exists (select from pg_locks l join pg_database d on d.oid = l.database
                                where d.datname = current_database() and l.locktype = 'advisory' and l.granted
                                  and l.classid = 0 and l.objid = $2 and l.objsubid = 1)";
        let checkpoint = format!("{REBUILD_SCHEMA}.projection_checkpoint");
        if !sqlx::query_scalar(sql).bind(&checkpoint).bind(LOCK).fetch_one(&mut *db).await? {
            return Ok(None);
        }
        let sql = format!("select position from {checkpoint}");
        match sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(db).await {
            // The rebuild has ended in this moment: there is no such table, or no such schema.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000")) => Ok(None),
            told => told,
        }
    }

    /// Makes the tables in a schema with a temporary name, and gives the schema its final name at the end, so that the
    /// tables appear as a whole or not at all.
    async fn make(
        &self,
        db: &mut PgConnection,
        target: &Target,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Rebuilt, RebuildError> {
        let schema = REBUILD_SCHEMA;
        // An interrupted rebuild may have left the schema behind.
        execute(db, &format!("drop schema if exists {schema} cascade")).await?;
        let end = self.end(db, target).await?;
        let mut made = self.fill_and_name(db, schema, end, target, Load::Bare, &mut progress).await;
        if made.as_ref().is_err_and(RebuildError::breaks_a_constraint) {
            tracing::warn!(
                "an event breaks a constraint; rebuilding again with the constraints in place, to find the event"
            );
            made = self.fill_and_name(db, schema, end, target, Load::Guarded, &mut progress).await;
        }
        let position = made?;
        let named = match target {
            Target::Swap => READ_SCHEMA,
            Target::Position(_, into) | Target::Instant(_, into) => into,
        };
        let sql = format!("select count(*) from {named}.projection_failures");
        let parked = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *db).await?;
        if target == &Target::Swap {
            swap::drop_old(db).await;
        }
        Ok(Rebuilt { position, parked })
    }

    /// Makes the tables in a new schema and gives the schema its final name; drops the schema if either step fails.
    async fn fill_and_name(
        &self,
        db: &mut PgConnection,
        schema: &str,
        end: Position,
        target: &Target,
        load: Load,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<Position, RebuildError> {
        let made = async {
            let mut position = self.fill(db, schema, end, load, progress).await?;
            match target {
                Target::Swap => {
                    if let Some(before) = Archiving::noted(db).await?.before {
                        move_old(db, before, |_| {}).await?;
                        self.catch_up(db, &mut position, end, progress).await?;
                    }
                    self.swap(db, schema, &mut position, progress).await?;
                }
                Target::Position(_, into) | Target::Instant(_, into) => {
                    execute(db, &format!("alter schema {schema} rename to {into}")).await?;
                }
            }
            Ok(position)
        };
        let made = made.await;
        if made.is_err() {
            execute(db, "reset role").await.ok();
            execute(db, &format!("drop schema if exists {schema} cascade")).await.ok();
        }
        made
    }

    /// The last position that the tables are to show.
    async fn end(&self, db: &mut PgConnection, target: &Target) -> Result<Position, RebuildError> {
        match target {
            Target::Swap => Ok(Position::MAX),
            Target::Position(position, _) => {
                let head = self.store.current_head().await?;
                if *position > head { Err(RebuildError::Beyond(head)) } else { Ok(*position) }
            }
            Target::Instant(instant, _) => Ok(position_at(db, *instant).await?),
        }
    }
}

/// Takes the lock for making or dropping read tables, also from a rebuild whose process was stopped.
pub(crate) async fn lock(db: &mut PgConnection) -> Result<(), RebuildError> {
    // Names the session, so that another rebuild can find it.
    execute(db, &format!("set application_name = '{NAME}'")).await?;
    if try_lock(db).await? || end_stopped_rebuild(db).await? && try_lock(db).await? {
        Ok(())
    } else {
        Err(RebuildError::Busy)
    }
}

async fn try_lock(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(db).await
}

/// Ends the sessions of a rebuild that has done nothing on any of its sessions for half a minute, because its process
/// was stopped. Tells whether there was such a rebuild. The process that goes on again finds its sessions ended, and
/// can do nothing to the tables of another rebuild.
async fn end_stopped_rebuild(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "
        with rebuilding as (
            select pid, (state like 'idle%' or wait_event = 'ClientRead')
                        and state_change < clock_timestamp() - interval '30 seconds' as has_stopped
              from pg_stat_activity
             where datname = current_database() and usename = session_user and application_name = $1
               and pid <> pg_backend_pid())
        select pg_terminate_backend(pid, 5000) from rebuilding
         where (select bool_and(has_stopped) from rebuilding)
           and exists (select from pg_locks where locktype = 'advisory' and objid = $2 and granted
                                              and pid in (select pid from rebuilding))";
    let ended = sqlx::query(sql).bind(NAME).bind(LOCK).fetch_all(db).await?.len();
    if ended > 0 {
        tracing::warn!(sessions = ended, "ended the sessions of a rebuild whose process was stopped");
    }
    Ok(ended > 0)
}

/// Releases the lock and closes the connection. Closing alone would release the lock only a moment later.
pub(crate) async fn close(mut db: PgConnection) {
    within(ANSWER, execute(&mut db, "select pg_advisory_unlock_all()")).await.ok();
    within(ANSWER, db.close()).await.ok();
}

pub(crate) async fn execute(db: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await.map(drop)
}

/// The position of the last event that was recorded at or before an instant.
async fn position_at(db: &mut PgConnection, instant: DateTime<Utc>) -> Result<Position, sqlx::Error> {
    sqlx::query_scalar("select coalesce(max(position), 0) from log.events where recorded_at <= $1")
        .bind(instant)
        .fetch_one(db)
        .await
}
