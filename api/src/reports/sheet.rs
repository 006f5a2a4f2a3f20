use chrono::{DateTime, Utc};
use hims_domain::read_id;
use hims_event_store::Position;
use hims_projections::query::ReportRows;
use hims_projections::reports::Report;
use serde_json::{Map, Value};
use uuid::Uuid;

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

impl Sheet {
    /// The patients of whom the report tells: those of its rows, and the one whom it was asked for.
    pub(super) fn patients(&self) -> Vec<Uuid> {
        let asked = self.parameters.get("patient").and_then(Value::as_str).and_then(read_id);
        let mut patients = self.rows.patients().clone();
        patients.extend(asked);
        patients.into_iter().collect()
    }
}
