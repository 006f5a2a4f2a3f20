//! The migrations of the database, up and down: the files of `migrations/`, compiled in.
//!
//! Only one node runs migrations at a time, each migration in its own transaction, as the role `hims_owner`. The
//! session is closed afterwards, which releases the lock even when a migration fails. The session has a fixed search
//! path, since a migration changes the search path of the database. Migrations that build an index of the log while
//! commands go on have no transaction (`indexes.rs`).
//!
//! Migrations of the read tables are noted as applied, but not run one by one: all of them together make the read
//! tables as a whole in a new schema. While the log is empty, this is done at once, in the schema `hims`. Where the log
//! has events, the living tables are then of an older form, and a rebuild replaces them.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_event_store::bounded::{ANSWER, LONG_ANSWER, session_of, too_late, while_it_lives, within};
use sqlx::migrate::{MigrateError, Migration as File, Migrator};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::READ_SCHEMA;
use crate::machinery::form::{self, Standing};
use crate::machinery::indexes;
use crate::machinery::rebuild::{self, schema};
use crate::machinery::roles;

/// The prefix of the description of each migration that makes read tables.
const READ: &str = "read ";

/// The description of the migrations that keep the log: `log`, or a text that begins with this word.
const LOG: &str = "log";

/// The table of applied migrations, with its schema, so that the name does not depend on the search path.
const TABLE: &str = "public._sqlx_migrations";

/// The advisory lock of the one program that migrates (`hims mig` in ASCII).
const LOCK: i64 = 0x6869_6d73_206d_6967;

/// How long a program waits before it asks again whether it is its turn to migrate.
const PAUSE: Duration = Duration::from_millis(100);

/// The settings of a session that migrates. A migration may take long, and so may the wait for the migrations of
/// another node; but a session whose program was stopped ends, and with it the lock that makes the other nodes wait.
/// The program itself waits as long as the session lives ([`while_it_lives`]).
const SESSION: &str = "set search_path to public; set statement_timeout = 0; set lock_timeout = 0;
    set idle_in_transaction_session_timeout = '30s'; set idle_session_timeout = '30s';
    set client_connection_check_interval = '2s'";

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.dangerous_set_table_name(TABLE);
    // This program takes turns by itself.
    migrator.set_locking(false);
    migrator
});

/// The SQL of the read migrations, in order. The setting `hims.read_schema` names the schema that gets the tables.
pub(crate) static READ_MIGRATIONS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| ups().filter(|file| makes_read_tables(file)).map(|file| file.sql.as_str()).collect());

fn ups() -> impl Iterator<Item = &'static File> {
    MIGRATOR.iter().filter(|it| !it.migration_type.is_down_migration())
}

fn makes_read_tables(file: &File) -> bool {
    file.description.starts_with(READ)
}

fn keeps_the_log(file: &File) -> bool {
    file.description.split(' ').next() == Some(LOG)
}

/// The number of the last migration that makes read tables.
pub(crate) fn last_read() -> i64 {
    ups().filter(|file| makes_read_tables(file)).map(|file| file.version).max().unwrap_or(0)
}

/// A migration that was applied to the database, by this release or another.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Applied {
    version: i64,
    description: String,
    installed_on: DateTime<Utc>,
}

/// A migration and whether it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The number of the migration.
    pub version: i64,
    /// What the migration makes.
    pub description: String,
    /// When the migration was applied; `None` while the migration is pending.
    pub applied_at: Option<DateTime<Utc>>,
}

