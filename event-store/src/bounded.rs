//! Bounds on waiting for the database: a connection that falls silent, or a database that is paused, keeps nobody
//! waiting for long, and does not occupy a place in the pool.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgListener;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

/// How long to wait for the answer to a statement that touches few rows.
pub const ANSWER: Duration = Duration::from_secs(4);
/// How long to wait for the answer to a statement that touches thousands of rows.
pub const LONG_ANSWER: Duration = Duration::from_secs(10);
/// How long the test of a connection may take.
const TEST: Duration = Duration::from_secs(1);

/// Waits for an answer of the database, at most for the given time.
///
/// # Errors
/// The error of the answer; an I/O error of the kind `TimedOut` when no answer came in time.
pub async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(too_late()))
}

/// The error of an answer that did not come in time.
pub fn too_late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

/// A connection that is lent by a pool. [`Lent::back`] gives the connection back. A connection that is dropped
/// otherwise, such as in the middle of a statement, is closed: nobody knows whether it will ever answer.
pub struct Lent(PoolConnection<Postgres>);

/// Borrows a connection from a pool, and waits as long as the pool allows.
///
/// # Errors
/// When no connection becomes free or can be opened in time.
pub async fn lend(pool: &PgPool) -> Result<Lent, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    connection.close_on_drop();
    Ok(Lent(connection))
}

impl Lent {
    /// Gives the connection back to the pool after an answer, and passes the answer on. After an error that leaves the
    /// state of the connection unknown, the connection is closed instead.
    ///
    /// # Errors
    /// The error of the answer.
    pub fn back<T>(mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if matches!(answer, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound)) {
            // The pool tests the connection, which may have fallen silent after the answer.
            tokio::spawn(tokio::time::timeout(TEST, self.0.return_to_pool()));
        }
        answer
    }

    /// Takes the connection out of the pool for good.
    pub fn keep(self) -> PgConnection {
        self.0.detach()
    }
}

impl Deref for Lent {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// Listens on a channel through a connection that does not count among those of the pool, but is opened like them.
///
/// # Errors
/// When the connection cannot be opened.
pub async fn listen(pool: &PgPool, channel: &str) -> Result<PgListener, sqlx::Error> {
    let own = pool.options().clone().max_connections(1).connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    within(ANSWER, listener.listen(channel)).await?;
    Ok(listener)
}

/// Tests the connection of a listener, which may have fallen silent.
///
/// # Errors
/// When the connection is broken or does not answer in time.
pub async fn test(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    within(TEST, sqlx::query("select 1").execute(listener)).await.map(drop)
}

/// Ends the sessions of this program that hold a lock on a table while they wait for the rest of a statement, because a
/// stopped process or a network sent only a part of the statement. PostgreSQL itself never ends such a session, as it
/// does with one that is idle in a transaction. Returns how many sessions were ended.
///
/// # Errors
/// When the database does not answer.
pub async fn end_stalled(db: &mut PgConnection, table: &'static str) -> Result<u64, sqlx::Error> {
    // Only the login itself may end its sessions, not the role in which the connection works.
    let sql = "
        select pg_terminate_backend(a.pid)
          from pg_stat_activity a join pg_locks l on l.pid = a.pid
         where a.datname = current_database() and a.usename = session_user and a.pid <> pg_backend_pid()
           and a.state = 'active' and a.wait_event = 'ClientRead'
           and a.xact_start < clock_timestamp() - interval '2 seconds'
           and l.locktype = 'relation' and l.relation = to_regclass($1) and l.database = a.datid";
    let ended = async {
        // After an error the transaction rolls itself back, so that the session can be lent again.
        let mut transaction = db.begin().await?;
        sqlx::query("set local role none").execute(&mut *transaction).await?;
        let ended = sqlx::query(sql).bind(table).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(ended.len() as u64)
    };
    within(ANSWER, ended).await
}
