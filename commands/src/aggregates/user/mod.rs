//! Users: entering them, changing what they are and may do, ending their access.

use std::collections::BTreeSet;

use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Delete, Update};
use hims_domain::role::Role;
use hims_domain::session::{self, EndReason, Session};
use hims_domain::user::{Created, Event, Profile, User};
use hims_domain::values::Email;
use hims_domain::{DepartmentId, PatientId, Personal, RoleId, UserId, described};

use crate::department::open_department;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Command, Context, Decision, Found, Password, Passwords, Patch, Permission, Reads, Refused, Registry,
    Target, refuse, scopes,
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
    WrongPassword = Rule, "wrong-password", "the current password is not right";
    SamePassword = Rule, "same-password", "choose a password that differs from the current one";
    LastAdministrator = Conflict, "last-administrator", "this is the last active administrator; make another one first";
    NotHashed = Conflict, "not-hashed", "the password could not be hashed; try again";
    NotActing = Conflict, "inactive-provider", "the user is not active, or is a patient's login";
    NotAbove = Forbidden, "forbidden", "the roles allow more than the caller's own; that takes update:user_permissions";
    LinkedAlready = Conflict, "linked-already", "the user is linked to another patient";
}

described! {
    /// Enters a user: a member of staff, or a patient who uses the portal.
    pub struct CreateUser {
        /// Issued unless given.
        pub id: Option<UserId>,
        /// The login; unique, stored in lower case.
        pub email: Personal<Email>,
        /// Who it is.
        #[serde(flatten)]
        pub profile: Profile,
        /// The primary role.
        pub role_id: RoleId,
        /// Roles beside the primary one.
        #[serde(default)]
        pub additional_role_ids: BTreeSet<RoleId>,
        /// Where the user works.
        pub department_id: Option<DepartmentId>,
        /// The first password, to be changed at the first login. The user cannot log in without one.
        pub password: Option<Password>,
    }

    /// Changes a user's name, phone or picture. Everybody may change their own.
    pub struct ChangeUserProfile {
        /// Which user.
        pub user_id: UserId,
        /// What changes; what is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Profile>,
    }

    /// Gives a user other roles.
    pub struct ChangeUserRole {
        /// Which user.
        pub user_id: UserId,
        /// The primary role.
        pub role_id: RoleId,
        /// Roles beside the primary one.
        #[serde(default)]
        pub additional_role_ids: BTreeSet<RoleId>,
    }

    /// Moves a user to another department.
    pub struct ChangeUserDepartment {
        /// Which user.
        pub user_id: UserId,
        /// Where the user works from now on; nowhere in particular unless given.
        pub department_id: Option<DepartmentId>,
    }

    /// Ends a user's access, and every session of theirs.
    pub struct DeactivateUser {
        /// Which user.
        pub user_id: UserId,
    }

    /// Gives a user access again.
    pub struct ReactivateUser {
        /// Which user.
        pub user_id: UserId,
    }

    /// Changes the caller's own password, and ends their other sessions.
    pub struct ChangePassword {
        /// The caller's own id.
        pub user_id: UserId,
        /// The password of now.
        pub current_password: Password,
        /// The password from now on: 12 to 200 characters.
        pub new_password: Password,
    }

    /// Gives a user a password that must be changed at the next login, and ends their sessions.
    pub struct ResetPassword {
        /// Which user.
        pub user_id: UserId,
        /// The password: 12 to 200 characters.
        pub new_password: Password,
    }

    /// Makes a login that of a patient, who then sees their own records.
    pub struct LinkUserToPatient {
        /// Which user.
        pub user_id: UserId,
        /// Which patient.
        pub patient_id: PatientId,
    }
}

/// The user who treats or measures, who asks unless another is named: active, and no patient's login. What happened in
/// the past, and is imported, may have been done by whoever has left since.
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

/// The streams of some roles.
fn roles(ids: impl IntoIterator<Item = RoleId>) -> Reads {
    ids.into_iter().fold(Reads::nothing(), Reads::stream::<Role>)
}

