//! Files beside the log, such as those of reports, in the table `log.report_files`. They are sealed with a key that
//! follows from the master key, so the database never sees what is in them.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::bounded::{ANSWER, SLOW_ANSWER, lend, within};
use crate::chain::hex;
use crate::{EventStore, StoreError, Vault, VaultError};

/// A file that was kept.
#[derive(Debug)]
pub struct KeptFile {
    /// The SHA-256 of the bytes, in hex, computed after they were opened.
    pub sha256: String,
    /// What was kept.
    pub bytes: Vec<u8>,
}

/// Keeps sealed files.
#[derive(Clone)]
pub struct PgFiles {
    pool: PgPool,
    store: Arc<dyn EventStore>,
}

impl PgFiles {
    /// Keeps files in the database of a pool, sealed by the vault of a log.
    pub fn new(pool: PgPool, store: Arc<dyn EventStore>) -> Self {
        Self { pool, store }
    }

    /// Seals, opens or hashes a file on a thread of its own: the longer the file, the longer that takes, and nothing else
    /// should wait for it.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(store.vault())).await;
        Ok(done.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }

    /// Keeps a file under an id, in place of an earlier file with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep(&self, id: Uuid, file: Vec<u8>) -> Result<(), StoreError> {
        let sealed = self.aside(move |vault| vault.seal_file(id, &file)).await?;
        let mut db = lend(&self.pool).await?;
        let sql = "insert into log.report_files (id, sealed) values ($1, $2)
                   on conflict (id) do update set sealed = excluded.sealed, kept_at = excluded.kept_at";
        let kept = within(SLOW_ANSWER, sqlx::query(sql).bind(id).bind(sealed).execute(&mut *db)).await;
        Ok(db.back(kept).map(drop)?)
    }

    /// The file with an id; `None` if there is none.
    ///
    /// # Errors
    /// When the database does not answer, or somebody altered the file.
    pub async fn find(&self, id: Uuid) -> Result<Option<KeptFile>, StoreError> {
        let mut db = lend(&self.pool).await?;
        let sql = "select sealed from log.report_files where id = $1";
        let found = within(SLOW_ANSWER, sqlx::query_scalar(sql).bind(id).fetch_optional(&mut *db)).await;
        let sealed: Option<Vec<u8>> = db.back(found)?;
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = self.aside(move |vault| {
            let bytes = vault.open_file(id, &sealed)?;
            Ok(KeptFile { sha256: hex(&Sha256::digest(&bytes)), bytes })
        });
        Ok(Some(opened.await?))
    }

    /// Deletes the file with an id, if there is one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget(&self, id: Uuid) -> Result<(), StoreError> {
        let mut db = lend(&self.pool).await?;
        let sql = "delete from log.report_files where id = $1";
        let deleted = within(ANSWER, sqlx::query(sql).bind(id).execute(&mut *db)).await;
        Ok(db.back(deleted).map(drop)?)
    }
}
