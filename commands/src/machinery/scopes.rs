//! The scopes in which streams claim keys. The name of a scope is stored with each claim, so it is never renamed.

/// Unique: the name of a role.
pub const ROLE_NAME: &str = "role.name";
/// Unique: the e-mail address of a user.
pub const USER_EMAIL: &str = "user.email";
/// Unique: the identity at an OpenID provider with which a user logs in, by issuer and subject.
pub const USER_IDENTITY: &str = "user.identity";
/// Unique: the id that a device gave the key of a passkey, in base64url.
pub const USER_PASSKEY: &str = "user.passkey";
/// Unique: the patient to whom a user's login belongs.
pub const USER_PATIENT: &str = "user.patient";
/// Shared: the sessions of a user that have not ended, by user id.
pub const USER_SESSIONS: &str = "user.sessions";
/// Shared: the users who have a role, by role id. Tells whether another administrator is left.
pub const USERS_WITH_ROLE: &str = "user.role";
/// Shared: the users who work in a department, by department id.
pub const USERS_OF_DEPARTMENT: &str = "user.department";
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
/// Shared: what a patient allows or forbids and has not withdrawn, by patient id, scope and user id.
pub const CONSENTS: &str = "consent.matter";
/// Shared: the erasures of a person that were asked for or confirmed, by the id of the person.
pub const ERASURES_OF_PERSON: &str = "erasure.person";
/// Shared: the legal holds on the records of a person that were not released, by the id of the person.
pub const HOLDS_OF_PERSON: &str = "legal_hold.person";
/// Unique: the note on an appointment that another note amends.
pub const NOTE_AMENDS: &str = "note.amends";
/// Shared: the entries of a patient on the waiting list who still waits or has an offer, by patient id.
pub const WAITLIST_OF_PATIENT: &str = "waitlist.patient";
/// Shared: the entries of patients who wait for anybody of a department, by department id.
pub const WAITLIST_OF_DEPARTMENT: &str = "waitlist.department";
/// Shared: the entries of patients who wait for a certain provider, by user id.
pub const WAITLIST_OF_PROVIDER: &str = "waitlist.provider";
/// Unique: the appointment that led to a consultation.
pub const APPOINTMENT_CONSULTATION: &str = "appointment.consultation";
/// Shared: the consultations of a patient that are in progress, by patient id.
pub const OPEN_CONSULTATIONS: &str = "consultation.open";
/// Unique: the id of a step or symptom, across all consultations. Never given back.
pub const CONSULTATION_PART: &str = "consultation.part";
/// Unique: the id of a diagnosis, across all consultations. Never given back. Tells the consultation of a diagnosis.
pub const DIAGNOSIS: &str = "consultation.diagnosis";
/// Shared: the entries about one vaccine that a patient got, by patient and CVX code.
pub const HISTORY_IMMUNIZATION: &str = "history.immunization";
/// Unique: the id of an entry of a medication list, across all patients. Never given back.
pub const MEDICATION_ENTRY: &str = "medication_list.entry";
/// Shared: the final results with an exact number of a component, by patient, LOINC code and span of time.
pub const LAB_LATEST: &str = "lab.latest";
/// Unique: the LOINC code of a laboratory test.
pub const LAB_TEST_CODE: &str = "lab_test.code";
/// Unique: the number of a laboratory order, issued by the server.
pub const LAB_ORDER_NUMBER: &str = "lab_order.number";
/// Unique: the id of an item, across all laboratory orders. Never given back. Tells the order of an item.
pub const LAB_ORDER_ITEM: &str = "lab_order.item";
/// Unique: the id of a specimen, across all laboratory orders. Never given back. Tells the order of a specimen.
pub const SPECIMEN: &str = "lab_order.specimen";
/// Unique: the number of a specimen, issued by the server.
pub const SPECIMEN_NUMBER: &str = "lab_order.specimen_number";
/// Shared: the orders in which a laboratory test is still to be done for a patient, by patient id and test id.
pub const LAB_PENDING: &str = "lab.pending";
/// Unique: the RxNorm code of a product.
pub const MEDICATION_RXNORM: &str = "medication.rxnorm";
/// Unique: the lot number of a medication at a place of storage.
pub const LOT_NUMBER: &str = "medication_lot.number";
/// Shared: the lots of a medication, by medication id.
pub const LOTS_OF_MEDICATION: &str = "medication_lot.medication";
/// Unique: the code of a supplier.
pub const SUPPLIER_CODE: &str = "supplier.code";
/// Unique: the stock-keeping unit of an article.
pub const INVENTORY_ITEM_SKU: &str = "inventory_item.sku";
/// Shared: the articles that are a medicine, by medication id.
pub const ITEMS_OF_MEDICATION: &str = "inventory_item.medication";
/// Shared: the levels of an article, by the id of the article.
pub const LEVELS_OF_ITEM: &str = "inventory_level.item";
/// Unique: the number of a prescription, issued by the server.
pub const PRESCRIPTION_NUMBER: &str = "prescription.number";
/// Unique: the code of a payer.
pub const PAYER_CODE: &str = "payer.code";
/// Shared: the insurance policies of a patient, by patient id.
pub const POLICY_PATIENT: &str = "policy.patient";
/// Unique: the id of a line or payment, across all billing records. Never given back, even when the line is removed.
pub const BILLING_PART: &str = "billing.part";
/// Unique: what a line charges for, by the kind, the id and the occasion of the source.
pub const BILLING_SOURCE: &str = "billing.source";
/// Shared: the billing records that charge for a source, by the kind and the id of the source.
pub const CHARGED_SOURCE: &str = "billing.charged_source";
/// Shared: the billing records without an invoice, by consultation id, or by patient id and day.
pub const PENDING_BILLING: &str = "billing.pending";
/// Unique: the number of an invoice, issued by the server.
pub const INVOICE_NUMBER: &str = "billing.invoice_number";
/// Unique: the number of a receipt, issued by the server.
pub const RECEIPT_NUMBER: &str = "billing.receipt_number";
/// Unique: the number of an insurance claim, issued by the server.
pub const CLAIM_NUMBER: &str = "claim.number";
/// Unique: the id of an adjudication or reversal, across all claims. Never given back.
pub const CLAIM_PAYMENT: &str = "claim.payment";
/// Unique: the trace number of an adjudication or reversal of a claim, by claim, number and kind. Never given back.
pub const CLAIM_TRACE: &str = "claim.trace";
/// Shared: the claims for a billing record, by the id of the record.
pub const CLAIMS_OF_RECORD: &str = "claim.record";
/// Unique: the occasion of a notification, by type, patient and key of the occasion.
pub const NOTIFICATION_OCCASION: &str = "notification.dedupe";
/// Unique: a run of a schedule of reports, by schedule and minute of the clock on the wall.
pub const REPORT_RUN: &str = "report.run";

/// Whether the server draws the keys of a scope. If a drawn key is taken, the command is decided again with a new draw.
pub(crate) fn is_drawn(scope: &str) -> bool {
    [PATIENT_MRN, PRESCRIPTION_NUMBER, CLAIM_NUMBER, INVOICE_NUMBER, RECEIPT_NUMBER, LAB_ORDER_NUMBER, SPECIMEN_NUMBER]
        .contains(&scope)
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
