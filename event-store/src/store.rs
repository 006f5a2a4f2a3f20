use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::beside::ReceiptsPage;
use crate::chain::Hash;
use crate::recount::{ClaimsOf, ClaimsReport, Progress};
use crate::{
    Append, AppendError, Appended, LogClock, Opened, Position, Receipt, Recorded, StoreError, Upcasters, Vault,
};

/// The saved state of a stream at one version, so that a long stream need not be folded from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The version of the stream up to which the state is folded.
    pub version: i32,
    /// The version of the form of the state.
    pub state_version: i32,
    /// The state as JSON, with personal values as `{"$personal": value}`.
    pub state: Value,
}

/// The time for which a stream has booked a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Booked {
    /// The resource, such as a provider, a room or a patient.
    pub resource: Uuid,
    /// When the booking begins.
    pub from: DateTime<Utc>,
    /// When the booking ends.
    pub until: DateTime<Utc>,
    /// The stream that has the booking.
    pub owner: Uuid,
}

impl Booked {
    /// The resource and the time of the booking.
    pub fn span(&self) -> Span {
        Span { resource: self.resource, from: self.from, until: self.until }
    }

    /// Whether the booking is of the resource of a span and overlaps its time. Nothing overlaps a span that ends before
    /// it begins.
    pub fn overlaps(&self, span: &Span) -> bool {
        self.resource == span.resource && span.from < span.until && self.from < span.until && span.from < self.until
    }
}

/// A resource and a time from one instant up to, but not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The resource, such as a provider, a room or a patient.
    pub resource: Uuid,
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant afterwards.
    pub until: DateTime<Utc>,
}

/// Which events to search for. A criterion that is `None` admits every event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Only events after this position.
    pub after: Position,
    /// How many events to answer at most.
    pub limit: i64,
    /// Only events of this stream.
    pub stream_id: Option<Uuid>,
    /// Only events of streams of this type.
    pub stream_type: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events of these types.
    pub event_types: Option<&'static [&'static str]>,
    /// Only events at this position or before.
    pub until: Option<Position>,
    /// Only events recorded at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only events recorded at this time or earlier.
    pub to: Option<DateTime<Utc>>,
    /// Only events at these positions.
    pub positions: Option<Vec<Position>>,
}

impl Wanted {
    /// Whether an event meets every criterion; `limit` is not considered.
    pub fn fits(&self, event: &Recorded) -> bool {
        event.position > self.after
            && self.stream_id.is_none_or(|it| it == event.stream_id)
            && self.stream_type.as_ref().is_none_or(|it| *it == event.stream_type)
            && self.event_type.as_ref().is_none_or(|it| *it == event.event_type)
            && self.event_types.is_none_or(|it| it.contains(&event.event_type.as_str()))
            && self.until.is_none_or(|it| it >= event.position)
            && self.from.is_none_or(|it| it <= event.recorded_at)
            && self.to.is_none_or(|it| it >= event.recorded_at)
            && self.positions.as_ref().is_none_or(|it| it.contains(&event.position))
    }
}

