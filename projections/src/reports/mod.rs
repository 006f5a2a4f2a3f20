//! The reports: what each is called, who may run it, what it is asked for, and the SQL that makes its rows.
//!
//! The SQL of a report takes one argument, an object in JSON: the parameters of the report, complete with their
//! defaults (an optional parameter without a value is absent), and three keys more: `as_of`, the instant of the position
//! at which the report is made; `today`, the day of that instant in the hospital's time zone; and `time_zone`, that time
//! zone. A parameter `on` is the day whose state the report shows: unless the request names a state, a day that is over is
//! shown as it was at its end. The SQL gives the columns in their declared order, under their names, in a total order of the rows, and asks no
//! clock, so that the same position and parameters give the same rows. A report about persons also gives `patient_id`, the
//! patient whom a row is about, whether or not that is a column: whose rows were shown is recorded with each download. It reads the read tables as `hims_reader`, under
//! row-level security: a caller without the right to read a table gets a report of the rows that the caller may read.
//!
//! Texts are ordered by the codes of their characters, since the order of a language may change with the release of the
//! operating system. Days are those of the department that a row is about, if the row is about one, else those of the
//! hospital. A share is in percent, to one decimal, and null if there is nothing to have a share of.

mod laboratory;
mod money;
mod pharmacy;
mod records;
mod visits;

use hims_domain::report::Category;

/// A report.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// What the report is called in requests, such as `daily-schedule`.
    pub code: &'static str,
    /// Which edition of the report this is; higher after each change of its parameters, columns or rows.
    pub version: u16,
    /// What the report is called where people read its name.
    pub title: &'static str,
    /// What the report tells, where people choose one.
    pub description: &'static str,
    /// The part of the hospital that the report is about.
    pub category: Category,
    /// Whether the rows are about persons (protected health information).
    pub contains_phi: bool,
    /// The permission words, as in `read:billing`, of which whoever runs the report needs one.
    pub words: &'static [&'static str],
    /// What the report is asked for.
    pub parameters: &'static [Parameter],
    /// What the report tells, from left to right.
    pub columns: &'static [Column],
    /// The statement that makes the rows.
    pub sql: &'static str,
}

/// What a report is asked for.
#[derive(Debug)]
pub struct Parameter {
    /// The key in the parameters of a request.
    pub name: &'static str,
    /// What values the parameter takes.
    pub kind: ParameterKind,
    /// The value of a request that names none.
    pub default: Option<&'static str>,
    /// Whether every request must name a value.
    pub required: bool,
    /// What the parameter means, for the documentation.
    pub description: &'static str,
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A day, such as `2026-03-01`.
    Day,
    /// A whole number.
    Count {
        /// The smallest value.
        least: u32,
        /// The largest value.
        most: u32,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The id of a record of this stream type.
    Id(&'static str),
    /// A text of at most so many characters.
    Text(u16),
}

/// A column of a report.
#[derive(Debug)]
pub struct Column {
    /// The column's name in the result of the SQL, and in JSON.
    pub name: &'static str,
    /// What values the column has.
    pub kind: ColumnKind,
    /// The column's heading where people read it.
    pub title: &'static str,
}

/// What values a column has, and which type of PostgreSQL they have in the result of the SQL. Each value can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text (`text` or `varchar`).
    Text,
    /// A whole number (`bigint`).
    Integer,
    /// A decimal number, with as many decimals as the number has in the result (`numeric`).
    Decimal,
    /// An instant (`timestamptz`).
    Instant,
    /// A day (`date`).
    Day,
    /// The time that a clock on the wall shows, to the minute (`time`).
    Time,
    /// Yes or no (`boolean`).
    Boolean,
    /// The id of a record (`uuid`).
    Id,
}

/// A parameter that every request names.
const fn required(name: &'static str, kind: ParameterKind, description: &'static str) -> Parameter {
    Parameter { name, kind, default: None, required: true, description }
}

/// A parameter that a request may leave out.
const fn optional(name: &'static str, kind: ParameterKind, description: &'static str) -> Parameter {
    Parameter { name, kind, default: None, required: false, description }
}

/// A parameter that has a value of its own in a request that leaves it out.
const fn preset(
    name: &'static str,
    kind: ParameterKind,
    default: &'static str,
    description: &'static str,
) -> Parameter {
    Parameter { name, kind, default: Some(default), required: false, description }
}

/// The first day of the span that a report is about.
const FROM: Parameter = required("from", ParameterKind::Day, "The first day.");

/// The last day of the span that a report is about.
const TO: Parameter = required("to", ParameterKind::Day, "The last day.");

const fn column(name: &'static str, kind: ColumnKind, title: &'static str) -> Column {
    Column { name, kind, title }
}

/// All reports, by code.
pub static REPORTS: &[Report] = &[
    pharmacy::ALERT_OVERRIDES,
    money::CLAIM_DENIALS,
    pharmacy::CONTROLLED_SUBSTANCES,
    laboratory::CRITICAL_RESPONSE,
    visits::DAILY_SCHEDULE,
    records::DISCLOSURES,
    laboratory::LAB_TURNAROUND,
    visits::NO_SHOW_RATE,
    records::OPEN_EMERGENCY_ACCESSES,
    records::PATIENT_ACCESS,
    pharmacy::PRESCRIPTIONS_BY_CLASS,
    visits::PROVIDER_UTILISATION,
    money::RECEIVABLES_AGEING,
    money::REVENUE,
    pharmacy::STOCK_AT_RISK,
    records::UNSIGNED_CONSULTATIONS,
    visits::WAITLIST,
];
