use thiserror::Error;
use uuid::Uuid;

use crate::{Position, VaultError};

/// Why the event store could not answer.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error.
    #[error("the event log is not available: {0}")]
    Unavailable(String),
    /// A stored event cannot be read.
    #[error("event {position} of type {event_type} cannot be read: {reason}")]
    Unreadable {
        /// The position of the event.
        position: Position,
        /// The type of the event.
        event_type: String,
        /// The kind of error and the column of the stored text; never a value of the event.
        reason: String,
    },
    /// The clock of this node is wrong, so the node records nothing.
    #[error("nothing is recorded: the clock of this node differs from the database's by {seconds} s; set the clock")]
    WrongClock {
        /// By how much the clock of the node is ahead of the database's; negative when the node's clock is behind.
        seconds: i64,
    },
    /// A personal value could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Why an append was not written.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// A stream is not at the version that the decision saw. Load the stream and decide again.
    #[error("stream {stream_id} is not at the expected version; load the stream and decide again")]
    Conflict {
        /// The stream.
        stream_id: Uuid,
    },
    /// A guard of the append no longer holds: what the decision relied on has changed.
    #[error("a guard no longer holds: what the decision relied on has changed; load it and decide again")]
    GuardFailed,
    /// Another stream has the unique key.
    #[error("the unique key in scope {scope} is taken by another stream")]
    Taken {
        /// The set in which the key is unique.
        scope: String,
        /// The stream that has the key.
        owner: Uuid,
    },
    /// A resource is booked at an overlapping time.
    #[error("resource {resource} is booked at an overlapping time; choose another time")]
    DoubleBooked {
        /// The resource, such as a provider or a room.
        resource: Uuid,
        /// The stream that has the overlapping booking.
        owner: Uuid,
    },
    /// A command with this id was recorded before.
    #[error("command {command_id} was recorded before")]
    Repeated {
        /// The command.
        command_id: Uuid,
    },
    /// The queue of appends is full.
    #[error("too many appends are waiting; try again later")]
    Overloaded,
    /// The event store is shutting down and takes no more appends.
    #[error("the event log is shutting down")]
    Closed,
    /// The append contradicts itself or holds a value that cannot be stored.
    #[error("the append is malformed: {0}")]
    Malformed(String),
    /// The log did not take the append, or did not answer. Unless the error says that nothing was recorded, whether the
    /// append was recorded is unknown until its receipt is found.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for AppendError {
    fn from(error: VaultError) -> Self {
        Self::Store(error.into())
    }
}
