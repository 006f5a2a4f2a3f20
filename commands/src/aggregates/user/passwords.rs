//! The passwords of users. A new password ends the sessions that were begun with the old password.

use hims_domain::permission::Update;
use hims_domain::session::{self, EndReason, Session};
use hims_domain::user::{Event, User};
use hims_domain::{UserId, described};
use uuid::Uuid;

use super::Refusal;
use super::roles::{check_not_above_user, reads_roles_of};
use crate::machinery::command::existing;
use crate::{
    Caller, Command, Context, Decision, Found, NewPassword, Password, Passwords, Permission, Reads, Refused, Target,
    refuse, scopes,
};

described! {
    /// Changes the caller's own password, and ends the caller's other sessions.
    pub struct ChangePassword {
        /// The caller's own id.
        pub user_id: UserId,
        /// The current password.
        pub current_password: Password,
        /// The new password: 12 to 200 characters, none of the common ones, not the e-mail address and not the name.
        pub new_password: NewPassword,
    }

    /// Gives a user a password that the user must change at the next login, and ends all sessions of the user.
    pub struct ResetPassword {
        /// Which user.
        pub user_id: UserId,
        /// The new password: 12 to 200 characters, none of the common ones, not the e-mail address and not the name.
        pub new_password: NewPassword,
    }
}

/// Adds the end of all open sessions of a user to a decision, except for the session `but`.
pub(super) fn end_sessions(
    decision: Decision<User>,
    ctx: &Context<'_>,
    reason: EndReason,
    but: Option<Uuid>,
) -> Decision<User> {
    let open = ctx.found.owners::<Session>(scopes::USER_SESSIONS, ctx.id.to_string());
    open.filter(|(id, session)| Some(*id) != but && session.ended.is_none())
        .fold(decision, |decision, (id, _)| decision.also::<Session>(id, session::Event::Ended { reason }))
}

/// Also looks up the sessions of a user.
pub(super) fn with_sessions_of(reads: Reads, user: UserId) -> Reads {
    reads.owners::<Session>(scopes::USER_SESSIONS, user.to_string())
}

impl Command for ChangePassword {
    const NAME: &'static str = "change-password";
    const PERMISSION: Permission = Permission::Own;
    const COMPARES_PASSWORD: bool = true;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        with_sessions_of(Reads::nothing(), self.user_id)
    }

    fn is_own(&self, _: Option<&User>, caller: &Caller) -> bool {
        caller.user_id() == Some(self.user_id)
    }

    fn passwords<'a>(&'a self, state: Option<&'a User>) -> Passwords<'a> {
        let hash = state.and_then(|user| user.password_hash.as_ref()).and_then(|hash| hash.known());
        Passwords {
            set: Some(self.new_password.password()),
            compare: hash.map(|it| (&self.current_password, it.as_str())),
        }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if !ctx.password_matches {
            return refuse(Refusal::WrongPassword);
        }
        if self.current_password == *self.new_password.password() {
            return refuse(Refusal::SamePassword);
        }
        self.new_password.refuse_personal("/new_password", &user.email, &user.profile)?;
        let Some(hash) = ctx.password_hash.clone() else { return refuse(Refusal::NotHashed) };
        let changed = Event::PasswordChanged { password_hash: hash.into(), must_change_password: false };
        Ok(end_sessions(Decision::event(changed), ctx, EndReason::PasswordChange, ctx.caller.session_id))
    }
}

impl Command for ResetPassword {
    const NAME: &'static str = "reset-password";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        with_sessions_of(reads_roles_of(state), self.user_id)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: Some(self.new_password.password()), compare: None }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        self.new_password.refuse_personal("/new_password", &user.email, &user.profile)?;
        let Some(hash) = ctx.password_hash.clone() else { return refuse(Refusal::NotHashed) };
        let changed = Event::PasswordChanged { password_hash: hash.into(), must_change_password: true };
        Ok(end_sessions(Decision::event(changed), ctx, EndReason::PasswordChange, None))
    }
}
