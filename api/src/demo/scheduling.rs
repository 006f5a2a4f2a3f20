//! The hours of the demo's doctor, and the appointments.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::America::New_York;
use hims_commands::appointment::ScheduleAppointment;
use hims_commands::appointment_note::AddAppointmentNote;
use hims_commands::appointment_series::ScheduleAppointmentSeries;
use hims_commands::provider_schedule::{AddProviderLeave, SetProviderHours, SetScheduleException};
use hims_domain::UserId;
use hims_domain::wall_clock::{Bound, instant_of};
use serde_json::{Value, json};

use super::{APPOINTMENT, DEPARTMENT, LAST_APPOINTMENT, LEAVE, NOTE, PATIENT, ROOM, SERIES, USER, id};
use crate::{Hospital, HospitalError};

impl Hospital {
    /// Sets when the doctor reviews medications in the pharmacy. In internal medicine, the doctor may be booked at any
    /// time, since nothing is said about the hours there.
    pub(super) async fn schedules(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().with_timezone(&New_York).date_naive();
        let of_doctor = |more: Value| {
            let mut body = json!({"provider_id": id(USER, 2), "department_id": id(DEPARTMENT, 2)});
            if let (Value::Object(fields), Value::Object(more)) = (&mut body, more) {
                fields.extend(more);
            }
            body
        };
        let block = |weekday: u8| {
            json!({"weekday": weekday, "from": "14:00", "until": "17:00", "room_id": id(ROOM, 3),
                   "appointment_types": ["medication_review"]})
        };
        self.demo::<SetProviderHours>(of_doctor(json!({
            "effective_from": today, "weekly": [block(1), block(4)], "slot_minutes": 20, "minimum_notice_minutes": 120,
            "horizon_days": 365,
        })))
        .await?;
        self.demo::<SetScheduleException>(of_doctor(json!({
            "date": next(Weekday::Mon, today + Days::new(14)), "hours": [{"from": "09:00", "until": "11:00"}],
            "reason": "In the morning of this day",
        })))
        .await?;
        let vacation = self.executor.now() + chrono::TimeDelta::days(200);
        self.demo::<AddProviderLeave>(json!({
            "provider_id": id(USER, 2), "leave_id": id(LEAVE, 1), "kind": "vacation", "from": vacation,
            "until": vacation + chrono::TimeDelta::days(7),
        }))
        .await?;
        let thursday = next(Weekday::Thu, today + Days::new(7));
        self.demo::<ScheduleAppointmentSeries>(of_doctor(json!({
            "id": id(SERIES, 1), "patient_id": id(PATIENT, 8), "room_id": id(ROOM, 3),
            "appointment_type": "medication_review", "starts_at": in_new_york(thursday, 14), "duration_minutes": 20,
            "rrule": "FREQ=WEEKLY;COUNT=4",
        })))
        .await
    }

    /// Schedules an appointment tomorrow for each of the first patients.
    pub(super) async fn appointments(&self) -> Result<(), HospitalError> {
        let tomorrow = self.executor.now().with_timezone(&New_York).date_naive() + Days::new(1);
        let morning = in_new_york(tomorrow, 9);
        for number in 1..=LAST_APPOINTMENT {
            let starts_at = morning + chrono::TimeDelta::minutes(30 * i64::try_from(number).unwrap_or(0));
            self.demo::<ScheduleAppointment>(json!({
                "id": id(APPOINTMENT, number), "patient_id": id(PATIENT, number), "provider_id": UserId(id(USER, 2)),
                "room_id": id(ROOM, 1), "appointment_type": "follow_up", "starts_at": starts_at,
                "duration_minutes": 30, "reason_for_visit": "Follow-up",
            }))
            .await?;
            if number == 1 {
                self.demo::<AddAppointmentNote>(json!({
                    "id": id(NOTE, 1), "appointment_id": id(APPOINTMENT, 1), "note_type": "call_log",
                    "body": "Called to say that she may be ten minutes late",
                }))
                .await?;
            }
        }
        Ok(())
    }
}

/// An hour of a day in New York, where the demo's departments are.
pub(super) fn in_new_york(day: NaiveDate, hour: u32) -> DateTime<Utc> {
    let wall = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default());
    instant_of(wall, &New_York, Bound::Start)
}

/// The first day of the week with this name, from a day on.
fn next(weekday: Weekday, from: NaiveDate) -> NaiveDate {
    from + Days::new(u64::from(weekday.days_since(from.weekday())))
}
