//! Reports on the work of the laboratory.

use super::ColumnKind::{Boolean, Decimal, Instant, Integer, Text};
use super::ParameterKind::{Choice, Id as IdOf};
use super::{Category, FROM, Report, TO, column, optional};

pub(super) const LAB_TURNAROUND: Report = Report {
    code: "lab-turnaround",
    version: 1,
    title: "Minutes until the first final result",
    description: "How long results take after the order, the collection and the arrival of the specimen.",
    category: Category::Laboratory,
    contains_phi: false,
    words: &["read:lab_orders", "read:clinical_records"],
    parameters: &[
        FROM,
        TO,
        optional("test", IdOf("lab_test"), "Only this test."),
        optional("priority", Choice(&["low", "normal", "high", "urgent", "stat"]), "Only orders of this priority."),
    ],
    columns: &[
        column("test_code", Text, "LOINC"),
        column("test", Text, "Test"),
        column("priority", Text, "Priority"),
        column("n", Integer, "First final results in the span"),
        column("ordered_median", Decimal, "Minutes from order, median"),
        column("ordered_p90", Decimal, "Minutes from order, 90th percentile"),
        column("collected_median", Decimal, "Minutes from collection, median"),
        column("collected_p90", Decimal, "Minutes from collection, 90th percentile"),
        column("received_median", Decimal, "Minutes from arrival, median"),
        column("received_p90", Decimal, "Minutes from arrival, 90th percentile"),
        column("turnaround_minutes", Integer, "Minutes that the test may take from arrival"),
        column("within_turnaround", Decimal, "Within these minutes (%)"),
    ],
    sql: include_str!("lab_turnaround.sql"),
};

pub(super) const CRITICAL_RESPONSE: Report = Report {
    code: "critical-response",
    version: 1,
    title: "Response to critical values",
    description: "When people were told of each critical value, and when somebody acknowledged it.",
    category: Category::Laboratory,
    contains_phi: true,
    words: &["read:lab_orders", "read:clinical_records"],
    parameters: &[FROM, TO],
    columns: &[
        column("order_number", Text, "Order"),
        column("test", Text, "Test"),
        column("component", Text, "Component"),
        column("value", Text, "Value"),
        column("unit", Text, "Unit"),
        column("flag", Text, "Flag"),
        column("raised_at", Instant, "Raised"),
        column("told_at", Instant, "First told"),
        column("acknowledged_at", Instant, "Acknowledged"),
        column("withdrawn_at", Instant, "Withdrawn"),
        column("minutes", Integer, "Minutes until acknowledged or withdrawn, or so far"),
        column("is_open", Boolean, "Open"),
        column("level", Integer, "Level reached"),
        column("acknowledged_by", Text, "Acknowledged by"),
    ],
    sql: include_str!("critical_response.sql"),
};
