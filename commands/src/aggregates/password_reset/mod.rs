//! Resets of passwords by e-mail. Only an administrator's request is in the registry: users ask on a route of their own,
//! and what became of an e-mail is recorded by a process.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::password_reset::{Event, Outcome, PasswordReset, Withheld};
use hims_domain::permission::Update;
use hims_domain::user::User;
use hims_domain::{UserId, described};
use serde::Deserialize;
use uuid::Uuid;

use super::user::{check_not_above_user, check_person, reads_named};
use crate::machinery::command::never_sent;
use crate::machinery::refusal::refusals;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

/// How long the link in an e-mail can be used.
const USABLE_FOR: TimeDelta = TimeDelta::minutes(30);
/// How long after a request another one sends no second e-mail, so that nobody fills the mailbox of somebody else.
const AT_MOST_EVERY: TimeDelta = TimeDelta::minutes(5);

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<StartPasswordReset>();
}

refusals! {
    Inactive = Conflict, "inactive-user", "the user is not active; give the user access with reactivate-user first";
}

described! {
    /// Sends a user an e-mail with a link, with which the user can choose a new password for half an hour. The password
    /// stays as it is until then, and a second factor stays required. A user without a password gets the first one in
    /// this way.
    pub struct StartPasswordReset {
        /// Which user.
        pub user_id: UserId,
    }
}

/// Records that somebody asked for a reset with an e-mail address.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AskForPasswordReset {
    /// The stream of the user, or of the address that nobody has.
    pub(crate) stream_id: Uuid,
    /// The user who has the address; `None` if nobody has it.
    pub(crate) user_id: Option<UserId>,
}

/// Records what became of the e-mail of a reset.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SettlePasswordReset {
    /// The stream of the request.
    pub(crate) stream_id: Uuid,
    /// The request.
    pub(crate) request_id: Uuid,
    /// What became of the e-mail.
    pub(crate) outcome: Outcome,
}

never_sent!(AskForPasswordReset, SettlePasswordReset);

/// Resets hold nothing: their links name the request, and the marks in them are made with the master key.
impl Claims for PasswordReset {}

fn requested(ctx: &Context<'_>, user_id: Option<UserId>, withheld: Option<Withheld>) -> Decision<PasswordReset> {
    let expires_at = ctx.now + USABLE_FOR;
    Decision::event(Event::Requested { request_id: ctx.new_id(1), user_id, expires_at, withheld })
}

/// Whether the last e-mail is so young that there will be no other.
fn is_recent(state: Option<&PasswordReset>, now: DateTime<Utc>) -> bool {
    let open = state.and_then(|it| it.open.as_ref());
    open.is_some_and(|it| now < it.expires_at - USABLE_FOR + AT_MOST_EVERY)
}

impl Command for AskForPasswordReset {
    const NAME: &'static str = "ask-for-password-reset";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = PasswordReset;

    fn target(&self) -> Target {
        Target::either(self.stream_id)
    }

    /// For an address that nobody has a user is looked up too, so that the work is the same.
    fn reads(&self, _: Option<&PasswordReset>, _: &Found) -> Reads {
        Reads::nothing().stream::<User>(self.user_id.map_or_else(Uuid::nil, Uuid::from))
    }

    fn decide(self, state: Option<&PasswordReset>, ctx: &Context<'_>) -> Result<Decision<PasswordReset>, Refused> {
        let withheld = match self.user_id.and_then(|id| ctx.found.get::<User>(id)) {
            None => Some(Withheld::Unknown),
            Some(user) if !user.is_active => Some(Withheld::Inactive),
            // Who has no password was not meant to log in with one.
            Some(user) if user.password_hash.is_none() => Some(Withheld::NoPassword),
            Some(_) => is_recent(state, ctx.now).then_some(Withheld::Recent),
        };
        Ok(requested(ctx, self.user_id, withheld))
    }
}

impl Command for StartPasswordReset {
    const NAME: &'static str = "start-password-reset";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = PasswordReset;

    fn target(&self) -> Target {
        Target::either(PasswordReset::stream_of(self.user_id))
    }

    fn reads(&self, _: Option<&PasswordReset>, found: &Found) -> Reads {
        reads_named(Reads::nothing(), Some(self.user_id), found)
    }

    fn decide(self, _: Option<&PasswordReset>, ctx: &Context<'_>) -> Result<Decision<PasswordReset>, Refused> {
        let user = ctx.shown::<User>(self.user_id, "/user_id")?;
        check_not_above_user(ctx, user)?;
        check_person(user)?;
        if !user.is_active {
            return refuse(Refusal::Inactive);
        }
        Ok(requested(ctx, Some(self.user_id), None))
    }
}

impl Command for SettlePasswordReset {
    const NAME: &'static str = "settle-password-reset";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = PasswordReset;

    fn target(&self) -> Target {
        Target::existing(self.stream_id)
    }

    fn decide(self, state: Option<&PasswordReset>, _: &Context<'_>) -> Result<Decision<PasswordReset>, Refused> {
        let Self { request_id, outcome, .. } = self;
        let is_unsettled = state.is_some_and(|it| it.unsettled.contains(&request_id));
        Ok(if is_unsettled { Decision::event(Event::Settled { request_id, outcome }) } else { Decision::nothing() })
    }
}

#[cfg(test)]
mod tests;
