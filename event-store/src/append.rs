use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{AppendError, Metadata, Position, Subject};

/// What is written in one transaction: everything or nothing.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Events, by stream. At least one event in all.
    pub streams: Vec<StreamAppend>,
    /// What must still be so.
    pub guards: Vec<Guard>,
    /// Keys and times taken and given back, releases first.
    pub claims: Vec<Claim>,
    /// Makes the append happen at most once.
    pub receipt: Option<Receipt>,
    /// The circumstances; each stream adds its own subject.
    pub metadata: Metadata,
}

impl Append {
    /// An append to one stream and nothing else.
    pub fn stream(stream: StreamAppend) -> Self {
        Self { streams: vec![stream], ..Self::default() }
    }
}

/// New events of one stream.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// What kind of thing it is the history of.
    pub stream_type: &'static str,
    /// Which one.
    pub stream_id: Uuid,
    /// The version that the decision saw; 0 for a stream that must not exist yet.
    pub expected_version: i32,
    /// What happened.
    pub events: Vec<NewEvent>,
    /// Whose personal values the events hold.
    pub subject: Option<Subject>,
}

impl StreamAppend {
    /// The first events of a new stream.
    pub fn begin(stream_type: &'static str, stream_id: Uuid, events: impl Into<Vec<NewEvent>>) -> Self {
        Self::at(stream_type, stream_id, 0, events)
    }

    /// Further events of a stream at a version.
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
    /// Stream type and name, such as `appointment.scheduled`.
    pub event_type: String,
    /// What happened. Personal values stand as `{"$personal": value}`.
    pub data: Value,
}

impl NewEvent {
    /// An event in the externally tagged form that serde gives an enum: `"confirmed"` or `{"scheduled": {…}}`.
    ///
    /// # Errors
    /// When the event cannot be serialised, or is no enum.
    pub fn new(stream_type: &str, event: &impl Serialize) -> Result<Self, AppendError> {
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

/// A set rule: who has which key or which time. Keys are stored blinded, so they may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Takes a key that only one owner may have; has no effect when the owner has it already.
    Take {
        /// The set.
        scope: &'static str,
        /// The key in it.
        key: String,
        /// The stream that takes it.
        owner: Uuid,
    },
    /// Gives such a key back.
    Release {
        /// The set.
        scope: &'static str,
        /// The key in it.
        key: String,
        /// The stream that has it.
        owner: Uuid,
    },
    /// Notes a key that any number of owners may have, so that they can be found by it.
    Share {
        /// The set.
        scope: &'static str,
        /// The key in it.
        key: String,
        /// The stream that has it.
        owner: Uuid,
    },
    /// Takes such a note back.
    Unshare {
        /// The set.
        scope: &'static str,
        /// The key in it.
        key: String,
        /// The stream that has it.
        owner: Uuid,
    },
    /// Books a resource from a time up to, and without, another. Bookings of a resource never overlap.
    Book {
        /// What is booked.
        resource: Uuid,
        /// Since when.
        from: DateTime<Utc>,
        /// Until when.
        until: DateTime<Utc>,
        /// The stream that books it.
        owner: Uuid,
    },
    /// Gives back every booking of an owner.
    Unbook {
        /// The stream that booked.
        owner: Uuid,
    },
}

/// Something that the decision relied on and that must still hold when it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Another stream is still at this version.
    Version {
        /// Which.
        stream_id: Uuid,
        /// At which version.
        version: i32,
    },
    /// A shared key still has this many owners.
    Owners {
        /// The set.
        scope: &'static str,
        /// The key in it.
        key: String,
        /// How many owners.
        count: i64,
    },
}

/// The outcome of a command, kept under its id so that a repetition finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The command.
    pub command_id: Uuid,
    /// What was asked, blinded; tells a repetition from another request under the same id.
    pub fingerprint: Vec<u8>,
    /// First position written; 0 before it is recorded. After `last` when the command changed nothing.
    pub first: Position,
    /// Last position written, or that of the event because of which nothing was; 0 before it is recorded.
    pub last: Position,
}

impl Receipt {
    /// A receipt for a command that is about to be recorded.
    pub fn new(command_id: Uuid, fingerprint: Vec<u8>) -> Self {
        Self { command_id, fingerprint, first: 0, last: 0 }
    }
}

/// Where an append came to stand. It is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first event.
    pub first: Position,
    /// Position of its last event.
    pub last: Position,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}
