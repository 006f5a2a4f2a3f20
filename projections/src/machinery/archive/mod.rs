//! Archives of old rows: tables beside the living ones, under the same protection, to which rows move that were closed
//! years ago (docs/adr/0038).
//!
//! Where a row is says nothing about the row: the rows of a table and of its archive together follow from the log.
//! While an archive holds rows, it is a child of its table by inheritance, so every statement on the table reads both.
//! The instant before which rows are archived is kept beside the log, so that a rebuild archives the same again.

mod check;
mod months;
mod rows;
mod rules;
mod units;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hims_event_store::bounded::{ANSWER, LONG_ANSWER, session_of, while_it_lives, within};
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use thiserror::Error;
use tokio::time::sleep;
use uuid::Uuid;

pub use self::check::{Compared, compare};
pub(crate) use self::months::make_ahead;
pub use self::months::months_ahead;
pub(crate) use self::rows::bring_back_named;
use self::rows::{Direction, forget, note, transfer};
pub use self::rows::{Moved, MovedTables};
use self::rules::{ARCHIVED, ROOTS, archive_of};
use self::units::{Key, Reference, Related, references};
use crate::machinery::form::{self, FORM, Standing};
use crate::machinery::rebuild::{RebuildError, close, execute, lock};

/// How many units are looked at in the first batch. The projection waits for a batch.
const FIRST: i64 = 50;
/// How many units are looked at in a batch at least.
const LEAST: i64 = 10;
/// How many units are looked at in a batch at most.
const MOST: i64 = 2_000;
/// How long a batch may take before the next one is smaller.
const BATCH_TIME: Duration = Duration::from_millis(200);
/// How often to try to take an empty archive away from its table.
const PARTINGS: u32 = 20;
/// How long a try waits for readers, and the pause after it.
const PARTING: Duration = Duration::from_millis(100);
/// What is done, in words for the log.
const WHAT: &str = "archiving";

/// Why rows were not moved. Batches that were moved before stay where they are.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Another process is making read tables or archives.
    #[error("another process archives, or makes read tables: wait until it is done")]
    Busy,
    /// The read tables are missing or of another form.
    #[error("the read tables are not of this program's form: start a server, which makes them, and archive then")]
    Form,
    /// What arrived is not what was moved.
    #[error("rows of {0} would not arrive as they were: nothing of this batch is moved; run `hims rebuild`")]
    Differs(&'static str),
    /// The database refused a statement or did not answer.
    #[error("the database refused to move rows or did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<RebuildError> for ArchiveError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Database(error) => Self::Database(error),
            _ => Self::Busy,
        }
    }
}

impl From<ArchiveError> for RebuildError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Database(error) => Self::Database(error),
            error => Self::Project(error.to_string()),
        }
    }
}

/// What is brought back from the archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Everything, and nothing is archived any more by a rebuild.
    All,
    /// The row with this key, and whatever refers to it or is referred to by it.
    UnitOf(Uuid),
}

/// The names of the tables that have an archive, without the audit log.
pub fn tables() -> impl Iterator<Item = &'static str> {
    ARCHIVED.iter().map(|it| it.table)
}

/// What is noted of archiving beside the log.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Archiving {
    /// What was closed before this instant is archived, also by a rebuild; `None` if nothing is.
    pub before: Option<DateTime<Utc>>,
    /// When the last run ended that archived; `None` if there was none.
    pub run_at: Option<DateTime<Utc>>,
}

impl Archiving {
    /// Reads what is noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn noted(db: &mut PgConnection) -> Result<Self, sqlx::Error> {
        sqlx::query_as("select before, run_at from log.archiving").fetch_one(db).await
    }
}

/// Moves rows of the living read tables into their archives and back.
pub struct Archive {
    /// The database. The login of the pool must be a member of the role that owns the read tables, and of
    /// `hims_writer`; its search path must lead to the read tables.
    pub pool: PgPool,
}

