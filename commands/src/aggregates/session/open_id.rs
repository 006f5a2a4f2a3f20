//! Sessions of users who logged in at an OpenID provider.

use std::collections::BTreeSet;

use hims_domain::RoleId;
use hims_domain::session::{AuthMethod, Session};
use hims_domain::user::{self, ExternalIdentity, User};
use serde::Deserialize;

use super::{Opening, Refusal, factor_used, of_user};
use crate::access::one_time::OneTimeCode;
use crate::aggregates::user::{administrators, check_administrator_stays};
use crate::machinery::command::never_sent;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// Begins a session of a user for whom an OpenID provider vouches. The id of the session is that of the attempt, so that
/// an attempt begins one session, whichever nodes it comes to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StartOpenIdSession {
    /// The session. Its user is linked to the identity.
    pub(crate) opening: Opening,
    /// The identity at the provider.
    pub(crate) identity: ExternalIdentity,
    /// The roles that follow from what the provider says of the user, the primary role first; `None` if the user's roles
    /// are the hospital's own matter.
    pub(crate) roles: Option<Vec<RoleId>>,
    /// The code that the user gave; `None` for none.
    pub(crate) code: Option<OneTimeCode>,
}

never_sent!(StartOpenIdSession);

impl StartOpenIdSession {
    /// The change of the user's roles to those that follow from what the provider says, if they differ.
    fn new_roles(&self, user: &User, ctx: &Context<'_>) -> Result<Option<user::Event>, Refused> {
        let Some((role_id, others)) = self.roles.as_ref().and_then(|it| it.split_first()) else { return Ok(None) };
        let additional_role_ids: BTreeSet<_> = others.iter().copied().filter(|it| it != role_id).collect();
        if (user.role_id, &user.additional_role_ids) == (*role_id, &additional_role_ids) {
            return Ok(None);
        }
        let after = additional_role_ids.iter().copied().chain([*role_id]);
        check_administrator_stays(ctx.found, (self.opening.user_id, user), after)?;
        Ok(Some(user::Event::RoleChanged { role_id: *role_id, additional_role_ids }))
    }
}

impl Command for StartOpenIdSession {
    const NAME: &'static str = "start-openid-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    fn target(&self) -> Target {
        Target::new(Some(self.opening.id))
    }

    fn reads(&self, _: Option<&Session>, _: &Found) -> Reads {
        let reads = of_user(self.opening.user_id);
        if self.roles.is_some() { administrators(reads) } else { reads }
    }

    fn decide(self, _: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let user = ctx.named::<User>(self.opening.user_id, "/user_id")?;
        if !user.is_active || !user.identities.contains(&self.identity) {
            return refuse(Refusal::Changed);
        }
        let used = factor_used(ctx, user, self.code.as_ref())?;
        let new_roles = self.new_roles(user, ctx)?;
        Ok(self.opening.begin((AuthMethod::OpenIdConnect, None), used.into_iter().chain(new_roles), ctx))
    }
}
