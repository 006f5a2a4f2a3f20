use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

use super::timeline::Timelines;
use crate::bounded::{ANSWER, lend, within};
use crate::vault::{Wrapped, WrappedRoot};
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

    async fn roots(&self) -> Result<Vec<WrappedRoot>, VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "select id, root, is_current from log.master_keys";
        let rows = within(ANSWER, sqlx::query_as(sql).fetch_all(&mut *db)).await;
        let rows: Vec<(Uuid, Vec<u8>, bool)> = db.back(rows).map_err(unavailable)?;
        let root = |(by, bytes, is_current)| WrappedRoot { root: Wrapped { by, bytes }, is_current };
        Ok(rows.into_iter().map(root).collect())
    }

    async fn found(&self, root: Wrapped) -> Result<(), VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "insert into log.master_keys (id, root, is_current)
                   select $1, $2, true where not exists (select from log.master_keys) on conflict do nothing";
        let founded = within(ANSWER, sqlx::query(sql).bind(root.by).bind(root.bytes).execute(&mut *db)).await;
        db.back(founded).map(drop).map_err(unavailable)
    }

    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Wrapped>)>, VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "select subject_id, wrapped_by, wrapped from log.subject_keys where subject_id = any($1)";
        let rows = within(ANSWER, sqlx::query_as(sql).bind(subjects).fetch_all(&mut *db)).await;
        let rows: Vec<(Uuid, Option<Uuid>, Option<Vec<u8>>)> = db.back(rows).map_err(unavailable)?;
        let key = |(subject, by, bytes): (_, Option<_>, Option<_>)| {
            (subject, by.zip(bytes).map(|(by, bytes)| Wrapped { by, bytes }))
        };
        Ok(rows.into_iter().map(key).collect())
    }

    async fn insert(&self, subject: Uuid, key: Wrapped) -> Result<(), VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "insert into log.subject_keys (subject_id, wrapped_by, wrapped)
                   select $1, id, $3 from log.master_keys where id = $2 and is_current on conflict do nothing";
        let insert = sqlx::query(sql).bind(subject).bind(key.by).bind(key.bytes);
        let inserted = within(ANSWER, insert.execute(&mut *db)).await;
        db.back(inserted).map(drop).map_err(unavailable)
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        let mut db = lend(&self.pool).await.map_err(unavailable)?;
        let sql = "
            insert into log.subject_keys (subject_id, destroyed_at) values ($1, now())
             on conflict (subject_id) do update
               set wrapped_by = null, wrapped = null, changed_at = now(), destroyed_at = now()
              where log.subject_keys.destroyed_at is null";
        let destroyed = within(ANSWER, sqlx::query(sql).bind(subject).execute(&mut *db)).await;
        db.back(destroyed).map(drop).map_err(unavailable)
    }
}
