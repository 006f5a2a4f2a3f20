use chrono::NaiveDate;
use hims_domain::appointment_series::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per series of appointments. The appointments of a series are rows of `appointments`.
    SeriesRow in "appointment_series",
    readers [AllAppointments, AssignedPatients, ClinicalRecords, OwnRecords],
    stamped by (created_at),
    indexes [(patient_id, first_day), (provider_id, first_day), (department_id, first_day)] {
        /// The series.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The provider with whom the series was agreed.
        provider_id: Uuid [indexed],
        /// The department in which the series was agreed.
        department_id: Option<Uuid> [indexed],
        /// The rule of the recurrence (RFC 5545).
        rrule: String,
        /// The days of the rule that were left out.
        exclude_dates: Value,
        /// The time zone in which the series is kept (IANA database).
        time_zone: String,
        /// The number of appointments.
        occurrences: i32,
        /// The day of the first appointment, as it was agreed.
        first_day: NaiveDate,
        /// The day of the last appointment, as it was agreed.
        last_day: NaiveDate,
        /// The day from which the open appointments were cancelled.
        cancelled_from: Option<NaiveDate>,
        /// The reason for the cancellation.
        cancellation_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, SeriesRow>) {
    match event.data {
        Event::Scheduled(it) => rows.insert(SeriesRow {
            id: event.stream_id,
            patient_id: it.patient_id.into(),
            provider_id: it.provider_id.into(),
            department_id: it.department_id.map(Uuid::from),
            rrule: it.rrule.0.clone(),
            exclude_dates: json!(it.exclude_dates),
            time_zone: it.time_zone.0.clone(),
            occurrences: i32::try_from(it.occurrences.len()).unwrap_or(i32::MAX),
            first_day: it.occurrences.first().map(|first| first.day).unwrap_or_default(),
            last_day: it.occurrences.last().map(|last| last.day).unwrap_or_default(),
            cancelled_from: None,
            cancellation_reason: None,
            stamps: event.stamps(),
        }),
        Event::CancelledFrom { from, reason } => rows.change(event, |row| {
            row.cancelled_from = Some(row.cancelled_from.map_or(*from, |before| before.min(*from)));
            row.cancellation_reason = known_text(Some(reason));
        }),
    }
}