/// Why migrations were not applied or taken back.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The login has no right to run migrations.
    #[error(
        "the login may not run migrations: give HIMS_MIGRATION_URL, the URL of a login that is a member of hims_owner; if \
         the roles do not exist yet, make them first (docs/operators.md, \"Your own database\")"
    )]
    NotTheOwner,
    /// A newer release applied migrations that this program does not know.
    #[error(
        "the database is newer than this program, which does not know its migrations {}: use the newer program",
        .0.join(", ")
    )]
    Newer(Vec<String>),
    /// The migrations to take back include one that keeps the log, and events exist.
    #[error(
        "the log holds {0} events, and taking back these migrations would delete them for good: take back fewer, or \
         give --delete-all-events to delete every event"
    )]
    HoldsEvents(i64),
    /// Other programs work with the database, and would find their tables gone.
    #[error(
        "other programs of hims work with this database ({0}), such as a server, an import or a rebuild: stop them, then \
         take the migrations back"
    )]
    Connected(usize),
    /// Migrations are being taken back, so no other program may work with the database.
    #[error("migrations of this database are being taken back: start again when `hims migrate down` is done")]
    TakingBack,
    /// A migration failed.
    #[error("a migration of the database failed: {0}")]
    Migrate(#[from] MigrateError),
    /// The database does not answer.
    #[error("the database could not be migrated: {0}")]
    Database(#[from] sqlx::Error),
}

/// What may be lost by taking migrations back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing but what follows from the log. Migrations that keep the log are not taken back while events exist.
    NoEvent,
    /// Every event of the log.
    AllEvents,
}

/// Applies the pending migrations. When several nodes do this at once, one node applies the migrations and the others
/// wait. Living read tables stay as they are and go on answering; [`Standing`](crate::Standing) says whether a rebuild
/// is due.
///
/// # Errors
/// When the database does not answer, the login may not run migrations, a migration fails (and leaves nothing behind),
/// the file of an applied migration was altered, or a newer release applied a migration that this program does not
/// know.
pub async fn up(pool: &PgPool) -> Result<(), MigrationError> {
    let mut telling = JoinSet::new();
    telling.spawn(indexes::tell_progress(pool.clone()));
    in_session(pool, async |session| {
        refuse_newer(session).await?;
        indexes::drop_broken(session).await?;
        let files: Vec<_> = ups().collect();
        for of_a_kind in files.chunk_by(|one, next| makes_read_tables(one) == makes_read_tables(next)) {
            let Some(last) = of_a_kind.last() else { continue };
            // Migrations of read tables are noted as applied and not run.
            MIGRATOR.run_direct(Some(last.version), session, makes_read_tables(last)).await?;
        }
        Ok(make_first_tables(session).await?)
    })
    .await
}

/// Makes the read tables while the log is empty. The tables need no rebuild then.
async fn make_first_tables(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    if has_history(session).await? {
        return Ok(());
    }
    let mut transaction = session.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(rebuild::LOCK).execute(&mut *transaction).await?;
    // Locks the head, so that the first append waits until the tables exist.
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
    Ok(ups().filter(|file| makes_read_tables(file)).all(|file| applied.iter().any(|it| it.version == file.version)))
}

/// Whether a newer release changed what an append writes: it applied a migration that this program does not know, other
/// than one of the read tables, which stay as they are until that release replaces them.
pub(crate) async fn are_newer(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(unknown(&applied(session).await?).any(|it| !it.description.starts_with(READ)))
}

/// The applied migrations that this program does not know.
fn unknown(applied: &[Applied]) -> impl Iterator<Item = &Applied> {
    applied.iter().filter(|it| ups().all(|file| file.version != it.version))
}

async fn refuse_newer(session: &mut PgConnection) -> Result<(), MigrationError> {
    let applied = applied(session).await?;
    let newer: Vec<_> = unknown(&applied).map(|it| numbered(it.version, &it.description)).collect();
    if newer.is_empty() { Ok(()) } else { Err(MigrationError::Newer(newer)) }
}

/// A migration as people are told of it.
fn numbered(version: i64, description: &str) -> String {
    format!("{version:04} {description}")
}

/// How the living read tables compare with this program's form and with the log.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(pool: &PgPool) -> Result<Standing, sqlx::Error> {
    let mut db = pool.acquire().await?;
    Ok(within(LONG_ANSWER, form::look(&mut db)).await?.standing)
}