/// An append-only event log.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Writes an append, and answers once it is durable.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// At most `limit` events of a stream after a version, in order.
    async fn load(&self, stream_id: Uuid, after_version: i32, limit: i32) -> Result<Vec<Recorded>, StoreError>;

    /// The first events of several streams, asked all at once: at most `limit` of each stream, those of a stream in
    /// order.
    async fn load_all(&self, streams: &[Uuid], limit: i32) -> Result<Vec<Recorded>, StoreError>;

    /// The versions of streams, asked all at once. A stream that does not exist is left out.
    async fn versions(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, i32>, StoreError>;

    /// Every event of a stream after a version, in order. The events are read in pages, so that the time of a read does
    /// not grow with the stream.
    async fn load_rest(&self, stream_id: Uuid, after_version: i32) -> Result<Vec<Recorded>, StoreError> {
        const PAGE: i32 = 1_000;
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(after_version, |last: &Recorded| last.version);
            let page = self.load(stream_id, after, PAGE).await?;
            let is_last = i32::try_from(page.len()).is_ok_and(|it| it < PAGE);
            events.extend(page);
            if is_last {
                return Ok(events);
            }
        }
    }

    /// At most `limit` events after a position, in order and without a gap.
    async fn read(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError>;

    /// The first events that meet the criteria, in the order of their positions, at most `wanted.limit`.
    async fn search(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError>;

    /// The streams that have a shared key, or the one stream that has a unique key.
    async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, StoreError>;

    /// The bookings that overlap any of these spans, in the order of their beginnings.
    async fn bookings(&self, spans: &[Span]) -> Result<Vec<Booked>, StoreError>;

    /// The receipt of an earlier command; `None` when the log keeps no receipt of the command.
    async fn receipt(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError>;

    /// Keeps the receipt of a command that changed nothing because a stream at this version is already as the command
    /// wants it. Answers the position of the event with this version; `None` when the command has a receipt already or
    /// the stream has no such version.
    async fn acknowledge(
        &self,
        receipt: Receipt,
        stream_id: Uuid,
        version: i32,
    ) -> Result<Option<Position>, StoreError>;

    /// Compares the stored claims with the claims that follow from the events of each stream, as of one moment. Takes
    /// as long as the log is, and calls `progress` on the way.
    async fn compare_claims(&self, claims_of: &ClaimsOf, progress: &Progress) -> Result<ClaimsReport, StoreError>;

    /// Rebuilds the claims from the log while appends wait, for use after a restore or a manual change of the database.
    /// Reports the differences that remain, such as a unique key that follows from the events of two streams.
    ///
    /// `note` is an append that begins a stream and says that the claims were rebuilt. It is recorded together with the
    /// new claims: the head moves, so that no decision that relied on the former claims can be written.
    async fn mend_claims(
        &self,
        claims_of: &ClaimsOf,
        note: Append,
        progress: &Progress,
    ) -> Result<ClaimsReport, AppendError>;

    /// Compares receipts with the log, in the order of their commands: at most `limit`, after the given command.
    async fn compare_receipts(&self, after: Uuid, limit: i64) -> Result<ReceiptsPage, StoreError>;

    /// Which of some commands have no receipt.
    async fn without_receipt(&self, commands: &[Uuid]) -> Result<Vec<Uuid>, StoreError>;

    /// Since when receipts are kept: an older receipt may have been deleted because of its age.
    fn receipts_kept_since(&self) -> DateTime<Utc>;

    /// The newest snapshot of a stream. `None` also when somebody else than this program wrote the stored snapshot.
    async fn snapshot(&self, stream_type: &str, stream_id: Uuid) -> Result<Option<Snapshot>, StoreError>;

    /// Saves a snapshot of a stream and replaces an older one. `subject` is the person whose personal values the state
    /// holds. A snapshot of a version that the stream does not have is not saved.
    async fn save_snapshot(
        &self,
        stream_type: &'static str,
        stream_id: Uuid,
        subject: Option<Uuid>,
        snapshot: Snapshot,
    ) -> Result<(), StoreError>;

    /// The streams that have a snapshot, in the order of their ids: at most `limit`, after the given id.
    async fn snapshots(&self, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError>;

    /// Deletes all snapshots and answers how many there were.
    async fn forget_snapshots(&self) -> Result<u64, StoreError>;

    /// The streams that have at least this version, each with its type.
    async fn streams_of_version(&self, version: i32) -> Result<Vec<(String, Uuid)>, StoreError>;

    /// The position of the newest event that this process knows of and that no other server may lack. The receiver is
    /// woken when the position changes: it grows, unless another server takes over that has less.
    fn head(&self) -> watch::Receiver<Position>;

    /// Reads the position of the newest event from the log itself.
    async fn current_head(&self) -> Result<Position, StoreError>;

    /// The position and the hash of the newest event, as the head of the log keeps them beside the events.
    async fn end(&self) -> Result<(Position, Hash), StoreError>;

    /// The first event, after one position and up to another, that does not follow the event with the previous version
    /// of its stream, or has a version that an earlier event has too.
    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError>;

    /// Whether appends can be written, as far as is known. After a failure, writes something as a test and takes it
    /// back.
    async fn can_append(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns once everything that can be seen in the log is as durable as the answer to an append: where a standby
    /// must confirm each commit, once the standby has it. Needed before an answer that rests on what was found in the
    /// log rather than on an append.
    ///
    /// `timeline` is the one in which it was found. Fails if the log has gone on in another one since: then nobody knows
    /// whether what was found is in the log.
    async fn confirm(&self, timeline: i32) -> Result<(), StoreError>;

    /// The number of the timeline in which the log goes on. It grows when another server takes over, whose log may lack
    /// events that were seen before and that nobody was answered to be recorded. What was read in another timeline must
    /// not be relied on, whatever its version.
    fn timeline(&self) -> i32;

    /// Whether the head was seen in the timeline in which the log goes on. Otherwise positions up to the head may be given
    /// to other events yet.
    fn knows_head(&self) -> bool;

    /// Whether another process has appended to the log lately.
    fn is_shared(&self) -> bool;

    /// The clock of the log, which stamps its events.
    fn clock(&self) -> &LogClock;

    /// The vault, which seals and opens personal values.
    fn vault(&self) -> &Vault;

    /// The upcasters, which convert events of older schema versions to the current form.
    fn upcasters(&self) -> &Upcasters;

    /// Opens the personal values of events and converts older events to the current form; keeps their order. An event
    /// that cannot be opened does not keep the others from being opened.
    async fn open(&self, events: Vec<Recorded>) -> Result<Vec<Opened>, StoreError> {
        crate::prepare::open(self.vault(), self.upcasters(), events).await
    }

    /// Refuses further appends and returns when the waiting appends are written.
    async fn shutdown(&self);
}
