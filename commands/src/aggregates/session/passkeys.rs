//! What a user does in a session, or for one, with a passkey: logging in, and proving again who they are.

use chrono::{DateTime, Utc};
use hims_domain::session::{AuthMethod, Session};
use hims_domain::user::{self, User};
use hims_domain::{PasskeyId, Personal, SessionId, UserId};
use serde::Deserialize;

use super::{Opening, Refusal, confirmed, of_user};
use crate::machinery::command::never_sent;
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// A passkey with which a challenge was signed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UsedPasskey {
    /// The passkey.
    pub(crate) passkey_id: PasskeyId,
    /// What was known of the key when the signature was checked. The command is refused if that has changed since, so
    /// that of two devices that count alike only one gets in.
    pub(crate) compared_with: Personal<String>,
    /// What is known of the key from now on, if that changed.
    pub(crate) credential: Option<Personal<String>>,
}

/// Begins a session of a user who signed a challenge with a passkey, which counts as password and second factor.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StartPasskeySession {
    /// The session.
    pub(crate) opening: Opening,
    /// The passkey.
    pub(crate) used: UsedPasskey,
}

/// Proves again with a passkey who the user of a session is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConfirmIdentityByPasskey {
    /// Which session.
    pub(crate) session_id: SessionId,
    /// The passkey.
    pub(crate) used: UsedPasskey,
    /// Until when that is a proof.
    pub(crate) identity_confirmed_until: DateTime<Utc>,
}

never_sent!(StartPasskeySession, ConfirmIdentityByPasskey);

/// Checks that a user still has the passkey, as it was when the signature was checked. Returns what is recorded of its
/// use.
fn passkey_used(ctx: &Context<'_>, user_id: UserId, used: UsedPasskey) -> Result<user::Event, Refused> {
    let user = ctx.named::<User>(user_id, "/user_id")?;
    let UsedPasskey { passkey_id, compared_with, credential } = used;
    let is_same = user.passkeys.iter().any(|it| it.passkey_id == passkey_id && it.credential == compared_with);
    if !user.is_active || !is_same {
        return refuse(Refusal::Changed);
    }
    Ok(user::Event::PasskeyUsed { passkey_id, credential, used_at: ctx.now })
}

impl Command for StartPasskeySession {
    const NAME: &'static str = "start-passkey-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    begins_a_session!();

    fn decide(self, _: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let used = passkey_used(ctx, self.opening.user_id, self.used)?;
        Ok(self.opening.begin((AuthMethod::Passkey, None), [used], ctx))
    }
}

impl Command for ConfirmIdentityByPasskey {
    const NAME: &'static str = "confirm-identity-by-passkey";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    about_a_session!();

    fn reads(&self, state: Option<&Session>, _: &Found) -> Reads {
        Reads::nothing().maybe::<User>(state.map(|session| session.user_id))
    }

    fn decide(self, state: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        confirmed(state, ctx, self.identity_confirmed_until, |user_id| passkey_used(ctx, user_id, self.used).map(Some))
    }
}
