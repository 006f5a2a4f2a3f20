//! Users: everybody who can log in, and every provider of care.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::values::{Email, Name, Phone, Reason, Text};
use crate::{Aggregate, DepartmentId, PatientId, Personal, RoleId, Subject, described};

described! {
    /// The name of a user and how to reach them.
    pub struct Profile {
        /// Given name of the user; left out for a user who has only one name, which is the family name.
        pub first_name: Option<Personal<Name<100>>>,
        /// Family name of the user; left out for a user of whom only the given name is known.
        pub last_name: Option<Personal<Name<100>>>,
        /// Phone number; stored in E.164.
        pub phone: Option<Personal<Phone>>,
        /// The URL of a picture of the user.
        pub avatar_url: Option<Personal<Text<500>>>,
    }
}

/// An Argon2id hash of a password in PHC string form, sealed in the log like every personal value.
pub type PasswordHash = Personal<String>;

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The e-mail address, with which the user logs in.
    pub email: Personal<Email>,
    /// The name of the user and how to reach them.
    pub profile: Profile,
    /// The primary role, which counts where a user can have only one role.
    pub role_id: RoleId,
    /// The roles beside the primary role.
    pub additional_role_ids: BTreeSet<RoleId>,
    /// The department in which the user works.
    pub department_id: Option<DepartmentId>,
    /// The patient who the user is: a user of the patient portal, or a member of staff who is a patient as well.
    pub patient_id: Option<PatientId>,
    /// The hash of the password; `None` when the user cannot log in.
    pub password_hash: Option<PasswordHash>,
    /// Whether the user must change the password before doing anything else.
    pub must_change_password: bool,
    /// What the user has to show besides the password; `None` if nothing.
    pub second_factor: Option<SecondFactor>,
    /// Whether the user is active. An inactive user can neither log in nor be booked.
    pub is_active: bool,
}

/// The hash of a recovery code: SHA-256 in hexadecimal digits, sealed in the log like every personal value.
pub type RecoveryCodeHash = Personal<String>;

/// A device or program of the user that makes one-time codes (TOTP, RFC 6238), and the codes for the day it is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The secret from which the codes follow, in base 32. It is told once, when the user enrols.
    pub second_factor_secret: Personal<String>,
    /// Whether the user has given a first code. Until then a login asks for none.
    pub is_confirmed: bool,
    /// The last time step of which a code was used. A code of this step, or of an earlier one, is refused.
    pub used_step: Option<u64>,
    /// The hashes of the recovery codes that were not used.
    pub recovery_code_hashes: Vec<RecoveryCodeHash>,
    /// How many wrong codes were given since the last right one.
    pub wrong_codes: u32,
}

/// What can happen to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The user was created.
    Created(Created),
    /// The profile of the user changed. The event holds the whole new profile.
    ProfileChanged(Profile),
    /// The roles of the user changed.
    RoleChanged {
        /// The primary role.
        role_id: RoleId,
        /// The roles beside the primary role.
        additional_role_ids: BTreeSet<RoleId>,
    },
    /// The department of the user changed.
    DepartmentChanged {
        /// The new department; `None` for no department.
        department_id: Option<DepartmentId>,
    },
    /// The user can no longer log in or be booked.
    Deactivated,
    /// The user can log in and be booked again.
    Reactivated,
    /// The password of the user changed.
    PasswordChanged {
        /// The hash of the new password.
        password_hash: PasswordHash,
        /// Whether the user must change the password, because somebody else chose it.
        must_change_password: bool,
    },
    /// The user was linked to the patient who the user is.
    LinkedToPatient {
        /// The patient.
        patient_id: PatientId,
    },
    /// The user is no longer linked to a patient.
    UnlinkedFromPatient,
    /// The user was told the secret of a second factor, which counts once the user has confirmed it.
    SecondFactorEnrolled {
        /// The secret from which the codes follow, in base 32.
        second_factor_secret: Personal<String>,
    },
    /// The user gave a first code of the second factor, and was told the recovery codes.
    SecondFactorConfirmed {
        /// The time step of the code.
        used_step: u64,
        /// The hashes of the recovery codes.
        recovery_code_hashes: Vec<RecoveryCodeHash>,
    },
    /// The user gave a right code of the second factor.
    CodeUsed {
        /// The time step of the code.
        used_step: u64,
    },
    /// The user gave a recovery code instead of a code of the second factor.
    RecoveryCodeUsed {
        /// The hash of the recovery code.
        recovery_code_hash: RecoveryCodeHash,
        /// How many recovery codes are left.
        left: usize,
    },
    /// Somebody who knew the password gave a wrong code.
    CodeRefused {
        /// How many wrong codes were given since the last right one.
        wrong_codes: u32,
    },
    /// The second factor was removed: a login asks for the password only.
    SecondFactorRemoved {
        /// Why the second factor was removed.
        reason: Personal<Reason>,
    },
}