/// Reverts the last migrations: as many as `steps` says, or all. Everything that these migrations made is dropped with
/// its contents. Waits for a running rebuild. Programs that work with the database would find their tables gone:
/// [`Alone`](crate::presence::Alone) tells whether there are any.
///
/// # Errors
/// As [`up`]; also when events exist that would be deleted, unless `loss` allows this. Nothing is reverted then.
pub async fn down(pool: &PgPool, steps: Option<usize>, loss: Loss) -> Result<(), MigrationError> {
    in_session(pool, async |session| {
        refuse_newer(session).await?;
        let mut applied: Vec<_> = applied(session).await?.into_iter().map(|it| it.version).collect();
        let kept = applied.len().saturating_sub(steps.unwrap_or(usize::MAX));
        let taken_back = applied.split_off(kept);
        if ups().any(|it| keeps_the_log(it) && taken_back.contains(&it.version)) {
            match loss {
                Loss::NoEvent => refuse_to_lose_events(session).await?,
                // The migration itself refuses as well, since events may be recorded meanwhile.
                Loss::AllEvents => session.execute("set hims.delete_all_events = 'yes'").await.map(drop)?,
            }
        }
        // Keeps rebuilds away: tables that are swapped in meanwhile would claim the form with the reverted migrations.
        sqlx::query("select pg_advisory_lock($1)").bind(rebuild::LOCK).execute(&mut *session).await?;
        let of_read_tables = ups().find(|it| makes_read_tables(it) && taken_back.contains(&it.version));
        if let Some(first) = of_read_tables {
            // The form is cleared before anything is dropped, so that no program relies on incomplete tables.
            form::forget(session, first.version).await?;
        }
        Ok(MIGRATOR.undo(session, applied.last().copied().unwrap_or(0)).await?)
    })
    .await
}

async fn refuse_to_lose_events(session: &mut PgConnection) -> Result<(), MigrationError> {
    let events: i64 = sqlx::query_scalar("select count(*) from log.events").fetch_one(session).await?;
    if events > 0 { Err(MigrationError::HoldsEvents(events)) } else { Ok(()) }
}

/// Makes sure that no newer release has migrated the database.
///
/// # Errors
/// [`MigrationError::Newer`] if one has; also when the database does not answer.
pub async fn are_known(pool: &PgPool) -> Result<(), MigrationError> {
    let mut db = pool.acquire().await?;
    tokio::time::timeout(LONG_ANSWER, refuse_newer(&mut db)).await.unwrap_or_else(|_| Err(too_late().into()))
}

/// The migrations that are not applied, each by its number and its description.
///
/// # Errors
/// When the database does not answer.
pub async fn pending(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let pending = status(pool).await?.into_iter().filter(|it| it.applied_at.is_none());
    Ok(pending.map(|it| numbered(it.version, &it.description)).collect())
}

/// Every migration, in order, and when it was applied.
///
/// # Errors
/// When the database does not answer.
pub async fn status(pool: &PgPool) -> Result<Vec<Migration>, sqlx::Error> {
    let mut db = pool.acquire().await?;
    let applied = within(LONG_ANSWER, applied(&mut db)).await?;
    let status = ups().map(|file| Migration {
        version: file.version,
        description: file.description.to_string(),
        applied_at: applied.iter().find(|it| it.version == file.version).map(|it| it.installed_on),
    });
    Ok(status.collect())
}

async fn applied(session: &mut PgConnection) -> Result<Vec<Applied>, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(TABLE).fetch_one(&mut *session).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let sql = "select version, description, installed_on from public._sqlx_migrations where success order by version";
    sqlx::query_as(sql).fetch_all(session).await
}

/// Waits until no other program migrates. A statement that waits for the lock would have a snapshot, and an index that
/// is built concurrently waits until there is no older one: each would wait for the other.
async fn take_turn(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    let take = "select pg_try_advisory_lock($1)";
    while !sqlx::query_scalar::<_, bool>(take).bind(LOCK).fetch_one(&mut *session).await? {
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Does work in a session of its own, as the owner of the log, when no other program migrates.
async fn in_session<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, MigrationError>,
) -> Result<T, MigrationError> {
    /// The error code of PostgreSQL for a missing right.
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let mut session = pool.acquire().await?.detach();
    within(ANSWER, session.execute(SESSION)).await?;
    let id = session_of(&mut session).await?;
    let working = Box::pin(async {
        match roles::become_owner(&mut session).await {
            Ok(()) => {
                take_turn(&mut session).await?;
                work(&mut session).await
            }
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE) => {
                Err(MigrationError::NotTheOwner)
            }
            Err(error) => Err(error.into()),
        }
    });
    let done = while_it_lives(pool, id, "migrating, or waiting for another program that does", working).await;
    within(ANSWER, session.close()).await?;
    done
}
