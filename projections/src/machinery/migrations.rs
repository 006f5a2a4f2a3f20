//! The schema of the database, from nothing to today's and back: the files of `migrations/`, compiled in.
//!
//! They run one node at a time, each in a transaction of its own, in one session that is closed afterwards: with it go
//! the lock, also when a migration fails, and the search path, which is fixed here since the database's own is changed
//! by a migration.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use crate::{READ_SCHEMA, TABLES};

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
pub(crate) static READ_MIGRATIONS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let ups = MIGRATOR.iter().filter(|it| !it.migration_type.is_down_migration());
    ups.filter(|it| it.description.starts_with(READ)).map(|it| it.sql.as_str()).collect()
});

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

/// Applies what is pending. Of several nodes that call it at once, one does it and the others wait. Where that makes
/// read tables beside a history, all of them are emptied and projected from its beginning: late, but whole.
///
/// # Errors
/// When the database does not answer, a migration fails (it leaves nothing behind), an applied one was altered, or one
/// was applied that this program does not know, because the database is a newer program's.
pub async fn up(pool: &PgPool) -> Result<(), MigrateError> {
    in_session(pool, async |session| {
        let before = applied(session).await?;
        MIGRATOR.run_direct(None, session, false).await?;
        let is_new = |version: i64| !before.iter().any(|it| it.0 == version);
        if MIGRATOR.iter().any(|it| is_new(it.version) && it.description.starts_with(READ)) {
            start_over(session).await?;
        }
        Ok(())
    })
    .await
}

/// Has everything projected again, unless nothing was yet.
async fn start_over(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = session.begin().await?;
    let sql = format!("update {READ_SCHEMA}.projection_checkpoint set position = 0 where position > 0");
    if sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?.rows_affected() > 0 {
        tracing::warn!("read tables were made: all of them are projected from the beginning of the log");
        let names = TABLES.iter().map(|it| it.name).chain(["projection_failures"]);
        let tables: Vec<_> = names.map(|it| format!("{READ_SCHEMA}.{it}")).collect();
        let sql = format!("truncate {}", tables.join(", "));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Reverts the last migrations, so many steps of them, or all. What they made is gone with what is in it, the log
/// included.
///
/// # Errors
/// As [`up`].
pub async fn down(pool: &PgPool, steps: Option<usize>) -> Result<(), MigrateError> {
    in_session(pool, async |session| {
        let mut applied: Vec<i64> = applied(session).await?.into_iter().map(|it| it.0).collect();
        let kept = applied.len().saturating_sub(steps.unwrap_or(usize::MAX));
        applied.truncate(kept);
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
    let ups = MIGRATOR.iter().filter(|it| !it.migration_type.is_down_migration());
    let status = ups.map(|it| Migration {
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
