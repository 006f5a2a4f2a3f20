//! Executions of reports: asking for one, cancelling it, and fetching its file. The process `reports` makes the files.

mod running;
mod telling;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::permission::{Create, Read};
use hims_domain::report::{Report, report_of};
use hims_domain::report_execution::{AsOf, Asked, Event, Format, Parameters, ReportExecution, Status};
use hims_domain::values::Text;
use hims_domain::{ReportExecutionId, UserId, described};
use serde::Deserialize;
use uuid::Uuid;

pub use running::DownloadReport;
pub(crate) use running::{FailReport, FinishReport, NoteProgress, StartReport};
pub(crate) use telling::TellOfReport;

use crate::aggregates::report::{asked_for, complete, dated, end_of_shown_day};
use crate::machinery::command::{existing, never_sent};
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RunReport>().add::<CancelReportExecution>();
}

refusals! {
    NoSuchPosition { head: i64 } = Conflict, "no-such-position",
        "the log ends at position {head}, and at the present time; ask for a state that it has reached";
}

described! {
    /// Asks for a report, which is made a moment later with what the caller may read. The file can be fetched from
    /// `/api/v1/report-executions/{id}/file` for 30 days.
    pub struct RunReport {
        /// The id of the new execution; issued by the server if left out.
        pub id: Option<ReportExecutionId>,
        /// The code of the report, such as `daily-schedule`.
        pub report_code: Text<50>,
        /// The parameters by their names, each as a text, such as `{"from": "2026-11-01", "to": "today"}`.
        pub parameters: Parameters,
        /// The format of the file.
        pub format: Format,
        /// The state of the hospital that the report shows: an instant, such as `2026-11-01T00:00:00Z`, or a position
        /// of the log, such as `12345`. If left out, the state of the moment; or, if the report shows how things stand
        /// on a day that is over, such as `{"on": "2026-10-31"}`, that of the end of the day.
        pub as_of: Option<Text<40>>,
    }

    /// Takes back that a report was asked for, as long as it is not made. Only the one who asked may do so.
    pub struct CancelReportExecution {
        /// Which execution.
        pub report_execution_id: ReportExecutionId,
    }
}

/// Whether the caller asked for the report.
fn is_asker(execution: &ReportExecution, caller: &Caller) -> bool {
    caller.user_id() == Some(execution.asked.requested_by)
}

/// Whether the caller is among those for whom the report is made.
fn is_recipient(execution: &ReportExecution, caller: &Caller) -> bool {
    caller.user_id().is_some_and(|it| execution.asked.recipients.contains(&it))
}

impl Claims for ReportExecution {
    /// A schedule makes one report for each minute that the clock on the wall shows, also in the night in which clocks
    /// show some minutes twice.
    fn claims(&self, _: Uuid, held: &mut Held) {
        let planned = self.asked.planned.as_ref();
        let run = planned.map(|it| scopes::key(&[&it.report_schedule_id.to_string(), it.local_minute.as_str()]));
        held.take_if(scopes::REPORT_RUN, run);
    }

    fn is_hidden_from(&self, caller: &Caller) -> bool {
        !(caller.reads(Read::AllData) || is_asker(self, caller) || is_recipient(self, caller))
    }
}

/// The state that a text names, if it names one: a position, or an instant.
fn as_of(text: &Text<40>) -> Option<AsOf> {
    let position = || text.as_str().parse().ok().filter(|it| *it >= 0).map(AsOf::Position);
    let instant = DateTime::parse_from_rfc3339(text.as_str()).ok().map(|it| AsOf::Instant(it.to_utc()));
    instant.or_else(position)
}

/// Refuses a state that the log has not reached.
fn check_reached(as_of: AsOf, now: DateTime<Utc>, head: i64) -> Result<(), Refused> {
    let is_reached = match as_of {
        AsOf::Position(position) => position <= head,
        AsOf::Instant(instant) => instant <= now,
    };
    if is_reached { Ok(()) } else { refuse(Refusal::NoSuchPosition { head }) }
}

impl Command for RunReport {
    const NAME: &'static str = "run-report";
    const PERMISSION: Permission = Permission::Create(Create::ReportExecutions);
    const REVERSED_BY: Option<&'static str> = Some(CancelReportExecution::NAME);
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    /// Patients ask for reports on themselves. Which reports there are for them, the words of the report say.
    fn is_own(&self, _: Option<&ReportExecution>, caller: &Caller) -> bool {
        let about = self.parameters.get("patient").and_then(|it| Uuid::try_parse(it.as_str()).ok());
        about.is_some_and(|it| caller.reads_own(it.into()))
    }

