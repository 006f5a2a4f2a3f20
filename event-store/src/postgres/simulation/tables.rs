//! The tables of a server in the model, and what a transaction changes in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Position;
use crate::chain::{GENESIS, Hash};
use crate::postgres::read::Head;
use crate::postgres::timeline::Timeline;
use crate::postgres::write::{Columns, Keys};
use crate::prepare::Key;

/// One event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) stream_id: Uuid,
    pub(super) version: i32,
    pub(super) data: String,
    pub(super) hash: Vec<u8>,
}

/// A booking of a resource.
#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) resource: Uuid,
    pub(super) since: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) owner: Uuid,
}

/// What one transaction changes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Batch(Arc<Written>),
    Fence,
    TakenUp(Timeline),
}

/// A batch that was sent to a server.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) before: Position,
    pub(super) fence: i64,
    pub(super) head: Head,
    pub(super) rows: Vec<Row>,
    pub(super) receipts: Vec<(Uuid, Position, Position)>,
    pub(super) released: Vec<(Key, Uuid)>,
    pub(super) taken: Vec<(Key, Uuid)>,
    pub(super) booked: Vec<Booking>,
    pub(super) unbooked: Vec<Uuid>,
}

fn keys(keys: &Keys<'_>) -> Vec<(Key, Uuid)> {
    let named = keys.scopes.iter().zip(&keys.blinded).zip(&keys.owners);
    // The scopes of the simulation live as long as the program.
    named.map(|((scope, key), owner)| (Key { scope: super::scope(scope), key: key.to_vec() }, *owner)).collect()
}

impl Written {
    pub(super) fn of(columns: &Columns<'_>) -> Self {
        let nth = |nth: usize| columns.before + Position::try_from(nth).expect("a small batch") + 1;
        let rows = (0..columns.hashes.len()).map(|it| Row {
            position: nth(it),
            stream_id: columns.stream_ids[it],
            version: columns.versions[it],
            data: columns.data[it].to_owned(),
            hash: columns.hashes[it].to_vec(),
        });
        let mut written = Self {
            before: columns.before,
            fence: columns.fence,
            head: columns.head,
            rows: rows.collect(),
            receipts: Vec::new(),
            released: Vec::new(),
            taken: Vec::new(),
            booked: Vec::new(),
            unbooked: Vec::new(),
        };
        if let Some(claims) = &columns.claims {
            let receipts = &claims.receipts;
            let positions = receipts.first.iter().zip(&receipts.last);
            written.receipts = receipts.commands.iter().zip(positions).map(|(id, (a, b))| (*id, *a, *b)).collect();
            (written.released, written.taken) = (keys(&claims.released), keys(&claims.taken));
            written.unbooked.clone_from(&claims.unbooked);
            let booked = &claims.booked;
            written.booked = (0..booked.owners.len())
                .map(|it| Booking {
                    resource: booked.resources[it],
                    since: booked.since[it],
                    until: booked.until[it],
                    owner: booked.owners[it],
                })
                .collect();
        }
        written
    }
}

/// The tables of a server.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) head: Head,
    pub(super) noted: Timeline,
    pub(super) rows: Vec<Row>,
    pub(super) versions: HashMap<Uuid, i32>,
    pub(super) receipts: BTreeMap<Uuid, (Position, Position)>,
    pub(super) unique: HashMap<Key, Uuid>,
    pub(super) booked: Vec<Booking>,
}

impl Tables {
    pub(super) fn empty(now: DateTime<Utc>) -> Self {
        let head = Head { position: 0, hash: GENESIS, recorded_at: now, fence: 0 };
        Self {
            head,
            noted: Timeline { system: 0, number: 0 },
            rows: Vec::new(),
            versions: HashMap::new(),
            receipts: BTreeMap::new(),
            unique: HashMap::new(),
            booked: Vec::new(),
        }
    }

    /// The hash and position at which the log ends.
    pub(super) fn end(&self) -> (Position, Hash) {
        (self.head.position, self.head.hash)
    }

    pub(super) fn version(&self, stream_id: Uuid) -> i32 {
        self.versions.get(&stream_id).copied().unwrap_or(0)
    }

    /// The newest event of a stream.
    pub(super) fn newest(&self, stream_id: Uuid) -> Option<&Row> {
        self.rows.iter().rfind(|it| it.stream_id == stream_id)
    }

    /// Which constraint of the tables a batch violates, by its SQLSTATE.
    pub(super) fn violated(&self, batch: &Written) -> Option<&'static str> {
        let gives_back = |key: &Key, owner: &Uuid| batch.released.iter().any(|(it, by)| it == key && by == owner);
        let is_taken = |(key, owner): &(Key, Uuid)| {
            self.unique.get(key).is_some_and(|other| other != owner && !gives_back(key, other))
        };
        let is_second = |row: &Row| self.version(row.stream_id) >= row.version;
        let is_repeated = |receipt: &(Uuid, Position, Position)| self.receipts.contains_key(&receipt.0);
        let overlaps = |one: &Booking| {
            let kept = self.booked.iter().filter(|it| !batch.unbooked.contains(&it.owner));
            kept.into_iter().any(|it| it.resource == one.resource && it.since < one.until && one.since < it.until)
        };
        if batch.rows.iter().any(is_second)
            || batch.taken.iter().any(is_taken)
            || batch.receipts.iter().any(is_repeated)
        {
            Some("23505")
        } else {
            batch.booked.iter().any(overlaps).then_some("23P01")
        }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Fence => self.head.fence += 1,
            Change::TakenUp(timeline) => (self.noted, self.head.fence) = (*timeline, self.head.fence + 1),
            Change::Batch(batch) => {
                self.head = Head { fence: self.head.fence, ..batch.head };
                self.rows.extend(batch.rows.iter().cloned());
                self.versions.extend(batch.rows.iter().map(|it| (it.stream_id, it.version)));
                self.receipts.extend(batch.receipts.iter().map(|(id, first, last)| (*id, (*first, *last))));
                for (key, owner) in &batch.released {
                    if self.unique.get(key) == Some(owner) {
                        self.unique.remove(key);
                    }
                }
                self.unique.extend(batch.taken.iter().cloned());
                self.booked.retain(|it| !batch.unbooked.contains(&it.owner));
                self.booked.extend(batch.booked.iter().cloned());
            }
        }
    }
}
