use chrono::{DateTime, Utc};
use hims_domain::report_execution::Format;
use hims_domain::report_schedule::{Event, PauseReason, Plan, Status};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per schedule of a report, for the one who set it up and the recipients.
    ScheduleRow in "report_schedules",
    stamped,
    indexes [(status, next_run_at)] {
        /// The schedule.
        id: Uuid [indexed],
        /// The report.
        report_id: Uuid [indexed],
        /// The times, as the five fields of cron.
        cron_expression: String,
        /// The time zone of the times.
        time_zone: String,
        /// The parameters by their names. Days may be counted from the day of the run.
        parameters: Value,
        /// The format of the file.
        output_format: String [] of Format::CODES,
        /// The users who are told of each report.
        recipients: Value,
        /// Whether the schedule makes reports.
        status: String [indexed] of Status::CODES,
        /// Why the schedule pauses; null unless it does.
        pause_reason: Option<String> [] of PauseReason::CODES,
        /// When the next report is due.
        next_run_at: DateTime<Utc> [indexed],
        /// When the last report was due.
        last_run_at: Option<DateTime<Utc>>,
        /// The user who set the schedule up. The reports show what this user may read.
        created_by: Uuid [indexed],
    }
}

/// What a plan says of a row.
fn planned(row: &mut ScheduleRow, report_id: Uuid, plan: &Plan, next_run_at: DateTime<Utc>) {
    row.report_id = report_id;
    row.cron_expression.clone_from(&plan.cron.0);
    row.time_zone.clone_from(&plan.time_zone.0);
    row.parameters = json!(plan.parameters);
    row.output_format = plan.format.to_string();
    row.recipients = json!(plan.recipients);
    row.next_run_at = next_run_at;
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, schedules: &mut Changes<'e, ScheduleRow>) {
    match event.data {
        Event::Scheduled { report_id, plan, owner_id, next_run_at } => {
            let mut row = ScheduleRow {
                id: event.stream_id,
                report_id: report_id.0,
                cron_expression: String::new(),
                time_zone: String::new(),
                parameters: Value::Null,
                output_format: String::new(),
                recipients: Value::Null,
                status: Status::Active.to_string(),
                pause_reason: None,
                next_run_at: *next_run_at,
                last_run_at: None,
                created_by: owner_id.0,
                stamps: event.stamps(),
            };
            planned(&mut row, report_id.0, plan, *next_run_at);
            schedules.insert(row);
        }
        Event::Changed { report_id, plan, next_run_at } => {
            schedules.change(event, move |row| planned(row, report_id.0, plan, *next_run_at));
        }
        Event::Ran { due_at, next_run_at, .. } => schedules.change(event, move |row| {
            row.last_run_at = Some(*due_at);
            row.next_run_at = *next_run_at;
        }),
        Event::Missed { next_run_at } => schedules.change(event, move |row| row.next_run_at = *next_run_at),
        Event::Paused { reason } => schedules.change(event, move |row| {
            row.status = Status::Paused.to_string();
            row.pause_reason = Some(reason.to_string());
        }),
        Event::Resumed { next_run_at } => schedules.change(event, move |row| {
            row.status = Status::Active.to_string();
            row.pause_reason = None;
            row.next_run_at = *next_run_at;
        }),
    }
}
