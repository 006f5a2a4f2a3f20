use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use hims_domain::Personal;
use hims_domain::appointment::{Event, Slot, Status};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::table;

table! {
    /// One row per appointment, whatever its status.
    AppointmentRow in "appointments",
    readers [AllData, AllAppointments, AssignedPatients, ClinicalRecords, OwnRecords],
    indexes [(patient_id, starts_at), (provider_id, starts_at), (department_id, starts_at), (status, starts_at), (scheduled_date, starts_at)] {
        /// The appointment.
        id: Uuid [indexed],
        /// Who is seen.
        patient_id: Uuid [indexed],
        /// Who sees them.
        provider_id: Uuid [indexed],
        /// In which department.
        department_id: Option<Uuid> [indexed],
        /// Where.
        room_id: Option<Uuid> [indexed],
        /// What kind it is.
        appointment_type: String,
        /// The day, in `time_zone`.
        scheduled_date: NaiveDate [indexed],
        /// The time of day, in `time_zone`.
        scheduled_time: NaiveTime,
        /// How long, in minutes.
        duration_minutes: i32,
        /// The time zone of the book (IANA).
        time_zone: String,
        /// When it begins.
        starts_at: DateTime<Utc> [indexed],
        /// When it ends.
        ends_at: DateTime<Utc>,
        /// Where it stands.
        status: String [indexed],
        /// How urgent it is.
        priority: String,
        /// Why the patient comes.
        reason_for_visit: Option<String> [personal],
        /// What to prepare.
        special_instructions: Option<String> [personal],
        /// Whether the insurance was verified.
        insurance_verified: bool,
        /// Version of the stream.
        version: i32,
        /// When it was agreed.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
        /// Who agreed it.
        created_by: Option<Uuid>,
        /// Who last changed it.
        updated_by: Option<Uuid>,
        /// When it was called off.
        cancelled_at: Option<DateTime<Utc>>,
        /// Who called it off.
        cancelled_by: Option<Uuid>,
        /// Why it was called off.
        cancellation_reason: Option<String> [personal],
    }
}

fn set_slot(row: &mut AppointmentRow, slot: Slot) {
    // A time zone that the database of zones no longer knows is read as UTC: history stays readable.
    let zone: Tz = row.time_zone.parse().unwrap_or(Tz::UTC);
    let local = slot.starts_at.with_timezone(&zone).naive_local();
    row.scheduled_date = local.date();
    row.scheduled_time = local.time();
    row.duration_minutes = slot.duration_minutes;
    row.starts_at = slot.starts_at;
    row.ends_at = slot.ends_at();
}

pub(crate) fn project(event: &Projected<'_, Event>, rows: &mut Changes<AppointmentRow>) {
    let stamp = event.stamp();
    let mut update = |change: Box<dyn FnOnce(&mut AppointmentRow) + Send>| {
        rows.update(event.stream_id, move |row| {
            change(row);
            (row.version, row.updated_at, row.updated_by) = (stamp.version, stamp.at, stamp.by);
        });
    };
    let moved_to = |status: Status| Box::new(move |row: &mut AppointmentRow| row.status = status.to_string());
    match event.data {
        Event::Scheduled(it) => {
            let text = |it: &Option<Personal<hims_domain::values::LongText>>| {
                it.as_ref().and_then(Personal::known).map(|it| it.0.clone())
            };
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
                reason_for_visit: text(&it.reason_for_visit),
                special_instructions: text(&it.special_instructions),
                insurance_verified: it.insurance_verified,
                version: stamp.version,
                created_at: stamp.at,
                updated_at: stamp.at,
                created_by: stamp.by,
                updated_by: stamp.by,
                cancelled_at: None,
                cancelled_by: None,
                cancellation_reason: None,
            };
            set_slot(&mut row, it.slot);
            rows.insert(row);
        }
        Event::Rescheduled { slot, provider_id, room_id, department_id, time_zone } => {
            let (department, time_zone) = (department_id.map(Uuid::from), time_zone.0.clone());
            let (slot, provider, room) = (*slot, Uuid::from(*provider_id), room_id.map(Uuid::from));
            update(Box::new(move |row| {
                (row.department_id, row.time_zone) = (department, time_zone);
                set_slot(row, slot);
                (row.provider_id, row.room_id) = (provider, room);
                row.status = Status::Scheduled.to_string();
            }));
        }
        Event::Confirmed => update(moved_to(Status::Confirmed)),
        Event::CheckedIn => update(moved_to(Status::CheckedIn)),
        Event::Started => update(moved_to(Status::InProgress)),
        Event::Completed => update(moved_to(Status::Completed)),
        Event::Cancelled { reason } => {
            let reason = reason.known().map(|it| it.0.clone());
            update(Box::new(move |row| {
                row.status = Status::Cancelled.to_string();
                row.cancelled_at = Some(stamp.at);
                row.cancelled_by = stamp.by;
                row.cancellation_reason = reason;
            }));
        }
        Event::MarkedNoShow => update(moved_to(Status::NoShow)),
    }
}
