//! The few calls with which the writer works with a database: PostgreSQL, or a model of it in a simulation.

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, PgPool, Postgres};

use super::check::{Answers, Questions};
use super::read::{self, Head};
use super::timeline::{self, Timelines};
use super::warnings::Warnings;
use super::write::Columns;
use crate::LogClock;
use crate::bounded::{end_stalled, lend};

/// A database with the log.
pub(super) trait Database: Send + Sync + 'static {
    type Session: Session;

    /// Opens a session, or takes one that is open already.
    fn open(&self) -> impl Future<Output = Result<Self::Session, sqlx::Error>> + Send;

    /// Ends the sessions that keep the head of the log locked and will never go on. Answers how many there were.
    fn free_head(&self) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

/// A session of the writer. After an error that leaves open what the database has done, the session must be closed.
pub(super) trait Session: Send + Sync {
    /// Makes sure that the session leads to the server that may be written to, and answers the number of its timeline.
    /// See [`timeline::take_up`].
    fn take_up(&mut self, timelines: &Timelines) -> impl Future<Output = Result<i32, sqlx::Error>> + Send;

    /// Reads the head of the log, and measures the clock of the database on the way.
    fn head(&mut self, clock: &LogClock) -> impl Future<Output = Result<Head, sqlx::Error>> + Send;

    /// Begins a transaction, to which the next calls belong up to [`Self::commit`], and locks the head of the log.
    fn lock_head(&mut self) -> impl Future<Output = Result<Head, sqlx::Error>> + Send;

    /// Asks what has to be known before a batch is written.
    fn ask(&mut self, questions: &Questions<'_>) -> impl Future<Output = Result<Answers, sqlx::Error>> + Send;

    /// Writes a batch, and answers the time of the database; `None` when the head was not where the batch begins, so
    /// that nothing was written. An error that is none of the database itself leaves open whether the batch is written.
    fn write(
        &mut self,
        columns: &Columns<'_>,
    ) -> impl Future<Output = Result<Option<DateTime<Utc>>, sqlx::Error>> + Send;

    /// Ends the transaction that [`Self::lock_head`] began.
    fn commit(&mut self) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Finds out whether a batch was recorded, and keeps it out of the log if it was not. See [`read::settle`].
    fn settle(&mut self, aim: &Head) -> impl Future<Output = Result<(Head, bool), sqlx::Error>> + Send;

    /// Closes the session, whatever the database is doing.
    fn close(self);
}

/// The log in PostgreSQL.
pub(super) struct PgDatabase {
    pub(super) pool: PgPool,
    pub(super) warnings: Warnings,
}

/// A connection to PostgreSQL.
pub(super) struct PgSession {
    connection: PoolConnection<Postgres>,
    warnings: Warnings,
}

impl Database for PgDatabase {
    type Session = PgSession;

    async fn open(&self) -> Result<PgSession, sqlx::Error> {
        Ok(PgSession { connection: self.pool.acquire().await?, warnings: self.warnings.clone() })
    }

    async fn free_head(&self) -> Result<u64, sqlx::Error> {
        let mut db = lend(&self.pool).await?;
        let freed = end_stalled(&mut db, "log.head").await;
        db.back(freed)
    }
}

impl Session for PgSession {
    async fn take_up(&mut self, timelines: &Timelines) -> Result<i32, sqlx::Error> {
        timeline::take_up(&mut self.connection, timelines).await
    }

    async fn head(&mut self, clock: &LogClock) -> Result<Head, sqlx::Error> {
        read::head_on(&mut self.connection, clock).await
    }

    async fn lock_head(&mut self) -> Result<Head, sqlx::Error> {
        self.connection.execute("begin").await?;
        read::head_locked(&mut self.connection).await
    }

    async fn ask(&mut self, questions: &Questions<'_>) -> Result<Answers, sqlx::Error> {
        questions.ask(&mut self.connection).await
    }

    async fn write(&mut self, columns: &Columns<'_>) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        self.warnings.committed(columns.write(&mut self.connection)).await
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.warnings.committed(self.connection.execute("commit")).await.map(drop)
    }

    async fn settle(&mut self, aim: &Head) -> Result<(Head, bool), sqlx::Error> {
        read::settle(&mut self.connection, aim, &self.warnings).await
    }

    fn close(self) {
        drop(self.connection.detach());
    }
}
