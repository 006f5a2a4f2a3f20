use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use hims_domain::appointment::{Event, Slot, Status};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per appointment, whatever its status.
    AppointmentRow in "appointments",
    readers [AllAppointments, AssignedPatients, ClinicalRecords, OwnRecords],
    stamped by,
    indexes [
        (patient_id, starts_at), (provider_id, starts_at), (department_id, starts_at), (status, starts_at),
        (scheduled_date, starts_at), (series_id, starts_at),
    ] {
        /// The appointment.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The provider who sees the patient.
        provider_id: Uuid [indexed],
        /// The department that holds the appointment.
        department_id: Option<Uuid> [indexed],
        /// The room, if one is booked.
        room_id: Option<Uuid> [indexed],
        /// The kind of appointment, such as `follow_up`.
        appointment_type: String,
        /// The date of the appointment, in `time_zone`.
        scheduled_date: NaiveDate [indexed],
        /// The time of day at which the appointment begins, in `time_zone`.
        scheduled_time: NaiveTime,
        /// The duration in minutes.
        duration_minutes: i32,
        /// The time zone in which the appointment is kept (IANA database), such as `America/New_York`.
        time_zone: String,
        /// When the appointment begins.
        starts_at: DateTime<Utc> [indexed],
        /// When the appointment ends. The next appointment may begin at this time.
        ends_at: DateTime<Utc>,
        /// The status of the appointment.
        status: String [indexed] of hims_domain::appointment::Status::CODES,
        /// How urgent the appointment is.
        priority: String,
        /// The reason for the visit.
        reason_for_visit: Option<String> [personal],
        /// Instructions for preparing the appointment.
        special_instructions: Option<String> [personal],
        /// Whether the patient's insurance was verified.
        insurance_verified: bool,
        /// Whether it was accepted that the appointment is outside the provider's hours or in their leave.
        outside_hours: bool,
        /// The series that the appointment belongs to.
        series_id: Option<Uuid> [indexed],
        /// The place of the appointment in the series, from 1.
        series_index: Option<i32>,
        /// Why the patient was checked in on another day than that of the appointment, if so.
        other_day_reason: Option<String> [personal],
        /// When the appointment was cancelled.
        cancelled_at: Option<DateTime<Utc>>,
        /// The user who cancelled the appointment.
        cancelled_by: Option<Uuid>,
        /// The reason for the cancellation.
        cancellation_reason: Option<String> [personal],
    }
}

fn set_slot(row: &mut AppointmentRow, slot: Slot) {
    // A time zone that the time zone database no longer knows is read as UTC, so that old events stay readable.
    let zone: Tz = row.time_zone.parse().unwrap_or(Tz::UTC);
    let local = slot.starts_at.with_timezone(&zone).naive_local();
    row.scheduled_date = local.date();
    row.scheduled_time = local.time();
    row.duration_minutes = slot.duration_minutes;
    row.starts_at = slot.starts_at;
    row.ends_at = slot.ends_at();
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, AppointmentRow>) {
    let (at, by) = (event.recorded_at, event.user_id());
    let mut move_to = |status: Status| rows.change(event, move |row| row.status = status.to_string());
    match event.data {
        Event::Scheduled(it) => {
            let mut row = AppointmentRow {
                id: event.stream_id,
                patient_id: it.patient_id.into(),
                provider_id: it.provider_id.into(),
                department_id: it.department_id.map(Uuid::from),
                room_id: it.room_id.map(Uuid::from),
                appointment_type: it.appointment_type.0.clone(),
                scheduled_date: NaiveDate::default(),
                scheduled_time: NaiveTime::default(),
                duration_minutes: it.slot.duration_minutes,
                time_zone: it.time_zone.0.clone(),
                starts_at: it.slot.starts_at,
                ends_at: it.slot.ends_at(),
                status: Status::Scheduled.to_string(),
                priority: it.priority.to_string(),
                reason_for_visit: known_text(it.reason_for_visit.as_ref()),
                special_instructions: known_text(it.special_instructions.as_ref()),
                insurance_verified: it.insurance_verified,
                outside_hours: it.outside_hours,
                series_id: it.series.map(|series| series.series_id.into()),
                series_index: it.series.map(|series| series.index),
                other_day_reason: None,
                cancelled_at: None,
                cancelled_by: None,
                cancellation_reason: None,
                stamps: event.stamps(),
            };
            set_slot(&mut row, it.slot);
            rows.insert(row);
        }
        Event::Rescheduled { slot, provider_id, room_id, department_id, time_zone, outside_hours, opening: _ } => {
            rows.change(event, |row| {
                row.outside_hours = *outside_hours;
                row.department_id = department_id.map(Uuid::from);
                row.time_zone.clone_from(&time_zone.0);
                set_slot(row, *slot);
                row.provider_id = (*provider_id).into();
                row.room_id = room_id.map(Uuid::from);
                row.status = Status::Scheduled.to_string();
            });
        }
        Event::Confirmed => move_to(Status::Confirmed),
        Event::CheckedIn { other_day_reason } => rows.change(event, move |row| {
            row.status = Status::CheckedIn.to_string();
            row.other_day_reason = known_text(other_day_reason.as_ref());
        }),
        Event::CheckInUndone { status, reason: _ } => rows.change(event, move |row| {
            row.status = status.to_string();
            row.other_day_reason = None;
        }),
        Event::Started => move_to(Status::InProgress),
        Event::StartUndone { reason: _ } => move_to(Status::CheckedIn),
        Event::Completed => move_to(Status::Completed),
        Event::Cancelled { reason } => rows.change(event, move |row| {
            row.status = Status::Cancelled.to_string();
            row.cancelled_at = Some(at);
            row.cancelled_by = by;
            row.cancellation_reason = known_text(Some(reason));
        }),
        Event::MarkedNoShow => move_to(Status::NoShow),
        Event::NoShowUndone { status, reason: _ } => move_to(*status),
    }
}
