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

/// Connections for reading under row-level security, a pool for each thread that reads.
///
/// A connection belongs to the event loop on which it was opened: used from another, every answer costs a wake-up
/// between threads. And a connection comes back without being tested, which would be as dear as the reading itself: one
/// that was idle is tested before it is used, and one on which something failed does not come back (docs/adr/0016).
pub struct Readers {
    options: PgConnectOptions,
    /// Connections of a thread.
    each: usize,
    pools: Mutex<HashMap<ThreadId, Pool<Opener>>>,
}

/// Opens connections that work as `hims_reader`.
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
    /// No connection yet; at most `each` for each thread that reads.
    pub(crate) fn new(options: PgConnectOptions, each: usize) -> Self {
        Self { options, each, pools: Mutex::default() }
    }

    /// Reads on a connection of this thread; again, when the tables were swapped meanwhile.
    ///
    /// # Errors
    /// As `reading`, and when no connection is to be had.
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

    /// How many connections there are, and how many of them are idle.
    pub(crate) fn count(&self) -> (usize, usize) {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.values().map(Pool::status).fold((0, 0), |(all, idle), it| (all + it.size, idle + it.available))
    }

    /// Opens no more connections, and closes those that are idle.
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
