//! Compares what is stored beside the log with the log: snapshots, receipts and subject keys. The claims are compared
//! by [`EventStore::compare_claims`].

use std::collections::HashSet;

use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::vault::{KeyFault, is_sealed};
use crate::{EventStore, Opened, Position, StoreError};

/// How many events or snapshots are fetched at a time.
const PAGE: i64 = 1_000;
/// How many faults a report gives as examples at most.
pub(crate) const EXAMPLES: usize = 20;

/// Computes the state of a stream from its first events, and the version of the form of that state. `None` when this
/// program does not know the type of the stream or the stream has no state.
pub type StateOf = dyn Fn(&[Opened]) -> Result<Option<(i32, Value)>, StoreError> + Send + Sync;

/// How the receipts compare with the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiptsReport {
    /// How many receipts there are.
    pub receipts: u64,
    /// How many receipts name positions that the log does not have or that hold events of another command.
    pub unfounded: u64,
    /// Some of the commands whose receipts are unfounded.
    pub examples: Vec<Uuid>,
}

/// How snapshots, receipts and subject keys compare with the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BesideReport {
    /// How many snapshots there are.
    pub snapshots: u64,
    /// How many snapshots were not compared with the events: the form of the state is of another release, an event
    /// cannot be read, or the person was erased.
    pub skipped: u64,
    /// How many receipts there are.
    pub receipts: u64,
    /// How many people have sealed values in the log.
    pub subjects: u64,
    /// How many faults were found.
    pub faults: u64,
    /// Some of the faults.
    pub examples: Vec<Fault>,
}

/// A snapshot, a receipt or a subject key that does not fit the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The authentication code of a snapshot does not fit.
    #[error("the snapshot of stream {0} was not written by this program")]
    ForeignSnapshot(Uuid),
    /// A snapshot has another state than the events.
    #[error("the snapshot of stream {0} is not the state that follows from the events of the stream")]
    OtherState(Uuid),
    /// A receipt names positions at which its command recorded nothing.
    #[error("the receipt of command {0} names positions that do not hold the events of this command")]
    Receipt(Uuid),
    /// The log holds sealed values of a person who has no key.
    #[error("the key of person {0} is missing, so their personal values cannot be read: restore the key from a backup")]
    NoKey(Uuid),
    /// The key of a person does not open with the master key.
    #[error("the key of person {0} does not open with this master key: restore the key from a backup")]
    ForeignKey(Uuid),
    /// A sealed value does not open with the key of its person.
    #[error("position {0}: a personal value does not open with the key of its person")]
    Value(Position),
}

impl BesideReport {
    fn add(&mut self, fault: Fault) {
        self.faults += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(fault);
        }
    }
}

/// Compares snapshots, receipts and subject keys with the log.
///
/// # Errors
/// When the log or what is beside it cannot be read.
pub async fn compare(store: &dyn EventStore, state_of: &StateOf) -> Result<BesideReport, StoreError> {
    let mut report = BesideReport::default();
    compare_snapshots(store, state_of, &mut report).await?;
    let receipts = store.unfounded_receipts().await?;
    report.receipts = receipts.receipts;
    report.faults += receipts.unfounded;
    let left = EXAMPLES.saturating_sub(report.examples.len());
    report.examples.extend(receipts.examples.into_iter().map(Fault::Receipt).take(left));
    compare_keys(store, &mut report).await?;
    Ok(report)
}

async fn compare_snapshots(
    store: &dyn EventStore,
    state_of: &StateOf,
    report: &mut BesideReport,
) -> Result<(), StoreError> {
    let mut after = Uuid::nil();
    loop {
        let streams = store.snapshots(after, PAGE).await?;
        let Some(last) = streams.last() else { return Ok(()) };
        after = *last;
        for stream_id in streams {
            report.snapshots += 1;
            match compare_snapshot(store, state_of, stream_id).await? {
                Compared::Same => {}
                Compared::Unknown => report.skipped += 1,
                Compared::Differs(fault) => report.add(fault),
            }
        }
    }
}

/// How a snapshot compares with the events of its stream.
enum Compared {
    Same,
    /// The state cannot be computed from the events.
    Unknown,
    Differs(Fault),
}

async fn compare_snapshot(store: &dyn EventStore, state_of: &StateOf, stream_id: Uuid) -> Result<Compared, StoreError> {
    let foreign = Compared::Differs(Fault::ForeignSnapshot(stream_id));
    let Some(begin) = store.load(stream_id, 0, 1).await?.pop() else { return Ok(foreign) };
    let snapshot = match store.snapshot(&begin.stream_type, stream_id).await {
        Ok(Some(snapshot)) => snapshot,
        // The fault of a key that does not open is reported where the keys are compared.
        Ok(None) | Err(StoreError::Vault(_)) => return Ok(foreign),
        Err(error) => return Err(error),
    };
    let events = store.open(store.load(stream_id, 0, snapshot.version).await?).await?;
    if events.iter().any(|event| event.key.is_none() && is_sealed(&event.recorded.data)) {
        return Ok(Compared::Unknown);
    }
    match state_of(&events) {
        Ok(Some((form, state))) if form == snapshot.state_version => {
            // Both states went through text, since a number may be read from text as another type than it was written.
            let state = serde_json::from_str::<Value>(&state.to_string()).unwrap_or_default();
            let is_same = state == snapshot.state;
            Ok(if is_same { Compared::Same } else { Compared::Differs(Fault::OtherState(stream_id)) })
        }
        Ok(_) | Err(StoreError::Unreadable { .. }) => Ok(Compared::Unknown),
        Err(error) => Err(error),
    }
}

/// Checks for every person whose sealed values the log holds that the person has a key, and that the key opens the
/// values. The key of an erased person was destroyed and is no fault.
async fn compare_keys(store: &dyn EventStore, report: &mut BesideReport) -> Result<(), StoreError> {
    let (mut seen, mut faulty) = (HashSet::new(), HashSet::new());
    let mut after = 0;
    loop {
        let events = store.read(after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = last.position;
        let sealed: Vec<_> = events.into_iter().filter(|event| is_sealed(&event.data)).collect();
        let mut new: Vec<_> = sealed.iter().filter_map(crate::Recorded::subject_id).collect();
        new.retain(|subject| seen.insert(*subject));
        for (subject, fault) in store.vault().faults(&new).await? {
            faulty.insert(subject);
            report.add(match fault {
                KeyFault::Missing => Fault::NoKey(subject),
                KeyFault::Foreign => Fault::ForeignKey(subject),
            });
        }
        let values = sealed.into_iter().filter(|event| event.subject_id().is_none_or(|it| !faulty.contains(&it)));
        for event in store.open(values.collect()).await? {
            if event.data == Some(Value::Null) {
                report.add(Fault::Value(event.recorded.position));
            }
        }
    }
    report.subjects = u64::try_from(seen.len()).unwrap_or(u64::MAX);
    Ok(())
}
