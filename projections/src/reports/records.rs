//! Reports on the records of patients: what is not signed, and who has looked.

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
    description: "Who did what with the records of a patient, and when.",
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
        column("action", Text, "Action"),
        column("resource_type", Text, "Kind of record"),
        column("resource_id", Id, "Record"),
        column("patient_id", Id, "Record of the patient"),
        column("success", Boolean, "Done"),
        column("address", Text, "Address"),
    ],
    sql: include_str!("patient_access.sql"),
};
