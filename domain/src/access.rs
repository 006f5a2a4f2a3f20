//! What belongs to no record of the hospital: refused commands, failed logins, and work of operators on what lies
//! beside the log. Each has a stream of its own, so that the audit shows it beside successful commands. What repeats an
//! attempt within a minute is recorded as one event.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, UserId};

/// A refused attempt, or work of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {}

/// What was attempted and refused, or what an operator did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A command was refused because of a rule, a missing permission or the claim of another stream.
    CommandRefused {
        /// The name of the command.
        command: String,
        /// The stable code of the refusal.
        code: String,
        /// The stream type that the command was for.
        stream_type: String,
        /// The stream that the command was for.
        stream_id: Uuid,
    },
    /// A login failed: the password was wrong, the e-mail address is unknown or the user is inactive.
    LoginFailed {
        /// The user who has the e-mail address; `None` when no user has the address.
        user_id: Option<UserId>,
        /// The stable code of the failure.
        code: String,
    },
    /// Refused attempts could not be recorded one by one, since too many of them waited for the log.
    RefusalsLost {
        /// How many attempts were refused without a record of their own.
        count: u32,
    },
    /// The same attempt was refused again, several times within a minute.
    Repeated {
        /// The name of the command; `start-session` for a login.
        command: String,
        /// The stable code of the refusal.
        code: String,
        /// The stream type that the command was for.
        stream_type: String,
        /// The stream that the command was for.
        stream_id: Uuid,
        /// How often the attempt was repeated after the one that was recorded by itself.
        count: u32,
    },
    /// An operator had the claims (unique keys, bookings) rebuilt from the log.
    ClaimsRebuilt,
}

impl Aggregate for Access {
    const STREAM: &'static str = "access";
    type Event = Event;

    fn evolve(_: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::CommandRefused { .. }
            | Event::LoginFailed { .. }
            | Event::Repeated { .. }
            | Event::RefusalsLost { .. }
            | Event::ClaimsRebuilt => Some(Self {}),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
