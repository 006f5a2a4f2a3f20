use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

use super::timeline::Timelines;
use crate::bounded::{ANSWER, lend, within};
use crate::{KeyTable, VaultError};

/// The wrapped subject keys in the table `log.subject_keys`.
pub(super) struct PgKeys {
    pub(super) pool: PgPool,
    pub(super) timelines: Timelines,
}

impl PgKeys {
    /// The keys of a log that is not written to by this process.
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, timelines: Timelines::default() }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn unavailable(error: sqlx::Error) -> VaultError {
    VaultError::Unavailable(error.to_string())
}

#[async_trait]
impl KeyTable for PgKeys {
    fn timeline(&self) -> i32 {
        self.timelines.number()
    }

    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Vec<u8>>)>, VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let keys = sqlx::query_as("select subject_id, wrapped from log.subject_keys where subject_id = any($1)")
            .bind(subjects)
            .fetch_all(&mut *db);
        let keys = within(ANSWER, keys).await;
        db.back(keys).map_err(unavailable)
    }

    async fn sample(&self) -> Result<Option<(Uuid, Vec<u8>)>, VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "select subject_id, wrapped from log.subject_keys where wrapped is not null limit 1";
        let key = within(ANSWER, sqlx::query_as(sql).fetch_optional(&mut *db)).await;
        db.back(key).map_err(unavailable)
    }

    async fn insert(&self, subject: Uuid, wrapped: Vec<u8>) -> Result<(), VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "insert into log.subject_keys (subject_id, wrapped) values ($1, $2) on conflict do nothing";
        let inserted = within(ANSWER, sqlx::query(sql).bind(subject).bind(wrapped).execute(&mut *db)).await;
        db.back(inserted).map(drop).map_err(unavailable)
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "
            insert into log.subject_keys (subject_id, wrapped, destroyed_at) values ($1, null, now())
             on conflict (subject_id) do update set wrapped = null, destroyed_at = now()
              where log.subject_keys.destroyed_at is null";
        let destroyed = within(ANSWER, sqlx::query(sql).bind(subject).execute(&mut *db)).await;
        db.back(destroyed).map(drop).map_err(unavailable)
    }
}