/// The user as created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The e-mail address, with which the user logs in.
    pub email: Personal<Email>,
    /// The name of the user and how to reach them.
    pub profile: Profile,
    /// The primary role.
    pub role_id: RoleId,
    /// The roles beside the primary role.
    #[serde(default)]
    pub additional_role_ids: BTreeSet<RoleId>,
    /// The department in which the user works.
    pub department_id: Option<DepartmentId>,
    /// The hash of the password; `None` when the user cannot log in.
    pub password_hash: Option<PasswordHash>,
    /// Whether the user must change the password, because somebody else chose it.
    pub must_change_password: bool,
}

impl User {
    /// All roles of the user, the primary role first.
    pub fn role_ids(&self) -> impl Iterator<Item = RoleId> + '_ {
        std::iter::once(self.role_id).chain(self.additional_role_ids.iter().copied().filter(|it| *it != self.role_id))
    }

    /// The second factor for which a login asks; `None` if the user has none, or has not confirmed it.
    pub fn confirmed_factor(&self) -> Option<&SecondFactor> {
        self.second_factor.as_ref().filter(|it| it.is_confirmed)
    }

    /// The user with a second factor that has changed; the same user if there is none.
    fn with_factor(self, change: impl FnOnce(SecondFactor) -> SecondFactor) -> Self {
        Self { second_factor: self.second_factor.map(change), ..self }
    }
}

impl Aggregate for User {
    const STREAM: &'static str = "user";
    const STATE_VERSION: i32 = 2;
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
                second_factor: None,
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
            Event::UnlinkedFromPatient => state.map(|it| Self { patient_id: None, ..it }),
            Event::SecondFactorEnrolled { second_factor_secret } => state.map(|it| Self {
                second_factor: Some(SecondFactor {
                    second_factor_secret: second_factor_secret.clone(),
                    is_confirmed: false,
                    used_step: None,
                    recovery_code_hashes: Vec::new(),
                    wrong_codes: 0,
                }),
                ..it
            }),
            Event::SecondFactorConfirmed { used_step, recovery_code_hashes } => state.map(|user| {
                user.with_factor(|it| SecondFactor {
                    is_confirmed: true,
                    used_step: Some(*used_step),
                    recovery_code_hashes: recovery_code_hashes.clone(),
                    ..it
                })
            }),
            Event::CodeUsed { used_step } => state
                .map(|user| user.with_factor(|it| SecondFactor { used_step: Some(*used_step), wrong_codes: 0, ..it })),
            Event::RecoveryCodeUsed { recovery_code_hash, left: _ } => state.map(|user| {
                user.with_factor(|mut it| {
                    it.recovery_code_hashes.retain(|hash| hash != recovery_code_hash);
                    SecondFactor { wrong_codes: 0, ..it }
                })
            }),
            Event::CodeRefused { wrong_codes } => {
                state.map(|user| user.with_factor(|it| SecondFactor { wrong_codes: *wrong_codes, ..it }))
            }
            Event::SecondFactorRemoved { reason: _ } => state.map(|it| Self { second_factor: None, ..it }),
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::User(id))
    }
}
