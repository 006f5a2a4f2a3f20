//! Failures of processes: what a process should have done after an event and what was refused, so that somebody does it
//! by hand. Each failure has a stream of its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject};

/// A command of a process that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessFailure {}

/// What can happen to a failure of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A command of a process was refused, or an event could not be read. The process went on.
    Occurred(Failed),
}

/// What a process could not do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// The name of the process, such as `after-death`.
    pub process: String,
    /// The position of the event to which the process reacted; `None` if the process reacted to a timer.
    pub position: Option<i64>,
    /// The timer to which the process reacted; `None` if the process reacted to an event.
    pub timer_id: Option<Uuid>,
    /// The name of the command; `None` if the event could not be read.
    pub command: Option<String>,
    /// The stable code of the refusal.
    pub code: String,
    /// The type of the stream that the command was for, or of the event's stream.
    pub resource_type: String,
    /// The stream that the command was for, or the event's stream; `None` if the command was for a new stream.
    pub resource_id: Option<Uuid>,
}

impl Aggregate for ProcessFailure {
    const STREAM: &'static str = "process_failure";
    type Event = Event;

    fn evolve(_: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Occurred(_) => Some(Self {}),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
