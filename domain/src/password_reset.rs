//! Resets of passwords by e-mail: what was asked for, whether the e-mail went out, and whether its link was used. A user
//! has one stream, and so has each address for which somebody asked and which nobody has, so that both look the same.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, UserId, derived, terms};

terms! {
    /// Why nobody is sent an e-mail, though somebody asked for a reset.
    pub enum Withheld {
        Unknown = "unknown",
        Inactive = "inactive",
        NoPassword = "no_password",
        Recent = "recent",
    }

    /// What became of the e-mail of a reset.
    pub enum Outcome {
        Sent = "sent",
        Withheld = "withheld",
        NotSetUp = "not_set_up",
        Refused = "refused",
        GaveUp = "gave_up",
        Gone = "gone",
    }
}

/// The resets of a user's password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PasswordReset {
    /// The user; `None` if nobody has the address for which somebody asked.
    pub user_id: Option<UserId>,
    /// The reset that can be used; `None` if there is none.
    pub open: Option<Open>,
    /// The requests of which it is not known yet what became of their e-mails.
    pub unsettled: BTreeSet<Uuid>,
}

/// A reset that can be used once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The request. The link in the e-mail names the request.
    pub request_id: Uuid,
    /// Until when the link can be used.
    pub expires_at: DateTime<Utc>,
}

/// What can happen to the resets of a user's password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for a reset.
    Requested {
        /// The request.
        request_id: Uuid,
        /// The user; `None` if nobody has the address.
        user_id: Option<UserId>,
        /// Until when the link can be used.
        expires_at: DateTime<Utc>,
        /// Why there will be no e-mail; `None` if there will be one.
        withheld: Option<Withheld>,
    },
    /// The e-mail was sent, or will not be sent.
    Settled {
        /// The request.
        request_id: Uuid,
        /// What became of the e-mail.
        outcome: Outcome,
    },
    /// The user chose a new password with the link in the e-mail.
    Used {
        /// The request.
        request_id: Uuid,
    },
    /// The link can no longer be used, since the password was changed in another way.
    Voided {
        /// The request.
        request_id: Uuid,
    },
}

impl PasswordReset {
    /// The id of the stream with the resets of a user's password.
    pub fn stream_of(user_id: UserId) -> Uuid {
        derived("password-reset", &["user", &user_id.to_string()])
    }

    /// The id of the stream for an address that nobody has. The mark of the address tells it from others and says
    /// nothing about it.
    pub fn stream_of_unknown(mark: &str) -> Uuid {
        derived("password-reset", &["address", mark])
    }

    /// Whether the link of a request can be used at the time `now`.
    pub fn is_open(&self, request_id: Uuid, now: DateTime<Utc>) -> bool {
        self.open.as_ref().is_some_and(|it| it.request_id == request_id && now < it.expires_at)
    }

    /// The resets without one that can no longer be used.
    fn without(self, request_id: Uuid) -> Self {
        Self { open: self.open.filter(|it| it.request_id != request_id), ..self }
    }
}

impl Aggregate for PasswordReset {
    const STREAM: &'static str = "password_reset";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Requested { request_id, user_id, expires_at, withheld } => {
                let before = state.unwrap_or(Self { user_id: *user_id, open: None, unsettled: BTreeSet::new() });
                let asked = Open { request_id: *request_id, expires_at: *expires_at };
                let open = if withheld.is_none() { Some(asked) } else { before.open };
                let mut unsettled = before.unsettled;
                unsettled.insert(*request_id);
                Some(Self { open, unsettled, ..before })
            }
            Event::Settled { request_id, outcome } => state.map(|mut it| {
                it.unsettled.remove(request_id);
                if *outcome == Outcome::Sent { it } else { it.without(*request_id) }
            }),
            Event::Used { request_id } | Event::Voided { request_id } => state.map(|it| it.without(*request_id)),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        self.user_id.map(|it| Subject::User(it.0))
    }
}
