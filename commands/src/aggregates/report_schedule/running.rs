//! The commands of the process `report-schedules`.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use hims_domain::report::Report;
use hims_domain::report_execution::{self, AsOf, Asked, Planned, ReportExecution};
use hims_domain::report_schedule::{Event, PauseReason, REMEMBERED, ReportSchedule, Status};
use hims_domain::{ReportScheduleId, derived};
use serde::Deserialize;

use super::times::Times;
use crate::aggregates::report::{complete, dated, end_of_shown_day};
use crate::machinery::command::{existing, never_sent};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// How late a report is made at least that is marked as late.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// Makes the report of a schedule that is due. Of several that were due while no server ran, only the last is made, if
/// it was due within a day. Changes nothing if the schedule runs at other times by now.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RunSchedule {
    pub(crate) report_schedule_id: ReportScheduleId,
    pub(crate) due_at: DateTime<Utc>,
}

/// Pauses a schedule of which the last executions all failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PauseFailingSchedule {
    pub(crate) report_schedule_id: ReportScheduleId,
}

never_sent!(RunSchedule, PauseFailingSchedule);

/// What a schedule asks for at one of its times.
fn asked(schedule: &ReportSchedule, planned: Planned, day: NaiveDate, ctx: &Context<'_>) -> Asked {
    let plan = &schedule.plan;
    // What is not known of a report that the program does not have any more, the process `reports` refuses.
    let report = ctx.found.get::<Report>(schedule.report_id);
    let parameters = report.map_or_else(|| plan.parameters.clone(), |it| dated(it, &plan.parameters, day));
    let end = report.and_then(|it| {
        let completed = complete(it, &parameters, day).ok()?;
        end_of_shown_day(it, &completed, (ctx.now, ctx.hospital_zone))
    });
    Asked {
        report_id: schedule.report_id,
        report_code: plan.report_code.clone(),
        parameters,
        format: plan.format,
        as_of: end.map(AsOf::Instant),
        requested_by: schedule.owner_id,
        recipients: plan.recipients.clone(),
        planned: Some(planned),
    }
}

impl Command for RunSchedule {
    const NAME: &'static str = "run-report-schedule";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::existing(self.report_schedule_id)
    }

    fn reads(&self, state: Option<&ReportSchedule>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Report>(state.map(|it| it.report_id))
    }

    fn decide(self, state: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let schedule = existing(state)?;
        let is_due = schedule.next_run_at == self.due_at && self.due_at <= ctx.now;
        if schedule.status != Status::Active || !is_due {
            return Ok(Decision::nothing());
        }
        let times = Times::parse(&schedule.plan)?;
        let Some(next_run_at) = times.after(ctx.now) else {
            return Ok(Decision::event(Event::Paused { reason: PauseReason::Failing }));
        };
        let Some(due_at) = times.last_missed(self.due_at, ctx.now) else {
            return Ok(Decision::event(Event::Missed { next_run_at }));
        };
        let is_late = ctx.now - due_at >= LATE;
        let local_minute = times.minute_of(due_at);
        let id = derived("report_execution", &[&self.report_schedule_id.to_string(), &local_minute]);
        let planned = Planned {
            report_schedule_id: self.report_schedule_id,
            local_minute: local_minute.as_str().into(),
            is_late,
        };
        let asked = asked(schedule, planned, times.day_of(due_at), ctx);
        let ran = Event::Ran { report_execution_id: id.into(), due_at, is_late, next_run_at };
        let queued = report_execution::Event::Queued(Box::new(asked));
        Ok(Decision::event(ran).begin::<ReportExecution>(id, queued))
    }
}

impl Command for PauseFailingSchedule {
    const NAME: &'static str = "pause-failing-report-schedule";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::existing(self.report_schedule_id)
    }

    fn reads(&self, state: Option<&ReportSchedule>, _: &Found) -> Reads {
        let recent = state.into_iter().flat_map(|it| &it.recent);
        recent.fold(Reads::nothing(), |reads, it| reads.stream::<ReportExecution>(*it))
    }

    fn decide(self, state: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let schedule = existing(state)?;
        let has_failed = |id: &hims_domain::ReportExecutionId| {
            ctx.found.get::<ReportExecution>(*id).is_some_and(|it| it.status == report_execution::Status::Failed)
        };
        let is_failing = schedule.recent.len() >= REMEMBERED && schedule.recent.iter().all(has_failed);
        if schedule.status != Status::Active || !is_failing {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Paused { reason: PauseReason::Failing }))
    }
}
