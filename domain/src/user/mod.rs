//! Users: everybody who can log in, and every provider of care.

mod passkey;
mod second_factor;
mod service;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::role::Permissions;
use crate::values::{Email, Name, Phone, Reason, Text};
use crate::{
    Aggregate, ClientSecretId, DepartmentId, ErasureId, PasskeyId, PatientId, Personal, RoleId, SessionId, Subject,
    described,
};
pub use passkey::Passkey;
pub use second_factor::{RecoveryCodeHash, SecondFactor};
pub use service::{ClientSecret, Service};

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
    /// The identities with which the user logs in at an OpenID provider.
    pub identities: Vec<ExternalIdentity>,
    /// The passkeys with which the user logs in, the oldest first.
    pub passkeys: Vec<Passkey>,
    /// What makes the user a service account; `None` for a person.
    pub service: Option<Service>,
    /// Whether the user is active. An inactive user can neither log in nor be booked.
    pub is_active: bool,
}

described! {
    /// An identity at an OpenID provider.
    pub struct ExternalIdentity {
        /// The provider, by the URL that it calls itself (`iss`).
        pub issuer: Text<500>,
        /// What the provider calls the person (`sub`). The provider never gives the name to anybody else.
        pub subject: Personal<Text<255>>,
    }
}

impl ExternalIdentity {
    /// What tells the identity from all others; `None` if the person was erased.
    pub fn key(&self) -> Option<[&str; 2]> {
        Some([self.issuer.as_str(), self.subject.known()?.as_str()])
    }
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
        /// The session that began with the code, or for which it was given.
        session_id: Option<SessionId>,
    },
    /// Somebody who knew the password gave a wrong code.
    CodeRefused {
        /// How many wrong codes were given since the last right one.
        wrong_codes: u32,
    },
    /// The user became a service account, or the permissions changed that it has of those of its roles.
    ScopesSet {
        /// The permissions.
        scopes: Permissions,
    },
    /// The service account got a new secret.
    ClientSecretAdded {
        /// The secret's id.
        secret_id: ClientSecretId,
        /// The SHA-256 hash of the secret in hexadecimal digits, sealed like every personal value.
        client_secret_hash: Personal<String>,
        /// Until when the secret is good.
        expires_at: DateTime<Utc>,
        /// Until when the last secret before is good at most; secrets before that one are not good any more.
        former_expires_at: DateTime<Utc>,
    },
    /// A secret of the service account is not good any more.
    ClientSecretEnded {
        /// The secret's id.
        secret_id: ClientSecretId,
    },
    /// The user was linked to an identity at an OpenID provider.
    IdentityLinked(ExternalIdentity),
    /// The user is no longer linked to an identity at an OpenID provider.
    IdentityUnlinked(ExternalIdentity),
    /// The user made a passkey, with which the user can log in from then on.
    PasskeyAdded {
        /// The passkey's id.
        passkey_id: PasskeyId,
        /// What the user calls the passkey.
        name: Personal<Name<100>>,
        /// The id that the user's device gave the key, in base64url.
        credential_id: Personal<String>,
        /// What the device told of the key, as the library for WebAuthn writes that.
        credential: Personal<String>,
        /// When the passkey was made.
        added_at: DateTime<Utc>,
    },
    /// The user proved with a passkey who they are.
    PasskeyUsed {
        /// The passkey's id.
        passkey_id: PasskeyId,
        /// What is known of the key from now on, if that changed: a device may count how often it signs.
        credential: Option<Personal<String>>,
        /// When the passkey was used.
        used_at: DateTime<Utc>,
    },
    /// A passkey of the user is not good any more.
    PasskeyRemoved {
        /// The passkey's id.
        passkey_id: PasskeyId,
    },
    /// The second factor was removed: a login asks for the password only.
    SecondFactorRemoved {
        /// Why the second factor was removed.
        reason: Personal<Reason>,
    },
    /// The user was erased: the key that opens what is said about them was destroyed together with this event.
    Erased {
        /// The erasure that was confirmed.
        erasure_id: ErasureId,
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

    /// Whether the user was erased, so that nobody knows any more who the user is.
    pub fn is_erased(&self) -> bool {
        self.email.known().is_none()
    }

    /// The second factor for which a login asks; `None` if the user has none, or has not confirmed it.
    pub fn confirmed_factor(&self) -> Option<&SecondFactor> {
        self.second_factor.as_ref().filter(|it| it.is_confirmed)
    }

    fn with_passkeys(mut self, change: impl FnOnce(&mut Vec<Passkey>)) -> Self {
        change(&mut self.passkeys);
        self
    }

    /// The user as a service account that has changed; the same user if it is none.
    fn with_service(self, change: impl FnOnce(Service) -> Service) -> Self {
        Self { service: self.service.map(change), ..self }
    }

    /// The user with a second factor that has changed; the same user if there is none.
    fn with_factor(self, change: impl FnOnce(SecondFactor) -> SecondFactor) -> Self {
        Self { second_factor: self.second_factor.map(change), ..self }
    }
}

