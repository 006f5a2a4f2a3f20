//! Sessions: starting, renewing, ending and revoking sessions. All but the last are not in the registry, since sessions
//! have routes of their own.

/// Declares that a command applies to a session, and that it may be given in this session.
macro_rules! about_a_session {
    () => {
        fn target(&self) -> Target {
            Target::existing(self.session_id)
        }

        fn is_own(&self, _: Option<&Session>, caller: &Caller) -> bool {
            caller.session_id == Some(self.session_id.0)
        }
    };
}

/// Declares that a command begins a session, for which the user and the user's sessions are looked up.
macro_rules! begins_a_session {
    () => {
        fn target(&self) -> Target {
            Target::new(Some(self.opening.id))
        }

        fn reads(&self, _: Option<&Session>, _: &Found) -> Reads {
            of_user(self.opening.user_id)
        }
    };
}

mod open_id;
mod opening;
mod passkeys;
mod service;

use chrono::{DateTime, Utc};
use hims_domain::permission::Update;
use hims_domain::session::{AuthMethod, EndReason, Event, Session};
use hims_domain::user::{self, User};
use hims_domain::{Personal, SessionId, UserId, described, terms};
use serde::Deserialize;
use uuid::Uuid;

pub(crate) use open_id::StartOpenIdSession;
pub(crate) use opening::Opening;
pub(crate) use passkeys::{ConfirmIdentityByPasskey, StartPasskeySession, UsedPasskey};
pub(crate) use service::StartServiceSession;

use super::user::{check_not_above_user, reads_named};
use crate::access::one_time::{self, OneTimeCode};
use crate::machinery::command::{existing, never_sent};
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RevokeSession>();
}

refusals! {
    Changed = Conflict, "user-changed", "the user was changed during the login; log in again";
    Over = Conflict, "session-over", "the session is over; log in again";
    WrongSecret = Rule, "wrong-secret", "the client_id or the client_secret is wrong, or not good any more";
    TooManyOpen = TooMany, "too-many-sessions", "this account has too many sessions; use a token until it expires";
    WrongCode = Rule, "wrong-code", "the code is wrong, or was used before; wait for the next one";
}

terms! {
    /// Why a session is ended, other than by a change of its user.
    pub enum Ending {
        Logout = "logout",
        Idle = "idle",
        Expired = "expired",
    }
}

described! {
    /// Proves again who the user of a session is, with the password, and with a code if the user has a second factor.
    pub struct ConfirmIdentity {
        /// Which session.
        pub session_id: SessionId,
        /// The hash with which the password was compared. Nothing is confirmed if the user's hash has changed since.
        pub compared_with: hims_domain::values::Text<255>,
        /// The code that the user gave; `None` for none.
        pub code: Option<OneTimeCode>,
        /// Until when that is a proof.
        pub identity_confirmed_until: DateTime<Utc>,
    }

    /// Lets a session last longer, because the session is used.
    pub struct RenewSession {
        /// Which session.
        pub session_id: SessionId,
        /// When the session ends unless it is used.
        pub idle_expires_at: DateTime<Utc>,
    }

    /// Ends a session.
    pub struct EndSession {
        /// Which session.
        pub session_id: SessionId,
        /// Why the session ends.
        pub ending: Ending,
    }

    /// Ends a session at once, wherever it is in use. Users end their own sessions, for example on a device that they
    /// left behind.
    pub struct RevokeSession {
        /// Which session.
        pub session_id: SessionId,
    }
}

/// Begins a session of a user whose password was right, and who gave a code if there is a second factor.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StartSession {
    /// The session.
    pub(crate) opening: Opening,
    /// The hash with which the password was compared. The session is refused if the user's hash has changed since.
    pub(crate) compared_with: String,
    /// The code that the user gave; `None` for none.
    pub(crate) code: Option<OneTimeCode>,
}

never_sent!(StartSession);

fn reason(ending: Ending) -> EndReason {
    match ending {
        Ending::Logout => EndReason::Logout,
        Ending::Idle => EndReason::Idle,
        Ending::Expired => EndReason::Expired,
    }
}

/// Checks that a user is still who gave the password, and that the code is right if the user has a second factor.
/// Returns what is recorded of the code.
fn proven(
    ctx: &Context<'_>,
    user_id: UserId,
    compared_with: &str,
    code: Option<&OneTimeCode>,
) -> Result<Option<user::Event>, Refused> {
    let user = ctx.named::<User>(user_id, "/user_id")?;
    let hash = user.password_hash.as_ref().and_then(Personal::known);
    if !user.is_active || hash.map(String::as_str) != Some(compared_with) {
        return refuse(Refusal::Changed);
    }
    factor_used(ctx, user, code)
}

