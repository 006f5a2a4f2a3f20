//! Makes the read tables anew from the log, beside the old ones and with the same `project` functions, and swaps them.

mod scaffold;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_event_store::{EventStore, Position, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use thiserror::Error;
use tokio::sync::mpsc;

use self::scaffold::Scaffold;
use crate::machinery::batch::{AuditTo, Batch, ProjectError};
use crate::machinery::migrations::READ_MIGRATIONS;
use crate::machinery::table;
use crate::tables::audit::AuditRow;
use crate::{READ_SCHEMA, TABLES};

/// Events of a batch. Large, since a row is written once per batch; small enough for a few hundred megabytes.
const BATCH: i64 = 10_000;
/// So few events behind, the tables are swapped.
const CLOSE: Position = 1_000;

/// The advisory lock of whoever rebuilds the tables ("himr" in ASCII). It falls with the session.
const LOCK: i64 = 0x6869_6d72;

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

/// How the tables are loaded.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// Without indexes and foreign keys, which are made afterwards: fast.
    Bare,
    /// With everything in place, so that an event that breaks a constraint parks its stream and nothing else.
    Guarded,
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
    pub async fn run(
        &self,
        target: &Target,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Rebuilt, RebuildError> {
        let mut db = self.pool.acquire().await?.detach();
        if let Target::Position(_, schema) | Target::Instant(_, schema) = target {
            check_name(&mut db, schema).await?;
        }
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut db).await?;
        if !locked {
            return Err(RebuildError::Busy);
        }
        // Whole or not at all: it has its name when it is done. One that was interrupted may have left its schema.
        let schema = format!("{READ_SCHEMA}_rebuild");
        execute(&mut db, &format!("drop schema if exists {schema} cascade")).await?;
        let end = match target {
            Target::Swap => Position::MAX,
            Target::Position(position, _) => {
                let head = self.store.current_head().await?;
                if *position > head {
                    return Err(RebuildError::Beyond(head));
                }
                *position
            }
            Target::Instant(instant, _) => position_at(&mut db, *instant).await?,
        };
        let swap = target == &Target::Swap;
        let mut made = self.make(&mut db, &schema, end, swap, Load::Bare, &mut progress).await;
        if made.as_ref().is_err_and(RebuildError::breaks_a_constraint) {
            tracing::warn!(
                "an event breaks a constraint; making the tables again with the constraints in place, which finds it"
            );
            made = self.make(&mut db, &schema, end, swap, Load::Guarded, &mut progress).await;
        }
        let made = match made {
            Ok(position) => {
                let schema = match target {
                    Target::Swap => READ_SCHEMA,
                    Target::Position(_, into) | Target::Instant(_, into) => {
                        execute(&mut db, &format!("alter schema {schema} rename to {into}")).await?;
                        into
                    }
                };
                let sql = format!("select count(*) from {schema}.projection_failures");
                let parked = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut db).await;
                parked.map(|parked| Rebuilt { position, parked }).map_err(RebuildError::from)
            }
            Err(error) => Err(error),
        };
        // Closing alone gives the lock back a moment later.
        execute(&mut db, "select pg_advisory_unlock_all()").await.ok();
        db.close().await.ok();
        made
    }

    /// Makes the tables in a new schema, which is gone again when that fails.
    async fn make(
        &self,
        db: &mut PgConnection,
        schema: &str,
        end: Position,
        swap: bool,
        load: Load,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<Position, RebuildError> {
        create(db, schema).await?;
        let made = self.fill(db, schema, end, swap, load, progress).await;
        if made.is_err() {
            execute(db, "reset role").await.ok();
            execute(db, &format!("drop schema if exists {schema} cascade")).await.ok();
        }
        made
    }

    async fn fill(
        &self,
        db: &mut PgConnection,
        schema: &str,
        end: Position,
        swap: bool,
        load: Load,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<Position, RebuildError> {
        let settings = format!("set search_path = {schema}, public; set synchronous_commit = off");
        execute(db, &settings).await?;
        let mut position = 0;
        let loaded = end.min(self.store.current_head().await?);
        match load {
            Load::Bare => {
                let scaffold = Scaffold::take_down(db, schema).await?;
                let mut aside = self.pool.acquire().await?.detach();
                execute(&mut aside, &settings).await?;
                self.project(db, Some(&mut aside), &mut position, loaded, progress).await?;
                scaffold.put_up(db, &mut aside).await?;
                aside.close().await?;
            }
            Load::Guarded => {
                self.project(db, None, &mut position, loaded, progress).await?;
                for table in TABLES {
                    execute(db, &format!("analyze {}", table.name)).await?;
                }
            }
        }
        if !swap {
            return Ok(position);
        }
        loop {
            let head = self.store.current_head().await?;
            self.project(db, None, &mut position, head, progress).await?;
            if self.store.current_head().await? - position <= CLOSE {
                break;
            }
        }
        self.swap(db, schema, &mut position, progress).await?;
        Ok(position)
    }

    /// Projects from a position up to another. The next batch is read and opened while one is written. Where there is a
    /// connection `aside`, it writes the audit log meanwhile: half of the work.
    async fn project(
        &self,
        db: &mut PgConnection,
        aside: Option<&mut PgConnection>,
        position: &mut Position,
        to: Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<(), RebuildError> {
        let mut batches = self.batches(*position, to);
        let apart = aside.is_some();
        let (audited, audit) = mpsc::channel(1);
        let projecting = async move {
            while let Some(batch) = batches.recv().await {
                let batch = batch?;
                let last = batch.last;
                let mut rows = Vec::new();
                let mut transaction = db.begin().await?;
                execute(&mut transaction, "set local role hims_projector").await?;
                let audit = if apart { AuditTo::Apart(&mut rows) } else { AuditTo::Table };
                batch.project(&mut transaction, self.store.as_ref(), *position, audit).await?;
                transaction.commit().await?;
                // When nobody takes them, the audit log could not be written, and that error ends this.
                if apart && audited.send(rows).await.is_err() {
                    return Ok(());
                }
                *position = last;
                progress(last);
            }
            Ok(())
        };
        tokio::try_join!(projecting, write_audit(aside, audit)).map(|_| ())
    }

    /// Reads and opens events, one batch ahead of whoever takes them.
    fn batches(&self, after: Position, to: Position) -> mpsc::Receiver<Result<Batch, StoreError>> {
        let (sender, batches) = mpsc::channel(1);
        let (store, mut next) = (Arc::clone(&self.store), after);
        tokio::spawn(async move {
            while next < to {
                let batch = match store.read(next, BATCH.min(to - next)).await {
                    Ok(events) => Batch::open(store.as_ref(), events).await,
                    Err(error) => Err(error),
                };
                next = batch.as_ref().map_or(to, |it| it.last);
                // Nobody waits for it any more: the writing failed.
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        });
        batches
    }

    /// Puts the new tables in the place of the old ones, in one transaction, with nobody projecting meanwhile.
    async fn swap(
        &self,
        db: &mut PgConnection,
        schema: &str,
        position: &mut Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<(), RebuildError> {
        let old = format!("{READ_SCHEMA}_old");
        execute(db, &format!("drop schema if exists {old} cascade")).await?;
        let mut holder = self.pool.acquire().await?;
        let mut held = holder.begin().await?;
        // Whoever projects waits for this row, and then finds that the checkpoint is another's.
        let sql = format!("select position from {READ_SCHEMA}.projection_checkpoint for update");
        let live: Position = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *held).await?;
        let to = live.max(self.store.current_head().await?);
        self.project(db, None, position, to, progress).await?;
        execute(&mut held, &format!("alter schema {READ_SCHEMA} rename to {old}")).await?;
        execute(&mut held, &format!("alter schema {schema} rename to {READ_SCHEMA}")).await?;
        // Whoever waits for the old checkpoint must not find it where it was: its rows would go to the new tables.
        execute(&mut held, &format!("update {old}.projection_checkpoint set position = -1")).await?;
        held.commit().await?;
        // Readers that began before still look at the old tables.
        for _ in 0..10 {
            execute(db, "set lock_timeout = '5s'").await?;
            match execute(db, &format!("drop schema if exists {old} cascade")).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the old tables are still being read; trying again"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
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

/// Whether a schema can be made under a name.
async fn check_name(db: &mut PgConnection, schema: &str) -> Result<(), RebuildError> {
    let is_name = schema.starts_with(|it: char| it.is_ascii_lowercase())
        && !schema.starts_with("pg_")
        && schema.len() <= 50
        && schema.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    // A word of SQL would have to be quoted everywhere.
    let sql = "select exists (select from pg_namespace where nspname = $1) or quote_ident($1) <> $1";
    let is_taken: bool = sqlx::query_scalar(sql).bind(schema).fetch_one(&mut *db).await?;
    if is_name && !is_taken { Ok(()) } else { Err(RebuildError::Schema(schema.to_owned())) }
}

/// Makes the read tables in a schema of their own, by the same migrations.
async fn create(db: &mut PgConnection, schema: &str) -> Result<(), RebuildError> {
    let mut transaction = db.begin().await?;
    execute(&mut transaction, &format!("create schema {schema}")).await?;
    execute(&mut transaction, &format!("grant usage on schema {schema} to hims_projector, hims_reader")).await?;
    execute(&mut transaction, &format!("set local hims.read_schema = '{schema}'")).await?;
    for migration in READ_MIGRATIONS.iter() {
        execute(&mut transaction, migration).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Writes the rows of the audit log that come.
async fn write_audit(
    aside: Option<&mut PgConnection>,
    mut audit: mpsc::Receiver<Vec<AuditRow>>,
) -> Result<(), RebuildError> {
    let Some(db) = aside else { return Ok(()) };
    execute(db, "set role hims_projector").await?;
    while let Some(rows) = audit.recv().await {
        table::insert(db, &rows.iter().collect::<Vec<_>>()).await?;
    }
    Ok(execute(db, "reset role").await?)
}
