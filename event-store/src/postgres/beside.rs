//! The queries of what is stored beside the log: snapshots, and receipts that do not fit the log.

use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use super::recount::unhurried;
use crate::StoreError;
use crate::beside::ReceiptsPage;
use crate::bounded::{ANSWER, LONG_ANSWER, lend, while_it_lives, within};
use crate::chain::Hash;
use crate::snapshot::StoredSnapshot;

/// The snapshot of a stream, and the hash of the stream's event at the version of the snapshot.
pub(super) async fn snapshot(
    pool: &PgPool,
    stream_id: Uuid,
) -> Result<Option<(StoredSnapshot, Option<Hash>)>, StoreError> {
    let mut db = lend(pool).await?;
    let row = sqlx::query(
        "select s.version, s.state_version, s.state::text, s.subject_id, s.code, e.hash
           from log.snapshots s left join log.events e on (e.stream_id, e.version) = (s.stream_id, s.version)
          where s.stream_id = $1",
    )
    .bind(stream_id)
    .fetch_optional(&mut *db);
    let row = within(ANSWER, row).await;
    let snapshot = db.back(row)?.map(|row| {
        let snapshot = StoredSnapshot {
            version: row.try_get(0)?,
            state_version: row.try_get(1)?,
            state: row.try_get(2)?,
            subject: row.try_get(3)?,
            code: row.try_get(4)?,
        };
        Ok::<_, sqlx::Error>((snapshot, row.try_get(5)?))
    });
    Ok(snapshot.transpose()?)
}

/// The hash of the event at a version of a stream; `None` when the stream does not have the version.
pub(super) async fn hash_of(pool: &PgPool, stream_id: Uuid, version: i32) -> Result<Option<Hash>, StoreError> {
    let mut db = lend(pool).await?;
    let sql = "select hash from log.events where stream_id = $1 and version = $2";
    let hash = within(ANSWER, sqlx::query_scalar(sql).bind(stream_id).bind(version).fetch_optional(&mut *db)).await;
    Ok(db.back(hash)?)
}

pub(super) async fn save_snapshot(pool: &PgPool, stream_id: Uuid, snapshot: StoredSnapshot) -> Result<(), StoreError> {
    let mut db = lend(pool).await?;
    let saved = sqlx::query(
        "insert into log.snapshots (stream_id, version, state_version, state, subject_id, code)
         values ($1, $2, $3, $4::json, $5, $6)
         on conflict (stream_id) do update
            set version = excluded.version, state_version = excluded.state_version, state = excluded.state,
                subject_id = excluded.subject_id, code = excluded.code",
    )
    .bind(stream_id)
    .bind(snapshot.version)
    .bind(snapshot.state_version)
    .bind(snapshot.state)
    .bind(snapshot.subject)
    .bind(snapshot.code)
    .execute(&mut *db);
    let saved = within(ANSWER, saved).await;
    db.back(saved)?;
    Ok(())
}

pub(super) async fn snapshots(pool: &PgPool, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    let mut db = lend(pool).await?;
    let sql = "select stream_id from log.snapshots where stream_id > $1 order by stream_id limit $2";
    let streams = within(ANSWER, sqlx::query_scalar(sql).bind(after).bind(limit).fetch_all(&mut *db)).await;
    Ok(db.back(streams)?)
}

pub(super) async fn forget_snapshots(pool: &PgPool) -> Result<u64, StoreError> {
    let (mut transaction, session) = unhurried(pool).await?;
    let forgetting = async {
        let forgotten = sqlx::query("delete from log.snapshots").execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(forgotten)
    };
    while_it_lives(pool, session, "deleting the snapshots", forgetting).await
}

pub(super) async fn streams_of_version(pool: &PgPool, version: i32) -> Result<Vec<(String, Uuid)>, StoreError> {
    let (mut transaction, session) = unhurried(pool).await?;
    let sql = "select stream_type, stream_id from log.events where version = $1 order by stream_id";
    let finding = async { Ok(sqlx::query_as(sql).bind(version).fetch_all(&mut *transaction).await?) };
    while_it_lives(pool, session, "looking for long streams", finding).await
}

/// Compares receipts with the log, in the order of their commands. The metadata is searched as text, since PostgreSQL
/// cannot read every text that JSON allows.
pub(super) async fn compare_receipts(pool: &PgPool, after: Uuid, limit: i64) -> Result<ReceiptsPage, StoreError> {
    let mut db = lend(pool).await?;
    let compared = sqlx::query(
        "with page as materialized (
            select * from log.receipts where command_id > $1 order by command_id limit $2)
         select (select count(*) from page), (select command_id from page order by command_id desc limit 1),
                array(select r.command_id from page r
                       where r.first_position < 1 or r.last_position < r.first_position - 1
                          or r.last_position > (select position from log.head)
                          or exists (select from log.events e
                                      where e.position between r.first_position and r.last_position
                                        and position('\"command_id\":\"' || r.command_id || '\"' in e.metadata::text) = 0)
                       order by 1)",
    )
    .bind(after)
    .bind(limit)
    .fetch_one(&mut *db);
    let row = within(LONG_ANSWER, compared).await;
    let row = db.back(row)?;
    Ok(ReceiptsPage {
        receipts: row.try_get::<i64, _>(0)?.unsigned_abs(),
        last: row.try_get(1)?,
        unfounded: row.try_get(2)?,
    })
}

pub(super) async fn without_receipt(pool: &PgPool, commands: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let mut db = lend(pool).await?;
    let sql = "select c from unnest($1::uuid[]) c where not exists (select from log.receipts where command_id = c)";
    let without = within(LONG_ANSWER, sqlx::query_scalar(sql).bind(commands).fetch_all(&mut *db)).await;
    Ok(db.back(without)?)
}
