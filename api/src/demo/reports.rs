//! The demo's reports. No process reacts to what the demo does, so its schedule makes no reports until somebody changes
//! or resumes it, and its execution was taken back.

use hims_commands::report_execution::{CancelReportExecution, RunReportFor};
use hims_commands::report_schedule::ScheduleReportFor;
use serde_json::json;

use super::{USER, id};
use crate::{Hospital, HospitalError};

const EXECUTION: u16 = 0x70;
const SCHEDULE: u16 = 0x71;

impl Hospital {
    /// The doctor has the schedule of each working day made for the front desk, and has asked for that of today.
    pub(super) async fn reports(&self) -> Result<(), HospitalError> {
        let (doctor, reception) = (id(USER, 2), id(USER, 4));
        self.demo::<ScheduleReportFor>(json!({"owner_id": doctor, "schedule": {
            "id": id(SCHEDULE, 1), "report_code": "daily-schedule", "parameters": {"date": "today"}, "format": "csv",
            "cron": "30 6 * * MON-FRI", "time_zone": "America/New_York", "recipients": [reception],
        }}))
        .await?;
        self.demo::<RunReportFor>(json!({"requested_by": doctor, "run": {
            "id": id(EXECUTION, 1), "report_code": "daily-schedule", "parameters": {"date": "today"}, "format": "pdf",
        }}))
        .await?;
        self.demo::<CancelReportExecution>(json!({"report_execution_id": id(EXECUTION, 1)})).await
    }
}
