//! The passwords of users. A new password ends the sessions that were begun with the old password.

use hims_domain::password_reset::{self, PasswordReset};
use hims_domain::permission::Update;
use hims_domain::session::{self, EndReason, Session};
use hims_domain::user::{Event, User};
use hims_domain::{UserId, described};
use serde::Deserialize;
use uuid::Uuid;

use super::roles::{check_not_above_user, reads_roles_of};
use super::{Refusal, check_person};
use crate::machinery::command::{existing, never_sent};
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

/// Gives a user the password that the user chose with the link in an e-mail, and ends all sessions of the user.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CompletePasswordReset {
    /// Which user.
    pub(crate) user_id: UserId,
    /// The request for which the e-mail was sent.
    pub(crate) request_id: Uuid,
    /// The new password, whose rules were checked before.
    pub(crate) new_password: NewPassword,
}

never_sent!(CompletePasswordReset);

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

/// Adds the end of all open sessions of a user but for the caller's, because the user logs in in another way from now on.
pub(super) fn end_other_sessions(decision: Decision<User>, ctx: &Context<'_>) -> Decision<User> {
    end_sessions(decision, ctx, EndReason::Revoked, ctx.caller.session_id)
}

/// Also looks up the sessions of a user.
pub(super) fn with_sessions_of(reads: Reads, user: UserId) -> Reads {
    reads.owners::<Session>(scopes::USER_SESSIONS, user.to_string())
}

/// Looks up what a new password puts an end to: the sessions of a user, and a link that was sent by e-mail.
fn with_all_of(reads: Reads, user: UserId) -> Reads {
    with_sessions_of(reads, user).stream::<PasswordReset>(PasswordReset::stream_of(user))
}

/// Decides to give a user a password, and to end the user's sessions, except for the session `but`.
fn changed(ctx: &Context<'_>, must_change_password: bool, but: Option<Uuid>) -> Result<Decision<User>, Refused> {
    let Some(hash) = ctx.password_hash.clone() else { return refuse(Refusal::NotHashed) };
    let changed = Event::PasswordChanged { password_hash: hash.into(), must_change_password };
    Ok(end_sessions(Decision::event(changed), ctx, EndReason::PasswordChange, but))
}

/// Adds that a link which was sent by e-mail can no longer be used.
fn void_reset(decision: Decision<User>, ctx: &Context<'_>, user: UserId) -> Decision<User> {
    let stream = PasswordReset::stream_of(user);
    let open = ctx.found.get::<PasswordReset>(stream).and_then(|it| it.open.as_ref());
    match open.map(|it| it.request_id) {
        Some(request_id) => decision.also::<PasswordReset>(stream, password_reset::Event::Voided { request_id }),
        None => decision,
    }
}

impl Command for ChangePassword {
    const NAME: &'static str = "change-password";
    const PERMISSION: Permission = Permission::Own;
    const COMPARES_PASSWORD: bool = true;
    type Aggregate = User;

    about_a_user!();

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        with_all_of(Reads::nothing(), self.user_id)
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
        Ok(void_reset(changed(ctx, false, ctx.caller.session_id)?, ctx, self.user_id))
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
        with_all_of(reads_roles_of(state), self.user_id)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: Some(self.new_password.password()), compare: None }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        check_person(user)?;
        self.new_password.refuse_personal("/new_password", &user.email, &user.profile)?;
        Ok(void_reset(changed(ctx, true, None)?, ctx, self.user_id))
    }
}

impl Command for CompletePasswordReset {
    const NAME: &'static str = "complete-password-reset";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        with_all_of(Reads::nothing(), self.user_id)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: Some(self.new_password.password()), compare: None }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let (user, stream) = (existing(state)?, PasswordReset::stream_of(self.user_id));
        let is_open = |it: &PasswordReset| it.is_open(self.request_id, ctx.now);
        if !user.is_active || !ctx.found.get(stream).is_some_and(is_open) {
            return refuse(Refusal::ResetOver);
        }
        self.new_password.refuse_personal("/new_password", &user.email, &user.profile)?;
        let used = password_reset::Event::Used { request_id: self.request_id };
        Ok(changed(ctx, false, None)?.also::<PasswordReset>(stream, used))
    }
}
