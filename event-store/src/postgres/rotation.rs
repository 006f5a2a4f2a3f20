//! Puts a new master key in the place of a former one, while the log is in use: first new keys of people are wrapped by
//! it, then the keys that are there already. No event is touched.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::PgEventStore;
use super::keys::PgKeys;
use crate::bounded::{ANSWER, LONG_ANSWER, lend, within};
use crate::vault::{Wrapped, prove};
use crate::{MasterKeys, StoreError, VaultError};

/// The advisory lock of whoever replaces the master key ("himk" in ASCII).
const LOCK: i64 = 0x6869_6d6b;
/// How many keys are wrapped anew at once.
const PAGE: i64 = 1_000;
const STILL_USED: &str = "23503";

/// A master key of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterKeyUse {
    /// Its id.
    pub id: Uuid,
    /// Whether it wraps new keys.
    pub is_current: bool,
    /// How many keys of people it wraps.
    pub wraps: i64,
}

/// The master keys of a log, the current one first.
///
/// # Errors
/// When the database does not answer.
pub async fn master_keys(pool: &PgPool) -> Result<Vec<MasterKeyUse>, StoreError> {
    let sql = "select m.id, m.is_current, count(k.subject_id)
                 from log.master_keys m left join log.subject_keys k on k.wrapped_by = m.id
                group by m.id order by m.is_current desc, m.id";
    let mut db = lend(pool).await?;
    let rows: Vec<(Uuid, bool, i64)> = within(LONG_ANSWER, sqlx::query_as(sql).fetch_all(&mut *db)).await?;
    Ok(rows.into_iter().map(|(id, is_current, wraps)| MasterKeyUse { id, is_current, wraps }).collect())
}

impl PgEventStore {
    /// Checks that the master key of a log is among these.
    ///
    /// # Errors
    /// When it is not ([`VaultError::OtherMasterKey`](crate::VaultError::OtherMasterKey)), or the database does not answer.
    pub async fn prove_keys(pool: PgPool, masters: &MasterKeys) -> Result<(), StoreError> {
        Ok(prove(masters, &PgKeys::new(pool)).await?)
    }
}

/// A master key that takes the place of another. Whoever is broken off in the middle of it begins again, and goes on where
/// it was left.
pub struct Rotation<'a> {
    pool: &'a PgPool,
    keys: &'a MasterKeys,
    /// Holds the lock of whoever replaces the master key.
    _alone: PgConnection,
}

impl<'a> Rotation<'a> {
    /// Makes the newest of these master keys the one that wraps new keys. `None` while another program replaces the
    /// master key.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] when the current master key of the log is not among these; also when the database
    /// does not answer.
    pub async fn begin(pool: &'a PgPool, keys: &'a MasterKeys) -> Result<Option<Self>, StoreError> {
        let mut alone = lend(pool).await?.keep();
        let lock = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut alone);
        if !within(ANSWER, lock).await? {
            return Ok(None);
        }
        let current = sqlx::query_as("select id, root from log.master_keys where is_current").fetch_one(&mut alone);
        let (by, bytes) = within(ANSWER, current).await?;
        if by != keys.newest().id() {
            let root = keys.wrap_root_anew(&Wrapped { by, bytes })?;
            let replace = sqlx::query("update log.master_keys set is_current = false where is_current");
            let mut transaction = within(ANSWER, sqlx::Connection::begin(&mut alone)).await?;
            within(ANSWER, replace.execute(&mut *transaction)).await?;
            let add = "insert into log.master_keys (id, root, is_current) values ($1, $2, true)
                           on conflict (id) do update set is_current = true";
            within(ANSWER, sqlx::query(add).bind(root.by).bind(root.bytes).execute(&mut *transaction)).await?;
            within(ANSWER, transaction.commit()).await?;
        }
        Ok(Some(Self { pool, keys, _alone: alone }))
    }

    /// The former master keys, which wrap no new keys any more, but may still wrap earlier ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn former(&self) -> Result<Vec<Uuid>, StoreError> {
        let mut db = lend(self.pool).await?;
        let former = sqlx::query_scalar("select id from log.master_keys where not is_current order by id");
        Ok(within(ANSWER, former.fetch_all(&mut *db)).await?)
    }

    /// Wraps by the newest master key what a former one wraps. Tells `progress` how many keys it has wrapped, and answers
    /// this number.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] when a former master key is not among those that are known,
    /// [`VaultError::ForgedKey`] when somebody altered a key; also when the database does not answer.
    pub async fn wrap_anew(&self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<u64, StoreError> {
        let sql = "select subject_id, wrapped_by, wrapped from log.subject_keys
                    where subject_id > $1 and wrapped_by <> $2 order by subject_id limit $3";
        let (mut done, mut after) = (0, Uuid::nil());
        let mut db = lend(self.pool).await?;
        loop {
            let page = sqlx::query_as(sql).bind(after).bind(self.keys.newest().id()).bind(PAGE);
            let page: Vec<(Uuid, Uuid, Vec<u8>)> = within(LONG_ANSWER, page.fetch_all(&mut *db)).await?;
            let Some((last, ..)) = page.last() else { return Ok(done) };
            after = *last;
            done += self.wrap_page(&mut db, page).await?;
            progress(done);
        }
    }

    async fn wrap_page(&self, db: &mut PgConnection, page: Vec<(Uuid, Uuid, Vec<u8>)>) -> Result<u64, StoreError> {
        let wrap = |(subject, by, bytes): (Uuid, Uuid, Vec<u8>)| {
            let wrapped = self.keys.wrap_anew(subject, &Wrapped { by, bytes }).map_err(|error| match error {
                VaultError::Forged => VaultError::ForgedKey(subject),
                error => error,
            })?;
            Ok::<_, VaultError>((subject, by, wrapped.bytes))
        };
        let wrapped = page.into_iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (subject, former, bytes) in wrapped {
            columns.0.push(subject);
            columns.1.push(former);
            columns.2.push(bytes);
        }
        // The key of a person who was erased meanwhile has no former master key, and does not come back.
        let sql = "update log.subject_keys k set wrapped_by = $4, wrapped = n.wrapped, changed_at = now()
                     from unnest($1::uuid[], $2::uuid[], $3::bytea[]) n (subject_id, former, wrapped)
                    where k.subject_id = n.subject_id and k.wrapped_by = n.former";
        let update = sqlx::query(sql).bind(columns.0).bind(columns.1).bind(columns.2).bind(self.keys.newest().id());
        Ok(within(LONG_ANSWER, update.execute(db)).await?.rows_affected())
    }

    /// Takes a former master key out of the log, so that nothing can be wrapped by it again. Answers whether it could be
    /// taken out: a program that had not noticed the change yet may have wrapped another key by it.
    ///
    /// # Errors
    /// When the master key is not a former one any more, or the database does not answer.
    pub async fn retire(&self, former: Uuid) -> Result<bool, StoreError> {
        let mut db = lend(self.pool).await?;
        let delete = sqlx::query("delete from log.master_keys where id = $1 and not is_current").bind(former);
        match within(ANSWER, delete.execute(&mut *db)).await {
            Ok(done) if done.rows_affected() == 1 => Ok(true),
            Ok(_) => Err(StoreError::Unavailable(format!(
                "the master key {former} is no former one any more: another program replaces the master key, too"
            ))),
            Err(sqlx::Error::Database(refusal)) if refusal.code().is_some_and(|it| it == STILL_USED) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
