//! What the demo hospital shows.

use super::Hospital;
use super::tables::{contents, count};

/// What goes wrong and what emergencies bring, which a demo does not show, and what people decide about single patients.
const EMPTY: [&str; 7] = [
    "care_team_assignments",
    "consents",
    "emergency_accesses",
    "erasures",
    "legal_holds",
    "process_failures",
    "projection_failures",
];

#[tokio::test]
async fn every_table_of_the_demo_has_rows() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let rows = contents(hospital.owner(), "hims").await;
    let empty: Vec<_> = rows.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert_eq!(empty, EMPTY);
}

/// What the demo shows: rows, with how many of them there are at least.
const SHOWN: [(&str, i64); 30] = [
    ("patients", 25),
    ("appointments where status = 'scheduled'", 5),
    ("appointments where status = 'confirmed' and starts_at > now()", 2),
    ("appointments where status = 'checked_in'", 1),
    ("appointments where status = 'in_progress' and starts_at <= now()", 1),
    ("appointments where status = 'completed' and starts_at < now()", 2),
    ("appointments where status = 'cancelled' and starts_at < now()", 2),
    ("appointments where status = 'no_show' and starts_at < now()", 1),
    ("appointments where series_id is not null", 4),
    ("waitlist_entries where status = 'offered'", 1),
    ("consultations where status = 'in_progress'", 1),
    ("consultations where status = 'cancelled'", 1),
    ("consultations where status = 'completed' and signed_at is null", 1),
    ("consultations where status = 'completed' and signed_by = provider_id", 1),
    ("consultation_amendments", 1),
    ("prescriptions where status = 'pending'", 1),
    ("prescriptions where status = 'sent_to_pharmacy'", 1),
    ("prescriptions where status = 'ready'", 1),
    ("prescriptions where status = 'dispensed'", 2),
    ("prescriptions where status = 'cancelled'", 1),
    ("prescription_items where refills_used = 1 and quantity_dispensed = 2 * quantity", 1),
    ("prescription_items where override_reason is not null", 1),
    ("inventory_transactions where transaction_type = 'waste' and witnessed_by <> performed_by", 1),
    ("lab_results where critical_raised_at is not null and critical_acknowledged_at is null", 1),
    ("lab_results where result_status = 'C' and corrected_at is not null", 1),
    ("billing_records where status = 'billed'", 1),
    ("insurance_claims where status = 'denied'", 1),
    ("insurance_claims where status = 'paid'", 1),
    ("report_executions where status = 'cancelled'", 1),
    ("notification_recipients where status = 'read'", 1),
];

#[tokio::test]
async fn the_demo_shows_the_states_of_a_hospital_at_work() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    for (rows, least) in SHOWN {
        let there = count(hospital.owner(), &format!("hims.{rows}")).await;
        assert!(there >= least, "{there} of {least} {rows}");
    }
}
