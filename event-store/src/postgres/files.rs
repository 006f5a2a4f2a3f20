//! Files beside the log, such as those of reports, in the table `log.report_files`. They are sealed with a key that
//! follows from the master key, so the database never sees what is in them.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use crate::bounded::{ANSWER, SLOW_ANSWER, lend, within};
use crate::chain::hex;
use crate::{EventStore, Position, StoreError, Vault, VaultError};

/// A file that was kept.
#[derive(Debug)]
pub struct KeptFile {
    /// The SHA-256 of the bytes, in hex, computed after they were opened.
    pub sha256: String,
    /// What was kept.
    pub bytes: Vec<u8>,
    /// The people of whom the file tells, by their ids.
    pub about: Vec<Uuid>,
}

/// How many bytes an id has.
const ID: usize = 16;

/// A file as it is sealed: the number of ids, the ids of those of whom it tells, and the bytes.
fn written(about: &[Uuid], bytes: &[u8]) -> Vec<u8> {
    let count = u64::try_from(about.len()).unwrap_or_default().to_be_bytes();
    let ids: Vec<_> = about.iter().flat_map(Uuid::as_bytes).copied().collect();
    [&count[..], &ids, bytes].concat()
}

/// Reads what was [`written`]: the ids and the bytes; `None` if it was written otherwise.
fn read(written: &[u8]) -> Option<(Vec<Uuid>, Vec<u8>)> {
    let (count, rest) = written.split_first_chunk()?;
    let of_ids = usize::try_from(u64::from_be_bytes(*count)).ok()?.checked_mul(ID)?;
    let (ids, bytes) = rest.split_at_checked(of_ids)?;
    let about = ids.chunks_exact(ID).filter_map(|it| Uuid::from_slice(it).ok()).collect();
    Some((about, bytes.to_vec()))
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

    /// Keeps a file that tells of these people, by their ids, under an id of its own, in place of an earlier file with this
    /// id, unless somebody was erased after the position of the log at which the file was made: the file may tell of them.
    /// Answers whether the file is kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep(
        &self,
        id: Uuid,
        (about, bytes): (Vec<Uuid>, Vec<u8>),
        made_at: Position,
    ) -> Result<bool, StoreError> {
        let sealed = self.aside(move |vault| vault.seal_file(id, &written(&about, &bytes))).await?;
        let mut db = lend(&self.pool).await?;
        let sql = "insert into log.report_files (id, sealed) values ($1, $2)
                   on conflict (id) do update set sealed = excluded.sealed, kept_at = excluded.kept_at";
        let keeping = async {
            within(SLOW_ANSWER, sqlx::query(sql).bind(id).bind(sealed).execute(&mut *db)).await?;
            within(ANSWER, withdraw_if_erased(&mut db, id, made_at)).await
        };
        let withdrawn = keeping.await;
        Ok(!db.back(withdrawn)?)
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
            let (about, bytes) = read(&vault.open_file(id, &sealed)?).ok_or(VaultError::Forged)?;
            Ok(KeptFile { sha256: hex(&Sha256::digest(&bytes)), bytes, about })
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

/// Deletes a file if somebody was erased after a position, which is recorded in the stream of the person whose key is
/// destroyed. Answers whether it did.
///
/// Whoever erases deletes all files that they see in one statement. The lock lets those who have begun end first, so that
/// they are seen here; whoever begins later sees the file. It is held for a moment only, however long the file is.
async fn withdraw_if_erased(db: &mut PgConnection, id: Uuid, made_at: Position) -> Result<bool, sqlx::Error> {
    let mut transaction = db.begin().await?;
    sqlx::raw_sql("lock table log.report_files in share row exclusive mode").execute(&mut *transaction).await?;
    let sql = "delete from log.report_files
                where id = $1 and exists (
                      select from log.events e join log.subject_keys k on k.subject_id = e.stream_id
                       where e.position > $2 and k.destroyed_at is not null)";
    let deleted = sqlx::query(sql).bind(id).bind(made_at).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(deleted.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        for about in [vec![], vec![Uuid::from_u128(1), Uuid::from_u128(2)]] {
            let bytes = b"Time,Minutes".to_vec();
            assert_eq!(read(&written(&about, &bytes)), Some((about, bytes)));
        }
        assert_eq!(read(&written(&[], &[])[1..]), None);
        assert_eq!(read(&1_u64.to_be_bytes()), None, "an id is missing");
    }
}
