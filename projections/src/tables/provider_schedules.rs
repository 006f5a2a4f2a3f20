use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::DepartmentId;
use hims_domain::provider_schedule::{Event, Exception, ExceptionStatus, Hours, LeaveStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per provider, department and first day of weekly hours.
    HoursRow in "provider_schedules", stamped,
    indexes [(provider_id, department_id, effective_from), (department_id, effective_from)] {
        /// The weekly hours.
        id: Uuid [indexed],
        /// The provider.
        provider_id: Uuid [indexed],
        /// The department.
        department_id: Uuid [indexed],
        /// The first day on which the hours count. Of several hours that count on a day, those that begin last do.
        effective_from: NaiveDate,
        /// The last day on which the hours count; null if there is none.
        effective_to: Option<NaiveDate>,
        /// The hours of each week: blocks with `weekday` (1 is Monday), `from`, `until`, `room_id` and
        /// `appointment_types` (null for every kind).
        weekly: Value,
        /// The minutes from the beginning of a slot that is offered to the beginning of the next.
        slot_minutes: i32,
        /// How many minutes before its beginning a slot is offered last.
        minimum_notice_minutes: i32,
        /// How many days ahead slots are offered.
        horizon_days: i32,
    }
}

table! {
    /// One row per provider, department and day with hours of its own.
    ExceptionRow in "schedule_exceptions", stamped,
    indexes [(provider_id, department_id, date), (department_id, date)] {
        /// The exception.
        id: Uuid [indexed],
        /// The provider.
        provider_id: Uuid [indexed],
        /// The department.
        department_id: Uuid [indexed],
        /// The day.
        date: NaiveDate [indexed],
        /// The hours of the day: spans with `from` and `until`; none if the provider does not work.
        hours: Value,
        /// Why the hours differ.
        reason: Option<String>,
        /// Whether the exception counts.
        status: String [] of hims_domain::provider_schedule::ExceptionStatus::CODES,
    }
}

table! {
    /// One row per leave of a provider.
    LeaveRow in "provider_leaves", stamped, indexes [(provider_id, starts_at)] {
        /// The leave.
        id: Uuid [indexed],
        /// The provider.
        provider_id: Uuid [indexed],
        /// When the leave begins.
        starts_at: DateTime<Utc> [indexed],
        /// When the leave ends.
        ends_at: DateTime<Utc>,
        /// Why the provider is away.
        kind: String [] of hims_domain::provider_schedule::LeaveKind::CODES,
        /// What else is to be said about the reason; never answered.
        remarks: Option<String> [personal, hidden],
        /// Whether the leave counts.
        status: String [] of hims_domain::provider_schedule::LeaveStatus::CODES,
    }
}

fn hours_id(stream: Uuid, hours: &Hours) -> Uuid {
    derived_id(stream, &["hours", &hours.department_id.to_string(), &hours.effective_from.to_string()])
}

fn exception_id(stream: Uuid, department_id: DepartmentId, date: NaiveDate) -> Uuid {
    derived_id(stream, &["exception", &department_id.to_string(), &date.to_string()])
}

fn set_hours(row: &mut HoursRow, hours: &Hours) {
    row.effective_to = hours.effective_to;
    row.weekly = json!(hours.weekly);
    row.slot_minutes = hours.slot_minutes;
    row.minimum_notice_minutes = hours.minimum_notice_minutes;
    row.horizon_days = hours.horizon_days;
}

fn set_exception(row: &mut ExceptionRow, exception: &Exception) {
    row.hours = json!(exception.hours);
    row.reason = text(exception.reason.as_ref());
    row.status = ExceptionStatus::Active.to_string();
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    hours_rows: &mut Changes<'e, HoursRow>,
    exceptions: &mut Changes<'e, ExceptionRow>,
    leaves: &mut Changes<'e, LeaveRow>,
) {
    match event.data {
        Event::HoursSet { hours, replaces: true, .. } => {
            hours_rows.change_row(event, hours_id(event.stream_id, hours), |row| set_hours(row, hours));
        }
        Event::HoursSet { provider_id, hours, replaces: false } => {
            let mut row = HoursRow {
                id: hours_id(event.stream_id, hours),
                provider_id: (*provider_id).into(),
                department_id: hours.department_id.into(),
                effective_from: hours.effective_from,
                effective_to: None,
                weekly: json!([]),
                slot_minutes: 0,
                minimum_notice_minutes: 0,
                horizon_days: 0,
                stamps: event.stamps(),
            };
            set_hours(&mut row, hours);
            hours_rows.insert(row);
        }
        Event::ExceptionSet { exception, replaces: true, .. } => {
            let id = exception_id(event.stream_id, exception.department_id, exception.date);
            exceptions.change_row(event, id, |row| set_exception(row, exception));
        }
        Event::ExceptionSet { provider_id, exception, replaces: false } => {
            let mut row = ExceptionRow {
                id: exception_id(event.stream_id, exception.department_id, exception.date),
                provider_id: (*provider_id).into(),
                department_id: exception.department_id.into(),
                date: exception.date,
                hours: json!([]),
                reason: None,
                status: String::new(),
                stamps: event.stamps(),
            };
            set_exception(&mut row, exception);
            exceptions.insert(row);
        }
        Event::ExceptionRemoved { department_id, date } => {
            let id = exception_id(event.stream_id, *department_id, *date);
            exceptions.change_row(event, id, |row| row.status = ExceptionStatus::Removed.to_string());
        }
        Event::LeaveAdded { provider_id, leave_id, leave } => leaves.insert(LeaveRow {
            id: (*leave_id).into(),
            provider_id: (*provider_id).into(),
            starts_at: leave.from,
            ends_at: leave.until,
            kind: leave.kind.to_string(),
            remarks: known_text(leave.reason.as_ref()),
            status: LeaveStatus::Active.to_string(),
            stamps: event.stamps(),
        }),
        Event::LeaveCancelled { leave_id } => {
            leaves.change_row(event, *leave_id, |row| row.status = LeaveStatus::Cancelled.to_string());
        }
    }
}
