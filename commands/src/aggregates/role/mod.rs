//! Roles: defining roles and changing their permissions.

use hims_domain::permission::{Create, Update};
use hims_domain::role::{Definition, Event, Permissions, Role};
use hims_domain::{Pointer, RoleId, described};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Claims, Command, Context, Decision, Held, Patch, Permission, Refused, Registry, Target, refuse, role_id, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<DefineRole>().add::<ChangeRolePermissions>();
}

refusals! {
    NobodyLeft = Conflict, "nobody-left", "administrators must keep update:user_permissions; nobody could restore it";
}

described! {
    /// Defines a role with its permissions.
    pub struct DefineRole {
        /// The id of the new role; issued by the server if left out.
        pub id: Option<RoleId>,
        /// The names and permissions of the role.
        #[serde(flatten)]
        pub definition: Definition,
    }

    /// Changes the permissions of a role. The change applies at once to every user who has the role.
    pub struct ChangeRolePermissions {
        /// Which role.
        pub role_id: RoleId,
        /// The words to change: all words of a verb from now on. A verb that is left out keeps its words.
        pub permissions: Patch<Permissions>,
    }

    /// Offers permission words to a system role. The role gets the words that it was never offered before. A word that
    /// an administrator took away does not come back.
    pub struct OfferPermissionWords {
        /// Which role.
        pub role_id: RoleId,
        /// The permission words that this release gives the role.
        pub words: Permissions,
    }
}

impl Claims for Role {
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::ROLE_NAME, self.definition.name.as_str());
    }
}

impl Command for DefineRole {
    const NAME: &'static str = "define-role";
    const PERMISSION: Permission = Permission::Create(Create::Roles);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = Role;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&Role>, ctx: &Context<'_>) -> Result<Decision<Role>, Refused> {
        let is_system_role = ctx.caller.is_system;
        Ok(Decision::event(Event::Defined { definition: self.definition, is_system_role }))
    }
}

impl Command for ChangeRolePermissions {
    const NAME: &'static str = "change-role-permissions";
    const PERMISSION: Permission = Permission::Update(Update::UserPermissions);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Role;

    fn target(&self) -> Target {
        Target::existing(self.role_id)
    }

    fn decide(self, state: Option<&Role>, _: &Context<'_>) -> Result<Decision<Role>, Refused> {
        let role = existing(state)?;
        let at = Pointer::Field(&Pointer::Root, "permissions");
        let permissions = self.permissions.apply_at(&role.definition.permissions, &at)?;
        if permissions == role.definition.permissions {
            return Ok(Decision::nothing());
        }
        let decides = permissions.update.contains(Update::UserPermissions.as_str());
        if self.role_id == role_id("administrator") && !decides {
            return refuse(Refusal::NobodyLeft);
        }
        Ok(Decision::event(Event::PermissionsChanged { permissions }))
    }
}

impl Command for OfferPermissionWords {
    const NAME: &'static str = "offer-permission-words";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Role;

    fn target(&self) -> Target {
        Target::existing(self.role_id)
    }

    fn decide(self, state: Option<&Role>, _: &Context<'_>) -> Result<Decision<Role>, Refused> {
        let role = existing(state)?;
        let words = self.words.without(&role.offered);
        if words.is_empty() {
            return Ok(Decision::nothing());
        }
        let permissions = role.definition.permissions.clone().with(&words);
        Ok(Decision::event(Event::WordsOffered { words, permissions }))
    }
}

#[cfg(test)]
mod tests;
