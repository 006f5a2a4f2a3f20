//! Recomputes the claims of every stream from the log into temporary tables, and compares or mends the stored claims in
//! SQL.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::feed::CHANNEL;
use super::read::{self, Head};
use super::write::{Columns, chain};
use crate::bounded::{ANSWER, LONG_ANSWER, session_of, while_it_lives, within};
use crate::prepare::{self, Key, Prepared, PreparedClaim};
use crate::recount::{ClaimDifference, ClaimsOf, ClaimsReport, EXAMPLES, Progress, recount};
use crate::{Recorded, StoreError, Upcasters, Vault};

/// How many events are fetched at a time.
const PAGE: i64 = 5_000;
/// How many recomputed claims are collected before they are written to the temporary tables.
const CLAIMS: usize = 5_000;

const TABLES: &str = "
    create temporary table held_keys (is_unique boolean, scope text, key bytea, owner uuid) on commit drop;
    create temporary table held_times (resource uuid, during tstzrange, owner uuid) on commit drop;
    create temporary table unknown_owners (owner uuid primary key) on commit drop;";

/// One row for each difference between stored and recomputed claims: the scope, the owner, whether the claim is
/// missing.
const DIFFERENCES: &str = "
    with claimed_keys as (
        select true as is_unique, scope, key, owner from log.unique_claims
        union all select false, scope, key, owner from log.shared_claims),
    known_keys as (select * from claimed_keys where owner not in (select owner from unknown_owners)),
    known_times as (select resource, during, owner from log.booking_claims
                     where owner not in (select owner from unknown_owners))
    select scope, owner, true as is_missing from (table held_keys except all table claimed_keys) as missing
    union all
    select scope, owner, false from (table known_keys except all table held_keys) as extra
    union all
    select 'booking', owner, true from (table held_times except all table known_times) as missing
    union all
    select 'booking', owner, false from (table known_times except all table held_times) as extra";

/// Deletes the stored claims that do not follow from the log, and inserts the missing claims. A unique key or booking
/// that follows from two streams goes to one of them.
const MEND: [&str; 6] = [
    "delete from log.unique_claims c where owner not in (select owner from unknown_owners)
        and not exists (select from held_keys h where h.is_unique and (h.scope, h.key, h.owner) = (c.scope, c.key, c.owner))",
    "delete from log.shared_claims c where owner not in (select owner from unknown_owners)
        and not exists (select from held_keys h
                         where not h.is_unique and (h.scope, h.key, h.owner) = (c.scope, c.key, c.owner))",
    "delete from log.booking_claims c where owner not in (select owner from unknown_owners)
        and not exists (select from held_times h where (h.resource, h.during, h.owner) = (c.resource, c.during, c.owner))",
    "insert into log.unique_claims (scope, key, owner)
     select scope, key, owner from held_keys where is_unique on conflict do nothing",
    "insert into log.shared_claims (scope, key, owner)
     select scope, key, owner from held_keys where not is_unique on conflict do nothing",
    "insert into log.booking_claims (resource, during, owner)
     select resource, during, owner from held_times h
      where not exists (select from log.booking_claims c
                         where (h.resource, h.during, h.owner) = (c.resource, c.during, c.owner))
     on conflict do nothing",
];

/// The bounds of a session while it goes through the whole log: a statement may take long, but not the pause after it.
const UNHURRIED: &str = "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '30s'";

/// Begins a transaction that may go through the whole log. Answers its session too, for
/// [`while_it_lives`].
pub(super) async fn unhurried(pool: &PgPool) -> Result<(Transaction<'static, Postgres>, i32), sqlx::Error> {
    begin_unhurried(pool, "begin").await
}

