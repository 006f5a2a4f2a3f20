mod claimed;
mod keys;
mod processes;

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use uuid::Uuid;

use self::claimed::{Claimed, Recounted};
use self::keys::MemoryKeys;
use self::processes::Processes;
use crate::beside::ReceiptsPage;
use crate::chain::{GENESIS, Hash};
use crate::prepare::{Key, Prepared, claim, prepare};
use crate::recount::{ClaimsOf, ClaimsReport, Progress, recount};
use crate::snapshot::{StoredSnapshot, is_superfluous};
use crate::{
    Append, AppendError, Appended, Booked, EventStore, KeyTable, LogClock, MasterKey, NodeClock, Position, Receipt,
    Recorded, Snapshot, Span, StoreError, Upcasters, Vault, Wanted,
};

/// An event log in memory for tests. It keeps every promise of [`EventStore`] except durability.
pub struct MemoryEventStore {
    log: Mutex<Log>,
    closed: watch::Sender<bool>,
    head: watch::Sender<Position>,
    processes: Mutex<Processes>,
    clock: LogClock,
    keys: Arc<MemoryKeys>,
    vault: Vault,
    upcasters: Upcasters,
}

#[derive(Default)]
struct Log {
    events: Vec<Recorded>,
    /// The places of the events of each stream, in the order of the versions.
    places: HashMap<Uuid, Vec<usize>>,
    claimed: Claimed,
    receipts: BTreeMap<Uuid, Receipt>,
    snapshots: BTreeMap<Uuid, StoredSnapshot>,
}

impl MemoryEventStore {
    /// An empty log.
    pub fn new(master: MasterKey, upcasters: Upcasters) -> Self {
        let keys = Arc::<MemoryKeys>::default();
        Self {
            log: Mutex::default(),
            closed: watch::Sender::new(false),
            head: watch::Sender::new(0),
            processes: Mutex::default(),
            clock: LogClock::new(NodeClock::default()),
            vault: Vault::in_memory(master.into(), Arc::clone(&keys) as Arc<dyn KeyTable>),
            keys,
            upcasters,
        }
    }

