//! The queries that read the log, and the writes of receipts that no event belongs to.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Acquire as _, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::timeline::Timelines;
use super::warnings::Warnings;
use crate::bounded::{ANSWER, LONG_ANSWER, SLOW_ANSWER, lend, within};
use crate::chain::Hash;
use crate::{Booked, LogClock, Position, Reached, Receipt, Recorded, Span, StoreError, Wanted};

/// Up to this number, events are read within [`ANSWER`].
const FEW: i64 = 1_000;

/// The end of the log: the position, hash and time of the newest event, and the fence, which keeps out batches that
/// were sent before the fence was raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub(super) position: Position,
    pub(super) hash: Hash,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) fence: i64,
}

fn head_of(row: &PgRow) -> Result<Head, sqlx::Error> {
    Ok(Head { position: row.try_get(0)?, hash: row.try_get(1)?, recorded_at: row.try_get(2)?, fence: row.try_get(3)? })
}

/// Reads the head of the log, and measures the clock of the database on the way.
pub(super) async fn head(pool: &PgPool, clock: &LogClock) -> Result<Head, sqlx::Error> {
    let mut db = lend(pool).await?;
    let head = within(ANSWER, head_on(&mut db, clock)).await;
    db.back(head)
}

/// Reads the head of the log like [`head`], on a connection.
pub(super) async fn head_on(db: &mut PgConnection, clock: &LogClock) -> Result<Head, sqlx::Error> {
    let sent = Instant::now();
    let sql = "select position, hash, recorded_at, fence, clock_timestamp() from log.head";
    let row = sqlx::query(sql).fetch_one(db).await?;
    clock.measured(sent, Instant::now(), row.try_get(4)?);
    head_of(&row)
}

/// Reads the head of the log and locks its row until the transaction ends.
pub(super) async fn head_locked(db: &mut PgConnection) -> Result<Head, sqlx::Error> {
    head_of(&sqlx::query("select position, hash, recorded_at, fence from log.head for update").fetch_one(db).await?)
}

/// Finds out whether a batch whose connection broke was recorded, and keeps the batch out of the log if it was not: a
/// batch that reaches the database after this finds the fence raised. Waits for the end of a session that is still
/// writing the batch. Answers the head, and whether the batch with the end `aim` is in the log.
///
/// The raised fence is committed behind the batch. Where a standby must confirm each commit, this one is answered only
/// once the standby has the batch too, even if the wait of the batch's own commit was cut short.
pub(super) async fn settle(
    db: &mut PgConnection,
    aim: &Head,
    warnings: &Warnings,
) -> Result<(Head, bool), sqlx::Error> {
    let mut transaction = db.begin().await?;
    let sql = "update log.head set fence = fence + 1 returning position, hash, recorded_at, fence";
    let head = head_of(&sqlx::query(sql).fetch_one(&mut *transaction).await?)?;
    let hash: Option<Hash> = sqlx::query_scalar("select hash from log.events where position = $1")
        .bind(aim.position)
        .fetch_optional(&mut *transaction)
        .await?;
    warnings.committed(transaction.commit()).await?;
    Ok((head, hash == Some(aim.hash)))
}

/// Commits something that changes nothing. Where a standby must confirm each commit, this one is answered only once the
/// standby has everything that was visible before.
pub(super) async fn confirm(pool: &PgPool, warnings: &Warnings) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let confirmed = within(ANSWER, confirm_on(&mut db, warnings)).await;
    db.back(confirmed)
}

async fn confirm_on(db: &mut PgConnection, warnings: &Warnings) -> Result<(), sqlx::Error> {
    let sql = "select pg_logical_emit_message(true, 'hims', '')";
    warnings.committed(sqlx::query(sql).execute(db)).await.map(drop)
}

/// Whether each commit of a server waits for a standby.
///
/// # Errors
/// When the server does not answer.
pub async fn waits_for_standby(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select current_setting('synchronous_standby_names') <> ''").fetch_one(db).await
}

/// Reads the head of the log for those who follow the log. Where a standby must confirm each commit, an event counts
/// only once the standby has it: nobody is handed an event that another server may lack.
pub(super) async fn see_head(
    pool: &PgPool,
    known: &Reached,
    clock: &LogClock,
    (timelines, warnings): (&Timelines, &Warnings),
) -> Result<(), sqlx::Error> {
    let timeline = timelines.number();
    let mut db = lend(pool).await?;
    let seeing = async {
        let position = head_on(&mut db, clock).await?.position;
        if known.is_news(timeline, position) && waits_for_standby(&mut db).await? {
            confirm_on(&mut db, warnings).await?;
        }
        Ok(position)
    };
    let seen = within(ANSWER, seeing).await;
    let position = db.back(seen)?;
    // A server that is no primary any more says nothing for sure.
    if timelines.number() == timeline {
        known.see(timeline, position);
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "sqlx hands the row over")]
fn recorded(row: PgRow) -> Result<Recorded, sqlx::Error> {
    Ok(Recorded {
        position: row.try_get(0)?,
        stream_type: row.try_get(1)?,
        stream_id: row.try_get(2)?,
        version: row.try_get(3)?,
        event_type: row.try_get(4)?,
        schema_version: row.try_get(5)?,
        recorded_at: row.try_get(6)?,
        data: row.try_get(7)?,
        metadata: row.try_get(8)?,
        hash: row.try_get(9)?,
    })
}

