//! The identities with which users log in at an OpenID provider. A user is linked by issuer and subject, never by an
//! e-mail address, which a provider may give to somebody else.

use hims_domain::permission::Update;
use hims_domain::user::{Event, ExternalIdentity, User};
use hims_domain::{UserId, described};
use serde::Deserialize;

use super::passwords::{end_other_sessions, with_sessions_of};
use super::roles::{check_not_above_user, own_or_not_above, reads_roles_of};
use super::{Refusal, check_person};
use crate::machinery::command::{existing, never_sent};
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// How many identities a user has at most.
const MOST: usize = 10;

described! {
    /// Links a user to an identity at the OpenID provider, with which the user logs in from then on. Users link their
    /// own identity with `POST /api/v1/sessions/current/identities`.
    pub struct LinkUserIdentity {
        /// Which user.
        pub user_id: UserId,
        /// The identity.
        #[serde(flatten)]
        pub identity: ExternalIdentity,
    }

    /// Takes the link of a user to an identity away, and ends the user's other sessions. Users may do that themselves.
    pub struct UnlinkUserIdentity {
        /// Which user.
        pub user_id: UserId,
        /// The identity.
        #[serde(flatten)]
        pub identity: ExternalIdentity,
    }
}

/// Links the caller to an identity of which the caller has just shown that it is theirs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LinkOwnIdentity {
    /// The caller's own id.
    pub(crate) user_id: UserId,
    /// The identity.
    pub(crate) identity: ExternalIdentity,
}

never_sent!(LinkOwnIdentity);

/// Decides to link a user to an identity. That nobody else is linked to it follows from the claim of the key.
fn linked(user: &User, identity: ExternalIdentity) -> Result<Decision<User>, Refused> {
    check_person(user)?;
    if user.identities.contains(&identity) {
        return Ok(Decision::nothing());
    }
    if user.identities.len() >= MOST {
        return refuse(Refusal::TooManyIdentities);
    }
    Ok(Decision::event(Event::IdentityLinked(identity)))
}

impl Command for LinkUserIdentity {
    const NAME: &'static str = "link-user-identity";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(UnlinkUserIdentity::NAME);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    about_another_user!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        linked(user, self.identity)
    }
}

impl Command for LinkOwnIdentity {
    const NAME: &'static str = "link-own-identity";
    const PERMISSION: Permission = Permission::Own;
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    about_a_user!();

    fn decide(self, state: Option<&User>, _: &Context<'_>) -> Result<Decision<User>, Refused> {
        linked(existing(state)?, self.identity)
    }
}

impl Command for UnlinkUserIdentity {
    const NAME: &'static str = "unlink-user-identity";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    takes_a_way_in!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = own_or_not_above(state, ctx)?;
        if !user.identities.contains(&self.identity) {
            return Ok(Decision::nothing());
        }
        let unlinked = Decision::event(Event::IdentityUnlinked(self.identity));
        Ok(end_other_sessions(unlinked, ctx))
    }
}