impl Archive {
    /// Archives what was closed more than some years ago. `progress` is called with the number of rows that were moved
    /// so far. Tells what was moved from which table.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn run(&self, years: u32, progress: impl FnMut(i64) + Send) -> Result<MovedTables, ArchiveError> {
        self.alone(async |db: &mut PgConnection| {
            // Noted first: a rebuild archives what this run has not reached.
            let sql = "update log.archiving set before = now() - make_interval(years => $1) returning before";
            let years = i32::try_from(years).unwrap_or(i32::MAX);
            let before = sqlx::query_scalar(sql).bind(years).fetch_one(&mut *db).await?;
            let moved = move_old(db, before, progress).await?;
            sqlx::query("update log.archiving set run_at = now()").execute(db).await?;
            Ok(moved)
        })
        .await
    }

    /// Brings rows back from the archives.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn bring_back(&self, what: Back, progress: impl FnMut(i64) + Send) -> Result<MovedTables, ArchiveError> {
        self.alone(async |db: &mut PgConnection| {
            if what == Back::All {
                sqlx::query("update log.archiving set before = null").execute(&mut *db).await?;
            }
            move_back(db, what, progress).await
        })
        .await
    }

    /// Does the work on a session of its own, while nobody else archives or makes read tables.
    async fn alone<T: Send>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let mut db = self.pool.acquire().await?.detach();
        lock(&mut db).await?;
        let done = async {
            let session = session_of(&mut db).await?;
            if within(LONG_ANSWER, form::look(&mut db)).await?.standing != Standing::Current {
                return Err(ArchiveError::Form);
            }
            while_it_lives(&self.pool, session, WHAT, work(&mut db)).await
        };
        let done = done.await;
        close(db).await;
        done
    }
}

/// Moves what was closed before an instant into the archives of the tables that the search path leads to.
pub(crate) async fn move_old(
    db: &mut PgConnection,
    before: DateTime<Utc>,
    mut progress: impl FnMut(i64) + Send,
) -> Result<MovedTables, ArchiveError> {
    let mut moved = MovedTables::new();
    let references = references(db).await?;
    for (root, condition) in ROOTS {
        let (mut after, mut limit) = (Some(Uuid::nil()), FIRST);
        while let Some(last) = after {
            // Nobody waits for the search. Whether a row is at rest is asked again when it moves.
            let sql = format!("select id from only {root} where id > $1 and {condition} order by id limit $3");
            let seeds = sqlx::query_scalar(AssertSqlSafe(sql)).bind(last).bind(before).bind(limit);
            let seeds: Vec<Uuid> = seeds.fetch_all(&mut *db).await?;
            after = seeds.last().copied();
            let seeds: Vec<Key> = seeds.into_iter().map(|id| (root, id)).collect();
            let started = Instant::now();
            archive_units(db, &references, &seeds, before, &mut moved).await?;
            progress(moved.values().map(|it| it.rows).sum());
            limit = if started.elapsed() > BATCH_TIME { limit / 2 } else { limit * 2 }.clamp(LEAST, MOST);
        }
    }
    analyze(db, &moved).await?;
    months::archive(db, before, &mut moved).await?;
    Ok(moved)
}

/// Archives the units of some rows in a transaction, unless a row of the unit is not at rest.
async fn archive_units(
    db: &mut PgConnection,
    references: &[Reference],
    seeds: &[Key],
    before: DateTime<Utc>,
    moved: &mut MovedTables,
) -> Result<(), ArchiveError> {
    loop {
        let mut transaction = db.begin().await?;
        lock_checkpoint(&mut transaction).await?;
        let related = Related::gather(&mut transaction, references, seeds).await?;
        let restless = related.restless(&mut transaction, before).await?;
        let units = related.units(|key| !restless.contains(key));
        let children = children(&mut transaction).await?;
        let apart: BTreeSet<_> =
            units.values().flatten().map(|key| key.0).filter(|it| !children.contains(it)).collect();
        if apart.is_empty() {
            transfer(&mut transaction, units.values().flatten(), Direction::IntoArchive, moved).await?;
            note(&mut transaction, &units).await?;
            return Ok(transaction.commit().await?);
        }
        // Archives become children before a row moves, so that no statement is planned without them that misses rows.
        transaction.rollback().await?;
        for table in apart {
            execute(db, &format!("alter table {} inherit {table}", archive_of(table))).await?;
        }
    }
}

