//! What all logins share once it is known who logs in: the session that begins, its token, and what the user is told.

use hims_domain::user::User;
use hims_domain::{SessionId, UserId};
use hims_event_store::Actor;
use secrecy::SecretString;

use super::{LoggedIn, Login, identity, token_hash};
use crate::Caller;
use crate::access::caller::Origin;
use crate::machinery::context::new_id;
use crate::session::Opening;

impl Login {
    /// The id of a new session.
    pub(super) fn new_session_id(&self) -> SessionId {
        new_id(self.executor.now(), self.executor.entropy(), 0).into()
    }

    /// A session of a user who has just proved who they are, and its token: 256 random bits.
    pub(super) fn opening(&self, id: SessionId, user_id: UserId) -> (SecretString, Opening) {
        let now = self.executor.now();
        let token = format!("{:032x}{:032x}", self.executor.entropy(), self.executor.entropy());
        let opening = Opening {
            id,
            user_id,
            token_hash: token_hash(&token),
            idle_expires_at: now + self.limits.idle,
            absolute_expires_at: now + self.limits.absolute,
            identity_confirmed_until: now + identity::CONFIRMED_FOR,
        };
        (token.into(), opening)
    }
}

/// Somebody who comes to log in, and is nobody yet.
pub(super) fn at_login(origin: Origin) -> Caller {
    Caller::for_request("login", origin)
}

/// The user who begins a session, as events record who did it.
pub(super) fn beginning(opening: &Opening, role: &str, caller: Caller) -> Caller {
    Caller {
        actor: Actor::User { id: opening.user_id.0 },
        role: Some(role.to_owned()),
        session_id: Some(opening.id.0),
        ..caller
    }
}

/// What a user is told whose session has begun.
pub(super) fn logged_in(token: SecretString, opening: &Opening, user: &User, role: String) -> LoggedIn {
    let email = user.email.known().map(|it| it.as_str().to_owned()).unwrap_or_default();
    LoggedIn { token, expires_at: opening.absolute_expires_at, user_id: opening.user_id, email, role }
}
