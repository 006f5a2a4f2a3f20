//! What users are told of schedules.

use hims_domain::ReportScheduleId;
use hims_domain::notification::NotificationType;
use hims_domain::report::Report;
use hims_domain::report_schedule::{ReportSchedule, Status};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells the one who set a schedule up that it pauses, since its reports could not be made.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfPausedSchedule {
    pub(crate) report_schedule_id: ReportScheduleId,
    /// The position of the event with which the schedule paused. It may pause more than once.
    pub(crate) position: i64,
}

impl Telling for TellOfPausedSchedule {
    const NAME: &'static str = "tell-of-paused-report-schedule";

    fn occasion(&self) -> String {
        format!("report schedule {} paused {}", self.report_schedule_id, self.position)
    }

    fn reads(&self, found: &Found) -> Reads {
        let schedule = found.get::<ReportSchedule>(self.report_schedule_id);
        Reads::nothing()
            .stream::<ReportSchedule>(self.report_schedule_id)
            .maybe::<Report>(schedule.map(|it| it.report_id))
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let schedule = found.get::<ReportSchedule>(self.report_schedule_id).filter(|it| it.status == Status::Paused)?;
        let title = &found.get::<Report>(schedule.report_id)?.definition.title.0;
        let message = format!(
            "The report \"{title}\" could not be made three times in a row, so its schedule pauses. See its executions \
             for the reason, and resume the schedule once that is mended."
        );
        let heading = "The schedule of a report pauses";
        let notice = Notice::of(NotificationType::System, &self.occasion(), heading, &message);
        let path = format!("/report-schedules/{}", self.report_schedule_id);
        Some(notice.to_user(schedule.owner_id).leading_to(&path, "Show the schedule"))
    }
}
