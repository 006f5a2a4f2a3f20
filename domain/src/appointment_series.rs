//! Series of appointments that are agreed together. Each occurrence is an appointment of its own.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text};
use crate::{
    Aggregate, AppointmentId, AppointmentSeriesId, DepartmentId, PatientId, Personal, Subject, UserId, derived,
};

/// One appointment of a series, as it was agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The place in the series, from 1.
    pub index: i32,
    /// The day, in the time zone of the series.
    pub day: NaiveDate,
    /// The appointment.
    pub appointment_id: AppointmentId,
}

/// The series that an appointment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesPlace {
    /// The series.
    pub series_id: AppointmentSeriesId,
    /// The place in the series, from 1.
    pub index: i32,
}

/// A series of appointments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppointmentSeries {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider, as it was agreed.
    pub provider_id: UserId,
    /// The department, as it was agreed.
    pub department_id: Option<DepartmentId>,
    /// The time zone in which the series is kept.
    pub time_zone: Text<64>,
    /// The appointments of the series.
    pub occurrences: Vec<Occurrence>,
}

/// What can happen to a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The series was agreed.
    Scheduled(Scheduled),
    /// The open appointments from a day on were cancelled.
    CancelledFrom {
        /// The first day, in the time zone of the series.
        from: NaiveDate,
        /// The reason for the cancellation.
        reason: Personal<Reason>,
    },
}

/// The series as agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider with whom the series was agreed.
    pub provider_id: UserId,
    /// The department in which the series was agreed.
    pub department_id: Option<DepartmentId>,
    /// The time zone in which the series is kept.
    pub time_zone: Text<64>,
    /// The rule of the recurrence (RFC 5545).
    pub rrule: Text<200>,
    /// The days of the rule that were left out.
    pub exclude_dates: Vec<NaiveDate>,
    /// The appointments of the series.
    pub occurrences: Vec<Occurrence>,
}

impl AppointmentSeries {
    /// The id of the appointment of a series on a day.
    pub fn occurrence_of(series: Uuid, day: NaiveDate) -> AppointmentId {
        derived(Self::STREAM, &[&series.to_string(), &day.to_string()]).into()
    }
}

impl Aggregate for AppointmentSeries {
    const STREAM: &'static str = "appointment_series";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Scheduled(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                department_id: it.department_id,
                time_zone: it.time_zone.clone(),
                occurrences: it.occurrences.clone(),
            }),
            // Which appointments are cancelled, the appointments themselves say.
            Event::CancelledFrom { from: _, reason: _ } => state,
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