/// Nobody gives, or takes over, more than they have, unless they decide on permissions anyway.
fn check_not_above<'a>(ctx: &Context<'_>, roles: impl Iterator<Item = &'a RoleId>) -> Result<(), Refused> {
    let caller = ctx.caller;
    if caller.may(Permission::Update(Update::UserPermissions)) {
        return Ok(());
    }
    for role in roles.filter_map(|it| ctx.found.get::<Role>(*it)) {
        let (asked, own) = (&role.definition.permissions, &caller.permissions);
        let within = asked.create.is_subset(&own.create)
            && asked.read.is_subset(&own.read)
            && asked.update.is_subset(&own.update)
            && asked.delete.is_subset(&own.delete);
        if !within {
            return refuse(Refusal::NotAbove);
        }
    }
    Ok(())
}

/// Whether some roles exist, and their names.
fn role_names(ctx: &Context<'_>, primary: RoleId, additional: &BTreeSet<RoleId>) -> Result<BTreeSet<String>, Refused> {
    let mut names = BTreeSet::from([ctx.named::<Role>(primary, "/role_id")?.definition.name.as_str().to_owned()]);
    for id in additional {
        names.insert(ctx.named::<Role>(*id, "/additional_role_ids")?.definition.name.as_str().to_owned());
    }
    Ok(names)
}

const ADMINISTRATOR: &str = "administrator";

/// The active administrators other than a user.
fn other_administrators(found: &Found, than: UserId) -> usize {
    let active = found.owners::<User>(scopes::USERS_WITH_ROLE, ADMINISTRATOR).filter(|(_, it)| it.is_active);
    active.filter(|(id, _)| *id != than.0).count()
}

/// A decision that also ends the open sessions of a user, but for one.
fn end_sessions(
    decision: Decision<User>,
    ctx: &Context<'_>,
    reason: EndReason,
    but: Option<uuid::Uuid>,
) -> Decision<User> {
    let key = ctx.id.to_string();
    let open = ctx.found.owners::<Session>(scopes::USER_SESSIONS, key.as_str());
    open.filter(|(id, it)| Some(*id) != but && it.ended.is_none()).fold(decision, |decision, (id, _)| {
        decision.also::<Session>(id, session::Event::Ended { reason }).unshare_of(
            id,
            scopes::USER_SESSIONS,
            key.as_str(),
        )
    })
}

fn sessions_of(user: UserId) -> Reads {
    Reads::nothing().owners::<Session>(scopes::USER_SESSIONS, user.to_string())
}

impl Command for CreateUser {
    const NAME: &'static str = "create-user";
    const PERMISSION: Permission = Permission::Create(Create::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        roles([self.role_id].into_iter().chain(self.additional_role_ids.iter().copied()))
            .maybe::<Department>(self.department_id)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: self.password.as_ref(), compare: None }
    }

    fn decide(self, _: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let names = role_names(ctx, self.role_id, &self.additional_role_ids)?;
        check_not_above(ctx, [self.role_id].iter().chain(&self.additional_role_ids))?;
        if let Some(department) = self.department_id {
            open_department(ctx, department)?;
        }
        if self.password.is_some() && ctx.password_hash.is_none() {
            return refuse(Refusal::NotHashed);
        }
        let email = self.email.known().map(|it| it.as_str().to_owned()).unwrap_or_default();
        let created = Decision::event(Event::Created(Created {
            email: self.email,
            profile: self.profile,
            role_id: self.role_id,
            additional_role_ids: self.additional_role_ids,
            department_id: self.department_id,
            must_change_password: self.password.is_some() && !ctx.caller.is_system,
            password_hash: ctx.password_hash.clone().map(Personal::Known),
        }))
        .take(scopes::USER_EMAIL, email);
        Ok(names.into_iter().fold(created, |it, name| it.share(scopes::USERS_WITH_ROLE, name)))
    }
}

