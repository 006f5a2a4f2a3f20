use chrono::{DateTime, Utc};
use hims_event_store::Position;
use hims_projections::query::ReportRows;
use hims_projections::reports::Report;
use serde_json::{Map, Value};

/// A report with its rows, before it is written as a file.
pub(super) struct Sheet {
    /// What the report is.
    pub(super) report: &'static Report,
    /// The parameters, complete.
    pub(super) parameters: Map<String, Value>,
    /// The position of the log whose state the report shows.
    pub(super) position: Position,
    /// When the event at the position was recorded.
    pub(super) as_of: DateTime<Utc>,
    /// The rows.
    pub(super) rows: ReportRows,
}