/// Brings back what was asked for, in batches.
async fn move_back(
    db: &mut PgConnection,
    what: Back,
    mut progress: impl FnMut(i64) + Send,
) -> Result<MovedTables, ArchiveError> {
    let mut moved = MovedTables::new();
    let (one, limit) = match what {
        Back::All => (None, FIRST),
        Back::UnitOf(id) => (Some(id), MOST),
    };
    loop {
        let mut transaction = db.begin().await?;
        lock_checkpoint(&mut transaction).await?;
        let sql = "select distinct unit from projection_archive where id = coalesce($1, id) limit $2";
        let units: Vec<Uuid> = sqlx::query_scalar(sql).bind(one).bind(limit).fetch_all(&mut *transaction).await?;
        if units.is_empty() {
            break;
        }
        let keys = forget(&mut transaction, &units).await?;
        transfer(&mut transaction, &keys, Direction::IntoTable, &mut moved).await?;
        transaction.commit().await?;
        progress(moved.values().map(|it| it.rows).sum());
    }
    part(db).await?;
    analyze(db, &moved).await?;
    if what == Back::All {
        months::bring_back(db, &mut moved).await?;
    }
    Ok(moved)
}

/// Tells PostgreSQL how many rows tables and archives have now, so that it plans statements well.
async fn analyze(db: &mut PgConnection, moved: &MovedTables) -> Result<(), sqlx::Error> {
    for table in moved.keys() {
        execute(db, &format!("analyze {table}; analyze {}", archive_of(table))).await?;
    }
    Ok(())
}

/// The tables whose archives are children of them, so that a statement on the table reads both.
async fn children(db: &mut PgConnection) -> Result<Vec<&'static str>, sqlx::Error> {
    let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where c.relnamespace = current_schema()::regnamespace";
    let children: Vec<String> = sqlx::query_scalar(sql).fetch_all(db).await?;
    Ok(tables().filter(|it| children.contains(&archive_of(it))).collect())
}

/// Takes the archives that hold nothing away from their tables, so that nobody looks into them in vain. Whoever reads
/// the table is waited for, and whoever begins to read waits; so each try is short, and there are several. An archive
/// that stays a child does no harm.
async fn part(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "select distinct relation::text from projection_archive";
    let held: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *db).await?;
    for table in children(db).await?.into_iter().filter(|it| !held.iter().any(|held| held == it)) {
        for _ in 0..PARTINGS {
            let mut transaction = db.begin().await?;
            let (archive, patience) = (archive_of(table), PARTING.as_millis());
            let sql = format!("set local lock_timeout = {patience}; alter table {archive} no inherit {table}");
            match execute(&mut transaction, &sql).await {
                Ok(()) => {
                    transaction.commit().await?;
                    break;
                }
                Err(error) if is_locked(&error) => transaction.rollback().await?,
                Err(error) => return Err(error),
            }
            sleep(PARTING).await;
        }
    }
    Ok(())
}

/// Whether somebody else held a lock for too long (SQLSTATE 55P03).
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|it| it == "55P03")
}

/// Keeps the projection, and whoever would replace the tables, away until the end of the transaction.
async fn lock_checkpoint(db: &mut PgConnection) -> Result<(), ArchiveError> {
    let sql = "select form from projection_checkpoint for update";
    let form: String = within(ANSWER, sqlx::query_scalar(sql).fetch_one(db)).await?;
    if form == *FORM { Ok(()) } else { Err(ArchiveError::Form) }
}
