//! Users: creating users, changing their profiles, roles, departments and passwords, and ending their access.

/// Declares that a command applies to a user, and that users may give it about themselves.
macro_rules! about_a_user {
    () => {
        fn target(&self) -> Target {
            Target::existing(self.user_id)
        }

        fn is_own(&self, _: Option<&User>, caller: &Caller) -> bool {
            caller.user_id() == Some(self.user_id)
        }
    };
}

/// Declares that a command applies to a user, of whom the roles are looked up: nobody works on whoever may do more.
macro_rules! about_another_user {
    () => {
        fn target(&self) -> Target {
            Target::existing(self.user_id)
        }

        fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
            reads_roles_of(state)
        }
    };
}

/// Declares that a command takes away a way in which a user logs in: from the caller, or from a user who may do no more
/// than the caller. It ends the user's other sessions.
macro_rules! takes_a_way_in {
    () => {
        about_a_user!();

        fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
            with_sessions_of(reads_roles_of(state), self.user_id)
        }
    };
}

mod acting;
mod identities;
mod passkeys;
mod passwords;
mod patients;
mod roles;
mod second_factor;
mod service;

use std::collections::BTreeSet;

use hims_domain::department::Department;
use hims_domain::permission::{Create, Delete, Update};
use hims_domain::session::EndReason;
use hims_domain::user::{Created, Event, ExternalIdentity, Profile, User};
use hims_domain::values::Email;
use hims_domain::{DepartmentId, Personal, RoleId, UserId, described};
use uuid::Uuid;

pub(crate) use acting::{acting, check_provider, reads_named};
pub(crate) use identities::LinkOwnIdentity;
pub use identities::{LinkUserIdentity, UnlinkUserIdentity};
pub use passkeys::RemovePasskey;
pub(crate) use passkeys::{AddPasskey, check_may_add_passkey};
pub(crate) use passwords::CompletePasswordReset;
pub use passwords::{ChangePassword, ResetPassword};
pub use patients::{LinkUserToPatient, UnlinkUserFromPatient};
pub use roles::{ChangeUserRole, Roles};
pub(crate) use roles::{
    administrators, administrators_key, check_administrator_stays, check_not_above_user, found_administrators,
    reads_roles,
};
pub use second_factor::RemoveSecondFactor;
pub(crate) use second_factor::{ConfirmSecondFactor, EnrolSecondFactor, RefuseCode};
pub(crate) use service::{AddClientSecret, check_person};
pub use service::{ChangeServiceAccountScopes, CreateServiceAccount, EndClientSecret};

use self::passwords::{end_sessions, with_sessions_of};
use self::roles::{check_not_above, check_roles, reads_roles_of};
use super::department::open_department;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, NewPassword, Passwords, Patch, Permission, Reads, Refused,
    Registry, Target, refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<CreateUser>()
        .add::<ChangeUserProfile>()
        .add::<ChangeUserRole>()
        .add::<ChangeUserDepartment>()
        .add::<DeactivateUser>()
        .add::<ReactivateUser>()
        .add::<ChangePassword>()
        .add::<ResetPassword>()
        .add::<RemoveSecondFactor>()
        .add::<RemovePasskey>()
        .add::<LinkUserIdentity>()
        .add::<UnlinkUserIdentity>()
        .add::<CreateServiceAccount>()
        .add::<ChangeServiceAccountScopes>()
        .add::<EndClientSecret>()
        .add::<LinkUserToPatient>()
        .add::<UnlinkUserFromPatient>();
}

