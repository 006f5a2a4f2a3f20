//! The passkeys with which users log in. Adding one is not in the registry: the key is checked first, against a challenge
//! that the route has made.

use hims_domain::permission::Update;
use hims_domain::user::{Event, User};
use hims_domain::values::Name;
use hims_domain::{PasskeyId, Personal, UserId, described};
use serde::Deserialize;

use super::passwords::{end_other_sessions, with_sessions_of};
use super::roles::{own_or_not_above, reads_roles_of};
use super::{Refusal, check_person};
use crate::machinery::command::{existing, never_sent};
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// How many passkeys a user has at most.
const MOST: usize = 10;

/// Gives the caller a passkey whose key was checked, and ends the caller's other sessions if these needed nothing but
/// the password.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AddPasskey {
    /// The caller's own id.
    pub(crate) user_id: UserId,
    /// The id of the new passkey.
    pub(crate) passkey_id: PasskeyId,
    /// What the user calls the passkey.
    pub(crate) name: Personal<Name<100>>,
    /// The id that the user's device gave the key, in base64url.
    pub(crate) credential_id: Personal<String>,
    /// What is known of the key.
    pub(crate) credential: Personal<String>,
}

never_sent!(AddPasskey);

described! {
    /// Takes a passkey of a user away, or all of them, for example because the device is lost, and ends the user's other
    /// sessions. Users take their own away, too.
    pub struct RemovePasskey {
        /// Which user.
        pub user_id: UserId,
        /// Which passkey; all of the user if left out.
        pub passkey_id: Option<PasskeyId>,
    }
}

/// Refuses a user who can get no further passkey.
pub(crate) fn check_may_add_passkey(user: &User) -> Result<(), Refused> {
    check_person(user)?;
    if user.passkeys.len() >= MOST {
        return refuse(Refusal::TooManyPasskeys);
    }
    Ok(())
}

impl Command for AddPasskey {
    const NAME: &'static str = "add-passkey";
    const PERMISSION: Permission = Permission::Own;
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    about_a_user!();

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        with_sessions_of(Reads::nothing(), self.user_id)
    }

    /// That nobody else has the key follows from the claim of its id.
    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_may_add_passkey(user)?;
        let Self { user_id: _, passkey_id, name, credential_id, credential } = self;
        if user.passkeys.iter().any(|it| it.credential_id == credential_id) {
            return refuse(Refusal::HasPasskey);
        }
        let added_at = ctx.now;
        let added = Decision::event(Event::PasskeyAdded { passkey_id, name, credential_id, credential, added_at });
        if user.confirmed_factor().is_some() || !user.passkeys.is_empty() {
            return Ok(added);
        }
        // The other sessions were begun with the password alone.
        Ok(end_other_sessions(added, ctx))
    }
}

impl Command for RemovePasskey {
    const NAME: &'static str = "remove-passkey";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    takes_a_way_in!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = own_or_not_above(state, ctx)?;
        let ids = user.passkeys.iter().map(|it| it.passkey_id);
        let ids = ids.filter(|id| self.passkey_id.is_none_or(|it| it == *id)).collect::<Vec<_>>();
        if ids.is_empty() {
            return Ok(Decision::nothing());
        }
        let removed = ids.into_iter().map(|passkey_id| Event::PasskeyRemoved { passkey_id });
        let removed = removed.fold(Decision::nothing(), Decision::followed_by);
        Ok(end_other_sessions(removed, ctx))
    }
}