pub(super) async fn load(pool: &PgPool, stream_id: Uuid, after: i32, limit: i32) -> Result<Vec<Recorded>, StoreError> {
    let mut db = lend(pool).await?;
    let events = sqlx::query(
        "select position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data::text,
                metadata::text, hash
           from log.events where stream_id = $1 and version > $2 order by version limit $3",
    )
    .bind(stream_id)
    .bind(after)
    .bind(limit)
    .try_map(recorded)
    .fetch_all(&mut *db);
    let events = within(ANSWER, events).await;
    Ok(db.back(events)?)
}

/// The first event, after one position and up to another, that does not follow the event with the previous version of
/// its stream, or has a version that an earlier event has too. Where this holds for no event of a log, the versions of
/// each stream are 1, 2, 3 … in the order of the positions.
pub(super) async fn misplaced(pool: &PgPool, after: Position, last: Position) -> Result<Option<Position>, StoreError> {
    let mut db = lend(pool).await?;
    let misplaced = sqlx::query_scalar(
        "select min(position)
           from log.events e
          where position > $1 and position <= $2
            and (version < 1
                 or version > 1 and not exists (
                    select from log.events p
                     where (p.stream_id, p.version) = (e.stream_id, e.version - 1) and p.position < e.position)
                 or exists (
                    select from log.events p
                     where (p.stream_id, p.version) = (e.stream_id, e.version) and p.position < e.position))",
    )
    .bind(after)
    .bind(last)
    .fetch_one(&mut *db);
    let misplaced = within(SLOW_ANSWER, misplaced).await;
    Ok(db.back(misplaced)?)
}

pub(super) async fn read(pool: &PgPool, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
    let mut db = lend(pool).await?;
    let events = sqlx::query(
        "select position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data::text,
                metadata::text, hash
           from log.events where position > $1 order by position limit $2",
    )
    .bind(after)
    .bind(limit)
    .try_map(recorded)
    .fetch_all(&mut *db);
    let events = within(if limit > FEW { LONG_ANSWER } else { ANSWER }, events).await;
    Ok(db.back(events)?)
}

/// At most `limit` events in the order of stream and version, after the given stream and version.
pub(super) async fn by_stream(
    db: impl PgExecutor<'_>,
    (stream_id, version): (Uuid, i32),
    limit: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query(
        "select position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data::text,
                metadata::text, hash
           from log.events where (stream_id, version) > ($1, $2) order by stream_id, version limit $3",
    )
    .bind(stream_id)
    .bind(version)
    .bind(limit)
    .try_map(recorded)
    .fetch_all(db)
    .await
}

pub(super) async fn search(pool: &PgPool, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
    let mut db = lend(pool).await?;
    let mut query = QueryBuilder::<Postgres>::new(
        "select position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data::text,
                metadata::text, hash
           from log.events where position > ",
    );
    query.push_bind(wanted.after);
    if let Some(it) = wanted.stream_id {
        query.push(" and stream_id = ").push_bind(it);
    }
    if let Some(it) = &wanted.stream_type {
        query.push(" and stream_type = ").push_bind(it);
    }
    if let Some(it) = &wanted.event_type {
        query.push(" and event_type = ").push_bind(it);
    }
    if let Some(it) = wanted.event_types {
        query.push(" and event_type = any(").push_bind(it).push(")");
    }
    if let Some(it) = wanted.until {
        query.push(" and position <= ").push_bind(it);
    }
    if let Some(it) = wanted.from {
        query.push(" and recorded_at >= ").push_bind(it);
    }
    if let Some(it) = wanted.to {
        query.push(" and recorded_at <= ").push_bind(it);
    }
    if let Some(it) = &wanted.positions {
        query.push(" and position = any(").push_bind(it).push(")");
    }
    query.push(" order by position limit ").push_bind(wanted.limit);
    let events = within(ANSWER, query.build().try_map(recorded).fetch_all(&mut *db)).await;
    Ok(db.back(events)?)
}

