//! Users: creating users, changing their profiles, roles, departments and passwords, and ending their access.

mod passwords;
mod roles;

use std::collections::BTreeSet;

use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Delete, Update};
use hims_domain::session::EndReason;
use hims_domain::user::{Created, Event, Profile, User};
use hims_domain::values::Email;
use hims_domain::{DepartmentId, PatientId, Personal, RoleId, UserId, described};
use uuid::Uuid;

pub use passwords::{ChangePassword, ResetPassword};
pub use roles::ChangeUserRole;

use self::passwords::{end_sessions, sessions_of};
use self::roles::{administrators, check_not_above, check_roles, is_administrator, is_last_administrator, reads_roles};
use super::department::open_department;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
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
        .add::<LinkUserToPatient>();
}

refusals! {
    WrongPassword = Rule, "wrong-password", "the current password is wrong";
    SamePassword = Rule, "same-password", "choose a password that differs from the current one";
    LastAdministrator = Conflict, "last-administrator", "this is the last active administrator; make another one first";
    NotHashed = Conflict, "not-hashed", "the password could not be hashed; try again";
    NotActing = Conflict, "inactive-provider", "the user is not active or is a patient's login; name a member of staff";
    NotAbove = Forbidden, "forbidden", "the roles allow more than the caller's own; this needs update:user_permissions";
    LinkedAlready = Conflict, "linked-already", "the user is linked to another patient already";
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

    /// Moves a user to another department.
    pub struct ChangeUserDepartment {
        /// Which user.
        pub user_id: UserId,
        /// The department in which the user works from now on; none if left out.
        pub department_id: Option<DepartmentId>,
    }

    /// Ends a user's access, and every session of the user.
    pub struct DeactivateUser {
        /// Which user.
        pub user_id: UserId,
    }

    /// Links a user's login to a patient, who then sees the patient's own records.
    pub struct LinkUserToPatient {
        /// Which user.
        pub user_id: UserId,
        /// Which patient.
        pub patient_id: PatientId,
    }
}

/// The user who treats or measures: the named user, or else the caller. The user must be active and must not be a
/// patient's login, unless a part of the system such as an import names the user, who may have left since.
pub(crate) fn acting(ctx: &Context<'_>, named: Option<UserId>, field: &str) -> Result<UserId, Refused> {
    let may_act = match named {
        Some(id) => {
            let user = ctx.named::<User>(id, field)?;
            user.is_active && user.patient_id.is_none()
        }
        None => ctx.caller.patient_id.is_none(),
    };
    if may_act || ctx.caller.is_system { ctx.user(named, field) } else { refuse(Refusal::NotActing) }
}

steps! {
    User by user_id: UserId, "Which user.";

    /// Gives a user access again.
    ReactivateUser = "reactivate-user" needs Update::Users
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivateUser;
}

impl Claims for User {
    /// The e-mail address and the linked patient are unique keys; the roles are shared keys, by which users are found.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take_if(scopes::USER_EMAIL, self.email.known().map(Email::as_str))
            .take_if(scopes::USER_PATIENT, self.patient_id.map(|it| it.to_string()));
        for role in self.role_ids() {
            held.share(scopes::USERS_WITH_ROLE, role.to_string());
        }
    }
}

impl Command for CreateUser {
    const NAME: &'static str = "create-user";
    const PERMISSION: Permission = Permission::Create(Create::Users);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateUser::NAME);
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

    fn decide(self, state: Option<&User>, _: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        let profile = self.changes.apply(&user.profile)?;
        if profile == user.profile {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::ProfileChanged(profile)))
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

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Department>(self.department_id)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        if existing(state)?.department_id == self.department_id {
            return Ok(Decision::nothing());
        }
        if let Some(department) = self.department_id {
            open_department(ctx, department)?;
        }
        Ok(Decision::event(Event::DepartmentChanged { department_id: self.department_id }))
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

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        administrators(sessions_of(self.user_id))
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if !user.is_active {
            return Ok(Decision::nothing());
        }
        if user.role_ids().any(is_administrator) && is_last_administrator(ctx.found, self.user_id) {
            return refuse(Refusal::LastAdministrator);
        }
        Ok(end_sessions(Decision::event(Event::Deactivated), ctx, EndReason::Revoked, None))
    }
}

impl Command for LinkUserToPatient {
    const NAME: &'static str = "link-user-to-patient";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        Reads::nothing().stream::<Patient>(self.patient_id)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        match existing(state)?.patient_id {
            Some(linked) if linked == self.patient_id => Ok(Decision::nothing()),
            Some(_) => refuse(Refusal::LinkedAlready),
            None => Ok(Decision::event(Event::LinkedToPatient { patient_id: self.patient_id })),
        }
    }
}

#[cfg(test)]
mod tests;
