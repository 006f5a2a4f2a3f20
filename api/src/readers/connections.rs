use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use hims_event_store::bounded::too_late;
use hims_projections::Table;
use hims_projections::query::{self, Identity, QueryError};
use log::LevelFilter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tracing::instrument;
use uuid::Uuid;

use crate::connections::{IDLE, PATIENCE, Primary, Work};
use crate::slow::{Rows, Slow};

/// Connections to one server for reading under row-level security, with one pool for each thread that reads.
///
/// A connection belongs to the event loop of the thread that opened it: used from another thread, every answer costs a
/// wake-up between threads. A returned connection is not tested, since the test would cost as much as the read itself.
/// A connection that was idle for long is tested before its next use, and a connection on which a statement failed is
/// closed (docs/adr/0016).
pub(super) struct Connections {
    opener: Opener,
    /// The largest number of connections of one thread.
    each: usize,
    slow: Slow,
    pools: Mutex<HashMap<ThreadId, Pool<Opener>>>,
}

/// How long reading may take.
const READING: Duration = Duration::from_secs(5);

/// Opens connections that work in the role `hims_reader`.
#[derive(Clone)]
pub(super) enum Opener {
    /// To the primary server, whichever that is.
    Primary(Primary),
    /// To a replica.
    Replica(Box<PgConnectOptions>),
}

impl Manager for Opener {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        match self {
            Self::Primary(primary) => primary.connect_for(Work::Read, &quiet(primary.options())).await,
            Self::Replica(options) => {
                let mut connection = PgConnection::connect_with(&quiet(options)).await?;
                Work::Read.set_up(&mut connection).await?;
                Ok(connection)
            }
        }
    }

    async fn recycle(&self, connection: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if let Self::Primary(primary) = self
            && !primary.has(metrics.age())
        {
            return Err(RecycleError::message("another server is the primary now"));
        }
        if metrics.last_used() > IDLE {
            connection.ping().await?;
        }
        Ok(())
    }
}

/// A slow read is told of with its table, and not once more with its statement.
fn quiet(server: &PgConnectOptions) -> PgConnectOptions {
    server.clone().log_slow_statements(LevelFilter::Off, Duration::MAX)
}

/// A connection in use. If it is still there when this value is dropped, the connection is closed: a statement may be
/// unanswered.
struct Lent(Option<Object<Opener>>);

impl Lent {
    fn connection(&mut self) -> Result<&mut PgConnection, QueryError> {
        self.0.as_deref_mut().ok_or(QueryError::Database(sqlx::Error::PoolClosed))
    }

    /// Gives the connection back to its pool, unless the database did not answer as it should.
    fn back<T>(mut self, read: Result<T, QueryError>) -> Result<T, QueryError> {
        if !matches!(read, Err(QueryError::Database(_))) {
            drop(self.0.take());
        }
        read
    }
}

/// What was read, or an error when the database did not answer in time.
async fn in_time<T>(reading: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    tokio::time::timeout(READING, reading).await.unwrap_or_else(|_| Err(QueryError::Database(too_late())))
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

impl Connections {
    /// Opens no connection yet, and later at most `each` connections for each thread that reads.
    pub(super) fn new(opener: Opener, each: usize, slow: Slow) -> Self {
        Self { opener, each, slow, pools: Mutex::default() }
    }

    /// Runs `reading` of a table on a connection of this thread, and once more if a rebuild swapped the tables
    /// meanwhile. A connection that does not answer in time, or on which the caller does not wait to the end, is
    /// closed.
    ///
    /// # Errors
    /// The errors of `reading`; also when no connection can be opened, none becomes free in time, or the database does
    /// not answer in time.
    #[instrument(level = "debug", skip_all)]
    pub(super) async fn read<T: Rows>(
        &self,
        table: &'static str,
        reading: impl AsyncFn(&mut PgConnection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let mut lent = self.lend().await?;
        let connection = lent.connection()?;
        let reading = async {
            match reading(connection).await {
                Err(QueryError::Swapped) => reading(connection).await,
                read => read,
            }
        };
        let started = Instant::now();
        let read = in_time(reading).await;
        self.slow.tell_read(table, started, read.as_ref().ok().map(Rows::rows));
        lent.back(read)
    }

    /// Which of the ids a reader may learn of, as [`query::known`] says. Unlike `read`, this can be awaited on any thread.
    #[instrument(level = "debug", skip_all)]
    pub(super) async fn known(
        &self,
        tables: &[&'static Table],
        ids: &[Uuid],
        who: &Identity,
    ) -> Result<HashSet<Uuid>, QueryError> {
        let mut lent = self.lend().await?;
        let connection = lent.connection()?;
        let looking = async {
            match query::known(connection, tables, ids, who).await {
                Err(QueryError::Swapped) => query::known(connection, tables, ids, who).await,
                known => known,
            }
        };
        let started = Instant::now();
        let known = in_time(looking).await;
        let table = tables.first().map_or("", |it| it.name);
        self.slow.tell_read(table, started, known.as_ref().ok().map(Rows::rows));
        lent.back(known)
    }

    /// Lends a connection of this thread.
    async fn lend(&self) -> Result<Lent, QueryError> {
        let pool = self.pool()?;
        let found = tokio::time::timeout(PATIENCE, pool.get()).await;
        let found = found.map_err(|_| QueryError::Database(sqlx::Error::PoolTimedOut))?;
        let connection = found.map_err(|error| match error {
            PoolError::Backend(error) => QueryError::Database(error),
            _ => QueryError::Database(sqlx::Error::PoolTimedOut),
        })?;
        Ok(Lent(Some(connection)))
    }

    /// How many connections are open, and how many of these are idle.
    pub(super) fn count(&self) -> (usize, usize) {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools
            .values()
            .map(Pool::status)
            .fold((0, 0), |(all, idle), status| (all + status.size, idle + status.available))
    }

    /// Closes the idle connections. No new connection is opened.
    pub(super) fn close(&self) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Pool::close);
    }

    fn pool(&self) -> Result<Pool<Opener>, QueryError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&thread::current().id()) {
            return Ok(pool.clone());
        }
        let pool = Pool::builder(self.opener.clone())
            .max_size(self.each)
            // The connection that was used last has planned the most statements.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| QueryError::Database(sqlx::Error::PoolClosed))?;
        pools.insert(thread::current().id(), pool.clone());
        Ok(pool)
    }
}
