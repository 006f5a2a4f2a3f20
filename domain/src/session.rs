//! Sessions: the time of a user in the system, from login to logout.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::role::Permissions;
use crate::{Aggregate, Personal, Subject, UserId, terms};

terms! {
    /// How a session ended.
    pub enum EndReason {
        Logout = "logout",
        Idle = "idle",
        Expired = "expired",
        Revoked = "revoked",
        PasswordChange = "password_change",
    }

    /// How a user proved who they are.
    pub enum AuthMethod {
        Password = "password",
        OpenIdConnect = "oidc",
        ClientCredentials = "client_credentials",
        Passkey = "passkey",
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The user who logged in.
    pub user_id: UserId,
    /// The SHA-256 hash of the bearer token in hexadecimal digits. The token itself is stored nowhere.
    pub token_hash: Personal<String>,
    /// When the session ends unless it is used.
    pub idle_expires_at: DateTime<Utc>,
    /// When the session ends even if it is used.
    pub absolute_expires_at: DateTime<Utc>,
    /// Until when the session may do what only somebody may do who has just proved who they are.
    pub identity_confirmed_until: DateTime<Utc>,
    /// Of what the user may do, the permissions that the session has; `None` for all of them.
    pub scopes: Option<Permissions>,
    /// How the session ended; `None` while the session lasts.
    pub ended: Option<EndReason>,
}

/// What can happen to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The user logged in.
    Started {
        /// The user.
        user_id: UserId,
        /// The SHA-256 hash of the bearer token in hexadecimal digits, sealed with the user's key: nobody is answered
        /// the hash, not even an auditor who asks for the stored text. The token itself is stored nowhere.
        token_hash: Personal<String>,
        /// When the session ends unless it is used.
        idle_expires_at: DateTime<Utc>,
        /// When the session ends even if it is used.
        absolute_expires_at: DateTime<Utc>,
        /// Until when the login is a proof of who the user is.
        identity_confirmed_until: DateTime<Utc>,
        /// How the user proved who they are.
        auth_method: AuthMethod,
        /// Of what the user may do, the permissions that the session has; `None` for all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Permissions>,
    },
    /// The session was used and therefore lasts longer.
    Renewed {
        /// When the session ends unless it is used.
        idle_expires_at: DateTime<Utc>,
    },
    /// The user proved again who they are.
    IdentityConfirmed {
        /// Until when that is a proof.
        identity_confirmed_until: DateTime<Utc>,
    },
    /// The session ended.
    Ended {
        /// How the session ended.
        reason: EndReason,
    },
}

impl Session {
    /// Whether the session gives access at the time `now`.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && now < self.idle_expires_at && now < self.absolute_expires_at
    }
}

impl Aggregate for Session {
    const STREAM: &'static str = "session";
    const STATE_VERSION: i32 = 5;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Started {
                user_id,
                token_hash,
                idle_expires_at,
                absolute_expires_at,
                identity_confirmed_until,
                auth_method: _,
                scopes,
            } => Some(Self {
                user_id: *user_id,
                token_hash: token_hash.clone(),
                idle_expires_at: *idle_expires_at,
                absolute_expires_at: *absolute_expires_at,
                identity_confirmed_until: *identity_confirmed_until,
                scopes: scopes.clone(),
                ended: None,
            }),
            Event::IdentityConfirmed { identity_confirmed_until } => {
                state.map(|it| Self { identity_confirmed_until: *identity_confirmed_until, ..it })
            }
            Event::Renewed { idle_expires_at } => state.map(|it| Self { idle_expires_at: *idle_expires_at, ..it }),
            Event::Ended { reason } => state.map(|it| Self { ended: Some(*reason), ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::User(self.user_id.0))
    }
}
