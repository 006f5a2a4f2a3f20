//! Reports on prescriptions and on the stock of medications.

use super::ColumnKind::{Boolean, Day, Decimal, Id, Integer, Text};
use super::ParameterKind::{Choice, Count, Id as IdOf};
use super::{Category, FROM, Report, TO, column, optional, preset};

pub(super) const PRESCRIPTIONS_BY_CLASS: Report = Report {
    code: "prescriptions-by-class",
    version: 1,
    title: "Prescriptions by class of drugs",
    description: "What was prescribed in a span, by class of drugs.",
    category: Category::Pharmacy,
    contains_phi: false,
    words: &["read:prescriptions", "read:clinical_records"],
    parameters: &[FROM, TO, preset("by", Choice(&["month", "provider"]), "month", "What the rows are about.")],
    columns: &[
        column("group_id", Id, "Id"),
        column("group_name", Text, "Group"),
        column("drug_class", Text, "Class"),
        column("items", Integer, "Items"),
        column("patients", Integer, "Patients"),
        column("quantity", Decimal, "Quantity"),
        column("unit", Text, "Unit"),
    ],
    sql: include_str!("prescriptions_by_class.sql"),
};

pub(super) const ALERT_OVERRIDES: Report = Report {
    code: "alert-overrides",
    version: 1,
    title: "Alerts that prescribers overrode",
    description: "How many alerts each prescriber got, and overrode with a reason.",
    category: Category::Pharmacy,
    contains_phi: false,
    words: &["read:clinical_records"],
    parameters: &[FROM, TO],
    columns: &[
        column("provider_id", Id, "Prescriber id"),
        column("provider", Text, "Prescriber"),
        column("kind", Text, "Kind"),
        column("severity", Text, "Severity"),
        column("alerts", Integer, "Alerts"),
        column("overridden", Integer, "Overridden"),
        column("rate", Decimal, "Overridden (%)"),
    ],
    sql: include_str!("alert_overrides.sql"),
};

pub(super) const CONTROLLED_SUBSTANCES: Report = Report {
    code: "controlled-substances",
    version: 1,
    title: "Controlled substances by lot",
    description: "Where each lot of a controlled substance went in a span.",
    category: Category::Pharmacy,
    contains_phi: false,
    words: &["read:inventory"],
    parameters: &[FROM, TO, optional("location", IdOf("room"), "Only the lots in this room.")],
    columns: &[
        column("medication", Text, "Medication"),
        column("schedule", Text, "DEA schedule"),
        column("room", Text, "Room"),
        column("lot_number", Text, "Lot"),
        column("unit", Text, "Unit"),
        column("opening", Decimal, "Opening"),
        column("added", Decimal, "In"),
        column("taken", Decimal, "Out"),
        column("wasted", Decimal, "Wasted"),
        column("wasted_with_witness", Decimal, "Of these with a witness"),
        column("counted", Decimal, "Counted and adjusted"),
        column("closing", Decimal, "Closing"),
    ],
    sql: include_str!("controlled_substances.sql"),
};

pub(super) const STOCK_AT_RISK: Report = Report {
    code: "stock-at-risk",
    version: 1,
    title: "Stock that expires",
    description: "Lots that expire soon or have expired, their value, and how long the rest lasts.",
    category: Category::Pharmacy,
    contains_phi: false,
    words: &["read:inventory"],
    parameters: &[
        preset("days", Count { least: 0, most: 3650 }, "90", "Lots that expire within so many days, or have expired."),
        optional("location", IdOf("room"), "Only the lots in this room."),
    ],
    columns: &[
        column("medication", Text, "Medication"),
        column("lot_number", Text, "Lot"),
        column("room", Text, "Room"),
        column("expiry_date", Day, "Last day"),
        column("is_expired", Boolean, "Expired"),
        column("status", Text, "Status"),
        column("on_hand", Decimal, "On hand"),
        column("usable", Decimal, "Usable"),
        column("unit", Text, "Unit"),
        column("value", Decimal, "Value of what is on hand"),
        column("use_per_day", Decimal, "Use per day over 90 days"),
        column("days_of_cover", Decimal, "Days that the usable stock lasts"),
    ],
    sql: include_str!("stock_at_risk.sql"),
};
