//! The reports: what each is called, who may run it, what it is asked for, and the SQL that makes its rows.
//!
//! The SQL of a report takes one argument, an object in JSON: the parameters of the report, complete with their
//! defaults (an optional parameter without a value is absent), and three keys more: `as_of`, the instant of the position
//! at which the report is made; `today`, the day of that instant in the hospital's time zone; and `time_zone`, that time
//! zone. The SQL gives the columns in their declared order, under their names, in a total order of the rows, and asks no
//! clock, so that the same position and parameters give the same rows. It reads the read tables as `hims_reader`, under
//! row-level security: a caller without the right to read a table gets a report of the rows that the caller may read.

/// A report.
#[derive(Debug)]
pub struct Report {
    /// What the report is called in requests, such as `daily-schedule`.
    pub code: &'static str,
    /// Which edition of the report this is; higher after each change of its parameters, columns or rows.
    pub version: u16,
    /// What the report is called where people read its name.
    pub title: &'static str,
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

/// What values a column has. Each value can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A decimal number, with as many decimals as the number has in the result.
    Decimal,
    /// An instant.
    Instant,
    /// A day.
    Day,
    /// The time that a clock on the wall shows, to the minute.
    Time,
    /// Yes or no.
    Boolean,
    /// The id of a record.
    Id,
}

/// All reports, by code.
pub static REPORTS: &[Report] = &[];
