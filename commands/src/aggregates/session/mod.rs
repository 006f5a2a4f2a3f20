//! Sessions: starting, renewing and ending sessions. These commands are not in the registry, since sessions have routes
//! of their own.

use chrono::{DateTime, Utc};
use hims_domain::session::{EndReason, Event, Session};
use hims_domain::user::User;
use hims_domain::{Personal, SessionId, UserId, described, terms};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Target, refuse, scopes,
};

refusals! {
    Changed = Conflict, "user-changed", "the user was changed during the login; log in again";
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
    /// Begins a session of a user whose password was right, and records the end of the user's sessions that ran out.
    pub struct StartSession {
        /// The id of the new session.
        pub id: SessionId,
        /// The user who logs in.
        pub user_id: UserId,
        /// The hash with which the password was compared. The session is refused if the user's hash has changed since.
        pub compared_with: hims_domain::values::Text<255>,
        /// The SHA-256 hash of the bearer token, in hex.
        pub token_hash: hims_domain::values::Text<64>,
        /// When the session ends unless it is used.
        pub idle_expires_at: DateTime<Utc>,
        /// When the session ends at the latest, however much it is used.
        pub absolute_expires_at: DateTime<Utc>,
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
}

fn reason(ending: Ending) -> EndReason {
    match ending {
        Ending::Logout => EndReason::Logout,
        Ending::Idle => EndReason::Idle,
        Ending::Expired => EndReason::Expired,
    }
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

    fn target(&self) -> Target {
        Target::new(Some(self.id))
    }

    fn reads(&self, _: Option<&Session>, _: &Found) -> Reads {
        Reads::nothing().owners::<Session>(scopes::USER_SESSIONS, self.user_id.to_string()).stream::<User>(self.user_id)
    }

    fn decide(self, _: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let user = ctx.named::<User>(self.user_id, "/user_id")?;
        let hash = user.password_hash.as_ref().and_then(Personal::known);
        if !user.is_active || hash.map(String::as_str) != Some(self.compared_with.as_str()) {
            return refuse(Refusal::Changed);
        }
        let begun = Decision::event(Event::Started {
            user_id: self.user_id,
            token_hash: self.token_hash.as_str().to_owned().into(),
            idle_expires_at: self.idle_expires_at,
            absolute_expires_at: self.absolute_expires_at,
        });
        let over = ctx.found.owners::<Session>(scopes::USER_SESSIONS, self.user_id.to_string());
        Ok(over.filter(|(_, session)| session.ended.is_none() && !session.is_open(ctx.now)).fold(
            begun,
            |decision, (id, session)| {
                let reason = if ctx.now >= session.absolute_expires_at { EndReason::Expired } else { EndReason::Idle };
                decision.also::<Session>(id, Event::Ended { reason })
            },
        ))
    }
}

impl Command for RenewSession {
    const NAME: &'static str = "renew-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    fn target(&self) -> Target {
        Target::existing(self.session_id)
    }

    fn is_own(&self, _: Option<&Session>, caller: &Caller) -> bool {
        caller.session_id == Some(self.session_id.0)
    }

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

    fn target(&self) -> Target {
        Target::existing(self.session_id)
    }

    fn is_own(&self, _: Option<&Session>, caller: &Caller) -> bool {
        caller.session_id == Some(self.session_id.0)
    }

    fn decide(self, state: Option<&Session>, _: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let session = existing(state)?;
        if session.ended.is_some() {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Ended { reason: reason(self.ending) }))
    }
}

#[cfg(test)]
mod tests;
