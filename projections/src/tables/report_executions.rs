use chrono::{DateTime, Utc};
use hims_domain::report_execution::{AsOf, Asked, Event, FailureReason, Format, Status};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per execution of a report, for the one who asked and the recipients. The file of a succeeded execution is
    /// fetched from `/api/v1/report-executions/{id}/file`.
    ExecutionRow in "report_executions",
    stamped,
    indexes [(report_id, queued_at), (schedule_id, queued_at), (requested_by, queued_at), (status, queued_at)] {
        /// The execution.
        id: Uuid [indexed],
        /// The report.
        report_id: Uuid [indexed],
        /// The schedule from which the execution follows; null if somebody asked.
        schedule_id: Option<Uuid> [indexed],
        /// The user who asked, or who set the schedule up. The report shows what this user may read.
        requested_by: Uuid [indexed],
        /// The users who may fetch the file, too, if they may have the report.
        recipients: Value,
        /// The parameters by their names, as they were given.
        parameters: Value,
        /// The format of the file.
        output_format: String [] of Format::CODES,
        /// The instant whose state was asked for; null if none was named.
        as_of: Option<DateTime<Utc>>,
        /// The position of the log whose state the report shows, once that is known.
        as_of_position: Option<i64>,
        /// Whether the report is made later than it was due, since no server ran.
        is_late: bool,
        /// How far the execution is.
        status: String [indexed] of Status::CODES,
        /// How much of the work is done, in percent.
        progress: i32,
        /// The number of rows.
        row_count: Option<i32>,
        /// The number of bytes of the file.
        byte_count: Option<i32>,
        /// The SHA-256 of the file, in hex.
        output_sha256: Option<String>,
        /// Until when the file can be fetched.
        kept_until: Option<DateTime<Utc>>,
        /// Why the report could not be made.
        error_code: Option<String> [] of FailureReason::CODES,
        /// When the report was asked for.
        queued_at: DateTime<Utc> [indexed],
        /// When a node began to make the report.
        started_at: Option<DateTime<Utc>>,
        /// When the report was made, or given up.
        finished_at: Option<DateTime<Utc>>,
    }
}

fn queued(event: &Projected<'_, Event>, asked: &Asked) -> ExecutionRow {
    let (as_of, as_of_position) = match asked.as_of {
        Some(AsOf::Instant(instant)) => (Some(instant), None),
        Some(AsOf::Position(position)) => (None, Some(position)),
        None => (None, None),
    };
    let planned = asked.planned.as_ref();
    ExecutionRow {
        id: event.stream_id,
        report_id: asked.report_id.0,
        schedule_id: planned.map(|it| it.report_schedule_id.0),
        requested_by: asked.requested_by.0,
        recipients: json!(asked.recipients),
        parameters: json!(asked.parameters),
        output_format: asked.format.to_string(),
        as_of,
        as_of_position,
        is_late: planned.is_some_and(|it| it.is_late),
        status: Status::Queued.to_string(),
        progress: 0,
        row_count: None,
        byte_count: None,
        output_sha256: None,
        kept_until: None,
        error_code: None,
        queued_at: event.recorded_at,
        started_at: None,
        finished_at: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, executions: &mut Changes<'e, ExecutionRow>) {
    let at = event.recorded_at;
    match event.data {
        Event::Queued(asked) => executions.insert(queued(event, asked)),
        Event::Started => executions.change(event, move |row| {
            row.status = Status::Running.to_string();
            row.started_at = Some(at);
        }),
        Event::Progressed { percent } => executions.change(event, move |row| row.progress = *percent),
        Event::Succeeded(made) => executions.change(event, move |row| {
            row.status = Status::Succeeded.to_string();
            row.progress = 100;
            row.as_of_position = Some(made.as_of_position);
            row.row_count = Some(made.row_count);
            row.byte_count = Some(made.byte_count);
            row.output_sha256 = Some(made.sha256.0.clone());
            row.kept_until = Some(made.kept_until);
            row.finished_at = Some(at);
        }),
        Event::Failed { reason, .. } => executions.change(event, move |row| {
            row.status = Status::Failed.to_string();
            row.error_code = Some(reason.to_string());
            row.finished_at = Some(at);
        }),
        Event::Cancelled => executions.change(event, move |row| {
            row.status = Status::Cancelled.to_string();
            row.finished_at = Some(at);
        }),
        // The audit log says who has fetched the file.
        Event::Downloaded { .. } => executions.touch(event),
    }
}
