//! The process that makes reports.

mod maker;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::report::Report;
use hims_domain::report_execution::{Asked, FailureReason, Made, ReportExecution};
use hims_domain::user::User;
use hims_domain::{DomainEvent, ReportExecutionId, report_execution};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

pub use maker::{NotMade, ReportFile, ReportMaker, ReportWanted};

use crate::access::caller_of;
use crate::aggregates::report::may_have;
use crate::aggregates::report_execution::{FailReport, FinishReport, NoteProgress, StartReport, is_open};
use crate::{Caller, Command, Executor, Failure, Happened, Process, Reaction, Request};

/// How long the file of a report is kept.
const KEPT: TimeDelta = TimeDelta::days(30);
/// When to try again to make a report that cannot be made now.
const LATER: TimeDelta = TimeDelta::seconds(10);
/// How often to look whether a report that is being made is still wanted.
const LOOK: Duration = Duration::from_secs(1);
/// After how many looks the progress is recorded.
const LOOKS: u32 = 10;

/// Makes each report that was asked for, as the one who asked, and deletes its file when it was kept for long enough.
///
/// A node that is stopped while it makes a report leaves it to another node, which begins again.
pub(crate) struct Reports {
    executor: Arc<Executor>,
    maker: Arc<dyn ReportMaker>,
    caller: Arc<Caller>,
}

/// What there is to do about an execution, as the payload of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Due {
    /// The report is to be made.
    Make(ReportExecutionId),
    /// The file has been kept for long enough.
    Forget(ReportExecutionId),
}

impl Due {
    fn timer(self, due_at: DateTime<Utc>) -> Reaction {
        let key = match self {
            Self::Make(id) => format!("make {id}"),
            Self::Forget(id) => format!("forget {id}"),
        };
        Reaction::timer(key, due_at, json!(self))
    }
}

/// What became of the making of a report.
enum Outcome {
    Made(ReportFile),
    Not(NotMade),
    /// Whoever asked does not want the report any more.
    Unwanted,
}

impl Reports {
    pub(crate) fn new(executor: Arc<Executor>, maker: Arc<dyn ReportMaker>) -> Self {
        let caller = Arc::new(Caller::system(&format!("process:{}", Self::NAME)));
        Self { executor, maker, caller }
    }

    /// Gives a command. A refusal means that the execution has come to an end meanwhile.
    async fn give(&self, command: impl Command) -> Result<(), Failure> {
        let request = Request::of(Arc::clone(&self.caller));
        match self.executor.execute_unless_refused(command, request).await {
            Ok(_) | Err(Failure::Refused(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// What is to be made, if whoever asked may still have it.
    async fn wanted(&self, id: ReportExecutionId, asked: Asked) -> Result<Result<ReportWanted, FailureReason>, Failure> {
        let user = self.executor.load::<User>(asked.requested_by.0, true).await?.state;
        let Some(user) = user.filter(|it| it.is_active) else { return Ok(Err(FailureReason::OwnerInactive)) };
        let caller = caller_of(&self.executor, asked.requested_by, &user).await?;
        let report = self.executor.load::<Report>(asked.report_id.0, true).await?.state;
        let Some(report) = report else { return Ok(Err(FailureReason::UnknownReport)) };
        if !may_have(&report, &caller) {
            return Ok(Err(FailureReason::Forbidden));
        }
        Ok(Ok(ReportWanted::new(id, asked, caller, report)))
    }

    /// Makes the report as long as it is wanted, and records from time to time how much is done.
    async fn make(&self, wanted: &ReportWanted) -> Result<Outcome, Failure> {
        let mut making = self.maker.make(wanted);
        let mut looks = 0;
        loop {
            tokio::select! {
                made = &mut making => return Ok(match made {
                    Ok(file) => Outcome::Made(file),
                    Err(not) => Outcome::Not(not),
                }),
                () = sleep(LOOK) => {}
            }
            let state = self.executor.load::<ReportExecution>(wanted.id.0, true).await?.state;
            if !state.is_some_and(|it| is_open(&it)) {
                return Ok(Outcome::Unwanted);
            }
            looks += 1;
            if looks % LOOKS == 0 {
                let (report_execution_id, percent) = (wanted.id, wanted.progress());
                tracing::info!(execution = %report_execution_id, percent, "a report takes long, and goes on");
                self.give(NoteProgress { report_execution_id, percent }).await?;
            }
        }
    }

    async fn run(&self, id: ReportExecutionId) -> Result<Vec<Reaction>, Failure> {
        let execution = self.executor.load::<ReportExecution>(id.0, true).await?.state;
        let Some(execution) = execution.filter(|it| is_open(it)) else { return Ok(Vec::new()) };
        self.give(StartReport { report_execution_id: id }).await?;
        let failed = |reason| vec![Reaction::command(FailReport { report_execution_id: id, reason })];
        let wanted = match self.wanted(id, execution.asked.clone()).await? {
            Ok(wanted) => wanted,
            Err(reason) => return Ok(failed(reason)),
        };
        Ok(match self.make(&wanted).await? {
            Outcome::Made(file) => {
                let kept_until = self.executor.now() + KEPT;
                let made = Made {
                    as_of_position: file.position,
                    row_count: file.row_count,
                    byte_count: file.byte_count,
                    sha256: file.sha256.as_str().into(),
                    kept_until,
                };
                let finished = FinishReport { report_execution_id: id, made };
                vec![Reaction::command(finished), Due::Forget(id).timer(kept_until)]
            }
            Outcome::Not(NotMade::For(reason)) => failed(reason),
            Outcome::Not(NotMade::Later(why)) => {
                tracing::warn!(execution = %id, why, "a report cannot be made now; trying again");
                vec![Due::Make(id).timer(self.executor.now() + LATER)]
            }
            // A file that was finished at the last moment is deleted, too.
            Outcome::Unwanted => vec![Due::Forget(id).timer(self.executor.now())],
        })
    }
}

impl Process for Reports {
    const NAME: &'static str = "reports";
    const ON: &'static [&'static str] = &["report_execution.queued"];
    /// The report shows at least what was recorded when it was asked for.
    const READS_TABLES: bool = true;
    const AT_ONCE: usize = 2;

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        Ok(match &happened.event {
            DomainEvent::ReportExecution(report_execution::Event::Queued(_)) => {
                vec![Due::Make(happened.stream_id.into()).timer(self.executor.now())]
            }
            _ => Vec::new(),
        })
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let Ok(due) = serde_json::from_value::<Due>(timer.payload.clone()) else { return Ok(Vec::new()) };
        match due {
            Due::Make(id) => self.run(id).await,
            Due::Forget(id) => {
                self.maker.forget(id).await?;
                Ok(Vec::new())
            }
        }
    }
}

#[cfg(test)]
mod tests;
