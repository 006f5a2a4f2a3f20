use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::user::{Event, PasswordHash, Profile};
use hims_domain::{Personal, RoleId};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::{known_text, phone, text_or_erased};

table! {
    /// One row per user.
    UserRow in "users",
    narrowed [email, phone] to [Staff],
    narrowed [patient_id] to [AllPatients],
    narrowed [is_email_verified, must_change_password, has_second_factor, is_service_account, last_login_at,
        password_changed_at] to [],
    stamped by (created_by, updated_by) {
        /// The user.
        id: Uuid [indexed],
        /// The e-mail address with which the user logs in, in lower case.
        email: String [personal, indexed],
        /// The Argon2id hash of the password; `!` if the user cannot log in.
        password_hash: String [hidden],
        /// Given name of the user; null for a user who has only one name.
        first_name: Option<String> [personal],
        /// Family name of the user; null for a user of whom only the given name is known.
        last_name: Option<String> [personal, indexed],
        /// Phone number in E.164.
        phone: Option<String> [personal],
        /// The URL of a picture of the user.
        avatar_url: Option<String> [personal],
        /// The primary role of the user.
        role_id: Uuid [indexed],
        /// The department in which the user works.
        department_id: Option<Uuid> [indexed],
        /// The patient who the user is: a user of the patient portal, or a member of staff who is a patient as well.
        patient_id: Option<Uuid> [indexed],
        /// Whether the user is active. An inactive user can neither log in nor be booked.
        is_active: bool [indexed],
        /// Whether the e-mail address was verified.
        is_email_verified: bool,
        /// Whether the user must change the password before doing anything else.
        must_change_password: bool,
        /// Whether a login asks for a code of a second factor besides the password.
        has_second_factor: bool,
        /// Whether the user is a program that logs in with a secret, and no person.
        is_service_account: bool,
        /// When the user last logged in.
        last_login_at: Option<DateTime<Utc>> [indexed],
        /// When the password was last changed.
        password_changed_at: Option<DateTime<Utc>>,
    }
}

table! {
    /// One row per role of a user.
    AssignmentRow in "user_role_assignments", children of user_id, stamped once {
        /// The id of the row, derived from the user and the role.
        id: Uuid [indexed],
        /// The user.
        user_id: Uuid [indexed],
        /// The role.
        role_id: Uuid [indexed],
        /// Whether the role is the primary role of the user.
        is_primary: bool,
    }
}

fn set_profile(row: &mut UserRow, profile: &Profile) {
    row.first_name = profile.first_name.as_ref().map(text_or_erased);
    row.last_name = profile.last_name.as_ref().map(text_or_erased);
    row.phone = phone(profile.phone.as_ref());
    row.avatar_url = known_text(profile.avatar_url.as_ref());
}

/// The value of `password_hash` for a user who cannot log in; no password has this hash.
const NO_PASSWORD: &str = "!";

fn hash(hash: Option<&PasswordHash>) -> String {
    hash.and_then(Personal::known).map_or(NO_PASSWORD, String::as_str).to_owned()
}

fn assignments(event: &Projected<'_, Event>, role_id: RoleId, additional: &BTreeSet<RoleId>) -> Vec<AssignmentRow> {
    let others = additional.iter().copied().filter(|it| *it != role_id);
    let roles = std::iter::once((role_id, true)).chain(others.map(|it| (it, false)));
    let row = |(role, is_primary): (RoleId, bool)| AssignmentRow {
        id: derived_id(event.stream_id, &[&role.to_string()]),
        user_id: event.stream_id,
        role_id: role.into(),
        is_primary,
        stamps: event.stamps(),
    };
    roles.map(row).collect()
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    users: &mut Changes<'e, UserRow>,
    roles: &mut Changes<'e, AssignmentRow>,
) {
    let at = event.recorded_at;
    match event.data {
        Event::Created(it) => {
            let mut row = UserRow {
                id: event.stream_id,
                email: it
                    .email
                    .known()
                    .map_or_else(|| format!("{}@erased.invalid", event.stream_id), |email| email.as_str().to_owned()),
                password_hash: hash(it.password_hash.as_ref()),
                first_name: None,
                last_name: None,
                phone: None,
                avatar_url: None,
                role_id: it.role_id.into(),
                department_id: it.department_id.map(Uuid::from),
                patient_id: None,
                is_active: true,
                is_email_verified: false,
                must_change_password: it.must_change_password,
                has_second_factor: false,
                is_service_account: false,
                last_login_at: None,
                password_changed_at: it.password_hash.as_ref().map(|_| event.recorded_at),
                stamps: event.stamps(),
            };
            set_profile(&mut row, &it.profile);
            users.insert(row);
            roles.replace(event.stream_id, assignments(event, it.role_id, &it.additional_role_ids));
        }
        Event::ProfileChanged(profile) => users.change(event, |row| set_profile(row, profile)),
        Event::RoleChanged { role_id, additional_role_ids } => {
            users.change(event, |row| row.role_id = (*role_id).into());
            roles.replace(event.stream_id, assignments(event, *role_id, additional_role_ids));
        }
        Event::DepartmentChanged { department_id } => {
            users.change(event, |row| row.department_id = department_id.map(Uuid::from));
        }
        Event::Deactivated => users.change(event, |row| row.is_active = false),
        Event::Reactivated => users.change(event, |row| row.is_active = true),
        Event::PasswordChanged { password_hash, must_change_password } => users.change(event, move |row| {
            row.password_hash = hash(Some(password_hash));
            row.must_change_password = *must_change_password;
            row.password_changed_at = Some(at);
        }),
        Event::LinkedToPatient { patient_id } => users.change(event, |row| row.patient_id = Some((*patient_id).into())),
        Event::UnlinkedFromPatient => users.change(event, |row| row.patient_id = None),
        Event::SecondFactorConfirmed { .. } => users.change(event, |row| row.has_second_factor = true),
        Event::SecondFactorRemoved { .. } => users.change(event, |row| row.has_second_factor = false),
        // What was said about the user is taken out of all tables.
        Event::Erased { .. } => users.change(event, |row| {
            row.patient_id = None;
            row.password_hash = hash(None);
            row.has_second_factor = false;
            row.is_active = false;
        }),
        Event::ScopesSet { .. } => users.change(event, |row| row.is_service_account = true),
        Event::SecondFactorEnrolled { .. }
        | Event::CodeUsed { .. }
        | Event::RecoveryCodeUsed { .. }
        | Event::CodeRefused { .. }
        | Event::ClientSecretAdded { .. }
        | Event::ClientSecretEnded { .. }
        | Event::IdentityLinked(_)
        | Event::IdentityUnlinked(_)
        | Event::PasskeyAdded { .. }
        | Event::PasskeyUsed { .. }
        | Event::PasskeyRemoved { .. } => users.touch(event),
    }
}
