//! The roles of users: who may give a role, and why the last administrator keeps the role.

use std::collections::BTreeSet;

use hims_domain::permission::Update;
use hims_domain::role::Role;
use hims_domain::user::{Event, User};
use hims_domain::{RoleId, UserId, described};

use super::Refusal;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, role_id, scopes};

described! {
    /// Replaces a user's roles.
    pub struct ChangeUserRole {
        /// Which user.
        pub user_id: UserId,
        /// The primary role.
        pub role_id: RoleId,
        /// Roles in addition to the primary role.
        #[serde(default)]
        pub additional_role_ids: BTreeSet<RoleId>,
    }
}

/// Looks up the streams of roles.
pub(super) fn reads_roles(ids: impl IntoIterator<Item = RoleId>) -> Reads {
    ids.into_iter().fold(Reads::nothing(), Reads::stream::<Role>)
}

/// Refuses roles that allow more than the caller's own roles, so that no caller gives or takes over rights that the
/// caller does not have. Callers who may change permissions are exempt.
pub(super) fn check_not_above<'a>(ctx: &Context<'_>, roles: impl Iterator<Item = &'a RoleId>) -> Result<(), Refused> {
    let caller = ctx.caller;
    if caller.may(Permission::Update(Update::UserPermissions)) {
        return Ok(());
    }
    for role in roles.filter_map(|it| ctx.found.get::<Role>(*it)) {
        if !role.definition.permissions.is_within(&caller.permissions) {
            return refuse(Refusal::NotAbove);
        }
    }
    Ok(())
}

/// Checks that all roles which a request names exist.
pub(super) fn check_roles(ctx: &Context<'_>, primary: RoleId, additional: &BTreeSet<RoleId>) -> Result<(), Refused> {
    ctx.named::<Role>(primary, "/role_id")?;
    for id in additional {
        ctx.named::<Role>(*id, "/additional_role_ids")?;
    }
    Ok(())
}

pub(super) fn is_administrator(role: RoleId) -> bool {
    role == role_id("administrator")
}

/// Also looks up every administrator.
pub(super) fn administrators(reads: Reads) -> Reads {
    reads.owners::<User>(scopes::USERS_WITH_ROLE, role_id("administrator").to_string())
}

/// Whether there is no active administrator besides the user.
pub(super) fn is_last_administrator(found: &Found, user: UserId) -> bool {
    let mut all = found.owners::<User>(scopes::USERS_WITH_ROLE, role_id("administrator").to_string());
    !all.any(|(id, other)| id != user.0 && other.is_active)
}

impl Command for ChangeUserRole {
    const NAME: &'static str = "change-user-role";
    const PERMISSION: Permission = Permission::Update(Update::UserPermissions);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        let before = state.into_iter().flat_map(User::role_ids);
        administrators(reads_roles(before.chain([self.role_id]).chain(self.additional_role_ids.iter().copied())))
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if user.role_id == self.role_id && user.additional_role_ids == self.additional_role_ids {
            return Ok(Decision::nothing());
        }
        check_roles(ctx, self.role_id, &self.additional_role_ids)?;
        let mut after = self.additional_role_ids.iter().copied().chain([self.role_id]);
        let loses_administrator = user.role_ids().any(is_administrator) && !after.any(is_administrator);
        if loses_administrator && is_last_administrator(ctx.found, self.user_id) {
            return refuse(Refusal::LastAdministrator);
        }
        Ok(Decision::event(Event::RoleChanged { role_id: self.role_id, additional_role_ids: self.additional_role_ids }))
    }
}