    fn reads(&self, _: Option<&ReportExecution>, _: &Found) -> Reads {
        Reads::nothing().stream::<Report>(report_of(self.report_code.as_str()))
    }

    fn decide(self, _: Option<&ReportExecution>, ctx: &Context<'_>) -> Result<Decision<ReportExecution>, Refused> {
        let requested_by = ctx.user(None, "/report_code")?;
        self.asked(requested_by, ctx)
    }
}

impl RunReport {
    /// Asks for the report on behalf of a user.
    fn asked(self, requested_by: UserId, ctx: &Context<'_>) -> Result<Decision<ReportExecution>, Refused> {
        let report = asked_for(ctx, &self.report_code)?;
        let as_of = match &self.as_of {
            None => None,
            Some(text) => {
                let message = "give an instant such as 2026-11-01T00:00:00Z, or a position such as 12345";
                let invalid = || Refused::field("invalid-fields", "/as_of", message);
                Some(as_of(text).ok_or_else(invalid)?)
            }
        };
        if let Some(as_of) = as_of {
            check_reached(as_of, ctx.now, ctx.found.head())?;
        }
        // Days that are counted from today are written out when the report is made, from the day of its state.
        let today = match as_of {
            Some(AsOf::Instant(instant)) => instant,
            Some(AsOf::Position(_)) | None => ctx.now,
        };
        let today = today.with_timezone(&ctx.hospital_zone).date_naive();
        let completed = complete(report, &self.parameters, today)?;
        let (as_of, parameters) = match end_of_shown_day(report, &completed, (ctx.now, ctx.hospital_zone)) {
            Some(end) if as_of.is_none() => {
                // The day is not to be counted from the day of an earlier state.
                (Some(AsOf::Instant(end)), dated(report, &self.parameters, today))
            }
            _ => (as_of, self.parameters),
        };
        let asked = Asked {
            report_id: report_of(self.report_code.as_str()),
            report_code: self.report_code,
            parameters,
            format: self.format,
            as_of,
            requested_by,
            recipients: BTreeSet::new(),
            planned: None,
        };
        Ok(Decision::event(Event::Queued(Box::new(asked))))
    }
}

/// Asks for a report on behalf of a user, as the demo does.
#[derive(Debug, Clone, Deserialize)]
pub struct RunReportFor {
    /// Who asks for the report.
    pub requested_by: UserId,
    /// The report.
    pub run: RunReport,
}

never_sent!(RunReportFor);

impl Command for RunReportFor {
    const NAME: &'static str = "run-report-for";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        self.run.target()
    }

    fn reads(&self, state: Option<&ReportExecution>, found: &Found) -> Reads {
        self.run.reads(state, found)
    }

    fn decide(self, _: Option<&ReportExecution>, ctx: &Context<'_>) -> Result<Decision<ReportExecution>, Refused> {
        self.run.asked(self.requested_by, ctx)
    }
}

impl Command for CancelReportExecution {
    const NAME: &'static str = "cancel-report-execution";
    const PERMISSION: Permission = Permission::Own;
    type Aggregate = ReportExecution;

    fn target(&self) -> Target {
        Target::existing(self.report_execution_id)
    }

    fn is_own(&self, state: Option<&ReportExecution>, caller: &Caller) -> bool {
        state.is_some_and(|it| is_asker(it, caller))
    }

    fn follows_on(state: &ReportExecution) -> bool {
        is_open(state)
    }

    fn decide(self, state: Option<&ReportExecution>, _: &Context<'_>) -> Result<Decision<ReportExecution>, Refused> {
        let execution = existing(state)?;
        match execution.status {
            Status::Queued | Status::Running => Ok(Decision::event(Event::Cancelled)),
            Status::Cancelled => Ok(Decision::nothing()),
            status @ (Status::Succeeded | Status::Failed) => Err(Refused::wrong_status::<ReportExecution>(status)),
        }
    }
}

/// Whether the report is still to be made.
pub(crate) fn is_open(execution: &ReportExecution) -> bool {
    matches!(execution.status, Status::Queued | Status::Running)
}

#[cfg(test)]
mod tests;