    /// Recomputes the claims of every stream from its events.
    async fn recount(&self, claims_of: &ClaimsOf, progress: &Progress) -> Result<Recounted, StoreError> {
        let mut events = self.log().events.clone();
        progress(events.len() as u64);
        events.sort_by_key(|event| (event.stream_id, event.version));
        let mut recounted = Recounted::default();
        let opened = self.open(events).await?;
        for events in opened.chunk_by(|one, next| one.recorded.stream_id == next.recorded.stream_id) {
            let claims = recount(events, claims_of);
            let prepared = claims.map(|claims| claims.into_iter().map(|each| claim(each, &self.vault)).collect());
            recounted.add(events[0].recorded.stream_id, prepared);
        }
        Ok(recounted)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A lock that a panic left behind is used all the same: nothing panics while a change of the log is half made.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// The hash of the event at a version of a stream; `None` when the stream does not have the version.
    fn hash_of(&self, stream_id: Uuid, version: i32) -> Option<Hash> {
        self.at(stream_id, version).map(|it| it.hash)
    }

    /// The event at a version of a stream.
    fn at(&self, stream_id: Uuid, version: i32) -> Option<&Recorded> {
        let nth = usize::try_from(version.checked_sub(1)?).ok()?;
        self.events.get(*self.places.get(&stream_id)?.get(nth)?)
    }

    /// The version of a stream; 0 for a stream without events.
    fn version(&self, stream_id: Uuid) -> i32 {
        self.places.get(&stream_id).and_then(|it| i32::try_from(it.len()).ok()).unwrap_or(0)
    }

    /// The events of a stream, in the order of the versions.
    fn of_stream(&self, stream_id: Uuid) -> impl Iterator<Item = &Recorded> {
        self.places.get(&stream_id).into_iter().flatten().filter_map(|place| self.events.get(*place))
    }

    fn check(&self, request: &Prepared) -> Result<(), AppendError> {
        if let Some(receipt) = request.receipt.as_ref().filter(|it| self.receipts.contains_key(&it.command_id)) {
            return Err(AppendError::Repeated { command_id: receipt.command_id });
        }
        let version = |id: &Uuid| self.version(*id);
        if let Some(stream) = request.streams.iter().find(|it| version(&it.stream_id) != it.expected_version) {
            return Err(AppendError::Conflict { stream_id: stream.stream_id });
        }
        let owners = |key: &Key| {
            let shared = self.claimed.shared.get(key).map_or(0, BTreeSet::len);
            shared + usize::from(self.claimed.unique.contains_key(key))
        };
        let moved = request.versions.iter().any(|(id, expected)| version(id) != *expected);
        if moved || request.owner_counts.iter().any(|(key, count)| i64::try_from(owners(key)) != Ok(*count)) {
            return Err(AppendError::GuardFailed);
        }
        Ok(())
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if *self.closed.borrow() {
            return Err(AppendError::Closed);
        }
        let request = prepare(append, &self.vault, &self.upcasters).await?;
        let mut log = self.log();
        log.check(&request)?;
        log.claimed.apply(&request.claims)?;
        let last = log.events.last();
        let recorded_at = last.map_or_else(|| self.clock.now(), |it| self.clock.now().max(it.recorded_at));
        let mut previous = last.map_or(GENESIS, |it| it.hash);
        let first = position(log.events.len()) + 1;
        for stream in request.streams {
            for (event, version) in stream.events.into_iter().zip(stream.expected_version + 1..) {
                let mut recorded = Recorded {
                    position: position(log.events.len()) + 1,
                    stream_type: stream.stream_type.to_owned(),
                    stream_id: stream.stream_id,
                    version,
                    event_type: event.event_type,
                    schema_version: event.schema_version,
                    recorded_at,
                    data: event.data,
                    metadata: stream.metadata.clone(),
                    hash: GENESIS,
                };
                recorded.hash = recorded.expected_hash(&previous);
                previous = recorded.hash;
                let place = log.events.len();
                log.places.entry(stream.stream_id).or_default().push(place);
                log.events.push(recorded);
            }
        }
        let last = position(log.events.len());
        if let Some(receipt) = request.receipt {
            log.receipts.insert(receipt.command_id, Receipt { first, last, ..receipt });
        }
        for subject in &request.erases {
            self.keys.forget(*subject);
            log.snapshots.retain(|_, snapshot| snapshot.subject != Some(*subject));
        }
        self.vault.forget(&request.erases, self.timeline());
        self.head.send_replace(last);
        Ok(Appended { first, last, recorded_at })
    }

    async fn load(&self, stream_id: Uuid, after_version: i32, limit: i32) -> Result<Vec<Recorded>, StoreError> {
        let (after, limit) = (usize::try_from(after_version).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
        Ok(self.log().of_stream(stream_id).skip(after).take(limit).cloned().collect())
    }

    async fn load_all(&self, streams: &[Uuid], limit: i32) -> Result<Vec<Recorded>, StoreError> {
        let (log, limit) = (self.log(), usize::try_from(limit).unwrap_or(0));
        let streams: BTreeSet<_> = streams.iter().collect();
        let mut events: Vec<_> = streams.into_iter().flat_map(|id| log.of_stream(*id).take(limit).cloned()).collect();
        events.sort_by_key(|it| it.position);
        Ok(events)
    }

    async fn versions(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, i32>, StoreError> {
        let log = self.log();
        let there = streams.iter().filter(|id| log.places.contains_key(id));
        Ok(there.map(|id| (*id, log.version(*id))).collect())
    }

    async fn read(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        let (after, limit) = (usize::try_from(after).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
        Ok(self.log().events.iter().skip(after).take(limit).cloned().collect())
    }

    async fn search(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
        let limit = usize::try_from(wanted.limit).unwrap_or(0);
        Ok(self.log().events.iter().filter(|it| wanted.fits(it)).take(limit).cloned().collect())
    }

    async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, StoreError> {
        let key = Key { scope, key: self.vault.blind(scope, key.as_bytes()) };
        let claimed = &self.log().claimed;
        let shared = claimed.shared.get(&key).into_iter().flatten();
        Ok(claimed.unique.get(&key).into_iter().chain(shared).copied().collect())
    }

    async fn bookings(&self, spans: &[Span]) -> Result<Vec<Booked>, StoreError> {
        Ok(self.log().claimed.booked(spans))
    }

    async fn receipt(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        Ok(self.log().receipts.get(&command_id).cloned())
    }

    async fn acknowledge(
        &self,
        receipt: Receipt,
        stream_id: Uuid,
        version: i32,
    ) -> Result<Option<Position>, StoreError> {
        let mut log = self.log();
        let stood = log.at(stream_id, version);
        let Some(last) = stood.map(|it| it.position) else { return Ok(None) };
        match log.receipts.entry(receipt.command_id) {
            Entry::Occupied(_) => Ok(None),
            Entry::Vacant(none) => {
                none.insert(Receipt { first: last + 1, last, ..receipt });
                Ok(Some(last))
            }
        }
    }

    async fn compare_claims(&self, claims_of: &ClaimsOf, progress: &Progress) -> Result<ClaimsReport, StoreError> {
        let recounted = self.recount(claims_of, progress).await?;
        Ok(recounted.compare(&self.log().claimed))
    }

    async fn mend_claims(
        &self,
        claims_of: &ClaimsOf,
        note: Append,
        progress: &Progress,
    ) -> Result<ClaimsReport, AppendError> {
        let recounted = self.recount(claims_of, progress).await?;
        let report = {
            let claimed = &mut self.log().claimed;
            recounted.mend(claimed);
            recounted.compare(claimed)
        };
        self.append(note).await?;
        Ok(report)
    }

    async fn compare_receipts(&self, after: Uuid, limit: i64) -> Result<ReceiptsPage, StoreError> {
        let log = self.log();
        let is_founded = |receipt: &&Receipt| {
            let of_command =
                |event: &Recorded| event.circumstances().is_ok_and(|it| it.command_id == receipt.command_id);
            let (first, last) = (receipt.first - 1, receipt.last);
            let events = usize::try_from(first).ok().zip(usize::try_from(last).ok());
            events.and_then(|(first, last)| log.events.get(first..last)).is_some_and(|it| it.iter().all(of_command))
        };
        let later = (Bound::Excluded(after), Bound::Unbounded);
        let page = log.receipts.range(later).map(|(_, receipt)| receipt).take(usize::try_from(limit).unwrap_or(0));
        let page: Vec<_> = page.collect();
        let unfounded = page.iter().copied().filter(|receipt| !is_founded(receipt)).map(|it| it.command_id).collect();
        let receipts = u64::try_from(page.len()).unwrap_or(u64::MAX);
        Ok(ReceiptsPage { receipts, last: page.last().map(|it| it.command_id), unfounded })
    }

    async fn without_receipt(&self, commands: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let log = self.log();
        Ok(commands.iter().filter(|command| !log.receipts.contains_key(command)).copied().collect())
    }

    fn receipts_kept_since(&self) -> DateTime<Utc> {
        DateTime::<Utc>::MIN_UTC
    }

    async fn snapshot(&self, stream_type: &str, stream_id: Uuid) -> Result<Option<Snapshot>, StoreError> {
        let found = self.log().snapshots.get(&stream_id).cloned();
        let Some(stored) = found else { return Ok(None) };
        let hash = self.log().hash_of(stream_id, stored.version);
        stored.open(&self.vault, (stream_type, stream_id), hash.as_ref()).await
    }

    async fn save_snapshot(
        &self,
        stream_type: &'static str,
        stream_id: Uuid,
        subject: Option<Uuid>,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let hash = self.log().hash_of(stream_id, snapshot.version);
        let Some(hash) = hash else { return Ok(()) };
        if is_superfluous(&snapshot, self.snapshot(stream_type, stream_id).await?.as_ref()) {
            return Ok(());
        }
        let stored = StoredSnapshot::seal(&self.vault, (stream_type, stream_id), &hash, subject, snapshot).await?;
        self.log().snapshots.insert(stream_id, stored);
        Ok(())
    }

    async fn snapshots(&self, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let later = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.log().snapshots.range(later).map(|(id, _)| *id).take(limit).collect())
    }

    async fn forget_snapshots(&self) -> Result<u64, StoreError> {
        let forgotten = std::mem::take(&mut self.log().snapshots);
        Ok(u64::try_from(forgotten.len()).unwrap_or(u64::MAX))
    }

    async fn streams_of_version(&self, version: i32) -> Result<Vec<(String, Uuid)>, StoreError> {
        let log = self.log();
        let events = log.events.iter().filter(|event| event.version == version);
        let mut streams: Vec<_> = events.map(|event| (event.stream_type.clone(), event.stream_id)).collect();
        streams.sort_by_key(|(_, stream_id)| *stream_id);
        Ok(streams)
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn current_head(&self) -> Result<Position, StoreError> {
        Ok(*self.head.borrow())
    }

    async fn end(&self) -> Result<(Position, Hash), StoreError> {
        Ok(self.log().events.last().map_or((0, GENESIS), |it| (it.position, it.hash)))
    }

    async fn misplaced(&self, _: Position, _: Position) -> Result<Option<Position>, StoreError> {
        // Nobody can write this log in another way than by an append, which counts the versions.
        Ok(None)
    }

    async fn confirm(&self, _timeline: i32) -> Result<(), StoreError> {
        Ok(())
    }

    fn timeline(&self) -> i32 {
        0
    }

    fn knows_head(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn clock(&self) -> &LogClock {
        &self.clock
    }

    fn vault(&self) -> &Vault {
        &self.vault
    }

    fn upcasters(&self) -> &Upcasters {
        &self.upcasters
    }

    async fn shutdown(&self) {
        self.closed.send_replace(true);
    }
}

fn position(index: usize) -> Position {
    Position::try_from(index).unwrap_or(Position::MAX)
}
