use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A person who was logged in.
    User {
        /// Their id.
        id: Uuid,
    },
    /// The system itself: a process, an import, the set-up.
    System {
        /// Which part of it.
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
    /// What kind of person, such as `patient`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who.
    pub id: Uuid,
}

/// The circumstances of an event: who, from where, by which command, because of what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who caused it.
    pub actor: Actor,
    /// The actor's role at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The session in which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The program that sent the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The command.
    pub command_id: Uuid,
    /// Its name, such as `schedule-appointment`.
    pub command: String,
    /// What it belongs to: the same for everything that follows from one request.
    pub correlation_id: Uuid,
    /// The event or command that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// When it happened, where that differs from when it was recorded.
    pub occurred_at: DateTime<Utc>,
    /// Whose personal values the event holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}
