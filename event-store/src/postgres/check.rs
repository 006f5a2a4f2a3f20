//! Checks in one round trip to the database whether the appends of a batch can be written.
//!
//! The result of the check is valid until the head moves, since every append that changes a version or a claim moves
//! the head, and a batch is written only if the head has not moved. Receipts are the exception: the receipt of a
//! command that changed nothing is written without moving the head. The primary key of `log.receipts` catches such a
//! receipt.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::batch::Batch;
use super::database::Session;
use crate::prepare::{Key, Prepared, PreparedClaim};
use crate::{AppendError, Booked};

/// What the database is asked: streams whose version is needed, keys, bookings and command ids.
#[derive(Default)]
pub(super) struct Questions<'a> {
    pub(super) streams: Vec<Uuid>,
    pub(super) taken: Vec<&'a Key>,
    pub(super) counted: Vec<&'a Key>,
    pub(super) booked: Vec<&'a Booked>,
    pub(super) commands: Vec<Uuid>,
}

/// The answers of the database.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) versions: HashMap<Uuid, i32>,
    pub(super) owners: HashMap<Key, Uuid>,
    pub(super) counts: HashMap<Key, i64>,
    /// By the resource and the stream that wants to book it: the streams that have booked it at that time.
    pub(super) booked: HashMap<(Uuid, Uuid), Vec<Uuid>>,
    pub(super) recorded: Vec<Uuid>,
}

/// Remembers the versions of streams at the head of the log.
pub(super) trait KnownVersions {
    fn known(&mut self, stream_id: Uuid) -> Option<i32>;
    fn learn(&mut self, stream_id: Uuid, version: i32);
}

/// Whether an append to a stream can be written without asking the database for the version of the stream: the append
/// continues from the known version, or begins a stream. The unique constraint refuses to begin a stream twice.
fn is_plain(expected: i32, known: Option<i32>) -> bool {
    known.map_or(expected == 0, |known| known == expected)
}

/// Refuses every request that cannot be written and removes it from the batch. `thoroughly` asks the database for the
/// version of every stream instead of only those that this process does not know.
pub(super) async fn refuse_hopeless(
    batch: &mut Batch,
    versions: &mut impl KnownVersions,
    thoroughly: bool,
    session: &mut impl Session,
) -> Result<(), sqlx::Error> {
    let mut questions = Questions::default();
    for request in &batch.requests {
        questions.add(&request.prepared, versions, thoroughly);
    }
    let answers = if questions.is_empty() { Answers::default() } else { session.ask(&questions).await? };
    for (stream, version) in &answers.versions {
        versions.learn(*stream, *version);
    }
    let mut hopeful = Vec::with_capacity(batch.requests.len());
    for request in batch.requests.drain(..) {
        match answers.judge(&request.prepared, versions) {
            Ok(()) => hopeful.push(request),
            Err(refusal) => request.refuse(refusal),
        }
    }
    batch.requests = hopeful;
    Ok(())
}

