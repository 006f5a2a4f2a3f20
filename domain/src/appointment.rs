//! Appointments: agreed meetings of a patient and a provider (FHIR R4 `Appointment`).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::appointment_series::SeriesPlace;
use crate::values::{LongText, Reason, Text};
use crate::{Aggregate, DepartmentId, PatientId, Personal, RoomId, Subject, UserId, described, terms};

terms! {
    /// The status of an appointment.
    pub enum Status {
        Scheduled = "scheduled",
        Confirmed = "confirmed",
        CheckedIn = "checked_in",
        InProgress = "in_progress",
        Completed = "completed",
        Cancelled = "cancelled",
        NoShow = "no_show",
    }

    /// How urgent an appointment is.
    pub enum Priority {
        Low = "low",
        Normal = "normal",
        High = "high",
        Urgent = "urgent",
        Emergency = "emergency",
    }
}

described! {
    /// A span of time from its start up to, but not including, its end.
    #[derive(Copy, Eq)]
    pub struct Slot {
        /// The time at which the slot begins.
        pub starts_at: DateTime<Utc>,
        /// The duration in minutes, from 1 to 480; 15 if left out.
        #[serde(default = "quarter_of_an_hour")]
        pub duration_minutes: i32,
    }
}

fn quarter_of_an_hour() -> i32 {
    15
}

impl Slot {
    /// When the slot ends. The next slot may begin at this time.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.starts_at + TimeDelta::minutes(i64::from(self.duration_minutes))
    }
}

/// A time of a provider that is free again, because an appointment was cancelled or moved, or because somebody on the
/// waiting list did not take it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The provider.
    pub provider_id: UserId,
    /// The department that held the appointment.
    pub department_id: Option<DepartmentId>,
    /// The room, if one was booked.
    pub room_id: Option<RoomId>,
    /// The kind of appointment, such as `follow_up`.
    pub appointment_type: Text<50>,
    /// The time that is free.
    pub slot: Slot,
    /// The time zone in which the time is kept.
    pub time_zone: Text<64>,
}

/// An agreed meeting of a patient and a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Appointment {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who sees the patient.
    pub provider_id: UserId,
    /// The room, if one is booked.
    pub room_id: Option<RoomId>,
    /// The department that holds the appointment.
    pub department_id: Option<DepartmentId>,
    /// The kind of appointment, such as `follow_up`.
    pub appointment_type: Text<50>,
    /// The time of the appointment.
    pub slot: Slot,
    /// The time zone in which the appointment is kept.
    pub time_zone: Text<64>,
    /// The status of the appointment.
    pub status: Status,
    /// Whether the patient confirmed that they will come at the time of the appointment.
    pub is_confirmed: bool,
    /// Whether it was accepted that the appointment is outside the provider's hours or in their leave.
    pub outside_hours: bool,
}

/// What can happen to an appointment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The appointment was agreed.
    Scheduled(Scheduled),
    /// The appointment was moved to another time, provider or room.
    Rescheduled {
        /// The new time.
        slot: Slot,
        /// The provider who now sees the patient.
        provider_id: UserId,
        /// The room, if one is booked.
        room_id: Option<RoomId>,
        /// The department that holds the appointment.
        department_id: Option<DepartmentId>,
        /// The time zone in which the appointment is kept.
        time_zone: Text<64>,
        /// Whether it was accepted that the appointment is outside the provider's hours or in their leave.
        outside_hours: bool,
        /// What the appointment gives back: the time, provider and room from before.
        opening: Opening,
    },
    /// The patient confirmed that they will come.
    Confirmed,
    /// The patient has arrived.
    CheckedIn {
        /// Why the patient is seen on another day than that of the appointment, if so.
        other_day_reason: Option<Personal<Reason>>,
    },
    /// The patient had been checked in by mistake.
    CheckInUndone {
        /// The status that the appointment had before the patient was checked in.
        status: Status,
        /// The reason for undoing the check-in.
        reason: Personal<Reason>,
    },
    /// The patient is being seen.
    Started,
    /// The patient is not being seen: the start had been recorded by mistake.
    StartUndone {
        /// The reason for undoing the start.
        reason: Personal<Reason>,
    },
    /// The patient was seen.
    Completed,
    /// The appointment was cancelled.
    Cancelled {
        /// The reason for the cancellation.
        reason: Personal<Reason>,
    },
    /// The patient did not come.
    MarkedNoShow,
    /// The patient is expected again: the appointment had been marked as a no-show by mistake.
    NoShowUndone {
        /// The status that the appointment had before.
        status: Status,
        /// The reason for undoing the no-show.
        reason: Personal<Reason>,
    },
}

/// The appointment as agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who sees the patient.
    pub provider_id: UserId,
    /// The department that holds the appointment.
    pub department_id: Option<DepartmentId>,
    /// The room, if one is booked.
    pub room_id: Option<RoomId>,
    /// The kind of appointment, such as `follow_up`.
    pub appointment_type: Text<50>,
    /// The time of the appointment.
    pub slot: Slot,
    /// The time zone in which the appointment is kept.
    pub time_zone: Text<64>,
    /// How urgent the appointment is.
    pub priority: Priority,
    /// The reason for the visit.
    pub reason_for_visit: Option<Personal<LongText>>,
    /// Instructions for preparing the appointment.
    pub special_instructions: Option<Personal<LongText>>,
    /// Whether the patient's insurance was verified.
    pub insurance_verified: bool,
    /// Whether it was accepted that the appointment is outside the provider's hours or in their leave.
    pub outside_hours: bool,
    /// The series that the appointment belongs to.
    pub series: Option<SeriesPlace>,
}

impl Appointment {
    /// What is free again once the appointment is cancelled or moved.
    pub fn opening(&self) -> Opening {
        Opening {
            provider_id: self.provider_id,
            department_id: self.department_id,
            room_id: self.room_id,
            appointment_type: self.appointment_type.clone(),
            slot: self.slot,
            time_zone: self.time_zone.clone(),
        }
    }
}

impl Aggregate for Appointment {
    const STREAM: &'static str = "appointment";
    const STATE_VERSION: i32 = 4;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let moved_to = |status| move |it| Self { status, ..it };
        match event {
            Event::Scheduled(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                room_id: it.room_id,
                department_id: it.department_id,
                appointment_type: it.appointment_type.clone(),
                slot: it.slot,
                time_zone: it.time_zone.clone(),
                status: Status::Scheduled,
                is_confirmed: false,
                outside_hours: it.outside_hours,
            }),
            Event::Rescheduled { slot, provider_id, room_id, department_id, time_zone, outside_hours, opening: _ } => {
                state.map(|it| Self {
                    slot: *slot,
                    provider_id: *provider_id,
                    room_id: *room_id,
                    department_id: *department_id,
                    time_zone: time_zone.clone(),
                    status: Status::Scheduled,
                    is_confirmed: false,
                    outside_hours: *outside_hours,
                    ..it
                })
            }
            Event::Confirmed => state.map(|it| Self { status: Status::Confirmed, is_confirmed: true, ..it }),
            Event::CheckedIn { other_day_reason: _ } | Event::StartUndone { reason: _ } => {
                state.map(moved_to(Status::CheckedIn))
            }
            Event::CheckInUndone { status, reason: _ } | Event::NoShowUndone { status, reason: _ } => {
                state.map(moved_to(*status))
            }
            Event::Started => state.map(moved_to(Status::InProgress)),
            Event::Completed => state.map(moved_to(Status::Completed)),
            Event::Cancelled { reason: _ } => state.map(moved_to(Status::Cancelled)),
            Event::MarkedNoShow => state.map(moved_to(Status::NoShow)),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
