use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{AppendError, Metadata, Position, Subject};

/// What is written in one transaction: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// The new events, by stream: at least one event in all.
    pub streams: Vec<StreamAppend>,
    /// What the decision relied on; the append is refused unless every guard still holds.
    pub guards: Vec<Guard>,
    /// Keys and bookings that are taken and given back. What is given back is released first, whatever the order here.
    pub claims: Vec<Claim>,
    /// The receipt of the command, which makes the append happen at most once.
    pub receipt: Option<Receipt>,
    /// The people whom the append erases: their keys are destroyed in its transaction, with the snapshots that hold their
    /// values and every file beside the log.
    pub erases: Vec<Uuid>,
    /// The circumstances of the events; each stream adds its own subject.
    pub metadata: Metadata,
    /// The timeline in which was read what the decision relied on, as
    /// [`EventStore::timeline`](crate::EventStore::timeline) said before. The append is refused with
    /// [`AppendError::GuardFailed`] once the log goes on in another one. If `None`, the one of the beginning of the append.
    pub timeline: Option<i32>,
    /// Whether the append may take one of the places that are kept for it when all others are taken.
    pub is_urgent: bool,
    /// By when [`EventStore::append`](crate::EventStore::append) must have answered; if `None`, as late as the event
    /// store ever answers. An append that was not sent to the database by then is not written.
    pub until: Option<Instant>,
}

impl Append {
    /// An append of events to one stream, without claims, guards or a receipt.
    pub fn stream(stream: StreamAppend) -> Self {
        Self { streams: vec![stream], ..Self::default() }
    }
}

/// New events of one stream.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// The type of the stream, such as `appointment`.
    pub stream_type: &'static str,
    /// The stream.
    pub stream_id: Uuid,
    /// The version of the stream that the decision saw; 0 for a stream that must not exist yet.
    pub expected_version: i32,
    /// The events, in order; none to require only that the stream is at the expected version.
    pub events: Vec<NewEvent>,
    /// The person whose personal values the events hold.
    pub subject: Option<Subject>,
}

impl StreamAppend {
    /// The first events of a new stream.
    pub fn begin(stream_type: &'static str, stream_id: Uuid, events: impl Into<Vec<NewEvent>>) -> Self {
        Self::at(stream_type, stream_id, 0, events)
    }

    /// Further events of a stream that is at a version.
    pub fn at(
        stream_type: &'static str,
        stream_id: Uuid,
        expected_version: i32,
        events: impl Into<Vec<NewEvent>>,
    ) -> Self {
        Self { stream_type, stream_id, expected_version, events: events.into(), subject: None }
    }
}

/// An event that is not recorded yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The stream type and the name of the event, such as `appointment.scheduled`.
    pub event_type: String,
    /// The content of the event, with personal values as `{"$personal": value}`.
    pub data: Value,
}

impl NewEvent {
    /// A new event from an enum in serde's externally tagged form: `"confirmed"` or `{"scheduled": {…}}`.
    ///
    /// # Errors
    /// When the event cannot be serialised, or is not an externally tagged enum.
    pub fn try_new(stream_type: &str, event: &impl Serialize) -> Result<Self, AppendError> {
        let not_an_enum = || AppendError::Malformed("an event must serialise as an externally tagged enum".to_owned());
        match serde_json::to_value(event).map_err(|error| AppendError::Malformed(error.to_string()))? {
            Value::String(name) => {
                Ok(Self { event_type: format!("{stream_type}.{name}"), data: Value::Object(serde_json::Map::new()) })
            }
            Value::Object(variant) => {
                let (name, data) = variant.into_iter().next().ok_or_else(not_an_enum)?;
                Ok(Self { event_type: format!("{stream_type}.{name}"), data })
            }
            _ => Err(not_an_enum()),
        }
    }
}

/// A change of which stream has which key or booking. Keys are stored blinded (HMAC), so they may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Takes a unique key, which only one owner may have. Has no effect when the owner has the key already.
    Take {
        /// The set to which the key belongs.
        scope: &'static str,
        /// The key.
        key: String,
        /// The stream that takes the key.
        owner: Uuid,
    },
    /// Gives a unique key back. Has no effect when the owner does not have the key.
    Release {
        /// The set to which the key belongs.
        scope: &'static str,
        /// The key.
        key: String,
        /// The stream that has the key.
        owner: Uuid,
    },
    /// Notes a shared key, which any number of owners may have, so that the owners can be found by the key.
    Share {
        /// The set to which the key belongs.
        scope: &'static str,
        /// The key.
        key: String,
        /// The stream that has the key.
        owner: Uuid,
    },
    /// Gives a shared key back. Has no effect when the owner does not have the key.
    Unshare {
        /// The set to which the key belongs.
        scope: &'static str,
        /// The key.
        key: String,
        /// The stream that has the key.
        owner: Uuid,
    },
    /// Books a resource from one time up to, but not including, another. Bookings of one resource never overlap.
    Book {
        /// The resource, such as a provider, a room or a patient.
        resource: Uuid,
        /// When the booking begins.
        from: DateTime<Utc>,
        /// When the booking ends; the next booking may begin then.
        until: DateTime<Utc>,
        /// The stream that books the resource.
        owner: Uuid,
    },
    /// Gives back every booking of an owner.
    Unbook {
        /// The stream that has the bookings.
        owner: Uuid,
    },
}

impl Claim {
    /// The set and the key whose owners the claim changes; `None` for a booking.
    pub fn key(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Take { scope, key, .. }
            | Self::Release { scope, key, .. }
            | Self::Share { scope, key, .. }
            | Self::Unshare { scope, key, .. } => Some((scope, key)),
            Self::Book { .. } | Self::Unbook { .. } => None,
        }
    }
}

/// A fact that the decision relied on and that must still be true when the append is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Another stream is still at this version.
    Version {
        /// The other stream.
        stream_id: Uuid,
        /// The version that the decision saw; 0 when the stream did not exist.
        version: i32,
    },
    /// A unique or shared key still has this many owners.
    Owners {
        /// The set to which the key belongs.
        scope: &'static str,
        /// The key.
        key: String,
        /// The number of owners that the decision saw.
        count: i64,
    },
}

/// The outcome of a command, kept under the id of the command so that a repeated command is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The command.
    pub command_id: Uuid,
    /// The blinded request, which tells a repeated command from a different request under the same id.
    pub fingerprint: Vec<u8>,
    /// The first position written: 0 before the append is recorded, `last + 1` when the command changed nothing.
    pub first: Position,
    /// The last position written: 0 before the append is recorded. When the command changed nothing, the position of
    /// the event that made the command unnecessary.
    pub last: Position,
}

impl Receipt {
    /// A receipt for a command that is about to be recorded.
    pub fn new(command_id: Uuid, fingerprint: Vec<u8>) -> Self {
        Self { command_id, fingerprint, first: 0, last: 0 }
    }
}

/// The positions of an append that is durably recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of the first event of the append.
    pub first: Position,
    /// The position of the last event of the append.
    pub last: Position,
    /// When the append was recorded.
    pub recorded_at: DateTime<Utc>,
}