refusals! {
    WrongPassword = Rule, "wrong-password", "the current password is wrong";
    SamePassword = Rule, "same-password", "choose a password that differs from the current one";
    LastAdministrator = Conflict, "last-administrator", "this is the last active administrator; make another one first";
    ResetOver = Rule, "reset-over", "the link was used, replaced or is too old; ask for another one";
    NotHashed = Conflict, "not-hashed", "the password could not be hashed; try again";
    NotActing = Conflict, "inactive-provider", "the user is not active; name somebody who is";
    TreatsThemselves = Rule, "treating-oneself", "nobody may treat themselves; somebody else must do this";
    NotAbove = Forbidden, "forbidden", "the roles allow more than the caller's own; this needs update:user_permissions";
    HasSecondFactor = Conflict, "second-factor-exists", "there is one already; take it away with remove-second-factor";
    NotEnrolled = Conflict, "not-enrolled", "begin with POST /api/v1/sessions/current/second-factor";
    WrongCode = Rule, "wrong-code", "the code is wrong, or was used before; wait for the next one";
    CodeMissing = Rule, "code-missing", "give a code of the second factor, or a recovery code, as code";
    Erased = Conflict, "erased", "the user was erased; create another user";
    IsService = Conflict, "service-account", "this is a service account, which has neither password nor patient";
    NoService = Conflict, "no-service-account", "this user is a person; create-service-account makes one for a program";
    TooManyIdentities = Conflict, "too-many-identities", "the user has ten; take one away with unlink-user-identity";
    HasPasskey = Conflict, "passkey-exists", "this passkey is one of the user's already";
    TooManyPasskeys = Conflict, "too-many-passkeys", "the user has ten; take one away with remove-passkey";
    OwnLink = Rule, "own-link", "have somebody else link you to the patient who you are";
    LinkedAlready = Conflict, "linked-already", "the user is linked to another patient; unlink the user first";
}

described! {
    /// Creates a user: a member of staff, or a patient who uses the portal.
    pub struct CreateUser {
        /// The id of the new user; issued by the server if left out.
        pub id: Option<UserId>,
        /// The e-mail address with which the user logs in; unique, stored in lower case.
        pub email: Personal<Email>,
        /// The user's name, phone and picture.
        #[serde(flatten)]
        pub profile: Profile,
        /// The primary role.
        pub role_id: RoleId,
        /// Roles in addition to the primary role.
        #[serde(default)]
        pub additional_role_ids: BTreeSet<RoleId>,
        /// The department in which the user works.
        pub department_id: Option<DepartmentId>,
        /// The first password, to be changed at the first login: 12 to 200 characters, none of the common ones, not the
        /// e-mail address and not the name. The user cannot log in without a password.
        pub password: Option<NewPassword>,
    }

    /// Changes a user's name, phone or picture. Users may change their own profile.
    pub struct ChangeUserProfile {
        /// Which user.
        pub user_id: UserId,
        /// The fields to change; a field that is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Profile>,
    }

    /// Where a user works.
    pub struct Workplace {
        /// The department in which the user works; null for none.
        pub department_id: Option<DepartmentId>,
    }

    /// Moves a user to another department.
    pub struct ChangeUserDepartment {
        /// Which user.
        pub user_id: UserId,
        /// The new department; the same department if left out, none if null.
        #[serde(flatten)]
        pub changes: Patch<Workplace>,
    }

    /// Ends a user's access, and every session of the user.
    pub struct DeactivateUser {
        /// Which user.
        pub user_id: UserId,
    }

    /// Gives a user access again.
    pub struct ReactivateUser {
        /// Which user.
        pub user_id: UserId,
    }
}

/// Checks that a user has a name; one is enough.
fn check_name(profile: &Profile) -> Result<(), Refused> {
    if profile.first_name.is_none() && profile.last_name.is_none() {
        return Err(Refused::field("no-name", "/last_name", "give at least one name"));
    }
    Ok(())
}

impl Claims for User {
    /// The e-mail address, the linked patient, the identities at a provider and the keys of passkeys are unique keys; the
    /// roles are shared keys, by which users are found.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take_if(scopes::USER_EMAIL, self.email.known().map(Email::as_str))
            .take_if(scopes::USER_PATIENT, self.patient_id.map(|it| it.to_string()))
            .share_if(scopes::USERS_OF_DEPARTMENT, self.department_id.map(|it| it.to_string()));
        for key in self.identities.iter().filter_map(ExternalIdentity::key) {
            held.take(scopes::USER_IDENTITY, scopes::key(&key));
        }
        for credential_id in self.passkeys.iter().filter_map(|it| it.credential_id.known()) {
            held.take(scopes::USER_PASSKEY, credential_id);
        }
        for role in self.role_ids() {
            held.share(scopes::USERS_WITH_ROLE, role.to_string());
        }
    }
}

