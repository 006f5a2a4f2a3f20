use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleResult};
use hims_projections::query::QueryError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::hospital::{IDLE, PATIENCE, work_as};

/// Connections for reading under row-level security, with one pool for each thread that reads.
///
/// A connection belongs to the event loop of the thread that opened it: used from another thread, every answer costs a
/// wake-up between threads. A returned connection is not tested, since the test would cost as much as the read itself.
/// A connection that was idle for long is tested before its next use, and a connection on which a statement failed is
/// closed (docs/adr/0016).
pub struct Readers {
    options: PgConnectOptions,
    /// The largest number of connections of one thread.
    each: usize,
    pools: Mutex<HashMap<ThreadId, Pool<Opener>>>,
}

/// Opens connections that work in the role `hims_reader`.
struct Opener(PgConnectOptions);

impl Manager for Opener {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.0).await?;
        work_as(&mut connection, Some("hims_reader")).await?;
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() > IDLE {
            connection.ping().await?;
        }
        Ok(())
    }
}

impl Readers {
    /// Opens no connection yet, and later at most `each` connections for each thread that reads.
    pub(crate) fn new(options: PgConnectOptions, each: usize) -> Self {
        Self { options, each, pools: Mutex::default() }
    }

    /// Runs `reading` on a connection of this thread, and once more if a rebuild swapped the tables meanwhile.
    ///
    /// # Errors
    /// The errors of `reading`; also when no connection can be opened, or none becomes free in time.
    pub async fn read<T>(
        &self,
        reading: impl AsyncFn(&mut PgConnection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let mut connection = self.pool()?.get().await.map_err(|error| match error {
            PoolError::Backend(error) => QueryError::Database(error),
            _ => QueryError::Database(sqlx::Error::PoolTimedOut),
        })?;
        let mut read = reading(&mut connection).await;
        if matches!(read, Err(QueryError::Swapped)) {
            read = reading(&mut connection).await;
        }
        if matches!(read, Err(QueryError::Database(_))) {
            drop(Object::take(connection));
        }
        read
    }

    /// How many connections are open, and how many of these are idle.
    pub(crate) fn count(&self) -> (usize, usize) {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools
            .values()
            .map(Pool::status)
            .fold((0, 0), |(all, idle), status| (all + status.size, idle + status.available))
    }

    /// Closes the idle connections. No new connection is opened.
    pub(crate) fn close(&self) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Pool::close);
    }

    fn pool(&self) -> Result<Pool<Opener>, QueryError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&thread::current().id()) {
            return Ok(pool.clone());
        }
        let pool = Pool::builder(Opener(self.options.clone()))
            .max_size(self.each)
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
