use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{KeyTable, VaultError};

/// The wrapped subject keys in the table `log.subject_keys`.
pub(super) struct PgKeys(pub(super) PgPool);

fn unavailable(error: &sqlx::Error) -> VaultError {
    VaultError::Unavailable(error.to_string())
}

#[async_trait]
impl KeyTable for PgKeys {
    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Vec<u8>>)>, VaultError> {
        sqlx::query_as("select subject_id, wrapped from log.subject_keys where subject_id = any($1)")
            .bind(subjects)
            .fetch_all(&self.0)
            .await
            .map_err(|it| unavailable(&it))
    }

    async fn sample(&self) -> Result<Option<(Uuid, Vec<u8>)>, VaultError> {
        sqlx::query_as("select subject_id, wrapped from log.subject_keys where wrapped is not null limit 1")
            .fetch_optional(&self.0)
            .await
            .map_err(|it| unavailable(&it))
    }

    async fn insert(&self, subject: Uuid, wrapped: Vec<u8>) -> Result<(), VaultError> {
        sqlx::query("insert into log.subject_keys (subject_id, wrapped) values ($1, $2) on conflict do nothing")
            .bind(subject)
            .bind(wrapped)
            .execute(&self.0)
            .await
            .map(drop)
            .map_err(|it| unavailable(&it))
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        sqlx::query(
            "insert into log.subject_keys (subject_id, wrapped, destroyed_at) values ($1, null, now())
             on conflict (subject_id) do update set wrapped = null, destroyed_at = now()
              where log.subject_keys.destroyed_at is null",
        )
        .bind(subject)
        .execute(&self.0)
        .await
        .map(drop)
        .map_err(|it| unavailable(&it))
    }
}
