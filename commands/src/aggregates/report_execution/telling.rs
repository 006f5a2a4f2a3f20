//! What users are told of reports.

use hims_domain::ReportExecutionId;
use hims_domain::notification::{Channel, NotificationType};
use hims_domain::report::Report;
use hims_domain::report_execution::{ReportExecution, Status};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells those for whom a report was made that they can fetch it; if it could not be made, only the one who asked.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfReport {
    pub(crate) report_execution_id: ReportExecutionId,
}

impl Telling for TellOfReport {
    const NAME: &'static str = "tell-of-report";

    fn occasion(&self) -> String {
        format!("report execution {}", self.report_execution_id)
    }

    fn reads(&self, found: &Found) -> Reads {
        let execution = found.get::<ReportExecution>(self.report_execution_id);
        Reads::nothing()
            .stream::<ReportExecution>(self.report_execution_id)
            .maybe::<Report>(execution.map(|it| it.asked.report_id))
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let execution = found.get::<ReportExecution>(self.report_execution_id)?;
        let title = &found.get::<Report>(execution.asked.report_id)?.definition.title.0;
        let (heading, message) = match (execution.status, execution.failure) {
            (Status::Succeeded, _) => {
                let late = execution.asked.planned.as_ref().is_some_and(|it| it.is_late);
                let late = if late { " It is late, since no server ran when it was due." } else { "" };
                ("A report is ready", format!("The report \"{title}\" can be fetched for 30 days.{late}"))
            }
            (Status::Failed, Some(reason)) => {
                ("A report could not be made", format!("The report \"{title}\" could not be made: {reason}."))
            }
            _ => return None,
        };
        let notice = Notice::of(NotificationType::ReportReady, &self.occasion(), heading, &message)
            .to_user(execution.asked.requested_by)
            .leading_to(&format!("/report-executions/{}", self.report_execution_id), "Show the report");
        if execution.status == Status::Failed {
            return Some(notice);
        }
        // Whoever waits for the report of a schedule is not logged in when it comes, so they get an e-mail, too.
        let recipients = &execution.asked.recipients;
        Some(recipients.iter().fold(notice, |notice, it| notice.to_user(*it).to_user_on(*it, Channel::Email)))
    }
}
