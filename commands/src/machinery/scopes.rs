//! The scopes in which streams claim keys. The name of a scope is stored with each claim, so it is never renamed.

/// Unique: the name of a role.
pub const ROLE_NAME: &str = "role.name";
/// Unique: the e-mail address of a user.
pub const USER_EMAIL: &str = "user.email";
/// Unique: the patient to whom a user's login belongs.
pub const USER_PATIENT: &str = "user.patient";
/// Shared: the sessions of a user that have not ended, by user id.
pub const USER_SESSIONS: &str = "user.sessions";
/// Shared: the users who have a role, by role id. Tells whether another administrator is left.
pub const USERS_WITH_ROLE: &str = "user.role";
/// Unique: the hash of a session's token.
pub const SESSION_TOKEN: &str = "session.token";
/// Unique: the id of a provider's leave, across all providers. Never given back, even when the leave is cancelled.
pub const PROVIDER_LEAVE: &str = "provider.leave";
/// Unique: the code of a department.
pub const DEPARTMENT_CODE: &str = "department.code";
/// Unique: the number of a room in its department.
pub const ROOM_NUMBER: &str = "room.number";
/// Unique: the medical record number of a patient, issued by the server.
pub const PATIENT_MRN: &str = "patient.mrn";
/// Unique: the identifier that another system gave a patient.
pub const PATIENT_IDENTIFIER: &str = "patient.identifier";
/// Unique: the id of an allergy, across all patients. Never given back, even when the allergy is retired.
pub const PATIENT_ALLERGY: &str = "patient.allergy";
/// Unique: the id of an emergency contact, across all patients.
pub const PATIENT_EMERGENCY_CONTACT: &str = "patient.emergency_contact";
/// Shared: the patients with a name, which is folded.
pub const PATIENT_NAME: &str = "patient.name";
/// Shared: the patients with a name whose birthday is not known exactly.
pub const PATIENT_NAME_WITHOUT_BIRTHDAY: &str = "patient.name_without_birthday";
/// Shared: the patients born on a day.
pub const PATIENT_BIRTH_DATE: &str = "patient.birth_date";
/// Shared: the patients with a social security number.
pub const PATIENT_SSN: &str = "patient.ssn";
/// Unique: the note on an appointment that another note amends.
pub const NOTE_AMENDS: &str = "note.amends";
/// Unique: the appointment that led to a consultation.
pub const APPOINTMENT_CONSULTATION: &str = "appointment.consultation";
/// Shared: the consultations of a patient that are in progress, by patient id.
pub const OPEN_CONSULTATIONS: &str = "consultation.open";
/// Unique: the id of a step or symptom, across all consultations. Never given back.
pub const CONSULTATION_PART: &str = "consultation.part";
/// Unique: the id of a diagnosis, across all consultations. Never given back. Tells the consultation of a diagnosis.
pub const DIAGNOSIS: &str = "consultation.diagnosis";
/// Shared: the entries about one vaccine that a patient got on one day, by patient, CVX code and day.
pub const HISTORY_IMMUNIZATION: &str = "history.immunization";
/// Unique: the id of an entry of a medication list, across all patients. Never given back.
pub const MEDICATION_ENTRY: &str = "medication_list.entry";
/// Unique: the RxNorm code of a product.
pub const MEDICATION_RXNORM: &str = "medication.rxnorm";
/// Unique: the lot number of a medication at a place of storage.
pub const LOT_NUMBER: &str = "medication_lot.number";
/// Shared: the lots of a medication, by medication id.
pub const LOTS_OF_MEDICATION: &str = "medication_lot.medication";
/// Unique: the number of a prescription, issued by the server.
pub const PRESCRIPTION_NUMBER: &str = "prescription.number";
/// Unique: the code of a payer.
pub const PAYER_CODE: &str = "payer.code";
/// Shared: the insurance policies of a patient, by patient id.
pub const POLICY_PATIENT: &str = "policy.patient";
/// Unique: the occasion of a notification, by type, patient and key of the occasion.
pub const NOTIFICATION_OCCASION: &str = "notification.dedupe";

/// Whether the server draws the keys of a scope. If a drawn key is taken, the command is decided again with a new draw.
pub(crate) fn is_drawn(scope: &str) -> bool {
    scope == PATIENT_MRN || scope == PRESCRIPTION_NUMBER
}

/// Joins several parts to one key. The separator is a control character, which no text of the domain contains, so two
/// different lists of parts never make the same key.
pub fn key(parts: &[&str]) -> String {
    parts.join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use hims_domain::Described as _;
    use hims_domain::values::Text;

    use super::*;

    #[test]
    fn parts_that_hold_a_separator_of_other_systems_make_keys_of_their_own() {
        assert_ne!(key(&["urn:a|b", "c"]), key(&["urn:a", "b|c"]));
        assert!(!Text::<100>::from("a\u{1f}b").is_valid(), "no text of a request holds the separator of keys");
    }
}
