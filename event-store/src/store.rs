use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::chain::Hash;
use crate::recount::{ClaimsOf, ClaimsReport};
use crate::{Append, AppendError, Appended, Opened, Position, Receipt, Recorded, StoreError, Upcasters, Vault};

/// A state that was folded before, so that a long stream need not be folded from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The version of the stream after which the state was so.
    pub version: i32,
    /// The version of the state's form.
    pub state_version: i32,
    /// The state; personal values as `{"$personal": value}`.
    pub state: Value,
}

/// Which events to look for. What is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Only after this position.
    pub after: Position,
    /// At most so many.
    pub limit: i64,
    /// Of this stream.
    pub stream_id: Option<Uuid>,
    /// Of streams of this type.
    pub stream_type: Option<String>,
    /// Of this type.
    pub event_type: Option<String>,
    /// Recorded then or later.
    pub from: Option<DateTime<Utc>>,
    /// Recorded then or earlier.
    pub to: Option<DateTime<Utc>>,
    /// Only these positions.
    pub positions: Option<Vec<Position>>,
}

impl Wanted {
    /// Whether an event is one of those that are looked for.
    pub fn fits(&self, event: &Recorded) -> bool {
        event.position > self.after
            && self.stream_id.is_none_or(|it| it == event.stream_id)
            && self.stream_type.as_ref().is_none_or(|it| *it == event.stream_type)
            && self.event_type.as_ref().is_none_or(|it| *it == event.event_type)
            && self.from.is_none_or(|it| it <= event.recorded_at)
            && self.to.is_none_or(|it| it >= event.recorded_at)
            && self.positions.as_ref().is_none_or(|it| it.contains(&event.position))
    }
}

/// An append-only event log.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Writes, and answers when it is durable.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// At most `limit` events of a stream after a version, in order.
    async fn load(&self, stream_id: Uuid, after_version: i32, limit: i32) -> Result<Vec<Recorded>, StoreError>;

    /// At most `limit` events after a position, in order and without a gap.
    async fn read(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError>;

    /// Events that fit, in order, at most `limit`.
    async fn search(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError>;

    /// Who has a shared key, or the one who has a unique key.
    async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, StoreError>;

    /// The outcome of an earlier command.
    async fn receipt(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError>;

    /// Keeps the receipt of a command that changed nothing, since a stream stands where it does at a version. Answers
    /// the position of that version; `None` when the command has a receipt already.
    async fn acknowledge(
        &self,
        receipt: Receipt,
        stream_id: Uuid,
        version: i32,
    ) -> Result<Option<Position>, StoreError>;

    /// Compares every claim with what the events of its owner say, both as of one moment.
    async fn compare_claims(&self, claims_of: &ClaimsOf) -> Result<ClaimsReport, StoreError>;

    /// Makes the claims anew from the log, while nobody appends: after a restore, or after somebody's hand. Reports what
    /// is not as the log says even then, such as a key that two streams hold.
    async fn mend_claims(&self, claims_of: &ClaimsOf) -> Result<ClaimsReport, StoreError>;

    /// The newest snapshot of a stream.
    async fn snapshot(&self, stream_type: &str, stream_id: Uuid) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps a snapshot, in place of an older one. `subject` is whose personal values the state holds.
    async fn save_snapshot(
        &self,
        stream_type: &'static str,
        stream_id: Uuid,
        subject: Option<Uuid>,
        snapshot: Snapshot,
    ) -> Result<(), StoreError>;

    /// The position of the newest event as far as this process knows; wakes whoever follows the log.
    fn head(&self) -> watch::Receiver<Position>;

    /// Asks the log itself for the position of its newest event.
    async fn current_head(&self) -> Result<Position, StoreError>;

    /// The hash of the newest event, as it is noted beside the log.
    async fn head_hash(&self) -> Result<Hash, StoreError>;

    /// Seals and opens personal values.
    fn vault(&self) -> &Vault;

    /// Lifts older events.
    fn upcasters(&self) -> &Upcasters;

    /// Opens personal values and lifts older events, in the same order. Each is on its own: one that cannot be opened
    /// takes no other with it.
    async fn open(&self, events: Vec<Recorded>) -> Result<Vec<Opened>, StoreError> {
        crate::prepare::open(self.vault(), self.upcasters(), events).await
    }

    /// Takes no more appends and returns when those that were waiting are written.
    async fn shutdown(&self);
}
