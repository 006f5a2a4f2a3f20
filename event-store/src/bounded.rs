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
/// How long to wait for the answer to a statement that looks up thousands of rows one by one, from a slow disk.
pub const SLOW_ANSWER: Duration = Duration::from_mins(1);
/// How often to ask whether a session still works on something that takes long.
const LOOK: Duration = Duration::from_secs(10);
/// How many times in a row the database may leave the question unanswered.
const SILENCES: u32 = 3;
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

/// Waits for work on a session that takes as long as it takes, such as a comparison of everything that is claimed. The
/// work is not cut while the session lives: every ten seconds another connection asks whether it does, and the log says
/// so when the work stands still, because somebody else holds a lock or this program sends nothing. `what` names the
/// work in the log.
///
/// # Errors
/// The error of the work; an I/O error of the kind `TimedOut` when the session is gone, or when the database has not
/// answered for half a minute.
pub async fn while_it_lives<T, E: From<sqlx::Error>>(
    pool: &PgPool,
    session: i32,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    watched(|| look_at(pool.clone(), session), what, work).await
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doing {
    /// The session works, or waited for the program just now.
    Work,
    /// The session, and all others of the same name, have waited for the program since the look before or longer.
    Rest,
    /// The session, or another one of the same name, waits for a lock that these sessions hold.
    Wait(Vec<i32>),
    /// There is no such session.
    Nothing,
}

/// Looks at what a session is doing. Work with several sessions gives them a name of their own, other than that of the
/// pool's sessions.
async fn look_at(pool: PgPool, session: i32) -> Result<Doing, sqlx::Error> {
    let mut db = lend(&pool).await?;
    let sql = "
        select a.pid = $1, case when a.wait_event_type = 'Lock' then pg_blocking_pids(a.pid) else '{}' end,
               coalesce(a.state like 'idle%' and a.state_change < clock_timestamp() - make_interval(secs => $2), false)
          from pg_stat_get_activity(null) a
         where a.pid = $1
            or a.application_name not in ('', current_setting('application_name'))
               and a.application_name = (select application_name from pg_stat_get_activity($1))";
    let looking = sqlx::query_as(sql).bind(session).bind(LOOK.as_secs_f64());
    let found = within(ANSWER, looking.fetch_all(&mut *db)).await;
    let found: Vec<(bool, Vec<i32>, bool)> = db.back(found)?;
    if !found.iter().any(|(is_itself, ..)| *is_itself) {
        return Ok(Doing::Nothing);
    }
    let all_rest = found.iter().all(|(_, _, rests)| *rests);
    let blockers: Vec<_> = found.into_iter().flat_map(|(_, blockers, _)| blockers).collect();
    Ok(match blockers.is_empty() {
        false => Doing::Wait(blockers),
        true if all_rest => Doing::Rest,
        true => Doing::Work,
    })
}

/// Waits for work, and looks from time to time at what its session is doing.
async fn watched<T, E, A>(
    mut look: impl FnMut() -> A,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E>
where
    E: From<sqlx::Error>,
    A: Future<Output = Result<Doing, sqlx::Error>>,
{
    let watching = async {
        let mut silences = 0;
        while silences < SILENCES {
            tokio::time::sleep(LOOK).await;
            match look().await {
                Ok(Doing::Work) => {
                    silences = 0;
                    tracing::info!(what, "this takes long, and goes on");
                }
                Ok(Doing::Rest) => {
                    silences = 0;
                    tracing::warn!(what, "this stands still: the database has waited for this program for ten seconds");
                }
                Ok(Doing::Wait(sessions)) => {
                    silences = 0;
                    tracing::warn!(what, ?sessions, "this stands still: it waits for a lock that these sessions hold");
                }
                Ok(Doing::Nothing) => return,
                Err(_) => silences += 1,
            }
        }
    };
    tokio::select! {
        done = work => done,
        () = watching => Err(too_late().into()),
    }
}

/// The process id of the session of a connection, by which other sessions know it.
///
/// # Errors
/// When the database does not answer.
pub async fn session_of(db: &mut PgConnection) -> Result<i32, sqlx::Error> {
    within(ANSWER, sqlx::query_scalar("select pg_backend_pid()").fetch_one(db)).await
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    /// Work that lasts for a time.
    async fn work(lasts: Duration) -> Result<u8, sqlx::Error> {
        tokio::time::sleep(lasts).await;
        Ok(7)
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_is_not_cut_while_its_session_lives() {
        let done = watched(|| ready(Ok(Doing::Work)), "a test", work(Duration::from_hours(9))).await;
        assert_eq!(done.expect("the work is done"), 7);
        // Two questions without an answer are no proof.
        let mut asked = 0;
        let answers_sometimes = || {
            asked += 1;
            ready(match asked % 6 {
                0 => Ok(Doing::Wait(vec![7])),
                3 => Ok(Doing::Rest),
                _ => Err(too_late()),
            })
        };
        assert_eq!(watched(answers_sometimes, "a test", work(Duration::from_hours(1))).await.expect("done"), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_given_up_when_its_session_is_gone_or_the_database_is_silent() {
        let started = tokio::time::Instant::now();
        let gone = watched(|| ready(Ok(Doing::Nothing)), "a test", work(Duration::from_hours(1))).await;
        assert!(matches!(gone, Err(sqlx::Error::Io(_))), "{gone:?}");
        assert_eq!(started.elapsed(), LOOK);
        let started = tokio::time::Instant::now();
        let silent = watched(|| ready(Err(too_late())), "a test", work(Duration::from_hours(1))).await;
        assert!(matches!(silent, Err(sqlx::Error::Io(_))), "{silent:?}");
        assert_eq!(started.elapsed(), LOOK * SILENCES);
    }
}
