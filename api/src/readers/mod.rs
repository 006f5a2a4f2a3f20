//! Reading the read tables under row-level security, from the primary server or from a replica.

mod connections;
mod replica;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hims_event_store::Position;
use hims_event_store::bounded::within;
use hims_projections::Table;
use hims_projections::query::{self, Identity, QueryError};
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use self::connections::{Connections, Opener};
use self::replica::{Replica, Watch};
use crate::connections::Primary;
use crate::slow::{Rows, Slow};

/// The position of the read tables that each replica has, or in words what is wrong with the replica.
pub(crate) async fn positions_of_replicas(
    replicas: &[PgConnectOptions],
    primary: &Primary,
    patience: Duration,
) -> Vec<Result<Position, String>> {
    let mut told = Vec::with_capacity(replicas.len());
    for replica in replicas {
        told.push(match within(patience, async { Ok(position_of_replica(replica, primary).await) }).await {
            Ok(Ok(position)) => Ok(position),
            Ok(Err(error)) => Err(format!("is not used: {error}")),
            Err(error) => Err(format!("does not answer: {error}")),
        });
    }
    told
}

async fn position_of_replica(replica: &PgConnectOptions, primary: &Primary) -> Result<Position, QueryError> {
    query::position(&mut replica::connect(replica, primary).await?).await
}

/// Whether a statement ran into its bound (SQLSTATE 57014), which says nothing about the server.
fn is_too_slow(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refusal) if refusal.code().is_some_and(|it| it == "57014"))
}

/// Connections for reading, to the primary server and to its replicas.
pub struct Readers {
    /// From which duration on the log is told of a read.
    pub(crate) slow: Slow,
    primary: Connections,
    replicas: Vec<Arc<Replica>>,
    /// Which replica is tried first for the next read, so that all replicas share the reads.
    turn: AtomicUsize,
    _watch: Watch,
}

impl Readers {
    /// Opens no connection to the primary yet, and later at most `each` connections to each server for each thread that
    /// reads. `newest` is the position of the primary's read tables.
    pub(crate) fn new(
        primary: Primary,
        replicas: Vec<PgConnectOptions>,
        each: usize,
        slow: Slow,
        newest: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        let replicas: Vec<_> = replicas.into_iter().map(|it| Arc::new(Replica::new(it, each, slow))).collect();
        let watch = Watch::start(&replicas, &primary, newest);
        let primary = Connections::new(Opener::Primary(primary), each, slow);
        Self { slow, primary, replicas, turn: AtomicUsize::new(0), _watch: watch }
    }

    /// Runs `reading` of a table on a connection to the primary server, and once more if a rebuild swapped the tables
    /// meanwhile.
    ///
    /// # Errors
    /// The errors of `reading`; also when the database does not answer in time.
    pub async fn read<T: Rows>(
        &self,
        table: &'static str,
        reading: impl AsyncFn(&mut PgConnection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.primary.read(table, reading).await
    }

    /// Runs `reading` of a table on a replica that has the position, and on the primary server if no replica has it or
    /// can answer. The caller has made sure that the primary has the position.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn read_at<T: Rows>(
        &self,
        table: &'static str,
        position: Position,
        reading: impl AsyncFn(&mut PgConnection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for nth in 0..self.replicas.len() {
            let replica = &self.replicas[first.wrapping_add(nth) % self.replicas.len()];
            if !replica.has(position) {
                continue;
            }
            match replica.connections.read(table, &reading).await {
                Ok(read) => {
                    metrics::counter!("hims_replica_reads_total", "replica" => replica.name.clone()).increment(1);
                    return Ok(read);
                }
                // The primary would not answer a wrong value or a slow statement either.
                Err(QueryError::Database(error)) if !is_too_slow(&error) => replica.fails(&error.to_string()),
                Err(error @ QueryError::Database(_)) => return Err(error),
                // Tables that are being swapped there, or of another form.
                Err(_) => {}
            }
        }
        self.primary.read(table, reading).await
    }

    /// Which of the ids a reader may learn of, on the primary server. See [`Connections::known`].
    pub(crate) async fn known(
        &self,
        tables: &[&'static Table],
        ids: &[Uuid],
        who: &Identity,
    ) -> Result<HashSet<Uuid>, QueryError> {
        self.primary.known(tables, ids, who).await
    }

    /// How many connections are open, and how many of these are idle, to all servers.
    pub(crate) fn count(&self) -> (usize, usize) {
        let replicas = self.replicas.iter().map(|it| it.connections.count());
        replicas.fold(self.primary.count(), |(all, idle), (more, more_idle)| (all + more, idle + more_idle))
    }

    /// Each replica by its name, with the position that it has; `None` if it cannot be used.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (&str, Option<Position>)> {
        self.replicas.iter().map(|it| (it.name.as_str(), it.position()))
    }

    /// Closes the idle connections. No new connection is opened.
    pub(crate) fn close(&self) {
        self.primary.close();
        self.replicas.iter().for_each(|it| it.connections.close());
    }
}
