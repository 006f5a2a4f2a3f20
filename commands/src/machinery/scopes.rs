//! The sets in which keys are claimed. A scope is stored: it is never renamed.

/// Unique: the name of a role.
pub const ROLE_NAME: &str = "role.name";
/// Unique: the address of a user.
pub const USER_EMAIL: &str = "user.email";
/// Unique: the patient whom a user is.
pub const USER_PATIENT: &str = "user.patient";
/// Shared: the sessions of a user.
pub const USER_SESSIONS: &str = "user.sessions";
/// Shared: the users with a role, by role name; tells whether there is an administrator.
pub const USERS_WITH_ROLE: &str = "user.role";
/// Unique: the hash of a session's token.
pub const SESSION_TOKEN: &str = "session.token";
/// Unique: the code of a department.
pub const DEPARTMENT_CODE: &str = "department.code";
/// Unique: the number of a room in its department.
pub const ROOM_NUMBER: &str = "room.number";
/// Unique: a medical record number. Issued by the server.
pub const PATIENT_MRN: &str = "patient.mrn";
/// Unique: another system's identifier of a patient.
pub const PATIENT_IDENTIFIER: &str = "patient.identifier";
/// Unique: an allergy, of whichever patient. Never given back.
pub const PATIENT_ALLERGY: &str = "patient.allergy";
/// Shared: patients born on a day.
pub const PATIENT_BIRTH_DATE: &str = "patient.birth_date";
/// Shared: patients with a social security number.
pub const PATIENT_SSN: &str = "patient.ssn";
/// Unique: the consultation of an appointment.
pub const APPOINTMENT_CONSULTATION: &str = "appointment.consultation";
/// Unique: the RxNorm concept of a product.
pub const MEDICATION_RXNORM: &str = "medication.rxnorm";
/// Unique: a lot of a medication at a place.
pub const LOT_NUMBER: &str = "medication_lot.number";
/// Shared: the lots of a medication.
pub const LOTS_OF_MEDICATION: &str = "medication_lot.medication";
/// Unique: the number of a prescription. Issued by the server.
pub const PRESCRIPTION_NUMBER: &str = "prescription.number";

/// Whether the server draws the keys of a scope: one that is taken is drawn again instead of refused.
pub(crate) fn is_drawn(scope: &str) -> bool {
    scope == PATIENT_MRN || scope == PRESCRIPTION_NUMBER
}

/// One key of several parts. No text of the domain holds the separator, a control character, so two lists of parts
/// never make the same key.
pub fn key(parts: &[&str]) -> String {
    parts.join("\u{1f}")
}
