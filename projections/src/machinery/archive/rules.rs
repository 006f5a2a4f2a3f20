//! Which tables have an archive, and when a row is at rest.

/// A table that has an archive. Every table that refers to such a table has one too, so that a row never stays behind
/// whose parent is archived.
#[derive(Debug)]
pub(super) struct Archived {
    /// The name of the table. That of its archive ends in `_archive`.
    pub(super) table: &'static str,
    /// The condition under which a row is at rest: what it is about was closed before the instant `$2`.
    pub(super) at_rest: &'static str,
}

const fn of(table: &'static str, at_rest: &'static str) -> Archived {
    Archived { table, at_rest }
}

/// The condition for rows that have neither a status nor a date of their own: the rows to which they refer decide.
const WITH_OTHERS: &str = "true";

/// The tables that have an archive: those of the schema document, and all that refer to them. A unit, which is all rows
/// that refer to each other, is archived if each of its rows is at rest.
pub(super) const ARCHIVED: &[Archived] = &[
    of("consultations", "status in ('completed', 'cancelled') and coalesce(completed_at, started_at) < $2"),
    of("consultation_steps", WITH_OTHERS),
    of("symptoms", WITH_OTHERS),
    of("diagnoses", WITH_OTHERS),
    of("consultation_amendments", "amended_at < $2"),
    of("treatments", "status in ('completed', 'stopped', 'not_done', 'entered_in_error')"),
    of("vital_signs", "recorded_at < $2"),
    of("prescriptions", "status in ('dispensed', 'cancelled')"),
    of("prescription_items", WITH_OTHERS),
    of("prescription_alerts", WITH_OTHERS),
    of("patient_medications", "status in ('stopped', 'completed', 'entered_in_error')"),
    of("lab_orders", "status in ('completed', 'cancelled')"),
    of("lab_order_items", WITH_OTHERS),
    of("specimens", "collected_at < $2"),
    // X: there is no result; W: it is of another patient (HL7 table 0085).
    of(
        "lab_results",
        "(status = 'reviewed' or result_status in ('X', 'W')) and coalesce(corrected_at, performed_at) < $2",
    ),
    of("lab_result_components", WITH_OTHERS),
    of("billing_records", "status in ('paid', 'written_off', 'cancelled') and coalesce(billed_at, opened_on) < $2"),
    of("billing_items", WITH_OTHERS),
    of("billing_payments", "received_at < $2"),
    of("billing_adjustments", "adjusted_at < $2"),
    of("insurance_claims", "status not in ('draft', 'submitted', 'accepted', 'pending', 'appealed')"),
    of("claim_payments", WITH_OTHERS),
];

/// The tables whose rows are searched for units, each with the condition of the schema document.
pub(super) const ROOTS: [(&str, &str); 2] = [
    ("consultations", "status = 'completed' and completed_at < $2"),
    ("billing_records", "status in ('paid', 'written_off') and billed_at < $2"),
];

/// The name of the archive of a table.
pub(super) fn archive_of(table: &str) -> String {
    format!("{table}_archive")
}
