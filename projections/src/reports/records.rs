//! Reports on the records of patients: what is not signed, who has looked, and to whom something was told.

use super::ColumnKind::{Boolean, Id, Instant, Integer, Text};
use super::ParameterKind::{Count, Day, Id as IdOf};
use super::{Category, Report, column, optional, preset, required};

pub(super) const UNSIGNED_CONSULTATIONS: Report = Report {
    code: "unsigned-consultations",
    version: 1,
    title: "Consultations that are not signed",
    description: "Completed consultations that wait for the signature of their provider.",
    category: Category::Records,
    contains_phi: false,
    words: &["read:clinical_records"],
    parameters: &[preset(
        "older_than_hours",
        Count { least: 0, most: 8760 },
        "24",
        "Only consultations that were completed so many hours ago or more.",
    )],
    columns: &[
        column("consultation_id", Id, "Consultation id"),
        column("provider_id", Id, "Provider id"),
        column("provider", Text, "Provider"),
        column("completed_at", Instant, "Completed"),
        column("hours", Integer, "Hours since then"),
    ],
    sql: include_str!("unsigned_consultations.sql"),
};

pub(super) const PATIENT_ACCESS: Report = Report {
    code: "patient-access",
    version: 1,
    title: "What was done with the records of a patient",
    description: "Who saw or did what with the records of a patient, when, in which role, for what and from where.",
    category: Category::Records,
    contains_phi: true,
    words: &["read:audit_logs"],
    parameters: &[
        required("patient", IdOf("patient"), "The patient, by any of their records that were merged."),
        optional("from", Day, "The first day."),
        optional("to", Day, "The last day."),
    ],
    columns: &[
        column("position", Integer, "Position"),
        column("time", Instant, "Time"),
        column("user_id", Id, "User id"),
        column("user_name", Text, "User"),
        column("role", Text, "Role"),
        column("purpose_of_use", Text, "Purpose"),
        column("action", Text, "Action"),
        column("resource", Text, "What"),
        column("resource_id", Id, "Record"),
        column("patient_id", Id, "Record of the patient"),
        column("success", Boolean, "Done"),
        column("address", Text, "Address"),
        column("emergency_access_id", Id, "Access in an emergency"),
    ],
    sql: include_str!("patient_access.sql"),
};

pub(super) const DISCLOSURES: Report = Report {
    code: "disclosures",
    version: 1,
    title: "Disclosures of what is recorded about a patient",
    description: "To whom something of a patient's record was disclosed, when and for what. What served treatment, \
                  payment or the hospital's own work is left out.",
    category: Category::Records,
    contains_phi: true,
    words: &["read:disclosures", "read:own_records"],
    parameters: &[
        required("patient", IdOf("patient"), "The patient, by any of their records that were merged."),
        preset("years", Count { least: 1, most: 6 }, "6", "How many years back."),
    ],
    columns: &[
        column("disclosed_at", Instant, "Time"),
        column("recipient", Text, "To whom"),
        column("address", Text, "Address"),
        column("description", Text, "What"),
        column("purpose", Text, "Purpose"),
        column("statement", Text, "Purpose in words"),
        column("patient_id", Id, "Record of the patient"),
        column("disclosure_id", Id, "Disclosure id"),
    ],
    sql: include_str!("disclosures.sql"),
};

pub(super) const OPEN_EMERGENCY_ACCESSES: Report = Report {
    code: "open-emergency-accesses",
    version: 1,
    title: "Accesses in emergencies that nobody has reviewed",
    description: "Who took access to a patient's records in an emergency, and waits for how long for a review.",
    category: Category::Records,
    contains_phi: true,
    words: &["read:audit_logs"],
    parameters: &[preset(
        "older_than_hours",
        Count { least: 0, most: 8760 },
        "0",
        "Only accesses that were taken so many hours ago or more.",
    )],
    columns: &[
        column("emergency_access_id", Id, "Access id"),
        column("user_id", Id, "User id"),
        column("user_name", Text, "User"),
        column("role", Text, "Role"),
        column("patient_id", Id, "Patient id"),
        column("reason", Text, "Reason"),
        column("granted_at", Instant, "Since"),
        column("ends_at", Instant, "Until"),
        column("hours", Integer, "Hours without a review"),
    ],
    sql: include_str!("open_emergency_accesses.sql"),
};
