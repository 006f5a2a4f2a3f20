use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The person or the part of the system that caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A user who was logged in.
    User {
        /// The id of the user.
        id: Uuid,
    },
    /// The system itself: a process, an import or the set-up.
    System {
        /// The name of the part of the system.
        name: String,
    },
}

impl Default for Actor {
    fn default() -> Self {
        Self::System { name: "system".to_owned() }
    }
}

/// The person whose key seals the personal values of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The kind of person, such as `patient`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the person.
    pub id: Uuid,
}

/// The circumstances of an event: who, from where, by which command, because of what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who caused the event.
    pub actor: Actor,
    /// The actor's role at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The session of the user who caused the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The program that sent the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// For what the actor worked, as a code; left out for the treatment of patients, and for the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_of_use: Option<String>,
    /// The id of the command that led to the event.
    pub command_id: Uuid,
    /// The name of the command, such as `schedule-appointment`.
    pub command: String,
    /// An id that all events which follow from one request have in common.
    pub correlation_id: Uuid,
    /// The command or the timer that caused the command, if a process gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// How many reactions of processes led to the command, one after the other; 0 if the actor gave it unasked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reactions: u32,
    /// When the event happened, which may be earlier than when it was recorded.
    pub occurred_at: DateTime<Utc>,
    /// The person whose personal values the event holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Whether the command left a receipt beside the log, by which a repetition of the command is recognised. The event
    /// store sets this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_receipt: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
