//! Reports that the program can make: what each takes, what it gives, and who may have it. The query behind a report is
//! a part of the program; the log keeps the definition, so that the list of reports can be rebuilt.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Text;
use crate::{Aggregate, ReportId, Subject, derived, terms};

terms! {
    /// The part of the hospital that a report is about.
    pub enum Category {
        Scheduling = "scheduling",
        Laboratory = "laboratory",
        Pharmacy = "pharmacy",
        Billing = "billing",
        Records = "records",
    }
}

/// What a parameter of a report holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// A day, such as `2026-11-23`, or one counted from today, such as `today-7`.
    Day,
    /// A whole number.
    Count {
        /// The least number.
        least: u32,
        /// The greatest number.
        most: u32,
    },
    /// One of these words.
    Choice(Vec<Text<50>>),
    /// The id of a record: a stream of this type.
    Id(Text<50>),
    /// A text of at most so many characters.
    Text(u16),
}

/// A parameter of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name of the parameter.
    pub name: Text<50>,
    /// What the parameter holds.
    pub holds: Holds,
    /// What counts if the parameter is left out.
    pub default: Option<Text<200>>,
    /// Whether the parameter must be given.
    pub required: bool,
    /// What the parameter means.
    pub description: Text<500>,
}

/// What a report is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The code by which the report is asked for, such as `daily-schedule`.
    pub code: Text<50>,
    /// The version of the report, which grows when its rows or columns change.
    pub version: i32,
    /// What the report is called.
    pub title: Text<200>,
    /// What the report tells.
    pub description: Text<500>,
    /// The part of the hospital that the report is about.
    pub category: Category,
    /// Whether the rows are about persons, so that whoever has a file keeps it as carefully as a chart.
    pub contains_phi: bool,
    /// The permission words for reading, of which somebody who asks for the report needs one.
    pub words: Vec<Text<50>>,
    /// What the report takes.
    pub parameters: Vec<Parameter>,
    /// The names of the columns, in their order.
    pub columns: Vec<Text<50>>,
    /// The SHA-256 of all that defines the report, its query included, in hex.
    pub sha256: Text<64>,
}

/// A report that the program can make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the report is.
    pub definition: Definition,
}

/// What can happen to a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A release of the program defined the report, or defined it anew.
    Defined(Definition),
}

/// The id of the report with a code.
pub fn report_of(code: &str) -> ReportId {
    derived("report", &[code]).into()
}

impl Aggregate for Report {
    const STREAM: &'static str = "report";
    type Event = Event;

    fn evolve(_: Option<Self>, event: &Event) -> Option<Self> {
        let Event::Defined(definition) = event;
        Some(Self { definition: definition.clone() })
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
