//! Schedules of reports: which report is made when, and for whom.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report_execution::{Format, Parameters};
use crate::values::Text;
use crate::{Aggregate, ReportExecutionId, ReportId, Subject, UserId, described, terms};

/// How many of the last executions a schedule remembers. If all of these failed, the schedule pauses.
pub const REMEMBERED: usize = 3;

terms! {
    /// Whether a schedule makes reports.
    pub enum Status {
        Active = "active",
        Paused = "paused",
    }

    /// Why a schedule pauses.
    pub enum PauseReason {
        /// Somebody wanted it.
        Asked = "asked",
        /// The last three executions failed.
        Failing = "failing",
    }
}

described! {
    /// Which report a schedule makes, when, and for whom.
    pub struct Plan {
        /// The code of the report, such as `daily-schedule`.
        pub report_code: Text<50>,
        /// The parameters by their names, each as a text. Days may be counted from the day of the run: `today-7`.
        pub parameters: Parameters,
        /// The format of the file.
        pub format: Format,
        /// The times, as the five fields of cron (minute, hour, day of the month, month, day of the week), such as
        /// `30 6 * * MON-FRI`.
        pub cron: Text<100>,
        /// The time zone of the times (IANA), such as `Europe/Zurich`.
        pub time_zone: Text<64>,
        /// The users who are told of each report, at most 50. Each fetches the file with their own rights.
        #[serde(default)]
        pub recipients: BTreeSet<UserId>,
    }
}

/// A schedule of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportSchedule {
    /// The report.
    pub report_id: ReportId,
    /// Which report is made when, and for whom.
    pub plan: Plan,
    /// The user who set the schedule up. The reports show what this user may read.
    pub owner_id: UserId,
    /// Whether the schedule makes reports.
    pub status: Status,
    /// When the next report is due.
    pub next_run_at: DateTime<Utc>,
    /// The last executions since the schedule began or was resumed, the newest last.
    pub recent: Vec<ReportExecutionId>,
}

/// What can happen to a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The schedule was set up.
    Scheduled {
        /// The report.
        report_id: ReportId,
        /// Which report is made when, and for whom.
        plan: Box<Plan>,
        /// The user who set the schedule up.
        owner_id: UserId,
        /// When the first report is due.
        next_run_at: DateTime<Utc>,
    },
    /// The schedule was changed. The event holds the whole plan.
    Changed {
        /// The report.
        report_id: ReportId,
        /// Which report is made when, and for whom.
        plan: Box<Plan>,
        /// When the next report is due.
        next_run_at: DateTime<Utc>,
    },
    /// A report was due, and is being made.
    Ran {
        /// The execution of the report.
        report_execution_id: ReportExecutionId,
        /// When the report was due.
        due_at: DateTime<Utc>,
        /// Whether the report is made later than it was due, since no server ran.
        is_late: bool,
        /// When the next report is due.
        next_run_at: DateTime<Utc>,
    },
    /// Reports were due more than a day ago while no server ran, and are not made any more.
    Missed {
        /// When the next report is due.
        next_run_at: DateTime<Utc>,
    },
    /// The schedule makes no reports for now.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// The schedule makes reports again.
    Resumed {
        /// When the next report is due.
        next_run_at: DateTime<Utc>,
    },
}

impl ReportSchedule {
    /// The schedule with one more execution, of which the last few are remembered.
    fn having_run(mut self, execution: ReportExecutionId, next_run_at: DateTime<Utc>) -> Self {
        self.recent.push(execution);
        let old = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..old);
        Self { next_run_at, ..self }
    }
}

impl Aggregate for ReportSchedule {
    const STREAM: &'static str = "report_schedule";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Scheduled { report_id, plan, owner_id, next_run_at } => Some(Self {
                report_id: *report_id,
                plan: (**plan).clone(),
                owner_id: *owner_id,
                status: Status::Active,
                next_run_at: *next_run_at,
                recent: Vec::new(),
            }),
            Event::Changed { report_id, plan, next_run_at } => {
                state.map(|it| Self { report_id: *report_id, plan: (**plan).clone(), next_run_at: *next_run_at, ..it })
            }
            Event::Ran { report_execution_id, next_run_at, .. } => {
                state.map(|it| it.having_run(*report_execution_id, *next_run_at))
            }
            Event::Missed { next_run_at } => state.map(|it| Self { next_run_at: *next_run_at, ..it }),
            Event::Paused { .. } => state.map(|it| Self { status: Status::Paused, ..it }),
            Event::Resumed { next_run_at } => {
                state.map(|it| Self { status: Status::Active, next_run_at: *next_run_at, recent: Vec::new(), ..it })
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_remembers_its_last_three_executions_until_it_is_resumed() {
        let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let plan = Plan {
            report_code: "daily-schedule".into(),
            parameters: Parameters::new(),
            format: Format::Csv,
            cron: "0 6 * * *".into(),
            time_zone: "Europe/Zurich".into(),
            recipients: BTreeSet::new(),
        };
        let (report_id, owner_id) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        let begun = Event::Scheduled { report_id, plan: Box::new(plan), owner_id, next_run_at: at };
        let ran = |id| Event::Ran {
            report_execution_id: Uuid::from_u128(id).into(),
            due_at: at,
            is_late: false,
            next_run_at: at,
        };
        let history = [begun, ran(11), ran(12), ran(13), ran(14)];
        let schedule: ReportSchedule = crate::fold(&history).expect("a schedule");
        let ids: Vec<_> = [12, 13, 14].into_iter().map(|it| Uuid::from_u128(it).into()).collect();
        assert_eq!(schedule.recent, ids);
        let resumed = ReportSchedule::evolve(Some(schedule), &Event::Resumed { next_run_at: at }).expect("a schedule");
        assert_eq!(resumed.recent, []);
    }
}
