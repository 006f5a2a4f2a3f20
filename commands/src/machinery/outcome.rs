use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_event_store::{Position, StoreError};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::machinery::decision::Mistake;
use crate::machinery::schema::Malformed;
use crate::{Caller, Refused};

/// Who gives a command, and under which conditions.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who gives the command.
    pub caller: Arc<Caller>,
    /// The key under which the command is carried out at most once.
    pub idempotency_key: Option<Uuid>,
    /// A keyed hash of the request, stored with the idempotency key: another request under the same key is refused.
    pub fingerprint: Vec<u8>,
    /// The version of the stream that the caller saw; any version if `None`.
    pub expected_version: Option<i32>,
    /// The fields of the request that the caller does not read in records about other people.
    pub withheld: Vec<&'static str>,
    /// When an imported fact happened; now if `None`.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The id of the wider operation to which the command belongs; the command id if `None`.
    pub correlation_id: Option<Uuid>,
    /// To what the command reacts, if a process gives it.
    pub cause: Option<Cause>,
}

/// To what a command of a process reacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The command whose event, or the timer, to which the command reacts.
    pub id: Uuid,
    /// How many reactions of processes led here, one after the other, this command included.
    pub reactions: u32,
}

impl Request {
    /// A request of a caller that happens now and has no idempotency key.
    pub fn of(caller: impl Into<Arc<Caller>>) -> Self {
        Self {
            caller: caller.into(),
            idempotency_key: None,
            fingerprint: Vec::new(),
            expected_version: None,
            withheld: Vec::new(),
            occurred_at: None,
            correlation_id: None,
            cause: None,
        }
    }
}

/// An event that followed from a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRef {
    /// The type of the event, such as `appointment.scheduled`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version that its stream has with the event.
    pub version: i32,
    /// The position of the event in the log.
    pub position: Position,
}

/// What followed from a command. All of its events are stored durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The id of the stream to which the command applied.
    pub id: Uuid,
    /// The type of that stream.
    pub stream_type: &'static str,
    /// The version of that stream after the command.
    pub version: i32,
    /// The position of the last event of the command; the head of the log if nothing was recorded.
    pub position: Position,
    /// The recorded events, those of other streams included.
    pub events: Vec<EventRef>,
    /// Whether this repeats the answer to an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Whether the command began the stream.
    #[serde(skip)]
    pub began: bool,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// The request body does not match the command's shape.
    #[error("the request body does not match the shape of the command")]
    Malformed(Malformed),
    /// A rule, a missing permission or a conflict with another record did not allow the command.
    #[error("{}", .0.detail)]
    Refused(Refused),
    /// Too many commands or passwords are waiting already.
    #[error("too many commands are waiting; try again")]
    Overloaded,
    /// A newer release works with the log: what this program decides and records, that one may not expect.
    #[error("a newer release works with this database, so this program records nothing any more")]
    Outdated,
    /// The command has a mistake in its program. Trying again would not help.
    #[error("a mistake in the program: {0}")]
    Mistake(Mistake),
    /// The log did not answer.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
