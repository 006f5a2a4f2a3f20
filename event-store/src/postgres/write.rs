//! The one SQL statement that writes a batch.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::read::Head;
use crate::Position;
use crate::chain::{Body, timestamp};
use crate::prepare::{Key, Prepared, PreparedClaim};

/// The last part of the statement. The statement answers the time of the database, unless nothing was written.
const EVENTS: &str = ",
    recorded as (
        insert into log.events (position, stream_type, stream_id, version, event_type, schema_version, recorded_at,
                                data, metadata, hash)
        select $4 + e.ord, e.stream_type, e.stream_id, e.version, e.event_type, e.schema_version, $3, e.data::json,
               e.metadata::json, e.hash
          from unnest($6::text[], $7::uuid[], $8::int[], $9::text[], $10::int[], $11::text[], $12::text[],
                      $13::bytea[])
               with ordinality e (stream_type, stream_id, version, event_type, schema_version, data, metadata, hash, ord)
         where exists (select 1 from head))
    select clock_timestamp() from head";

/// The one event of a batch that holds nothing else. Without arrays to take apart, PostgreSQL needs less time for it,
/// and a single caller is answered sooner.
const ONE_EVENT: &str = "
    insert into log.events (position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data,
                            metadata, hash)
    select $1, $6::text, $7::uuid, $8::int, $9::text, $10::int, $3, $11::text::json, $12::text::json, $2 from head
    returning clock_timestamp()";

/// Moves the head by compare-and-set. Nothing is written unless the head is at the position for which the batch was
/// made, and nobody has raised the fence since.
const HEAD: &str = "
    with head as (
        update log.head set position = $1, hash = $2, recorded_at = $3 where position = $4 and fence = $5 returning 1)";

/// Deletes the claims that are given back before it inserts those that are taken, since a batch may give back and take
/// the same key. The inserts read `gone`, which PostgreSQL computes only after the deletions.
const CLAIMS: &str = ",
    released as (
        delete from log.unique_claims c using unnest($14::text[], $15::bytea[], $16::uuid[]) r (scope, key, owner), head
         where c.scope = r.scope and c.key = r.key and c.owner = r.owner returning 1),
    unshared as (
        delete from log.shared_claims c using unnest($17::text[], $18::bytea[], $19::uuid[]) r (scope, key, owner), head
         where c.scope = r.scope and c.key = r.key and c.owner = r.owner returning 1),
    unbooked as (
        delete from log.booking_claims c using unnest($20::uuid[]) r (owner), head where c.owner = r.owner returning 1),
    gone as (
        select (select count(*) from released) + (select count(*) from unshared) + (select count(*) from unbooked) as n
          from head),
    taken as (
        insert into log.unique_claims (scope, key, owner)
        select t.scope, t.key, t.owner
          from unnest($21::text[], $22::bytea[], $23::uuid[]) t (scope, key, owner), gone where gone.n >= 0
         on conflict (scope, key) do update set owner = excluded.owner
            where log.refuse_unless(unique_claims.owner = excluded.owner)),
    shared as (
        insert into log.shared_claims (scope, key, owner)
        select t.scope, t.key, t.owner
          from unnest($24::text[], $25::bytea[], $26::uuid[]) t (scope, key, owner), gone where gone.n >= 0
         on conflict do nothing),
    booked as (
        insert into log.booking_claims (resource, during, owner)
        select b.resource, tstzrange(b.since, b.until), b.owner
          from unnest($27::uuid[], $28::timestamptz[], $29::timestamptz[], $30::uuid[]) b (resource, since, until, owner),
               gone
         where gone.n >= 0),
    receipts as (
        insert into log.receipts (command_id, fingerprint, first_position, last_position, recorded_at)
        select r.command_id, r.fingerprint, r.first, r.last, $3
          from unnest($31::uuid[], $32::bytea[], $33::bigint[], $34::bigint[]) r (command_id, fingerprint, first, last), head)";

/// Destroys the keys of people who are erased, and deletes what was kept of them beside the log: snapshots, and files,
/// any of which may name them. Files are made again when somebody asks for them.
const ERASURES: &str = ",
    erased as (
        insert into log.subject_keys (subject_id, destroyed_at)
        select e.subject, $3 from unnest($35::uuid[]) e (subject), head
         on conflict (subject_id) do update
           set wrapped_by = null, wrapped = null, changed_at = now(), destroyed_at = excluded.destroyed_at
            where subject_keys.destroyed_at is null),
    unsaved as (delete from log.snapshots s using unnest($35::uuid[]) e (subject), head where s.subject_id = e.subject),
    unkept as (delete from log.report_files using head)";