async fn begin_unhurried(
    pool: &PgPool,
    begin: &'static str,
) -> Result<(Transaction<'static, Postgres>, i32), sqlx::Error> {
    let mut transaction = within(LONG_ANSWER, pool.begin_with(begin)).await?;
    within(ANSWER, sqlx::raw_sql(UNHURRIED).execute(&mut *transaction)).await?;
    let session = session_of(&mut transaction).await?;
    Ok((transaction, session))
}

/// What recomputing claims needs to know.
pub(super) struct Recounting<'a> {
    pub(super) vault: &'a Vault,
    pub(super) upcasters: &'a Upcasters,
    pub(super) claims_of: &'a ClaimsOf,
    /// Is told how many events were read so far.
    pub(super) progress: &'a Progress,
}

/// Compares the stored claims with the recomputed claims, as of one moment.
pub(super) async fn compare(pool: &PgPool, recounting: &Recounting<'_>) -> Result<ClaimsReport, StoreError> {
    let (mut transaction, session) = begin_unhurried(pool, "begin isolation level repeatable read").await?;
    let comparing = async {
        let (streams, skipped) = recompute(&mut transaction, recounting).await?;
        Ok(ClaimsReport { streams, skipped, ..differences(&mut transaction).await? })
    };
    while_it_lives(pool, session, "comparing the claims with the log", comparing).await
}

/// Rebuilds the claims from the log while the locked head makes appends wait, and records the events of `note` behind
/// the head. Reports the differences that remain.
pub(super) async fn mend(
    pool: &PgPool,
    recounting: &Recounting<'_>,
    note: &Prepared,
) -> Result<ClaimsReport, StoreError> {
    let (mut transaction, session) = unhurried(pool).await?;
    let mending = async {
        let report = mend_on(&mut transaction, recounting, note).await?;
        transaction.commit().await?;
        Ok(report)
    };
    while_it_lives(pool, session, "rebuilding the claims from the log", mending).await
}

