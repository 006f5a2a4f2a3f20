//! Service accounts: programs that log in with a secret of their own. Adding a secret is not in the registry, since the
//! answer of its route holds what is told once.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::department::Department;
use hims_domain::permission::{Create, Update};
use hims_domain::role::{Permissions, Role};
use hims_domain::session::EndReason;
use hims_domain::user::{Created, Event, Profile, Service, User};
use hims_domain::values::{Email, Name};
use hims_domain::{ClientSecretId, DepartmentId, Personal, Pointer, RoleId, UserId, described};
use serde::Deserialize;

use super::passwords::{end_sessions, with_sessions_of};
use super::roles::{check_not_above, check_not_above_user, check_roles, reads_roles, reads_roles_of};
use super::{DeactivateUser, Refusal};
use crate::aggregates::department::open_department;
use crate::machinery::command::{existing, never_sent};
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target, refuse};

described! {
    /// Creates a service account: a user for a program, which logs in with a secret of its own. Give it a secret with
    /// `POST /api/v1/service-accounts/{id}/secrets`.
    pub struct CreateServiceAccount {
        /// The id of the new user, which is also the program's `client_id`; issued by the server if left out.
        pub id: Option<UserId>,
        /// What the program is called.
        pub name: Personal<Name<100>>,
        /// The e-mail address of those who look after the program; unique among all users, stored in lower case.
        pub email: Personal<Email>,
        /// The role, of whose permissions the program has those that `scopes` names.
        pub role_id: RoleId,
        /// The department for which the program works.
        pub department_id: Option<DepartmentId>,
        /// Of the permissions of the role, those that the program has.
        pub scopes: Permissions,
    }

    /// Changes which permissions of its roles a service account has. The change applies at once, also to tokens that
    /// were issued before.
    pub struct ChangeServiceAccountScopes {
        /// Which service account.
        pub user_id: UserId,
        /// The words to change: all words of a verb from now on. A verb that is left out keeps its words.
        pub scopes: Patch<Permissions>,
    }

    /// Ends a secret of a service account at once, and the tokens that were issued to the account.
    pub struct EndClientSecret {
        /// Which service account.
        pub user_id: UserId,
        /// Which secret, as the answer said when it was made.
        pub secret_id: ClientSecretId,
    }
}

/// Adds a secret to a service account. The last one before stays good for a while.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AddClientSecret {
    /// Which service account.
    pub(crate) user_id: UserId,
    /// The id of the new secret.
    pub(crate) secret_id: ClientSecretId,
    /// The hash of the new secret.
    pub(crate) client_secret_hash: Personal<String>,
    /// Until when the new secret is good.
    pub(crate) expires_at: DateTime<Utc>,
    /// Until when the last secret before is good at most.
    pub(crate) former_expires_at: DateTime<Utc>,
}

never_sent!(AddClientSecret);

/// Checks that scopes do nothing but narrow the roles of which the states were found.
fn check_scopes(ctx: &Context<'_>, roles: impl Iterator<Item = RoleId>, scopes: &Permissions) -> Result<(), Refused> {
    let roles = roles.filter_map(|id| ctx.found.get::<Role>(id));
    let all = roles.fold(Permissions::default(), |all, role| all.with(&role.definition.permissions));
    if scopes.is_within(&all) {
        return Ok(());
    }
    Err(Refused::field("not-in-role", "/scopes", "scopes only narrow: name permissions that the role has"))
}

/// A user who is a service account.
fn service(user: &User) -> Result<&Service, Refused> {
    user.service.as_ref().map_or_else(|| refuse(Refusal::NoService), Ok)
}

/// Refuses something that only people have, such as a password, for a service account.
pub(crate) fn check_person(user: &User) -> Result<(), Refused> {
    if user.service.is_some() { refuse(Refusal::IsService) } else { Ok(()) }
}

impl Command for CreateServiceAccount {
    const NAME: &'static str = "create-service-account";
    const PERMISSION: Permission = Permission::Create(Create::Users);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateUser::NAME);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        reads_roles([self.role_id]).maybe::<Department>(self.department_id)
    }

    fn decide(self, _: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        check_roles(ctx, self.role_id, &BTreeSet::new())?;
        check_not_above(ctx, std::iter::once(&self.role_id))?;
        check_scopes(ctx, std::iter::once(self.role_id), &self.scopes)?;
        if let Some(department) = self.department_id {
            open_department(ctx, department)?;
        }
        let created = Created {
            email: self.email,
            profile: Profile { first_name: None, last_name: Some(self.name), phone: None, avatar_url: None },
            role_id: self.role_id,
            additional_role_ids: BTreeSet::new(),
            department_id: self.department_id,
            password_hash: None,
            must_change_password: false,
        };
        Ok(Decision::event(Event::Created(created)).followed_by(Event::ScopesSet { scopes: self.scopes }))
    }
}

impl Command for ChangeServiceAccountScopes {
    const NAME: &'static str = "change-service-account-scopes";
    const PERMISSION: Permission = Permission::Update(Update::UserPermissions);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    about_another_user!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        let before = &service(user)?.scopes;
        let scopes = self.scopes.apply_at(before, &Pointer::Field(&Pointer::Root, "scopes"))?;
        if scopes == *before {
            return Ok(Decision::nothing());
        }
        check_scopes(ctx, user.role_ids(), &scopes)?;
        Ok(Decision::event(Event::ScopesSet { scopes }))
    }
}

impl Command for AddClientSecret {
    const NAME: &'static str = "add-client-secret";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    about_another_user!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        service(user)?;
        let Self { secret_id, client_secret_hash, expires_at, former_expires_at, .. } = self;
        Ok(Decision::event(Event::ClientSecretAdded { secret_id, client_secret_hash, expires_at, former_expires_at }))
    }
}

impl Command for EndClientSecret {
    const NAME: &'static str = "end-client-secret";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        with_sessions_of(reads_roles_of(state), self.user_id)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        let secret_id = self.secret_id;
        if service(user)?.secrets.iter().all(|it| it.secret_id != secret_id) {
            return Ok(Decision::nothing());
        }
        let ended = Decision::event(Event::ClientSecretEnded { secret_id });
        Ok(end_sessions(ended, ctx, EndReason::Revoked, None))
    }
}
