//! Which programs work with a database: each holds a shared advisory lock for as long as it works. Whoever takes
//! migrations back, and with them what these programs work with, needs the lock alone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_event_store::bounded::{ANSWER, within};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::machinery::migrations::MigrationError;

/// The advisory lock that every program shares which works with the log or the read tables ("himp" in ASCII).
const LOCK: i64 = 0x6869_6d70;
/// The first number of the lock that every program shares which has a master key ("hikx" in ASCII).
const HAS_KEY: i32 = 0x6869_6b78;
/// How long a program that starts waits for migrations to be taken back.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long taking migrations back waits for programs that are just ending.
const ENDING: Duration = Duration::from_secs(2);
/// The pause between two attempts to get the lock.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a program tests the connection that holds its lock.
const LOOK: Duration = Duration::from_secs(5);

/// Announces that this program works with the database, until it is ended or dropped.
pub struct Presence(JoinHandle<()>);

impl Presence {
    /// Announces this program, and the ids of the master keys that it has. A connection of its own keeps the
    /// announcement; when the connection is lost, another one takes its place.
    ///
    /// # Errors
    /// [`MigrationError::TakingBack`] while migrations are taken back; also when the database does not answer.
    pub async fn announce(pool: PgPool, master_keys: impl Iterator<Item = Uuid>) -> Result<Self, MigrationError> {
        let master_keys: Vec<_> = master_keys.collect();
        let mut held = hold(&pool, &master_keys).await?;
        Ok(Self(tokio::spawn(async move {
            loop {
                sleep(LOOK).await;
                if within(ANSWER, held.ping()).await.is_ok() {
                    continue;
                }
                match hold(&pool, &master_keys).await {
                    Ok(another) => held = another,
                    Err(error) => tracing::warn!(%error, "this program cannot announce itself; trying again"),
                }
            }
        })))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // With the task ends the connection, and with the connection the lock.
        self.0.abort();
    }
}

/// Takes the shared lock on a connection of its own.
async fn hold(pool: &PgPool, master_keys: &[Uuid]) -> Result<PgConnection, MigrationError> {
    let mut db = pool.acquire().await?.detach();
    within(ANSWER, db.execute("set idle_session_timeout = 0")).await?;
    if !try_until(&mut db, "select pg_try_advisory_lock_shared($1)", PATIENCE).await? {
        return Err(MigrationError::TakingBack);
    }
    for key in master_keys {
        let lock = sqlx::query("select pg_advisory_lock_shared($1, $2)").bind(HAS_KEY).bind(number_of(*key));
        within(ANSWER, lock.execute(&mut db)).await?;
    }
    Ok(db)
}

/// The second number of the lock that every program shares which has a master key. Nobody takes it alone.
fn number_of(master_key: Uuid) -> i32 {
    let [a, b, c, d, ..] = master_key.into_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// How many programs that work with the database do not have a master key. Both kinds of programs are counted at one
/// moment, so that one which ends meanwhile hides no other.
///
/// # Errors
/// When the database does not answer.
pub async fn without_key(db: &mut PgConnection, master_key: Uuid) -> Result<i64, sqlx::Error> {
    let sql = "select count(*) filter (where objsubid = 1 and classid = 0 and objid = $1)
                    - count(*) filter (where objsubid = 2
                                             and (classid::bigint, objid::bigint) = ($2, $3::bigint & 4294967295))
                 from pg_locks
                where locktype = 'advisory' and granted
                  and database = (select oid from pg_database where datname = current_database())";
    let key = i64::from(number_of(master_key));
    within(ANSWER, sqlx::query_scalar(sql).bind(LOCK).bind(i64::from(HAS_KEY)).bind(key).fetch_one(db)).await
}

/// A program that works with the database.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Program {
    /// The address of its machine; `None` for a program on the machine of the database, or if this login may not know.
    pub address: Option<String>,
    /// Since when it works with the database, if this login may know.
    pub since: Option<DateTime<Utc>>,
}

/// The programs that work with the database, the first that came first.
///
/// # Errors
/// When the database does not answer.
pub async fn programs(db: &mut PgConnection) -> Result<Vec<Program>, sqlx::Error> {
    let sql = "select host(a.client_addr) as address, a.backend_start as since
                 from pg_locks l left join pg_stat_activity a using (pid)
                where l.locktype = 'advisory' and l.classid = 0 and l.objid = $1 and l.objsubid = 1 and l.granted
                  and l.database = (select oid from pg_database where datname = current_database())
                order by a.backend_start, l.pid";
    within(ANSWER, sqlx::query_as(sql).bind(LOCK).fetch_all(db)).await
}

/// The lock of all programs, held alone: no other program works with the database until this value is dropped.
pub struct Alone(PgConnection);

impl Alone {
    /// Makes sure that no other program works with the database, and keeps others from starting.
    ///
    /// # Errors
    /// [`MigrationError::Connected`] while another program works with the database; also when the database does not
    /// answer.
    pub async fn claim(pool: &PgPool) -> Result<Self, MigrationError> {
        let mut db = pool.acquire().await?.detach();
        if try_until(&mut db, "select pg_try_advisory_lock($1)", ENDING).await? {
            return Ok(Self(db));
        }
        Err(MigrationError::Connected(programs(&mut db).await?.len()))
    }

    /// Lets other programs work with the database again.
    pub async fn end(mut self) {
        // Closing alone would release the lock only a moment later.
        let _ = within(ANSWER, self.0.execute("select pg_advisory_unlock_all()")).await;
        let _ = within(ANSWER, self.0.close()).await;
    }
}

async fn try_until(db: &mut PgConnection, sql: &'static str, patience: Duration) -> Result<bool, sqlx::Error> {
    let until = Instant::now() + patience;
    loop {
        if within(ANSWER, sqlx::query_scalar(sql).bind(LOCK).fetch_one(&mut *db)).await? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
}
