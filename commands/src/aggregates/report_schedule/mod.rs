//! Schedules of reports: setting them up, changing, pausing and resuming them. The process `report-schedules` makes them
//! run.

mod running;
mod telling;
mod times;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::permission::{Create, Read, Update};
use hims_domain::report::{Report, report_of};
use hims_domain::report_schedule::{Event, PauseReason, Plan, ReportSchedule, Status};
use hims_domain::user::User;
use hims_domain::{Invalid, ReportScheduleId, UserId, described};
use serde::Deserialize;

pub(crate) use running::{PauseFailingSchedule, RunSchedule};
pub(crate) use telling::TellOfPausedSchedule;
use times::Times;

use crate::aggregates::report::{asked_for, complete, user_may_have_of_others};
use crate::machinery::command::{existing, never_sent};
use crate::machinery::refusal::refusals;
use crate::user::reads_named;
use crate::{Caller, Claims, Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Registry, Target};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ScheduleReport>()
        .add::<ChangeReportSchedule>()
        .add::<PauseReportSchedule>()
        .add::<ResumeReportSchedule>();
}

refusals! {
    Malformed = Rule, "malformed-cron",
        "the times have five fields of cron: minute, hour, day of the month, month and day of the week, such as \
         30 6 * * MON-FRI";
    TooOften = Rule, "too-often", "reports are made at least 15 minutes apart; choose fewer times";
    Never = Rule, "never", "no calendar has such a day; choose other times";
}

/// How many users may be told of a report.
const MOST: usize = 50;

described! {
    /// Makes a report again and again, at certain times, with what the caller may read at that time.
    pub struct ScheduleReport {
        /// The id of the new schedule; issued by the server if left out.
        pub id: Option<ReportScheduleId>,
        /// Which report is made when, and for whom.
        #[serde(flatten)]
        pub plan: Plan,
    }

    /// Changes which report is made when, and for whom. The report still shows what the one may read who set the
    /// schedule up.
    pub struct ChangeReportSchedule {
        /// Which schedule.
        pub report_schedule_id: ReportScheduleId,
        /// The fields to change. A field that is left out stays as it is.
        #[serde(flatten)]
        pub changes: Patch<Plan>,
    }

    /// Makes no reports for now.
    pub struct PauseReportSchedule {
        /// Which schedule.
        pub report_schedule_id: ReportScheduleId,
    }

    /// Makes reports again, from the next time on.
    pub struct ResumeReportSchedule {
        /// Which schedule.
        pub report_schedule_id: ReportScheduleId,
    }
}

impl Claims for ReportSchedule {
    fn is_hidden_from(&self, caller: &Caller) -> bool {
        let is_told = caller.user_id().is_some_and(|it| self.plan.recipients.contains(&it));
        !(caller.reads(Read::AllData) || is_owner(self, caller) || is_told)
    }
}

/// Whether the caller has set the schedule up.
fn is_owner(schedule: &ReportSchedule, caller: &Caller) -> bool {
    caller.user_id() == Some(schedule.owner_id)
}

/// Looks up the report and the recipients of a plan, with the roles of the recipients.
fn reads_plan(plan: &Plan, found: &Found) -> Reads {
    let reads = Reads::nothing().stream::<Report>(report_of(plan.report_code.as_str()));
    plan.recipients.iter().take(MOST).fold(reads, |reads, it| reads_named(reads, Some(*it), found))
}

/// What is wrong with a recipient of a report, if anything is.
fn against(recipient: UserId, report: &Report, owner_id: UserId, found: &Found) -> Option<&'static str> {
    let Some(user) = found.get::<User>(recipient).filter(|it| it.is_active) else {
        return Some("there is no active user with this id");
    };
    // The owner fetches the report as the one who asked for it.
    let may_have = recipient == owner_id || user_may_have_of_others(report, user, found);
    (!may_have).then_some(
        "the user's roles do not include a permission to read every row of the report, so the user could never fetch \
         it; name somebody else",
    )
}

/// Refuses recipients who are too many, who are no active users, or who may not have the reports of the owner.
fn check_recipients(
    recipients: &BTreeSet<UserId>,
    report: &Report,
    owner_id: UserId,
    found: &Found,
) -> Result<(), Refused> {
    if recipients.len() > MOST {
        let message = format!("name at most {MOST} users");
        return Err(Refused::invalid(vec![Invalid::new("/recipients", message)]));
    }
    let wrong = recipients.iter().enumerate().filter_map(|(nth, recipient)| {
        let message = against(*recipient, report, owner_id, found)?;
        Some(Invalid::coded("unknown-reference", format!("/recipients/{nth}"), message))
    });
    Refused::unless_none(wrong.collect(), "some recipients cannot have the report; see errors")
}

