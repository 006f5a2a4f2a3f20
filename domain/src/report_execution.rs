//! Executions of reports: who asked for which report, on the state of which position, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Text;
use crate::{Aggregate, ReportId, ReportScheduleId, Subject, UserId, terms};

/// The parameters of a report by their names, each as a text.
pub type Parameters = BTreeMap<String, Text<200>>;

terms! {
    /// The format of the file of a report.
    pub enum Format {
        Csv = "csv",
        Json = "json",
        Xlsx = "xlsx",
        Pdf = "pdf",
    }

    /// How far an execution is.
    pub enum Status {
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }

    /// Why a report could not be made.
    pub enum FailureReason {
        /// Whoever asked for the report is no longer an active user.
        OwnerInactive = "owner-inactive",
        /// Whoever asked for the report may not have it any more.
        Forbidden = "forbidden",
        /// The report has too many rows, or its file too many bytes.
        TooLarge = "too-large",
        /// The log does not reach as far as the report was asked for.
        NoSuchPosition = "no-such-position",
        /// The program does not know the report any more.
        UnknownReport = "unknown-report",
        /// The definition of the report has changed, and does not take the parameters any more.
        UnknownParameter = "unknown-parameter",
        /// The query took too long.
        TooSlow = "too-slow",
        /// The database refused the query, or the file could not be made.
        Broken = "broken",
    }
}

/// The state of the hospital on which a report is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsOf {
    /// After the event at this position of the log.
    Position(i64),
    /// At this instant.
    Instant(DateTime<Utc>),
}

/// The run of a schedule from which an execution follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The schedule.
    pub report_schedule_id: ReportScheduleId,
    /// The time at which the schedule was due, by the clock on the wall, such as `2026-11-23T07:00`.
    pub local_minute: Text<16>,
    /// Whether the report is made later than it was due, since no server ran.
    pub is_late: bool,
}

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The report.
    pub report_id: ReportId,
    /// The code of the report.
    pub report_code: Text<50>,
    /// The parameters, as they were given.
    pub parameters: Parameters,
    /// The format of the file.
    pub format: Format,
    /// The state on which the report is made; the state at the time of the run if left out.
    pub as_of: Option<AsOf>,
    /// Who asked. The report shows what this user may read.
    pub requested_by: UserId,
    /// Who may have the file beside the one who asked, if they may have the report.
    pub recipients: BTreeSet<UserId>,
    /// The run of a schedule from which the execution follows.
    pub planned: Option<Planned>,
}

/// The file of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The position of the log whose state the report shows.
    pub as_of_position: i64,
    /// The number of rows.
    pub row_count: i32,
    /// The number of bytes.
    pub byte_count: i32,
    /// The SHA-256 of the file, in hex.
    pub sha256: Text<64>,
    /// Until when the file is kept.
    pub kept_until: DateTime<Utc>,
}

/// An execution of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportExecution {
    /// What was asked for.
    pub asked: Asked,
    /// How far the execution is.
    pub status: Status,
    /// How much of the work is done, in percent.
    pub progress: i32,
    /// The file, once it was made.
    pub made: Option<Made>,
    /// Why the report could not be made.
    pub failure: Option<FailureReason>,
}

/// What can happen to an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for a report, or a schedule was due.
    Queued(Box<Asked>),
    /// A node has begun to make the report.
    Started,
    /// Some of the work is done. Recorded from time to time while a report takes long.
    Progressed {
        /// How much, in percent.
        percent: i32,
    },
    /// The report was made.
    Succeeded(Made),
    /// The report could not be made.
    Failed {
        /// Why.
        reason: FailureReason,
        /// The schedule from which the execution followed.
        report_schedule_id: Option<ReportScheduleId>,
    },
    /// Whoever asked does not want the report any more.
    Cancelled,
    /// Somebody has fetched the file.
    Downloaded {
        /// The SHA-256 of the file, in hex.
        sha256: Text<64>,
    },
}

impl Aggregate for ReportExecution {
    const STREAM: &'static str = "report_execution";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Queued(asked) => {
                Some(Self { asked: (**asked).clone(), status: Status::Queued, progress: 0, made: None, failure: None })
            }
            Event::Started => state.map(|it| Self { status: Status::Running, ..it }),
            Event::Progressed { percent } => state.map(|it| Self { progress: *percent, ..it }),
            Event::Succeeded(made) => {
                state.map(|it| Self { status: Status::Succeeded, progress: 100, made: Some(made.clone()), ..it })
            }
            Event::Failed { reason, .. } => {
                state.map(|it| Self { status: Status::Failed, failure: Some(*reason), ..it })
            }
            Event::Cancelled => state.map(|it| Self { status: Status::Cancelled, ..it }),
            Event::Downloaded { .. } => state,
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
