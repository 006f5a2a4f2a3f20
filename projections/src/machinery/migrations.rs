//! The schema of the database, from nothing to today's and back: the files of `migrations/`, compiled in.
//!
//! They run one node at a time, each in a transaction of its own, in one session that is closed afterwards: with it go
//! the lock, also when a migration fails, and the search path, which is fixed here since the database's own is changed
//! by a migration.
//!
//! Migrations of the read tables are not run at all: that they were applied is noted, and the tables are made as a
//! whole, by all of them, in a schema of their own. Where nothing is recorded yet that is `hims`, at once; where there
//! is a history, the living tables are then of an older form, and a rebuild takes their place.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::migrate::{MigrateError, Migration as File, Migrator};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use crate::READ_SCHEMA;
use crate::machinery::form::{self, Standing};
use crate::machinery::rebuild::{self, schema};

/// How the descriptions of those begin that make read tables.
const READ: &str = "read ";

/// Which migrations were applied. Named with its schema, whatever the search path is.
const TABLE: &str = "public._sqlx_migrations";

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.dangerous_set_table_name(TABLE);
    migrator
});

/// The SQL that makes the read tables in whatever schema `hims.read_schema` names, in order.
pub(crate) static READ_MIGRATIONS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| ups().filter(|it| makes_read_tables(it)).map(|it| it.sql.as_str()).collect());

fn ups() -> impl Iterator<Item = &'static File> {
    MIGRATOR.iter().filter(|it| !it.migration_type.is_down_migration())
}

fn makes_read_tables(file: &File) -> bool {
    file.description.starts_with(READ)
}

/// The number of the last migration that makes read tables.
pub(crate) fn last_read() -> i64 {
    ups().filter(|it| makes_read_tables(it)).map(|it| it.version).max().unwrap_or(0)
}

/// A migration and whether it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What it makes.
    pub description: String,
    /// When it was applied; `None` while it is pending.
    pub applied_at: Option<DateTime<Utc>>,
}

/// Applies what is pending. Of several nodes that call it at once, one does it and the others wait. Living read tables
/// stay as they are and go on answering; [`Standing`](crate::Standing) says whether they are due to be made anew.
///
/// # Errors
/// When the database does not answer, a migration fails (it leaves nothing behind), an applied one was altered, or one
/// was applied that this program does not know, because the database is a newer program's.
pub async fn up(pool: &PgPool) -> Result<(), MigrateError> {
    in_session(pool, async |session| {
        let files: Vec<_> = ups().collect();
        for of_a_kind in files.chunk_by(|one, next| makes_read_tables(one) == makes_read_tables(next)) {
            let Some(last) = of_a_kind.last() else { continue };
            // Those of read tables are noted as applied and not run.
            MIGRATOR.run_direct(Some(last.version), session, makes_read_tables(last)).await?;
        }
        Ok(make_first_tables(session).await?)
    })
    .await
}

/// Makes the read tables where nothing is recorded yet, so that there is nothing to rebuild them from.
async fn make_first_tables(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    if has_history(session).await? {
        return Ok(());
    }
    let mut transaction = session.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(rebuild::LOCK).execute(&mut *transaction).await?;
    // Whoever records the first event waits until the tables are there.
    transaction.execute("lock table log.head in share mode").await?;
    if !has_history(&mut transaction).await? && form::look(&mut transaction).await?.standing == Standing::Due {
        let sql = format!("drop schema if exists {READ_SCHEMA} cascade");
        transaction.execute(AssertSqlSafe(sql)).await?;
        schema::make(&mut transaction, READ_SCHEMA).await?;
    }
    transaction.commit().await
}

async fn has_history(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select position > 0 from log.head").fetch_one(session).await
}

/// Whether every migration of the read tables is noted as applied.
pub(crate) async fn are_applied(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let applied = applied(session).await?;
    Ok(ups().filter(|it| makes_read_tables(it)).all(|it| applied.iter().any(|(version, _)| *version == it.version)))
}

/// How the living read tables stand to this program.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(pool: &PgPool) -> Result<Standing, sqlx::Error> {
    Ok(form::look(&mut *pool.acquire().await?).await?.standing)
}

/// Reverts the last migrations, so many steps of them, or all. What they made is gone with what is in it, the log
/// included. Waits for a rebuild that is under way.
///
/// # Errors
/// As [`up`].
pub async fn down(pool: &PgPool, steps: Option<usize>) -> Result<(), MigrateError> {
    in_session(pool, async |session| {
        let mut applied: Vec<i64> = applied(session).await?.into_iter().map(|it| it.0).collect();
        let kept = applied.len().saturating_sub(steps.unwrap_or(usize::MAX));
        let taken_back = applied.split_off(kept);
        // Tables that were swapped in between would be of a form that they are not.
        sqlx::query("select pg_advisory_lock($1)").bind(rebuild::LOCK).execute(&mut *session).await?;
        let of_read_tables = ups().find(|it| makes_read_tables(it) && taken_back.contains(&it.version));
        if let Some(first) = of_read_tables {
            // Before anything is dropped: nobody must take what is left for the whole.
            form::forget(session, first.version).await?;
        }
        MIGRATOR.undo(session, applied.last().copied().unwrap_or(0)).await
    })
    .await
}

/// Every migration, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn status(pool: &PgPool) -> Result<Vec<Migration>, MigrateError> {
    let applied = applied(&mut *pool.acquire().await?).await?;
    let status = ups().map(|it| Migration {
        version: it.version,
        description: it.description.to_string(),
        applied_at: applied.iter().find(|(version, _)| *version == it.version).map(|(_, at)| *at),
    });
    Ok(status.collect())
}

async fn applied(session: &mut PgConnection) -> Result<Vec<(i64, DateTime<Utc>)>, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(TABLE).fetch_one(&mut *session).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let sql = "select version, installed_on from public._sqlx_migrations where success order by version";
    sqlx::query_as(sql).fetch_all(session).await
}

async fn in_session<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, MigrateError>,
) -> Result<T, MigrateError> {
    let mut session = pool.acquire().await?.detach();
    session.execute("set search_path to public").await?;
    let done = work(&mut session).await;
    session.close().await?;
    done
}
