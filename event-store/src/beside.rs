//! Compares what is stored beside the log with the log: snapshots, receipts and subject keys. The claims are compared
//! by [`EventStore::compare_claims`].

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::TimeDelta;
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::vault::{KeyFault, is_sealed};
use crate::{EventStore, Opened, Position, Recorded, StoreError};

/// How many events, snapshots or receipts are fetched at a time.
const PAGE: i64 = 1_000;
/// How many faults a report gives as examples at most.
const EXAMPLES: usize = 20;
/// An event whose receipt is this close to the age at which receipts are deleted may have lost it already.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// Folds the events of one stream into its state.
pub trait Fold: Send {
    /// Adds events, which follow those that were added before.
    ///
    /// # Errors
    /// When an event cannot be read.
    fn add(&mut self, events: &[Opened]) -> Result<(), StoreError>;

    /// The version of the form of the state, and the state as JSON. `None` when the stream has no state so far.
    fn state(&self) -> Option<(i32, Value)>;
}

/// Begins to fold a stream of a type; `None` when this program does not know the type.
pub type FoldOf = dyn Fn(&str) -> Option<Box<dyn Fold>> + Send + Sync;

/// Is told what is being compared (`snapshots`, `receipts`, `events`), and how many of them were compared so far.
pub type Progress = dyn Fn(&'static str, u64) + Send + Sync;

/// How some receipts compare with the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiptsPage {
    /// How many receipts were compared.
    pub receipts: u64,
    /// The last of their commands; `None` when there was no receipt to compare.
    pub last: Option<Uuid>,
    /// The commands whose receipts name positions that the log does not have or that hold events of another command.
    pub unfounded: Vec<Uuid>,
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
    /// The log holds events of a command whose receipt is missing, although it is not old enough to be deleted.
    #[error("the receipt of command {0} is missing, so a repetition of the command would be carried out again")]
    NoReceipt(Uuid),
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

/// Compares snapshots, receipts and subject keys with the log. Every read is bounded; the whole takes as long as the
/// log is, and calls `progress` on the way.
///
/// # Errors
/// When the log or what is beside it cannot be read.
pub async fn compare(
    store: &dyn EventStore,
    fold_of: &FoldOf,
    progress: &Progress,
) -> Result<BesideReport, StoreError> {
    let mut report = BesideReport::default();
    compare_snapshots(store, fold_of, &mut report, progress).await?;
    compare_receipts(store, &mut report, progress).await?;
    compare_events(store, &mut report, progress).await?;
    Ok(report)
}

/// Checks of every receipt that the log has the events which it names.
async fn compare_receipts(
    store: &dyn EventStore,
    report: &mut BesideReport,
    progress: &Progress,
) -> Result<(), StoreError> {
    let mut after = Uuid::nil();
    loop {
        let page = store.compare_receipts(after, PAGE).await?;
        let Some(last) = page.last else { return Ok(()) };
        after = last;
        report.receipts += page.receipts;
        for command in page.unfounded {
            report.add(Fault::Receipt(command));
        }
        progress("receipts", report.receipts);
    }
}

async fn compare_snapshots(
    store: &dyn EventStore,
    fold_of: &FoldOf,
    report: &mut BesideReport,
    progress: &Progress,
) -> Result<(), StoreError> {
    let mut after = Uuid::nil();
    loop {
        let streams = store.snapshots(after, PAGE).await?;
        let Some(last) = streams.last() else { return Ok(()) };
        after = *last;
        for stream_id in streams {
            report.snapshots += 1;
            match compare_snapshot(store, fold_of, stream_id).await? {
                Compared::Same => {}
                Compared::Unknown => report.skipped += 1,
                Compared::Differs(fault) => report.add(fault),
            }
        }
        progress("snapshots", report.snapshots);
    }
}

/// How a snapshot compares with the events of its stream.
enum Compared {
    Same,
    /// The state cannot be computed from the events.
    Unknown,
    Differs(Fault),
}

async fn compare_snapshot(store: &dyn EventStore, fold_of: &FoldOf, stream_id: Uuid) -> Result<Compared, StoreError> {
    let foreign = Compared::Differs(Fault::ForeignSnapshot(stream_id));
    let Some(begin) = store.load(stream_id, 0, 1).await?.pop() else { return Ok(foreign) };
    let snapshot = match store.snapshot(&begin.stream_type, stream_id).await {
        Ok(Some(snapshot)) => snapshot,
        // The fault of a key that does not open is reported where the keys are compared.
        Ok(None) | Err(StoreError::Vault(_)) => return Ok(foreign),
        Err(error) => return Err(error),
    };
    let Some(mut folded) = fold_of(&begin.stream_type) else { return Ok(Compared::Unknown) };
    let mut version = 0;
    while version < snapshot.version {
        let limit = (snapshot.version - version).min(i32::try_from(PAGE).unwrap_or(i32::MAX));
        let events = store.open(store.load(stream_id, version, limit).await?).await?;
        let Some(last) = events.last() else { return Ok(foreign) };
        version = last.recorded.version;
        if events.iter().any(|event| event.key.is_none() && is_sealed(&event.recorded.data)) {
            return Ok(Compared::Unknown);
        }
        match folded.add(&events) {
            Ok(()) => {}
            Err(StoreError::Unreadable { .. }) => return Ok(Compared::Unknown),
            Err(error) => return Err(error),
        }
    }
    match folded.state() {
        Some((form, state)) if form == snapshot.state_version => {
            // Both states went through text, since a number may be read from text as another type than it was written.
            let state = serde_json::from_str::<Value>(&state.to_string()).unwrap_or_default();
            let is_same = state == snapshot.state;
            Ok(if is_same { Compared::Same } else { Compared::Differs(Fault::OtherState(stream_id)) })
        }
        _ => Ok(Compared::Unknown),
    }
}

/// Checks of every event what must lie beside the log because of it: the receipt of its command, if the command left
/// one and it is not too old, and the key of the person whose sealed values the event holds, which must open the
/// values. The key of an erased person was destroyed and is no fault.
async fn compare_events(
    store: &dyn EventStore,
    report: &mut BesideReport,
    progress: &Progress,
) -> Result<(), StoreError> {
    let (mut seen, mut faulty) = (HashSet::new(), HashSet::new());
    let mut after = 0;
    loop {
        let events = store.read(after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = last.position;
        for command in without_receipt(store, &events).await? {
            report.add(Fault::NoReceipt(command));
        }
        let sealed: Vec<_> = events.into_iter().filter(|event| is_sealed(&event.data)).collect();
        let mut new: Vec<_> = sealed.iter().filter_map(Recorded::subject_id).collect();
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
        progress("events", after.unsigned_abs());
    }
    report.subjects = u64::try_from(seen.len()).unwrap_or(u64::MAX);
    Ok(())
}

/// The commands of some events that left a receipt which is missing now, although it is not old enough to be deleted.
/// Receipts of commands that changed nothing cannot be missed, since no event names them.
async fn without_receipt(store: &dyn EventStore, events: &[Recorded]) -> Result<BTreeSet<Uuid>, StoreError> {
    let of_command = |event: &Recorded| {
        let told = event.circumstances().ok().filter(|it| it.has_receipt)?;
        Some((told.command_id, event.recorded_at))
    };
    let mut commands: BTreeMap<_, _> = events.iter().filter_map(of_command).collect();
    let asked: Vec<_> = commands.keys().copied().collect();
    let missing: BTreeSet<_> = store.without_receipt(&asked).await?.into_iter().collect();
    // The age is looked at after the receipts: what is young now was younger then.
    let since = store.receipts_kept_since().checked_add_signed(MARGIN).unwrap_or_default();
    commands.retain(|command, recorded_at| missing.contains(command) && *recorded_at > since);
    Ok(commands.into_keys().collect())
}