/// Checks that the code is right if a user has a second factor. Returns what is recorded of the code.
fn factor_used(ctx: &Context<'_>, user: &User, code: Option<&OneTimeCode>) -> Result<Option<user::Event>, Refused> {
    let Some(factor) = user.confirmed_factor() else { return Ok(None) };
    match code.and_then(|code| one_time::used(factor, code, ctx.now, ctx.caller.session_id.map(SessionId))) {
        None => refuse(Refusal::WrongCode),
        used => Ok(used),
    }
}

/// Records a proof of who uses an open session, in the same append as what `prove` says that the proof changes of the
/// user, so that a code is right only once.
fn confirmed(
    state: Option<&Session>,
    ctx: &Context<'_>,
    identity_confirmed_until: DateTime<Utc>,
    prove: impl FnOnce(UserId) -> Result<Option<user::Event>, Refused>,
) -> Result<Decision<Session>, Refused> {
    let session = existing(state)?;
    if !session.is_open(ctx.now) {
        return refuse(Refusal::Over);
    }
    let used = prove(session.user_id)?;
    let confirmed = Decision::event(Event::IdentityConfirmed { identity_confirmed_until });
    Ok(used.into_iter().fold(confirmed, |it, used| it.also::<User>(session.user_id, used)))
}

/// Looks up a user and the user's sessions.
fn of_user(user_id: UserId) -> Reads {
    Reads::nothing().owners::<Session>(scopes::USER_SESSIONS, user_id.to_string()).stream::<User>(user_id)
}

/// Adds the end of the sessions of a user that ran out.
fn ending_what_ran_out(begun: Decision<Session>, ctx: &Context<'_>, user_id: UserId) -> Decision<Session> {
    let over = ctx.found.owners::<Session>(scopes::USER_SESSIONS, user_id.to_string());
    over.filter(|(_, session)| session.ended.is_none() && !session.is_open(ctx.now)).fold(
        begun,
        |decision, (id, session)| {
            let reason = if ctx.now >= session.absolute_expires_at { EndReason::Expired } else { EndReason::Idle };
            decision.also::<Session>(id, Event::Ended { reason })
        },
    )
}

impl Claims for Session {
    /// Until the session ends, it is found by the hash of its token, a unique key, and by its user, a shared key.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.ended.is_none() {
            held.take_if(scopes::SESSION_TOKEN, self.token_hash.known())
                .share(scopes::USER_SESSIONS, self.user_id.to_string());
        }
    }
}

impl Command for StartSession {
    const NAME: &'static str = "start-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    begins_a_session!();

    fn decide(self, _: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let used = proven(ctx, self.opening.user_id, &self.compared_with, self.code.as_ref())?;
        Ok(self.opening.begin((AuthMethod::Password, None), used, ctx))
    }
}

impl Command for ConfirmIdentity {
    const NAME: &'static str = "confirm-identity";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    about_a_session!();

    fn reads(&self, state: Option<&Session>, _: &Found) -> Reads {
        Reads::nothing().maybe::<User>(state.map(|session| session.user_id))
    }

    fn decide(self, state: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        confirmed(state, ctx, self.identity_confirmed_until, |user_id| {
            proven(ctx, user_id, self.compared_with.as_str(), self.code.as_ref())
        })
    }
}

impl Command for RenewSession {
    const NAME: &'static str = "renew-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    about_a_session!();

    fn decide(self, state: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let session = existing(state)?;
        if !session.is_open(ctx.now) || session.idle_expires_at >= self.idle_expires_at {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Renewed { idle_expires_at: self.idle_expires_at }))
    }
}

impl Command for EndSession {
    const NAME: &'static str = "end-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    about_a_session!();

    fn decide(self, state: Option<&Session>, _: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let session = existing(state)?;
        if session.ended.is_some() {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Ended { reason: reason(self.ending) }))
    }
}

impl Command for RevokeSession {
    const NAME: &'static str = "revoke-session";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = Session;

    fn target(&self) -> Target {
        Target::existing(self.session_id)
    }

    fn is_own(&self, state: Option<&Session>, caller: &Caller) -> bool {
        state.is_some_and(|session| caller.user_id() == Some(session.user_id))
    }

    fn reads(&self, state: Option<&Session>, found: &Found) -> Reads {
        reads_named(Reads::nothing(), state.map(|session| session.user_id), found)
    }

    fn decide(self, state: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let session = existing(state)?;
        if !self.is_own(state, ctx.caller) {
            check_not_above_user(ctx, ctx.named::<User>(session.user_id, "/session_id")?)?;
        }
        if session.ended.is_some() {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Ended { reason: EndReason::Revoked }))
    }
}

#[cfg(test)]
mod tests;
