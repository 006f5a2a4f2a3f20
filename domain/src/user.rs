//! Users: everybody who can log in, and every provider of care.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::values::{Email, Phone, Text};
use crate::{Aggregate, DepartmentId, PatientId, Personal, RoleId, Subject, described};

described! {
    /// Who a user is.
    pub struct Profile {
        /// Given name.
        pub first_name: Personal<Text<100>>,
        /// Family name.
        pub last_name: Personal<Text<100>>,
        /// Phone number; stored in E.164.
        pub phone: Option<Personal<Phone>>,
        /// Where a picture of the user is.
        pub avatar_url: Option<Personal<Text<500>>>,
    }
}

/// An Argon2id hash in PHC string form. Sealed in the log like everything personal.
pub type PasswordHash = Personal<String>;

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The login.
    pub email: Personal<Email>,
    /// Who it is.
    pub profile: Profile,
    /// The role that counts where only one can.
    pub role_id: RoleId,
    /// Roles beside the primary one.
    pub additional_role_ids: BTreeSet<RoleId>,
    /// Where the user works.
    pub department_id: Option<DepartmentId>,
    /// The patient who the user is, for a login to the portal.
    pub patient_id: Option<PatientId>,
    /// `None` when the user cannot log in.
    pub password_hash: Option<PasswordHash>,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// An inactive user can neither log in nor be booked.
    pub is_active: bool,
}

/// What can happen to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The user was entered.
    Created(Created),
    /// The user is called otherwise, or reached otherwise.
    ProfileChanged(Profile),
    /// The user has other roles.
    RoleChanged {
        /// The primary role.
        role_id: RoleId,
        /// Roles beside it.
        additional_role_ids: BTreeSet<RoleId>,
    },
    /// The user works elsewhere.
    DepartmentChanged {
        /// Where; `None` for nowhere in particular.
        department_id: Option<DepartmentId>,
    },
    /// The user can no longer log in or be booked.
    Deactivated,
    /// The user can again.
    Reactivated,
    /// The user has another password.
    PasswordChanged {
        /// Its hash.
        password_hash: PasswordHash,
        /// Somebody else chose it.
        must_change_password: bool,
    },
    /// The user is this patient.
    LinkedToPatient {
        /// Who.
        patient_id: PatientId,
    },
}

/// A user as entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The login.
    pub email: Personal<Email>,
    /// Who it is.
    pub profile: Profile,
    /// The primary role.
    pub role_id: RoleId,
    /// Roles beside it.
    #[serde(default)]
    pub additional_role_ids: BTreeSet<RoleId>,
    /// Where the user works.
    pub department_id: Option<DepartmentId>,
    /// `None` when the user cannot log in.
    pub password_hash: Option<PasswordHash>,
    /// Somebody else chose the password.
    pub must_change_password: bool,
}

impl User {
    /// Every role, the primary one first.
    pub fn role_ids(&self) -> impl Iterator<Item = RoleId> + '_ {
        std::iter::once(self.role_id).chain(self.additional_role_ids.iter().copied().filter(|it| *it != self.role_id))
    }
}

impl Aggregate for User {
    const STREAM: &'static str = "user";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Created(it) => Some(Self {
                email: it.email.clone(),
                profile: it.profile.clone(),
                role_id: it.role_id,
                additional_role_ids: it.additional_role_ids.clone(),
                department_id: it.department_id,
                patient_id: None,
                password_hash: it.password_hash.clone(),
                must_change_password: it.must_change_password,
                is_active: true,
            }),
            Event::ProfileChanged(profile) => state.map(|it| Self { profile: profile.clone(), ..it }),
            Event::RoleChanged { role_id, additional_role_ids } => {
                state.map(|it| Self { role_id: *role_id, additional_role_ids: additional_role_ids.clone(), ..it })
            }
            Event::DepartmentChanged { department_id } => state.map(|it| Self { department_id: *department_id, ..it }),
            Event::Deactivated => state.map(|it| Self { is_active: false, ..it }),
            Event::Reactivated => state.map(|it| Self { is_active: true, ..it }),
            Event::PasswordChanged { password_hash, must_change_password } => state.map(|it| Self {
                password_hash: Some(password_hash.clone()),
                must_change_password: *must_change_password,
                ..it
            }),
            Event::LinkedToPatient { patient_id } => state.map(|it| Self { patient_id: Some(*patient_id), ..it }),
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::User(id))
    }
}
