//! Sessions: a user in the system, from login to logout.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, UserId, terms};

terms! {
    /// How a session ended.
    pub enum EndReason {
        Logout = "logout",
        Idle = "idle",
        Expired = "expired",
        Revoked = "revoked",
        PasswordChange = "password_change",
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the bearer token, in hex.
    pub token_hash: String,
    /// When it ends unless it is used.
    pub idle_expires_at: DateTime<Utc>,
    /// When it ends however much it is used.
    pub absolute_expires_at: DateTime<Utc>,
    /// How it ended; `None` while it lasts.
    pub ended: Option<EndReason>,
}

/// What can happen to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The user logged in.
    Started {
        /// Who.
        user_id: UserId,
        /// SHA-256 of the bearer token, in hex; the token itself is nowhere.
        token_hash: String,
        /// When it ends unless it is used.
        idle_expires_at: DateTime<Utc>,
        /// When it ends however much it is used.
        absolute_expires_at: DateTime<Utc>,
    },
    /// It was used, so that it lasts longer.
    Renewed {
        /// When it ends unless it is used.
        idle_expires_at: DateTime<Utc>,
    },
    /// It is over.
    Ended {
        /// How.
        reason: EndReason,
    },
}

impl Session {
    /// Whether the session still gives access.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && now < self.idle_expires_at && now < self.absolute_expires_at
    }
}

impl Aggregate for Session {
    const STREAM: &'static str = "session";
    const STATE_VERSION: i32 = 2;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Started { user_id, token_hash, idle_expires_at, absolute_expires_at } => Some(Self {
                user_id: *user_id,
                token_hash: token_hash.clone(),
                idle_expires_at: *idle_expires_at,
                absolute_expires_at: *absolute_expires_at,
                ended: None,
            }),
            Event::Renewed { idle_expires_at } => state.map(|it| Self { idle_expires_at: *idle_expires_at, ..it }),
            Event::Ended { reason } => state.map(|it| Self { ended: Some(*reason), ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
