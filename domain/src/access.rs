//! What was attempted and refused. One stream per attempt; the audit shows it beside what succeeded.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, UserId};

/// An attempt that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A command that a rule, a permission or somebody else's claim stood against.
    CommandRefused {
        /// The command's name.
        command: String,
        /// The stable code of the refusal.
        code: String,
        /// The stream type that the command was for.
        stream_type: String,
        /// The stream that the command was for.
        stream_id: Uuid,
    },
    /// A login with a wrong password, an unknown address, or of an inactive user.
    LoginFailed {
        /// Whose address it was; `None` when nobody's.
        user_id: Option<UserId>,
        /// The stable code of the failure.
        code: String,
    },
}

impl Aggregate for Access {
    const STREAM: &'static str = "access";
    type Event = Event;

    fn evolve(_: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::CommandRefused { .. } | Event::LoginFailed { .. } => Some(Self {}),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
