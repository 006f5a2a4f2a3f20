//! The second factor of users. Enrolling, confirming and counting wrong codes are not in the registry: the answers of
//! their routes hold what a user is told once, and a login counts.

use hims_domain::permission::Update;
use hims_domain::user::{Event, User};
use hims_domain::values::Reason;
use hims_domain::{Personal, SessionId, UserId, described};
use serde::Deserialize;

use super::Refusal;
use super::passwords::{end_other_sessions, with_sessions_of};
use super::roles::{own_or_not_above, reads_roles_of};
use crate::access::one_time::{self, OneTimeCode};
use crate::machinery::command::{existing, never_sent};
use crate::{
    Caller, Command, Context, Decision, Found, Password, Passwords, Permission, Reads, Refused, Target, refuse,
};

/// Begins to give the caller a second factor, in place of one that was not confirmed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EnrolSecondFactor {
    /// The caller's own id.
    pub(crate) user_id: UserId,
    /// The current password.
    pub(crate) current_password: Password,
    /// The secret that the user is told.
    pub(crate) second_factor_secret: Personal<String>,
}

/// Makes logins ask for the second factor from now on, and ends the caller's other sessions.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConfirmSecondFactor {
    /// The caller's own id.
    pub(crate) user_id: UserId,
    /// A code of the second factor.
    pub(crate) code: OneTimeCode,
    /// The hashes of the recovery codes that the user is told.
    pub(crate) recovery_code_hashes: Vec<Personal<String>>,
}

/// Counts a wrong code that somebody gave who knew the password.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RefuseCode {
    /// Whose code it should have been.
    pub(crate) user_id: UserId,
}

never_sent!(EnrolSecondFactor, ConfirmSecondFactor, RefuseCode);

described! {
    /// Takes away the second factor of a user, for example because the device is lost, and ends the user's other
    /// sessions. Users take their own second factor away with a code of it, with a recovery code, or in a session that
    /// they began with a recovery code.
    pub struct RemoveSecondFactor {
        /// Which user.
        pub user_id: UserId,
        /// Why the second factor is taken away.
        pub reason: Personal<Reason>,
        /// A code of the second factor, or a recovery code; must be given by the user whose second factor it is, unless
        /// the session began with a recovery code.
        pub code: Option<OneTimeCode>,
    }
}

impl Command for EnrolSecondFactor {
    const NAME: &'static str = "enrol-second-factor";
    const PERMISSION: Permission = Permission::Own;
    type Aggregate = User;

    about_a_user!();

    fn passwords<'a>(&'a self, state: Option<&'a User>) -> Passwords<'a> {
        let hash = state.and_then(|user| user.password_hash.as_ref()).and_then(Personal::known);
        Passwords { set: None, compare: hash.map(|it| (&self.current_password, it.as_str())) }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if !ctx.password_matches {
            return refuse(Refusal::WrongPassword);
        }
        if user.confirmed_factor().is_some() {
            return refuse(Refusal::HasSecondFactor);
        }
        Ok(Decision::event(Event::SecondFactorEnrolled { second_factor_secret: self.second_factor_secret }))
    }
}

impl Command for ConfirmSecondFactor {
    const NAME: &'static str = "confirm-second-factor";
    const PERMISSION: Permission = Permission::Own;
    type Aggregate = User;

    about_a_user!();

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        with_sessions_of(Reads::nothing(), self.user_id)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let factor = match &existing(state)?.second_factor {
            None => return refuse(Refusal::NotEnrolled),
            Some(factor) if factor.is_confirmed => return refuse(Refusal::HasSecondFactor),
            Some(factor) => factor,
        };
        let Some(used_step) = one_time::step_of(factor, &self.code, ctx.now) else {
            return refuse(Refusal::WrongCode);
        };
        let recovery_code_hashes = self.recovery_code_hashes;
        let confirmed = Event::SecondFactorConfirmed { used_step, recovery_code_hashes };
        // The other sessions were begun with the password alone.
        Ok(end_other_sessions(Decision::event(confirmed), ctx))
    }
}

impl Command for RefuseCode {
    const NAME: &'static str = "refuse-code";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn decide(self, state: Option<&User>, _: &Context<'_>) -> Result<Decision<User>, Refused> {
        let counted = existing(state)?.confirmed_factor().map(|it| it.wrong_codes);
        let counted = counted.filter(|it| *it < one_time::MOST_WRONG_CODES);
        Ok(counted
            .map_or_else(Decision::nothing, |before| Decision::event(Event::CodeRefused { wrong_codes: before + 1 })))
    }
}

impl Command for RemoveSecondFactor {
    const NAME: &'static str = "remove-second-factor";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    const COMPARES_PASSWORD: bool = true;
    type Aggregate = User;

    takes_a_way_in!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = own_or_not_above(state, ctx)?;
        let is_own = ctx.caller.user_id() == Some(self.user_id);
        let Some(factor) = &user.second_factor else { return Ok(Decision::nothing()) };
        // Who logged in with a recovery code has proved that the second factor is theirs, and that the device is lost.
        let session = ctx.caller.session_id.map(SessionId);
        let is_recovered = session.is_some() && factor.recovered_in == session;
        if is_own && factor.is_confirmed && !is_recovered {
            let Some(code) = &self.code else { return refuse(Refusal::CodeMissing) };
            if one_time::used(factor, code, ctx.now, session).is_none() {
                return refuse(Refusal::WrongCode);
            }
        }
        let removed = Decision::event(Event::SecondFactorRemoved { reason: self.reason });
        Ok(end_other_sessions(removed, ctx))
    }
}
