use chrono::{DateTime, Utc};
use hims_domain::report_schedule::Event;
use hims_domain::{DomainEvent, ReportScheduleId, report_execution};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::aggregates::report_schedule::{PauseFailingSchedule, RunSchedule};
use crate::{Failure, Happened, Process, Reaction};

/// Asks for the reports of schedules when they are due, and pauses a schedule whose reports fail.
pub(super) struct ReportSchedules;

/// A time of a schedule, as the payload of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Due {
    report_schedule_id: ReportScheduleId,
    due_at: DateTime<Utc>,
}

impl Process for ReportSchedules {
    const NAME: &'static str = "report-schedules";
    const ON: &'static [&'static str] = &[
        "report_schedule.scheduled",
        "report_schedule.changed",
        "report_schedule.ran",
        "report_schedule.missed",
        "report_schedule.resumed",
        "report_execution.failed",
    ];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let report_schedule_id = happened.stream_id.into();
        let next_run_at = match &happened.event {
            DomainEvent::ReportSchedule(
                Event::Scheduled { next_run_at, .. }
                | Event::Changed { next_run_at, .. }
                | Event::Ran { next_run_at, .. }
                | Event::Missed { next_run_at }
                | Event::Resumed { next_run_at },
            ) => *next_run_at,
            DomainEvent::ReportExecution(report_execution::Event::Failed { report_schedule_id: Some(id), .. }) => {
                return Ok(vec![Reaction::command(PauseFailingSchedule { report_schedule_id: *id })]);
            }
            _ => return Ok(Vec::new()),
        };
        // A schedule has one timer: that of its next time.
        let due = Due { report_schedule_id, due_at: next_run_at };
        Ok(vec![Reaction::timer(report_schedule_id.to_string(), next_run_at, json!(due))])
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let Ok(due) = serde_json::from_value::<Due>(timer.payload.clone()) else { return Ok(Vec::new()) };
        let Due { report_schedule_id, due_at } = due;
        Ok(vec![Reaction::command(RunSchedule { report_schedule_id, due_at })])
    }
}
