//! Makes the read tables anew from the log, beside the old ones and with the same `project` functions, and swaps them.

mod fill;
mod scaffold;
pub(crate) mod schema;
mod swap;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_event_store::{EventStore, Position, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use thiserror::Error;

use self::fill::Load;
use crate::READ_SCHEMA;
use crate::machinery::batch::ProjectError;
use crate::machinery::form::{self, Standing};

/// The advisory lock of whoever makes or drops read tables ("himr" in ASCII). It falls with the session.
pub(crate) const LOCK: i64 = 0x6869_6d72;

/// What is to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The read tables of now, in place of those that there are.
    Swap,
    /// The read tables as they were at a position, in a schema of their own.
    Position(Position, String),
    /// The read tables as they were at an instant, in a schema of their own.
    Instant(DateTime<Utc>, String),
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// The position that the tables stand at.
    pub position: Position,
    /// How many streams are not in them, since they hold an event that cannot be projected.
    pub parked: i64,
}

/// Why the tables were not made.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The schema exists, or cannot be one.
    #[error("{0:?} exists already, or is no name for a schema: choose another, of lower-case letters, digits and _")]
    Schema(String),
    /// The log does not reach so far yet.
    #[error("the log ends at position {0}; choose one up to that")]
    Beyond(Position),
    /// The read tables are being rebuilt already.
    #[error("the read tables are being rebuilt already; wait until that is done")]
    Busy,
    /// The log's head is further than its events.
    #[error("the log has no event after position {0}, though its head is further: see `hims verify`")]
    Gap(Position),
    /// The log did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A batch was not projected.
    #[error("the tables could not be written: {0}")]
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
            ProjectError::Database(error) => Self::Database(error),
            ProjectError::Store(error) => Self::Store(error),
            ProjectError::MissingRow { .. } | ProjectError::CheckpointMoved => Self::Project(error.to_string()),
        }
    }
}

/// A rebuild over a log and a database. The connections of the pool must own the read tables.
pub struct Rebuild {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The database.
    pub pool: PgPool,
}

impl Rebuild {
    /// Makes the tables; `progress` is told how far they are.
    ///
    /// # Errors
    /// When the log or the database does not answer; then everything is as before.
    pub async fn run(&self, target: &Target, progress: impl FnMut(Position) + Send) -> Result<Rebuilt, RebuildError> {
        let mut db = self.pool.acquire().await?.detach();
        if let Target::Position(_, schema) | Target::Instant(_, schema) = target {
            schema::check_name(&mut db, schema).await?;
        }
        lock(&mut db).await?;
        let made = self.make(&mut db, target, progress).await;
        close(db).await;
        made
    }

    /// Makes the tables of now and swaps them, if those that live are due; `None` where another node was faster.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`RebuildError::Busy`] while another node is at it.
    pub async fn run_if_due(&self, progress: impl FnMut(Position) + Send) -> Result<Option<Rebuilt>, RebuildError> {
        let mut db = self.pool.acquire().await?.detach();
        lock(&mut db).await?;
        let made = match form::look(&mut db).await {
            Ok(living) if living.standing == Standing::Due => {
                self.make(&mut db, &Target::Swap, progress).await.map(Some)
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        };
        close(db).await;
        made
    }

    /// Makes the tables under a name of their own, and then gives them the one that they are to have: they are there
    /// whole or not at all.
    async fn make(
        &self,
        db: &mut PgConnection,
        target: &Target,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Rebuilt, RebuildError> {
        let schema = format!("{READ_SCHEMA}_rebuild");
        // A rebuild that was interrupted may have left it.
        execute(db, &format!("drop schema if exists {schema} cascade")).await?;
        let end = self.end(db, target).await?;
        let mut made = self.fill_and_name(db, &schema, end, target, Load::Bare, &mut progress).await;
        if made.as_ref().is_err_and(RebuildError::breaks_a_constraint) {
            tracing::warn!(
                "an event breaks a constraint; making the tables again with the constraints in place, which finds it"
            );
            made = self.fill_and_name(db, &schema, end, target, Load::Guarded, &mut progress).await;
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

    /// Makes the tables in a new schema, which is gone again when that fails, and gives it its name.
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
                Target::Swap => self.swap(db, schema, &mut position, progress).await?,
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

/// Takes the lock of whoever makes or drops read tables.
async fn lock(db: &mut PgConnection) -> Result<(), RebuildError> {
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(db).await?;
    if locked { Ok(()) } else { Err(RebuildError::Busy) }
}

/// Closes the connection. That alone would give the lock back a moment later.
async fn close(mut db: PgConnection) {
    execute(&mut db, "select pg_advisory_unlock_all()").await.ok();
    db.close().await.ok();
}

async fn execute(db: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await.map(drop)
}

/// The last position that was recorded by an instant.
async fn position_at(db: &mut PgConnection, instant: DateTime<Utc>) -> Result<Position, sqlx::Error> {
    sqlx::query_scalar("select coalesce(max(position), 0) from log.events where recorded_at <= $1")
        .bind(instant)
        .fetch_one(db)
        .await
}
