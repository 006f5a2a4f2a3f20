//! Restores a copy of the log and of what lies beside it into an empty log: as a whole or not at all.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::archive::{Beside, EVENTS, MASTER_KEYS, SUBJECT_KEYS};
use super::keys::PgKeys;
use super::recount::{self, Recounting, unhurried};
use crate::archive::End;
use crate::bounded::while_it_lives;
use crate::prepare::prepare;
use crate::recount::{ClaimsOf, ClaimsReport, Progress};
use crate::{Append, AppendError, MasterKeys, StoreError, Upcasters, Vault};

/// Why nothing was restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The log holds events.
    #[error("the log there holds {0} events, and a backup is restored into an empty log only")]
    NotEmpty(i64),
    /// The database does not answer or refuses what was copied.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event that says that the log was restored could not be recorded.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<sqlx::Error> for RestoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The keys of people in an empty log, with its master keys. They are restored first and for themselves, since whatever
/// reads the restored events needs them. As long as the log is empty, the next attempt replaces them.
///
/// # Errors
/// When the log is not empty, or the database refuses a key.
pub async fn restore_keys(
    pool: &PgPool,
    mut master_keys: Receiver<Vec<u8>>,
    mut copies: Vec<Receiver<Vec<u8>>>,
) -> Result<(), RestoreError> {
    let (mut transaction, session) = unhurried(pool).await?;
    let restoring = async {
        lock_empty(&mut transaction).await?;
        // An older copy of a key may be wrapped by a master key that is not there any more, and a newer one replaces it.
        let empty = "set constraints all deferred; delete from log.subject_keys; delete from log.master_keys";
        sqlx::raw_sql(empty).execute(&mut *transaction).await?;
        take_over(&mut transaction, &MASTER_KEYS, &mut master_keys).await?;
        for lines in &mut copies {
            take_over(&mut transaction, &SUBJECT_KEYS, lines).await?;
        }
        Ok::<_, RestoreError>(transaction.commit().await?)
    };
    while_it_lives(pool, session, "restoring the keys of people", restoring).await
}

/// A log that is being restored. Nothing can be seen of it before [`Restoring::finish`].
pub struct Restoring {
    pool: PgPool,
    transaction: Transaction<'static, Postgres>,
    session: i32,
}

impl Restoring {
    /// Begins to restore a log.
    ///
    /// # Errors
    /// When the log is not empty, or the database does not answer.
    pub async fn begin(pool: &PgPool) -> Result<Self, RestoreError> {
        let (mut transaction, session) = unhurried(pool).await?;
        lock_empty(&mut transaction).await?;
        Ok(Self { pool: pool.clone(), transaction, session })
    }

    /// Takes events over, which follow those that were taken over before.
    ///
    /// # Errors
    /// When the database refuses a line.
    pub async fn events(&mut self, lines: &mut Receiver<Vec<u8>>) -> Result<(), RestoreError> {
        let db = &mut self.transaction;
        let taking = async { Ok(copy_in(db, &format!("copy log.events ({EVENTS}) from stdin"), lines).await?) };
        while_it_lives(&self.pool, self.session, "restoring the events", taking).await
    }

    /// Sets the end of the log, once all events are there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end(&mut self, end: &End) -> Result<(), RestoreError> {
        sqlx::query("update log.head set position = $1, hash = $2, recorded_at = $3")
            .bind(end.position)
            .bind(end.hash)
            .bind(end.recorded_at)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Takes the rows of a table beside the log over, as far as they belong to the restored log.
    ///
    /// # Errors
    /// When the database refuses a row.
    pub async fn beside(&mut self, table: &Beside, lines: &mut Receiver<Vec<u8>>) -> Result<(), RestoreError> {
        let db = &mut self.transaction;
        let taking = async { Ok(take_over(db, table, lines).await?) };
        while_it_lives(&self.pool, self.session, "restoring what lies beside the log", taking).await
    }

    /// Makes the claims fit the restored log, records the events of `note` as the first ones after it, and lets
    /// everything be seen. `note` is told how many events its stream has.
    ///
    /// # Errors
    /// When the database does not answer, or the note cannot be recorded.
    pub async fn finish(
        self,
        (masters, upcasters): (MasterKeys, &Upcasters),
        (claims_of, progress): (&ClaimsOf, &Progress),
        (note_stream, note): (Uuid, impl FnOnce(i32) -> Result<Append, AppendError>),
    ) -> Result<ClaimsReport, RestoreError> {
        let Self { pool, mut transaction, session } = self;
        let finishing = async {
            let vault = Vault::of_log(masters, Arc::new(PgKeys::new(pool.clone()))).await.map_err(StoreError::from)?;
            let recounting = Recounting { vault: &vault, upcasters, claims_of, progress };
            sqlx::raw_sql("analyze log.events").execute(&mut *transaction).await?;
            let versions = "select count(*)::int from log.events where stream_id = $1";
            let version = sqlx::query_scalar(versions).bind(note_stream).fetch_one(&mut *transaction).await?;
            let note = prepare(note(version)?, &vault, upcasters).await?;
            let report = recount::mend_on(&mut transaction, &recounting, &note).await?;
            transaction.commit().await?;
            Ok(report)
        };
        while_it_lives(&pool, session, "making the claims fit the restored log", finishing).await
    }
}

/// Locks the head of a log, which must be empty.
async fn lock_empty(db: &mut PgConnection) -> Result<(), RestoreError> {
    let head = "select position from log.head for update";
    match sqlx::query_scalar(head).fetch_one(db).await? {
        0 => Ok(()),
        events => Err(RestoreError::NotEmpty(events)),
    }
}

/// Copies rows into a temporary table, and takes them over from there.
async fn take_over(db: &mut PgConnection, table: &Beside, lines: &mut Receiver<Vec<u8>>) -> Result<(), sqlx::Error> {
    let Beside { name, columns, take_over, .. } = table;
    let begin = format!("create temporary table copied on commit drop as select {columns} from log.{name} limit 0");
    sqlx::query(sqlx::AssertSqlSafe(begin)).execute(&mut *db).await?;
    copy_in(db, &format!("copy copied ({columns}) from stdin"), lines).await?;
    sqlx::query(*take_over).execute(&mut *db).await?;
    sqlx::query("drop table copied").execute(db).await.map(drop)
}

/// Sends lines to a `COPY … FROM STDIN`.
async fn copy_in(db: &mut PgConnection, sql: &str, lines: &mut Receiver<Vec<u8>>) -> Result<(), sqlx::Error> {
    let mut copy = db.copy_in_raw(sql).await?;
    while let Some(chunk) = lines.recv().await {
        if let Err(error) = copy.send(chunk).await {
            // PostgreSQL has refused an earlier line; its reason is more than that it takes no further line.
            return copy.abort("the copy ended early").await.and(Err(error));
        }
    }
    copy.finish().await.map(drop)
}