/// A batch as one array per column, with positions, versions and hashes.
pub(super) struct Columns<'a> {
    /// The end of the log once the batch is written.
    pub(super) head: Head,
    pub(super) before: Position,
    pub(super) fence: i64,
    pub(super) stream_types: Vec<&'a str>,
    pub(super) stream_ids: Vec<Uuid>,
    pub(super) versions: Vec<i32>,
    pub(super) event_types: Vec<&'a str>,
    pub(super) schema_versions: Vec<i32>,
    pub(super) data: Vec<&'a str>,
    pub(super) metadata: Vec<&'a str>,
    pub(super) hashes: Vec<&'a [u8]>,
    pub(super) claims: Option<Claims<'a>>,
}

#[derive(Default)]
pub(super) struct Keys<'a> {
    pub(super) scopes: Vec<&'a str>,
    pub(super) blinded: Vec<&'a [u8]>,
    pub(super) owners: Vec<Uuid>,
}

impl<'a> Keys<'a> {
    fn push(&mut self, key: &'a Key, owner: Uuid) {
        self.scopes.push(key.scope);
        self.blinded.push(&key.key);
        self.owners.push(owner);
    }
}

#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) released: Keys<'a>,
    pub(super) unshared: Keys<'a>,
    pub(super) unbooked: Vec<Uuid>,
    pub(super) taken: Keys<'a>,
    pub(super) shared: Keys<'a>,
    pub(super) booked: Bookings,
    pub(super) receipts: Receipts<'a>,
    pub(super) erases: Vec<Uuid>,
}

#[derive(Default)]
pub(super) struct Bookings {
    pub(super) resources: Vec<Uuid>,
    pub(super) since: Vec<DateTime<Utc>>,
    pub(super) until: Vec<DateTime<Utc>>,
    pub(super) owners: Vec<Uuid>,
}

#[derive(Default)]
pub(super) struct Receipts<'a> {
    pub(super) commands: Vec<Uuid>,
    pub(super) fingerprints: Vec<&'a [u8]>,
    pub(super) first: Vec<Position>,
    pub(super) last: Vec<Position>,
}

/// Computes the hashes of the events of some requests, in their order. The caller keeps the hashes, so that the columns
/// can borrow them.
pub(super) fn chain(requests: &[&Prepared], after: &Head, recorded_at: DateTime<Utc>) -> Vec<crate::chain::Hash> {
    let recorded_at = timestamp(recorded_at);
    let (mut position, mut previous) = (after.position, after.hash);
    let mut hashes = Vec::new();
    for stream in requests.iter().flat_map(|it| &it.streams) {
        for (event, version) in stream.events.iter().zip(stream.expected_version + 1..) {
            position += 1;
            previous = Body {
                position,
                stream_type: stream.stream_type,
                stream_id: stream.stream_id,
                version,
                event_type: &event.event_type,
                schema_version: event.schema_version,
                recorded_at: &recorded_at,
                data: &event.data,
                metadata: &stream.metadata,
            }
            .hash(&previous);
            hashes.push(previous);
        }
    }
    hashes
}

