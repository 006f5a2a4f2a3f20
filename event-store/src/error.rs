use thiserror::Error;
use uuid::Uuid;

use crate::{Position, VaultError};

/// Why the store could not answer.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error.
    #[error("the event log is not available: {0}")]
    Unavailable(String),
    /// A stored event cannot be read.
    #[error("event {position} of type {event_type} cannot be read: {reason}")]
    Unreadable {
        /// Where it stands.
        position: Position,
        /// Its type.
        event_type: String,
        /// Why; names a field, never a value.
        reason: String,
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

/// Why nothing was written.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// A stream is not at the version that the decision saw.
    #[error("stream {stream_id} is at another version than expected")]
    Conflict {
        /// Which.
        stream_id: Uuid,
    },
    /// Something that the decision relied on has changed.
    #[error("what the decision relied on has changed")]
    GuardFailed,
    /// Somebody else has a unique key.
    #[error("the key in {scope} is taken")]
    Taken {
        /// The set.
        scope: String,
        /// Who has it.
        owner: Uuid,
    },
    /// A resource is booked at an overlapping time.
    #[error("resource {resource} is booked at an overlapping time")]
    DoubleBooked {
        /// What.
        resource: Uuid,
        /// Who booked it.
        owner: Uuid,
    },
    /// A command with this id was recorded before.
    #[error("command {command_id} was recorded before")]
    Repeated {
        /// Which.
        command_id: Uuid,
    },
    /// The queue is full. Try again later.
    #[error("too many appends are waiting")]
    Overloaded,
    /// The store is shutting down.
    #[error("the event log is shutting down")]
    Closed,
    /// The append itself cannot be written.
    #[error("the append is malformed: {0}")]
    Malformed(String),
    /// The database did not answer. Whether the append was recorded is unknown unless a receipt tells.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for AppendError {
    fn from(error: VaultError) -> Self {
        Self::Store(error.into())
    }
}