impl Command for CreateUser {
    const NAME: &'static str = "create-user";
    const PERMISSION: Permission = Permission::Create(Create::Users);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateUser::NAME);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        reads_roles([self.role_id].into_iter().chain(self.additional_role_ids.iter().copied()))
            .maybe::<Department>(self.department_id)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: self.password.as_ref().map(NewPassword::password), compare: None }
    }

    fn decide(self, _: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        check_name(&self.profile)?;
        check_roles(ctx, self.role_id, &self.additional_role_ids)?;
        check_not_above(ctx, [self.role_id].iter().chain(&self.additional_role_ids))?;
        if let Some(department) = self.department_id {
            open_department(ctx, department)?;
        }
        if let Some(password) = &self.password {
            password.refuse_personal("/password", &self.email, &self.profile)?;
        }
        if self.password.is_some() && ctx.password_hash.is_none() {
            return refuse(Refusal::NotHashed);
        }
        Ok(Decision::event(Event::Created(Created {
            email: self.email,
            profile: self.profile,
            role_id: self.role_id,
            additional_role_ids: self.additional_role_ids,
            department_id: self.department_id,
            must_change_password: self.password.is_some() && !ctx.caller.is_system,
            password_hash: ctx.password_hash.clone().map(Personal::Known),
        })))
    }
}

impl Command for ChangeUserProfile {
    const NAME: &'static str = "change-user-profile";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn is_own(&self, _: Option<&User>, caller: &Caller) -> bool {
        caller.may(Permission::Update(Update::OwnProfile)) && caller.user_id() == Some(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        reads_roles_of(state)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        let profile = self.changes.apply(&user.profile)?;
        if profile == user.profile {
            return Ok(Decision::nothing());
        }
        check_name(&profile)?;
        Ok(Decision::event(Event::ProfileChanged(profile)))
    }
}

impl ChangeUserDepartment {
    /// The department in which the user works after the change.
    fn department(&self, user: &User) -> Result<Option<DepartmentId>, Refused> {
        let before = Workplace { department_id: user.department_id };
        self.changes.clone().apply(&before).map(|it| it.department_id)
    }
}

impl Command for ChangeUserDepartment {
    const NAME: &'static str = "change-user-department";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        reads_roles_of(state).maybe::<Department>(state.and_then(|user| self.department(user).ok().flatten()))
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        let department_id = self.department(user)?;
        if department_id == user.department_id {
            return Ok(Decision::nothing());
        }
        if let Some(department) = department_id {
            open_department(ctx, department)?;
        }
        Ok(Decision::event(Event::DepartmentChanged { department_id }))
    }
}

impl Command for DeactivateUser {
    const NAME: &'static str = "deactivate-user";
    const PERMISSION: Permission = Permission::Delete(Delete::Users);
    const REVERSED_BY: Option<&'static str> = Some(ReactivateUser::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        administrators(with_sessions_of(reads_roles_of(state), self.user_id))
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        if !user.is_active {
            return Ok(Decision::nothing());
        }
        check_administrator_stays(ctx.found, (self.user_id, user), std::iter::empty())?;
        Ok(end_sessions(Decision::event(Event::Deactivated), ctx, EndReason::Revoked, None))
    }
}

impl Command for ReactivateUser {
    const NAME: &'static str = "reactivate-user";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateUser::NAME);
    type Aggregate = User;

    about_another_user!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        if user.is_erased() {
            return refuse(Refusal::Erased);
        }
        if user.is_active { Ok(Decision::nothing()) } else { Ok(Decision::event(Event::Reactivated)) }
    }
}

#[cfg(test)]
mod tests;
