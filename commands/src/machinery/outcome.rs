use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_event_store::{Position, StoreError};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::machinery::schema::Malformed;
use crate::{Caller, Refused};

/// The circumstances of a command.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Under which the command happens at most once.
    pub idempotency_key: Option<Uuid>,
    /// What was asked, blinded; goes with the key.
    pub fingerprint: Vec<u8>,
    /// The version that the caller saw.
    pub expected_version: Option<i32>,
    /// When it happened, for an imported fact.
    pub occurred_at: Option<DateTime<Utc>>,
    /// What it belongs to; itself unless told.
    pub correlation_id: Option<Uuid>,
}

impl Request {
    /// A request of a caller, happening now.
    pub fn of(caller: impl Into<Arc<Caller>>) -> Self {
        Self {
            caller: caller.into(),
            idempotency_key: None,
            fingerprint: Vec::new(),
            expected_version: None,
            occurred_at: None,
            correlation_id: None,
        }
    }
}

/// An event that followed from a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRef {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its place in its stream.
    pub version: i32,
    /// Its place in the log.
    pub position: Position,
}

/// What followed from a command. It is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The stream that the command was for.
    pub id: Uuid,
    /// Its type.
    pub stream_type: &'static str,
    /// Its version now.
    pub version: i32,
    /// Where the log ended with it.
    pub position: Position,
    /// What followed, that of other streams included.
    pub events: Vec<EventRef>,
    /// The answer to the same request before.
    pub replayed: bool,
    /// The stream began with it.
    #[serde(skip)]
    pub began: bool,
}

/// Why nothing followed.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// The request is not of the command's form.
    #[error("the request is not of the command's form")]
    Malformed(Malformed),
    /// A rule, a permission or somebody else stood against it.
    #[error("{}", .0.detail)]
    Refused(Refused),
    /// Too much is waiting.
    #[error("too much is waiting; try again")]
    Overloaded,
    /// The log did not answer.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