impl<'a> Questions<'a> {
    fn add(&mut self, request: &'a Prepared, versions: &mut impl KnownVersions, thoroughly: bool) {
        for stream in &request.streams {
            if thoroughly || !is_plain(stream.expected_version, versions.known(stream.stream_id)) {
                self.streams.push(stream.stream_id);
            }
        }
        for (stream_id, version) in &request.versions {
            if thoroughly || versions.known(*stream_id) != Some(*version) {
                self.streams.push(*stream_id);
            }
        }
        self.counted.extend(request.owner_counts.iter().map(|(key, _)| key));
        self.commands.extend(request.receipt.as_ref().map(|it| it.command_id));
        for claim in &request.claims {
            match claim {
                PreparedClaim::Take(key, _) => self.taken.push(key),
                PreparedClaim::Book(booked) => self.booked.push(booked),
                PreparedClaim::Release(..)
                | PreparedClaim::Share(..)
                | PreparedClaim::Unshare(..)
                | PreparedClaim::Unbook { .. } => {}
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.taken.is_empty()
            && self.counted.is_empty()
            && self.booked.is_empty()
            && self.commands.is_empty()
    }

    /// Asks PostgreSQL.
    pub(super) async fn ask(&self, db: &mut PgConnection) -> Result<Answers, sqlx::Error> {
        const SQL: &str = "
            select 0, s.ord, null::uuid, coalesce((select e.version from log.events e
                    where e.stream_id = s.id order by e.version desc limit 1), 0)::bigint
              from unnest($1::uuid[]) with ordinality s (id, ord)
            union all
            select 1, k.ord, c.owner, 0
              from unnest($2::text[], $3::bytea[]) with ordinality k (scope, key, ord)
              join log.unique_claims c on c.scope = k.scope and c.key = k.key
            union all
            select 2, k.ord, null, (select count(*) from log.shared_claims c where c.scope = k.scope and c.key = k.key)
                                 + (select count(*) from log.unique_claims c where c.scope = k.scope and c.key = k.key)
              from unnest($4::text[], $5::bytea[]) with ordinality k (scope, key, ord)
            union all
            select 3, b.ord, c.owner, 0
              from unnest($6::uuid[], $7::timestamptz[], $8::timestamptz[])
                   with ordinality b (resource, since, until, ord)
              join log.booking_claims c on c.resource = b.resource and c.during && tstzrange(b.since, b.until)
            union all
            select 4, r.ord, null, 0
              from unnest($9::uuid[]) with ordinality r (id, ord)
              join log.receipts c on c.command_id = r.id";
        let scopes = |keys: &[&'a Key]| keys.iter().map(|it| it.scope).collect::<Vec<_>>();
        let blinded = |keys: &[&'a Key]| keys.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        let rows = sqlx::query(SQL)
            .bind(&self.streams)
            .bind(scopes(&self.taken))
            .bind(blinded(&self.taken))
            .bind(scopes(&self.counted))
            .bind(blinded(&self.counted))
            .bind(self.booked.iter().map(|it| it.resource).collect::<Vec<_>>())
            .bind(self.booked.iter().map(|it| it.from).collect::<Vec<_>>())
            .bind(self.booked.iter().map(|it| it.until).collect::<Vec<_>>())
            .bind(&self.commands)
            .fetch_all(db)
            .await?;
        let mut answers = Answers::default();
        for row in rows {
            let index = usize::try_from(row.try_get::<i64, _>(1)? - 1).unwrap_or_default();
            let owner: Option<Uuid> = row.try_get(2)?;
            let number: i64 = row.try_get(3)?;
            match (row.try_get::<i32, _>(0)?, owner) {
                (0, _) => drop(answers.versions.insert(self.streams[index], i32::try_from(number).unwrap_or(i32::MAX))),
                (1, Some(owner)) => drop(answers.owners.insert(self.taken[index].clone(), owner)),
                (2, _) => drop(answers.counts.insert(self.counted[index].clone(), number)),
                (3, Some(owner)) => {
                    let wanted = self.booked[index];
                    answers.booked.entry((wanted.resource, wanted.owner)).or_default().push(owner);
                }
                _ => answers.recorded.push(self.commands[index]),
            }
        }
        Ok(answers)
    }
}

impl Answers {
    fn judge(&self, request: &Prepared, versions: &mut impl KnownVersions) -> Result<(), AppendError> {
        if let Some(receipt) = request.receipt.as_ref().filter(|it| self.recorded.contains(&it.command_id)) {
            return Err(AppendError::Repeated { command_id: receipt.command_id });
        }
        for stream in &request.streams {
            if !is_plain(stream.expected_version, versions.known(stream.stream_id)) {
                return Err(AppendError::Conflict { stream_id: stream.stream_id });
            }
        }
        let outdated = request.versions.iter().any(|(id, version)| versions.known(*id) != Some(*version));
        let recounted = request.owner_counts.iter().any(|(key, count)| self.counts.get(key) != Some(count));
        if outdated || recounted {
            return Err(AppendError::GuardFailed);
        }
        request.claims.iter().try_for_each(|claim| self.judge_claim(claim, &request.claims))
    }

    fn judge_claim(&self, claim: &PreparedClaim, all: &[PreparedClaim]) -> Result<(), AppendError> {
        match claim {
            PreparedClaim::Take(key, owner) => {
                let given_back = |by: &Uuid| all.contains(&PreparedClaim::Release(key.clone(), *by));
                match self.owners.get(key) {
                    Some(other) if other != owner && !given_back(other) => {
                        Err(AppendError::Taken { scope: key.scope.to_owned(), owner: *other })
                    }
                    _ => Ok(()),
                }
            }
            PreparedClaim::Book(Booked { resource, owner, .. }) => {
                let kept = |by: &&Uuid| !all.contains(&PreparedClaim::Unbook { owner: **by });
                match self.booked.get(&(*resource, *owner)).and_then(|others| others.iter().find(kept)) {
                    Some(other) => Err(AppendError::DoubleBooked { resource: *resource, owner: *other }),
                    None => Ok(()),
                }
            }
            PreparedClaim::Release(..)
            | PreparedClaim::Share(..)
            | PreparedClaim::Unshare(..)
            | PreparedClaim::Unbook { .. } => Ok(()),
        }
    }
}
