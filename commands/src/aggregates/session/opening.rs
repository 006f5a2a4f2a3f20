//! What all sessions begin with, however their users proved who they are.

use chrono::{DateTime, Utc};
use hims_domain::role::Permissions;
use hims_domain::session::{AuthMethod, Event, Session};
use hims_domain::user::{self, User};
use hims_domain::{SessionId, UserId};
use serde::Deserialize;

use super::ending_what_ran_out;
use crate::{Context, Decision};

/// A session that begins.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Opening {
    /// The id of the new session.
    pub(crate) id: SessionId,
    /// The user who logs in.
    pub(crate) user_id: UserId,
    /// The SHA-256 hash of the bearer token, in hex.
    pub(crate) token_hash: String,
    /// When the session ends unless it is used.
    pub(crate) idle_expires_at: DateTime<Utc>,
    /// When the session ends at the latest, however much it is used.
    pub(crate) absolute_expires_at: DateTime<Utc>,
    /// Until when the login is a proof of who the user is.
    pub(crate) identity_confirmed_until: DateTime<Utc>,
}

impl Opening {
    /// Begins the session, in the same append as what happens to its user with it, such as that a code was used: a code
    /// is right only once, whichever nodes it is given to. Records also the end of the user's sessions that ran out.
    pub(super) fn begin(
        self,
        (auth_method, scopes): (AuthMethod, Option<Permissions>),
        of_user: impl IntoIterator<Item = user::Event>,
        ctx: &Context<'_>,
    ) -> Decision<Session> {
        let Self { id: _, user_id, token_hash, idle_expires_at, absolute_expires_at, identity_confirmed_until } = self;
        let begun = Decision::event(Event::Started {
            user_id,
            token_hash: token_hash.into(),
            idle_expires_at,
            absolute_expires_at,
            identity_confirmed_until,
            auth_method,
            scopes,
        });
        let begun = of_user.into_iter().fold(begun, |it, event| it.also::<User>(user_id, event));
        ending_what_ran_out(begun, ctx, user_id)
    }
}