impl<'a> Columns<'a> {
    pub(super) fn new(
        requests: &[&'a Prepared],
        after: &Head,
        recorded_at: DateTime<Utc>,
        hashes: &'a [crate::chain::Hash],
    ) -> Self {
        let last = hashes.last().copied().unwrap_or(after.hash);
        let mut columns = Self {
            head: Head { position: after.position, hash: last, recorded_at, fence: after.fence },
            before: after.position,
            fence: after.fence,
            stream_types: Vec::with_capacity(hashes.len()),
            stream_ids: Vec::with_capacity(hashes.len()),
            versions: Vec::with_capacity(hashes.len()),
            event_types: Vec::with_capacity(hashes.len()),
            schema_versions: Vec::with_capacity(hashes.len()),
            data: Vec::with_capacity(hashes.len()),
            metadata: Vec::with_capacity(hashes.len()),
            hashes: hashes.iter().map(<[u8; 32]>::as_slice).collect(),
            claims: None,
        };
        for request in requests {
            let first = columns.head.position + 1;
            for stream in &request.streams {
                for (event, version) in stream.events.iter().zip(stream.expected_version + 1..) {
                    columns.head.position += 1;
                    columns.stream_types.push(stream.stream_type);
                    columns.stream_ids.push(stream.stream_id);
                    columns.versions.push(version);
                    columns.event_types.push(&event.event_type);
                    columns.schema_versions.push(event.schema_version);
                    columns.data.push(&event.data);
                    columns.metadata.push(&stream.metadata);
                }
            }
            columns.add_claims(request, first);
        }
        columns
    }

    fn add_claims(&mut self, request: &'a Prepared, first: Position) {
        if request.claims.is_empty() && request.receipt.is_none() && request.erases.is_empty() {
            return;
        }
        let claims = self.claims.get_or_insert_default();
        for claim in &request.claims {
            match claim {
                PreparedClaim::Take(key, owner) => claims.taken.push(key, *owner),
                PreparedClaim::Release(key, owner) => claims.released.push(key, *owner),
                PreparedClaim::Share(key, owner) => claims.shared.push(key, *owner),
                PreparedClaim::Unshare(key, owner) => claims.unshared.push(key, *owner),
                PreparedClaim::Book(booked) => {
                    claims.booked.resources.push(booked.resource);
                    claims.booked.since.push(booked.from);
                    claims.booked.until.push(booked.until);
                    claims.booked.owners.push(booked.owner);
                }
                PreparedClaim::Unbook { owner } => claims.unbooked.push(*owner),
            }
        }
        if let Some(receipt) = &request.receipt {
            claims.receipts.commands.push(receipt.command_id);
            claims.receipts.fingerprints.push(&receipt.fingerprint);
            claims.receipts.first.push(first);
            claims.receipts.last.push(self.head.position);
        }
        claims.erases.extend(&request.erases);
    }

    /// Writes the batch, and answers the time of the database. Answers `None` when the head was at another position, so
    /// that nothing was written.
    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        if self.claims.is_none() && self.hashes.len() == 1 {
            return self.write_one(db).await;
        }
        let sql = match &self.claims {
            None => [HEAD, EVENTS].concat(),
            Some(claims) if claims.erases.is_empty() => [HEAD, CLAIMS, EVENTS].concat(),
            Some(_) => [HEAD, CLAIMS, ERASURES, EVENTS].concat(),
        };
        let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(self.head.position)
            .bind(self.head.hash.as_slice())
            .bind(self.head.recorded_at)
            .bind(self.before)
            .bind(self.fence)
            .bind(&self.stream_types)
            .bind(&self.stream_ids)
            .bind(&self.versions)
            .bind(&self.event_types)
            .bind(&self.schema_versions)
            .bind(&self.data)
            .bind(&self.metadata)
            .bind(&self.hashes);
        if let Some(claims) = &self.claims {
            for keys in [&claims.released, &claims.unshared] {
                query = query.bind(&keys.scopes).bind(&keys.blinded).bind(&keys.owners);
            }
            query = query.bind(&claims.unbooked);
            for keys in [&claims.taken, &claims.shared] {
                query = query.bind(&keys.scopes).bind(&keys.blinded).bind(&keys.owners);
            }
            let booked = &claims.booked;
            query = query.bind(&booked.resources).bind(&booked.since).bind(&booked.until).bind(&booked.owners);
            let receipts = &claims.receipts;
            query = query.bind(&receipts.commands).bind(&receipts.fingerprints);
            query = query.bind(&receipts.first).bind(&receipts.last);
            if !claims.erases.is_empty() {
                query = query.bind(&claims.erases);
            }
        }
        // All of the answer is read, since a warning follows the row.
        Ok(query.fetch_all(db).await?.pop())
    }

    /// Writes a batch of one event without claims.
    async fn write_one(&self, db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        let mut time = sqlx::query_scalar(sqlx::AssertSqlSafe([HEAD, ONE_EVENT].concat()))
            .bind(self.head.position)
            .bind(self.head.hash.as_slice())
            .bind(self.head.recorded_at)
            .bind(self.before)
            .bind(self.fence)
            .bind(self.stream_types[0])
            .bind(self.stream_ids[0])
            .bind(self.versions[0])
            .bind(self.event_types[0])
            .bind(self.schema_versions[0])
            .bind(self.data[0])
            .bind(self.metadata[0])
            .fetch_all(db)
            .await?;
        Ok(time.pop())
    }
}