impl Aggregate for User {
    const STREAM: &'static str = "user";
    const STATE_VERSION: i32 = 4;
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
                identities: Vec::new(),
                passkeys: Vec::new(),
                service: None,
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
            Event::SecondFactorEnrolled { second_factor_secret } => {
                state.map(|it| Self { second_factor: Some(SecondFactor::enrolled(second_factor_secret.clone())), ..it })
            }
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
            Event::RecoveryCodeUsed { recovery_code_hash, left: _, session_id } => state.map(|user| {
                user.with_factor(|mut it| {
                    it.recovery_code_hashes.retain(|hash| hash != recovery_code_hash);
                    SecondFactor { wrong_codes: 0, recovered_in: *session_id, ..it }
                })
            }),
            Event::CodeRefused { wrong_codes } => {
                state.map(|user| user.with_factor(|it| SecondFactor { wrong_codes: *wrong_codes, ..it }))
            }
            Event::ScopesSet { scopes } => state.map(|it| {
                let secrets = it.service.map(|before| before.secrets).unwrap_or_default();
                Self { service: Some(Service { scopes: scopes.clone(), secrets }), ..it }
            }),
            Event::ClientSecretAdded { secret_id, client_secret_hash, expires_at, former_expires_at } => {
                let (secret_id, client_secret_hash, expires_at) = (*secret_id, client_secret_hash.clone(), *expires_at);
                let added = ClientSecret { secret_id, client_secret_hash, expires_at };
                state.map(|user| user.with_service(|it| it.with_secret(added, *former_expires_at)))
            }
            Event::ClientSecretEnded { secret_id } => state.map(|user| {
                user.with_service(|mut it| {
                    it.secrets.retain(|secret| secret.secret_id != *secret_id);
                    it
                })
            }),
            Event::IdentityLinked(identity) => state.map(|mut it| {
                it.identities.push(identity.clone());
                it
            }),
            Event::IdentityUnlinked(identity) => state.map(|mut it| {
                it.identities.retain(|linked| linked != identity);
                it
            }),
            Event::PasskeyAdded { passkey_id, name, credential_id, credential, added_at } => state.map(|it| {
                let added = Passkey::added(*passkey_id, name, (credential_id, credential), *added_at);
                it.with_passkeys(|all| all.push(added))
            }),
            Event::PasskeyUsed { passkey_id, credential, used_at } => state
                .map(|it| it.with_passkeys(|all| passkey::note_use(all, *passkey_id, credential.as_ref(), *used_at))),
            Event::PasskeyRemoved { passkey_id } => {
                state.map(|it| it.with_passkeys(|all| all.retain(|key| key.passkey_id != *passkey_id)))
            }
            Event::SecondFactorRemoved { reason: _ } => state.map(|it| Self { second_factor: None, ..it }),
            Event::Erased { erasure_id: _ } => state.map(|it| Self {
                email: Personal::Erased,
                patient_id: None,
                password_hash: None,
                second_factor: None,
                identities: Vec::new(),
                passkeys: Vec::new(),
                is_active: false,
                ..it
            }),
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::User(id))
    }
}
