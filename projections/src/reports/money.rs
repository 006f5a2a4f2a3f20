//! Reports on what is charged, paid and owed.

use super::ColumnKind::{Decimal, Id, Integer, Text};
use super::ParameterKind::{Choice, Day};
use super::{Category, FROM, Report, TO, column, preset, required};

pub(super) const REVENUE: Report = Report {
    code: "revenue",
    version: 1,
    title: "Charges and receipts",
    description: "What was charged in a span by the day of service, and what was lowered and paid by the day on which it was.",
    category: Category::Billing,
    contains_phi: false,
    words: &["read:billing"],
    parameters: &[
        FROM,
        TO,
        preset(
            "by",
            Choice(&["month", "department", "payer"]),
            "month",
            "What the rows are about. The department is that of the consultation, for readers who may read it. The payer \
             of a charge is the first one who was asked; patients have a row without a payer.",
        ),
    ],
    columns: &[
        column("group_id", Id, "Id"),
        column("group_name", Text, "Group"),
        column("currency", Text, "Currency"),
        column("charges", Decimal, "Charges (by day of service)"),
        column("discount", Decimal, "Discounts (by day of service)"),
        column("tax", Decimal, "Taxes (by day of service)"),
        column("payer_adjustments", Decimal, "Lowered by payers (by day received)"),
        column("hospital_adjustments", Decimal, "Lowered by the hospital (by day lowered)"),
        column("written_off", Decimal, "Given up (by day given up)"),
        column("payments", Decimal, "Payments (by day received)"),
        column("refunds", Decimal, "Refunds and reversals (by day received)"),
    ],
    sql: include_str!("revenue.sql"),
};

pub(super) const RECEIVABLES_AGEING: Report = Report {
    code: "receivables-ageing",
    version: 1,
    title: "Age of what is owed",
    description: "What patients and payers owe on a day, by how long they have owed it.",
    category: Category::Billing,
    contains_phi: false,
    words: &["read:billing"],
    parameters: &[required(
        "on",
        Day,
        "The day that the report shows. The amounts are those of the moment, or of the end of the day if the day is over; \
         with as_of, those of that state, counted on this day.",
    )],
    columns: &[
        column("party", Text, "Owed by"),
        column("payer_id", Id, "Payer id"),
        column("payer", Text, "Payer"),
        column("bucket", Text, "Days due (patient) or since submission (payer)"),
        column("currency", Text, "Currency"),
        column("invoices", Integer, "Invoices"),
        column("amount", Decimal, "Amount"),
    ],
    sql: include_str!("receivables_ageing.sql"),
};

pub(super) const CLAIM_DENIALS: Report = Report {
    code: "claim-denials",
    version: 1,
    title: "Claims that payers denied",
    description: "How many claims each payer denied, and with which codes.",
    category: Category::Billing,
    contains_phi: false,
    words: &["read:billing"],
    parameters: &[FROM, TO],
    columns: &[
        column("payer_id", Id, "Payer id"),
        column("payer", Text, "Payer"),
        column("code", Text, "Group and CARC (none: all)"),
        column("adjudicated", Integer, "Claims adjudicated"),
        column("denied", Integer, "Claims with a denied line"),
        column("rate", Decimal, "Denied (%)"),
        column("amount", Decimal, "Amount denied"),
        column("first_pass_rate", Decimal, "Accepted at first (%)"),
    ],
    sql: include_str!("claim_denials.sql"),
};