/// Checks the plan of an owner, and says when its report is due next.
fn next_run(plan: &Plan, owner_id: UserId, ctx: &Context<'_>) -> Result<DateTime<Utc>, Refused> {
    let report = asked_for(ctx, &plan.report_code)?;
    let times = Times::parse(plan)?;
    let next = times.after(ctx.now).ok_or(Refusal::Never)?;
    if times.are_too_often(ctx.now) {
        return Err(Refusal::TooOften.into());
    }
    complete(report, &plan.parameters, times.day_of(next))?;
    check_recipients(&plan.recipients, report, owner_id, ctx.found)?;
    Ok(next)
}

impl Command for ScheduleReport {
    const NAME: &'static str = "schedule-report";
    const PERMISSION: Permission = Permission::Create(Create::ReportSchedules);
    const REVERSED_BY: Option<&'static str> = Some(PauseReportSchedule::NAME);
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&ReportSchedule>, found: &Found) -> Reads {
        reads_plan(&self.plan, found)
    }

    fn decide(self, _: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let owner_id = ctx.user(None, "/report_code")?;
        self.set_up(owner_id, ctx)
    }
}

impl ScheduleReport {
    /// Sets the schedule up on behalf of a user.
    fn set_up(self, owner_id: UserId, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let next_run_at = next_run(&self.plan, owner_id, ctx)?;
        let report_id = report_of(self.plan.report_code.as_str());
        Ok(Decision::event(Event::Scheduled { report_id, plan: Box::new(self.plan), owner_id, next_run_at }))
    }
}

/// Sets a schedule up on behalf of a user, as the demo does.
#[derive(Debug, Clone, Deserialize)]
pub struct ScheduleReportFor {
    /// Whose schedule it is.
    pub owner_id: UserId,
    /// The schedule.
    pub schedule: ScheduleReport,
}

never_sent!(ScheduleReportFor);

impl Command for ScheduleReportFor {
    const NAME: &'static str = "schedule-report-for";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        self.schedule.target()
    }

    fn reads(&self, state: Option<&ReportSchedule>, found: &Found) -> Reads {
        self.schedule.reads(state, found)
    }

    fn decide(self, _: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        self.schedule.set_up(self.owner_id, ctx)
    }
}

impl Command for ChangeReportSchedule {
    const NAME: &'static str = "change-report-schedule";
    const PERMISSION: Permission = Permission::Update(Update::ReportSchedules);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::existing(self.report_schedule_id)
    }

    fn is_own(&self, state: Option<&ReportSchedule>, caller: &Caller) -> bool {
        state.is_some_and(|it| is_owner(it, caller))
    }

    fn reads(&self, state: Option<&ReportSchedule>, found: &Found) -> Reads {
        let after = state.and_then(|it| self.changes.clone().apply(&it.plan).ok());
        after.as_ref().map_or_else(Reads::nothing, |it| reads_plan(it, found))
    }

    fn decide(self, state: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let schedule = existing(state)?;
        let plan = self.changes.apply(&schedule.plan)?;
        if plan == schedule.plan {
            return Ok(Decision::nothing());
        }
        let next_run_at = next_run(&plan, schedule.owner_id, ctx)?;
        let report_id = report_of(plan.report_code.as_str());
        Ok(Decision::event(Event::Changed { report_id, plan: Box::new(plan), next_run_at }))
    }
}

impl Command for PauseReportSchedule {
    const NAME: &'static str = "pause-report-schedule";
    const PERMISSION: Permission = Permission::Update(Update::ReportSchedules);
    const REVERSED_BY: Option<&'static str> = Some(ResumeReportSchedule::NAME);
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::existing(self.report_schedule_id)
    }

    fn is_own(&self, state: Option<&ReportSchedule>, caller: &Caller) -> bool {
        state.is_some_and(|it| is_owner(it, caller))
    }

    fn follows_on(state: &ReportSchedule) -> bool {
        state.status == Status::Active
    }

    fn decide(self, state: Option<&ReportSchedule>, _: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        Ok(match existing(state)?.status {
            Status::Active => Decision::event(Event::Paused { reason: PauseReason::Asked }),
            Status::Paused => Decision::nothing(),
        })
    }
}

impl Command for ResumeReportSchedule {
    const NAME: &'static str = "resume-report-schedule";
    const PERMISSION: Permission = Permission::Update(Update::ReportSchedules);
    const REVERSED_BY: Option<&'static str> = Some(PauseReportSchedule::NAME);
    type Aggregate = ReportSchedule;

    fn target(&self) -> Target {
        Target::existing(self.report_schedule_id)
    }

    fn is_own(&self, state: Option<&ReportSchedule>, caller: &Caller) -> bool {
        state.is_some_and(|it| is_owner(it, caller))
    }

    fn follows_on(state: &ReportSchedule) -> bool {
        state.status == Status::Paused
    }

    fn decide(self, state: Option<&ReportSchedule>, ctx: &Context<'_>) -> Result<Decision<ReportSchedule>, Refused> {
        let schedule = existing(state)?;
        match schedule.status {
            Status::Active => Ok(Decision::nothing()),
            Status::Paused => {
                let next_run_at = Times::parse(&schedule.plan)?.after(ctx.now).ok_or(Refusal::Never)?;
                Ok(Decision::event(Event::Resumed { next_run_at }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
