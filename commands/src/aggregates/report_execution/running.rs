//! What becomes of an execution: the commands of the process `reports`, and the fetching of the file.

use hims_domain::ReportExecutionId;
use hims_domain::report::Report;
use hims_domain::report_execution::{Event, FailureReason, Made, ReportExecution, Status};
use serde::Deserialize;

use super::{is_asker, is_open, is_recipient};
use crate::aggregates::report::{may_have, may_have_of_others, not_for};
use crate::machinery::command::{existing, never_sent};
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// Records that a node begins to make a report. A node that takes over from another which was stopped records nothing.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StartReport {
    pub(crate) report_execution_id: ReportExecutionId,
}

/// Records how much of a report is made, while it is being made.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NoteProgress {
    pub(crate) report_execution_id: ReportExecutionId,
    pub(crate) percent: i32,
}

/// Records that a report was made, unless it is not wanted any more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FinishReport {
    pub(crate) report_execution_id: ReportExecutionId,
    pub(crate) made: Made,
}

/// Records that a report could not be made.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FailReport {
    pub(crate) report_execution_id: ReportExecutionId,
    pub(crate) reason: FailureReason,
}

/// Fetches the file of a report: those for whom it was made, each with their own rights of the moment.
#[derive(Debug, Clone, Deserialize)]
pub struct DownloadReport {
    /// Which execution.
    pub report_execution_id: ReportExecutionId,
}

never_sent!(StartReport, NoteProgress, FinishReport, FailReport, DownloadReport);

type Decided = Result<Decision<ReportExecution>, Refused>;

impl Command for StartReport {
    const NAME: &'static str = "start-report";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn decide(self, state: Option<&ReportExecution>, _: &Context<'_>) -> Decided {
        let is_queued = existing(state)?.status == Status::Queued;
        Ok(if is_queued { Decision::event(Event::Started) } else { Decision::nothing() })
    }
}

impl Command for NoteProgress {
    const NAME: &'static str = "note-progress-of-report";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn decide(self, state: Option<&ReportExecution>, _: &Context<'_>) -> Decided {
        let execution = existing(state)?;
        let is_news = execution.status == Status::Running && execution.progress != self.percent;
        Ok(if is_news { Decision::event(Event::Progressed { percent: self.percent }) } else { Decision::nothing() })
    }
}

impl Command for FinishReport {
    const NAME: &'static str = "finish-report";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn decide(self, state: Option<&ReportExecution>, _: &Context<'_>) -> Decided {
        let is_wanted = is_open(existing(state)?);
        Ok(if is_wanted { Decision::event(Event::Succeeded(self.made)) } else { Decision::nothing() })
    }
}

impl Command for FailReport {
    const NAME: &'static str = "fail-report";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn decide(self, state: Option<&ReportExecution>, _: &Context<'_>) -> Decided {
        let execution = existing(state)?;
        if !is_open(execution) {
            return Ok(Decision::nothing());
        }
        let report_schedule_id = execution.asked.planned.as_ref().map(|it| it.report_schedule_id);
        Ok(Decision::event(Event::Failed { reason: self.reason, report_schedule_id }))
    }
}

impl Command for DownloadReport {
    const NAME: &'static str = "download-report";
    const PERMISSION: Permission = Permission::Own;
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn is_own(&self, state: Option<&ReportExecution>, caller: &Caller) -> bool {
        state.is_some_and(|it| is_asker(it, caller) || is_recipient(it, caller))
    }

    fn reads(&self, state: Option<&ReportExecution>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Report>(state.map(|it| it.asked.report_id))
    }

    fn decide(self, state: Option<&ReportExecution>, ctx: &Context<'_>) -> Decided {
        let execution = existing(state)?;
        let Some(made) = &execution.made else {
            return Err(Refused::wrong_status::<ReportExecution>(execution.status));
        };
        let report: &Report = ctx.named(execution.asked.report_id, "/report_execution_id")?;
        let may = if is_asker(execution, ctx.caller) { may_have } else { may_have_of_others };
        if !may(report, ctx.caller) {
            return refuse(not_for(report));
        }
        Ok(Decision::event(Event::Downloaded { sha256: made.sha256.clone() }))
    }
}