/// The first events of several streams: at most `limit` of each.
pub(super) async fn load_all(pool: &PgPool, streams: &[Uuid], limit: i32) -> Result<Vec<Recorded>, StoreError> {
    let mut db = lend(pool).await?;
    let events = sqlx::query(
        "select position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data::text,
                metadata::text, hash
           from log.events where stream_id = any($1) and version <= $2 order by stream_id, version",
    )
    .bind(streams)
    .bind(limit)
    .try_map(recorded)
    .fetch_all(&mut *db);
    let events = within(ANSWER, events).await;
    Ok(db.back(events)?)
}

/// The versions of those of the streams that exist.
pub(super) async fn versions(pool: &PgPool, streams: &[Uuid]) -> Result<HashMap<Uuid, i32>, StoreError> {
    let mut db = lend(pool).await?;
    let versions = sqlx::query_as(
        "select s.id, e.version
           from unnest($1::uuid[]) s (id)
          cross join lateral (
                select version from log.events where stream_id = s.id order by version desc limit 1) e",
    )
    .bind(streams)
    .fetch_all(&mut *db);
    let versions: Result<Vec<(Uuid, i32)>, _> = within(ANSWER, versions).await;
    Ok(db.back(versions)?.into_iter().collect())
}

pub(super) async fn owners(pool: &PgPool, scope: &str, key: &[u8]) -> Result<Vec<Uuid>, StoreError> {
    let mut db = lend(pool).await?;
    let owners = sqlx::query_scalar(
        "select owner from log.unique_claims where scope = $1 and key = $2
         union all
         select owner from log.shared_claims where scope = $1 and key = $2",
    )
    .bind(scope)
    .bind(key)
    .fetch_all(&mut *db);
    let owners = within(ANSWER, owners).await;
    Ok(db.back(owners)?)
}

pub(super) async fn bookings(pool: &PgPool, spans: &[Span]) -> Result<Vec<Booked>, StoreError> {
    let spans: Vec<_> = spans.iter().filter(|span| span.from < span.until).collect();
    let mut db = lend(pool).await?;
    let bookings = sqlx::query(
        "select distinct c.resource, lower(c.during), upper(c.during), c.owner
           from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) s (resource, since, until)
           join log.booking_claims c on c.resource = s.resource and c.during && tstzrange(s.since, s.until)
          order by 2, 1",
    )
    .bind(spans.iter().map(|span| span.resource).collect::<Vec<_>>())
    .bind(spans.iter().map(|span| span.from).collect::<Vec<_>>())
    .bind(spans.iter().map(|span| span.until).collect::<Vec<_>>())
    .try_map(|row: PgRow| {
        let (resource, from, until) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Booked { resource, from, until, owner: row.try_get(3)? })
    })
    .fetch_all(&mut *db);
    let bookings = within(ANSWER, bookings).await;
    Ok(db.back(bookings)?)
}

pub(super) async fn receipt(pool: &PgPool, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
    let mut db = lend(pool).await?;
    let row = sqlx::query("select fingerprint, first_position, last_position from log.receipts where command_id = $1")
        .bind(command_id)
        .fetch_optional(&mut *db);
    let row = within(ANSWER, row).await;
    let receipt = db.back(row)?.map(|row| {
        Ok::<_, sqlx::Error>(Receipt {
            command_id,
            fingerprint: row.try_get(0)?,
            first: row.try_get(1)?,
            last: row.try_get(2)?,
        })
    });
    Ok(receipt.transpose()?)
}

pub(super) async fn acknowledge(
    (pool, warnings): (&PgPool, &Warnings),
    receipt: &Receipt,
    stream_id: Uuid,
    version: i32,
) -> Result<Option<Position>, StoreError> {
    let mut db = lend(pool).await?;
    let position = sqlx::query_scalar(
        "insert into log.receipts (command_id, fingerprint, first_position, last_position, recorded_at)
         select $1, $2, position + 1, position, now() from log.events where stream_id = $3 and version = $4
         on conflict do nothing returning last_position",
    )
    .bind(receipt.command_id)
    .bind(&receipt.fingerprint)
    .bind(stream_id)
    .bind(version)
    .fetch_all(&mut *db);
    let position = within(ANSWER, warnings.committed(position)).await;
    Ok(db.back(position)?.pop())
}

/// Writes a receipt that is larger than any free page, so that the file of the table grows, and takes it back. Fails as
/// long as nothing can be appended, because the disk is full or somebody keeps the head of the log locked.
pub(super) async fn write_in_vain(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let written = async {
        let mut transaction = db.begin().await?;
        head_locked(&mut transaction).await?;
        sqlx::query(
            "insert into log.receipts (command_id, fingerprint, first_position, last_position, recorded_at)
             select gen_random_uuid(), string_agg(sha256(n::text::bytea), ''), 0, 0, now() from generate_series(1, 4096) n",
        )
        .execute(&mut *transaction)
        .await?;
        transaction.rollback().await
    };
    let written = within(ANSWER, written).await;
    db.back(written)
}