/// Rebuilds the claims like [`mend`], within a transaction.
pub(super) async fn mend_on(
    db: &mut PgConnection,
    recounting: &Recounting<'_>,
    note: &Prepared,
) -> Result<ClaimsReport, StoreError> {
    let head = read::head_locked(&mut *db).await?;
    let (streams, skipped) = recompute(&mut *db, recounting).await?;
    for statement in MEND {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    let left = differences(&mut *db).await?;
    record(db, head, note).await?;
    Ok(ClaimsReport { streams, skipped, ..left })
}

/// Records the events of new streams behind the locked head.
async fn record(db: &mut PgConnection, head: Head, note: &Prepared) -> Result<(), sqlx::Error> {
    let now = sqlx::query_scalar("select greatest(clock_timestamp(), $1)").bind(head.recorded_at);
    let recorded_at = now.fetch_one(&mut *db).await?;
    let hashes = chain(&[note], &head, recorded_at);
    let columns = Columns::new(&[note], &head, recorded_at, &hashes);
    // The head is locked, so nobody can have moved the head.
    columns.write(db).await?.ok_or(sqlx::Error::RowNotFound)?;
    let told = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(columns.head.position.to_string());
    told.execute(db).await.map(drop)
}

/// Fills the temporary tables with recomputed claims. Tells how many streams were recomputed and how many could not be.
async fn recompute(db: &mut PgConnection, recounting: &Recounting<'_>) -> Result<(u64, u64), StoreError> {
    let Recounting { vault, upcasters, claims_of, progress } = *recounting;
    sqlx::raw_sql(TABLES).execute(&mut *db).await?;
    let (mut streams, mut skipped, mut read_events, mut held) = (0, 0, 0, HeldClaims::default());
    let (mut unfinished, mut after) = (Vec::<Recorded>::new(), (Uuid::nil(), 0));
    loop {
        let page = read::by_stream(&mut *db, after, PAGE).await?;
        let is_end = page.is_empty();
        read_events += page.len() as u64;
        progress(read_events);
        after = page.last().map_or(after, |last| (last.stream_id, last.version));
        let mut whole = std::mem::take(&mut unfinished);
        whole.extend(page);
        if !is_end {
            // The last stream of a page may continue on the next page.
            unfinished = whole.split_off(whole.partition_point(|event| event.stream_id < after.0));
        }
        let opened = prepare::open(vault, upcasters, whole).await?;
        for events in opened.chunk_by(|one, next| one.recorded.stream_id == next.recorded.stream_id) {
            match recount(events, claims_of) {
                Some(claims) => {
                    streams += 1;
                    held.extend(claims.into_iter().map(|claim| prepare::claim(claim, vault)));
                }
                None => {
                    skipped += 1;
                    held.unknown.extend(events.first().map(|event| event.recorded.stream_id));
                }
            }
        }
        if is_end || held.len() >= CLAIMS {
            std::mem::take(&mut held).write(db).await?;
        }
        if is_end {
            return Ok((streams, skipped));
        }
    }
}

/// Recomputed claims as one array per column.
#[derive(Default)]
struct HeldClaims {
    are_unique: Vec<bool>,
    scopes: Vec<&'static str>,
    keys: Vec<Vec<u8>>,
    key_owners: Vec<Uuid>,
    resources: Vec<Uuid>,
    since: Vec<DateTime<Utc>>,
    until: Vec<DateTime<Utc>>,
    time_owners: Vec<Uuid>,
    unknown: Vec<Uuid>,
}

impl HeldClaims {
    fn len(&self) -> usize {
        self.keys.len() + self.resources.len() + self.unknown.len()
    }

    fn extend(&mut self, claims: impl IntoIterator<Item = PreparedClaim>) {
        for claim in claims {
            match claim {
                PreparedClaim::Take(key, owner) => self.push(true, key, owner),
                PreparedClaim::Share(key, owner) => self.push(false, key, owner),
                PreparedClaim::Book(booked) => {
                    self.resources.push(booked.resource);
                    self.since.push(booked.from);
                    self.until.push(booked.until);
                    self.time_owners.push(booked.owner);
                }
                PreparedClaim::Release(..) | PreparedClaim::Unshare(..) | PreparedClaim::Unbook { .. } => {}
            }
        }
    }

    fn push(&mut self, is_unique: bool, Key { scope, key }: Key, owner: Uuid) {
        self.are_unique.push(is_unique);
        self.scopes.push(scope);
        self.keys.push(key);
        self.key_owners.push(owner);
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("insert into held_keys select * from unnest($1::boolean[], $2::text[], $3::bytea[], $4::uuid[])")
            .bind(self.are_unique)
            .bind(self.scopes)
            .bind(self.keys)
            .bind(self.key_owners)
            .execute(&mut *db)
            .await?;
        sqlx::query(
            "insert into held_times select resource, tstzrange(since, until), owner
               from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::uuid[]) b (resource, since, until, owner)",
        )
        .bind(self.resources)
        .bind(self.since)
        .bind(self.until)
        .bind(self.time_owners)
        .execute(&mut *db)
        .await?;
        sqlx::query("insert into unknown_owners select unnest($1::uuid[])").bind(self.unknown).execute(db).await?;
        Ok(())
    }
}

async fn differences(db: &mut PgConnection) -> Result<ClaimsReport, sqlx::Error> {
    sqlx::raw_sql("analyze held_keys; analyze held_times; analyze unknown_owners").execute(&mut *db).await?;
    let sql = format!(
        "with differences as materialized ({DIFFERENCES})
         select scope, owner, is_missing, count(*) over () from differences order by 1, 2, 3 limit {EXAMPLES}"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(db).await?;
    let mut report = ClaimsReport::default();
    for row in rows {
        report.differing = row.try_get::<i64, _>(3)?.unsigned_abs();
        report.examples.push(ClaimDifference {
            set: row.try_get(0)?,
            owner: row.try_get(1)?,
            is_missing: row.try_get(2)?,
        });
    }
    Ok(report)
}