impl Command for ChangeUserProfile {
    const NAME: &'static str = "change-user-profile";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn is_own(&self, caller: &Caller) -> bool {
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

impl Command for ChangeUserRole {
    const NAME: &'static str = "change-user-role";
    const PERMISSION: Permission = Permission::Update(Update::UserPermissions);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        let before = state.map(|it| it.role_ids().collect::<Vec<_>>()).unwrap_or_default();
        roles([self.role_id].into_iter().chain(self.additional_role_ids.iter().copied()).chain(before))
            .owners::<User>(scopes::USERS_WITH_ROLE, ADMINISTRATOR)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if user.role_id == self.role_id && user.additional_role_ids == self.additional_role_ids {
            return Ok(Decision::nothing());
        }
        let before = role_names(ctx, user.role_id, &user.additional_role_ids)?;
        let after = role_names(ctx, self.role_id, &self.additional_role_ids)?;
        let loses_administrator = before.contains(ADMINISTRATOR) && !after.contains(ADMINISTRATOR);
        if loses_administrator && other_administrators(ctx.found, self.user_id) == 0 {
            return refuse(Refusal::LastAdministrator);
        }
        let changed = Decision::event(Event::RoleChanged {
            role_id: self.role_id,
            additional_role_ids: self.additional_role_ids,
        });
        let lost = before.difference(&after).cloned().map(|it| (Some(it), None));
        let won = after.difference(&before).cloned().map(|it| (None, Some(it)));
        Ok(lost.chain(won).fold(changed, |it, (old, new)| it.reshare(scopes::USERS_WITH_ROLE, old, new)))
    }
}

impl Command for ChangeUserDepartment {
    const NAME: &'static str = "change-user-department";
    const PERMISSION: Permission = Permission::Update(Update::Users);
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
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        sessions_of(self.user_id).owners::<User>(scopes::USERS_WITH_ROLE, ADMINISTRATOR)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        if !existing(state)?.is_active {
            return Ok(Decision::nothing());
        }
        let mut administrators = ctx.found.owners::<User>(scopes::USERS_WITH_ROLE, ADMINISTRATOR);
        let is_administrator = administrators.any(|(id, _)| id == self.user_id.0);
        if is_administrator && other_administrators(ctx.found, self.user_id) == 0 {
            return refuse(Refusal::LastAdministrator);
        }
        Ok(end_sessions(Decision::event(Event::Deactivated), ctx, EndReason::Revoked, None))
    }
}

impl Command for ReactivateUser {
    const NAME: &'static str = "reactivate-user";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn decide(self, state: Option<&User>, _: &Context<'_>) -> Result<Decision<User>, Refused> {
        if existing(state)?.is_active {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Reactivated))
    }
}

impl Command for ChangePassword {
    const NAME: &'static str = "change-password";
    const PERMISSION: Permission = Permission::Own;
    const COMPARES_PASSWORD: bool = true;
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, _: Option<&User>, _: &Found) -> Reads {
        sessions_of(self.user_id)
    }

    fn is_own(&self, caller: &Caller) -> bool {
        caller.user_id() == Some(self.user_id)
    }

    fn passwords<'a>(&'a self, state: Option<&'a User>) -> Passwords<'a> {
        let hash = state.and_then(|it| it.password_hash.as_ref()).and_then(|it| it.known());
        Passwords { set: Some(&self.new_password), compare: hash.map(|it| (&self.current_password, it.as_str())) }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        existing(state)?;
        if !ctx.password_matches {
            return refuse(Refusal::WrongPassword);
        }
        if self.current_password == self.new_password {
            return refuse(Refusal::SamePassword);
        }
        let Some(hash) = ctx.password_hash.clone() else { return refuse(Refusal::NotHashed) };
        let changed = Event::PasswordChanged { password_hash: hash.into(), must_change_password: false };
        Ok(end_sessions(Decision::event(changed), ctx, EndReason::PasswordChange, ctx.caller.session_id))
    }
}

impl Command for ResetPassword {
    const NAME: &'static str = "reset-password";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        state.iter().flat_map(|it| it.role_ids()).fold(sessions_of(self.user_id), Reads::stream::<Role>)
    }

    fn passwords<'a>(&'a self, _: Option<&'a User>) -> Passwords<'a> {
        Passwords { set: Some(&self.new_password), compare: None }
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above(ctx, [user.role_id].iter().chain(&user.additional_role_ids))?;
        let Some(hash) = ctx.password_hash.clone() else { return refuse(Refusal::NotHashed) };
        let changed = Event::PasswordChanged { password_hash: hash.into(), must_change_password: true };
        Ok(end_sessions(Decision::event(changed), ctx, EndReason::PasswordChange, None))
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
            None => Ok(Decision::event(Event::LinkedToPatient { patient_id: self.patient_id })
                .take(scopes::USER_PATIENT, self.patient_id.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
