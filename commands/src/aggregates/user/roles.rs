//! The roles of users: who may give a role, and why the last administrator keeps the role.

use std::collections::BTreeSet;

use hims_domain::permission::Update;
use hims_domain::role::Role;
use hims_domain::user::{Event, User};
use hims_domain::{RoleId, UserId, described};

use super::Refusal;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target, refuse, role_id, scopes};

described! {
    /// The roles of a user.
    pub struct Roles {
        /// The primary role.
        pub role_id: RoleId,
        /// All roles in addition to the primary role.
        pub additional_role_ids: BTreeSet<RoleId>,
    }

    /// Changes a user's roles.
    pub struct ChangeUserRole {
        /// Which user.
        pub user_id: UserId,
        /// The fields to change; a field that is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Roles>,
    }
}

impl Roles {
    fn of(user: &User) -> Self {
        Self { role_id: user.role_id, additional_role_ids: user.additional_role_ids.clone() }
    }
}

/// Looks up the streams of roles.
pub(crate) fn reads_roles(ids: impl IntoIterator<Item = RoleId>) -> Reads {
    ids.into_iter().fold(Reads::nothing(), Reads::stream::<Role>)
}

/// Looks up the roles of a user.
pub(super) fn reads_roles_of(user: Option<&User>) -> Reads {
    reads_roles(user.into_iter().flat_map(User::role_ids))
}

/// Refuses to change a user whose roles allow more than the caller's own roles.
pub(crate) fn check_not_above_user(ctx: &Context<'_>, user: &User) -> Result<(), Refused> {
    check_not_above(ctx, [user.role_id].iter().chain(&user.additional_role_ids))
}

/// The user whom a command is about, who is the caller or may do no more than the caller.
pub(super) fn own_or_not_above<'a>(state: Option<&'a User>, ctx: &Context<'_>) -> Result<&'a User, Refused> {
    let user = existing(state)?;
    if ctx.caller.user_id().is_none_or(|it| it.0 != ctx.id) {
        check_not_above_user(ctx, user)?;
    }
    Ok(user)
}

/// Refuses roles that allow more than the caller's own roles, so that no caller gives, takes over or takes away rights
/// that the caller does not have. Callers who may change permissions are exempt: they can give themselves any right.
pub(super) fn check_not_above<'a>(ctx: &Context<'_>, roles: impl Iterator<Item = &'a RoleId>) -> Result<(), Refused> {
    let caller = ctx.caller;
    if caller.may(Permission::Update(Update::UserPermissions)) {
        return Ok(());
    }
    let is_within = |role: &Role| role.definition.permissions.is_within(&caller.permissions);
    let mut roles = roles.map(|it| ctx.found.get::<Role>(*it));
    if roles.all(|role| role.is_some_and(is_within)) { Ok(()) } else { refuse(Refusal::NotAbove) }
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

/// The key in [`scopes::USERS_WITH_ROLE`] by which the administrators are found.
pub(crate) fn administrators_key() -> String {
    role_id("administrator").to_string()
}

/// Also looks up every administrator.
pub(crate) fn administrators(reads: Reads) -> Reads {
    reads.owners::<User>(scopes::USERS_WITH_ROLE, administrators_key())
}

/// The administrators who were looked up by [`administrators_key`].
pub(crate) fn found_administrators(found: &Found) -> impl Iterator<Item = (UserId, &User)> {
    found.owners::<User>(scopes::USERS_WITH_ROLE, administrators_key()).map(|(id, user)| (id.into(), user))
}

/// Whether there is no active administrator besides the user.
pub(super) fn is_last_administrator(found: &Found, user: UserId) -> bool {
    !found_administrators(found).any(|(id, other)| id != user && other.is_active)
}

/// Refuses roles after which no active administrator would be left.
pub(crate) fn check_administrator_stays(
    found: &Found,
    (id, user): (UserId, &User),
    mut after: impl Iterator<Item = RoleId>,
) -> Result<(), Refused> {
    let loses_administrator = user.role_ids().any(is_administrator) && !after.any(is_administrator);
    if loses_administrator && is_last_administrator(found, id) { refuse(Refusal::LastAdministrator) } else { Ok(()) }
}

impl Command for ChangeUserRole {
    const NAME: &'static str = "change-user-role";
    const PERMISSION: Permission = Permission::Update(Update::UserPermissions);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        let after = state.and_then(|user| self.changes.clone().apply(&Roles::of(user)).ok());
        let named = after.into_iter().flat_map(|it| it.additional_role_ids.into_iter().chain([it.role_id]));
        administrators(reads_roles(state.into_iter().flat_map(User::role_ids).chain(named)))
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        let before = Roles::of(user);
        let Roles { role_id, additional_role_ids } = self.changes.apply(&before)?;
        if (role_id, &additional_role_ids) == (before.role_id, &before.additional_role_ids) {
            return Ok(Decision::nothing());
        }
        check_roles(ctx, role_id, &additional_role_ids)?;
        let after = additional_role_ids.iter().copied().chain([role_id]);
        check_administrator_stays(ctx.found, (self.user_id, user), after)?;
        Ok(Decision::event(Event::RoleChanged { role_id, additional_role_ids }))
    }
}
