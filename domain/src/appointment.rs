//! Appointments: agreed meetings of a patient and a provider (FHIR R4 `Appointment`).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Text};
use crate::{Aggregate, DepartmentId, PatientId, Personal, RoomId, Subject, UserId, described, terms};

terms! {
    /// Where an appointment stands.
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
    /// A span of time: from its start up to, and without, its end.
    #[derive(Copy, Eq)]
    pub struct Slot {
        /// When it begins.
        pub starts_at: DateTime<Utc>,
        /// How long it is, in minutes: 1 to 480; 15 unless told.
        #[serde(default = "quarter_of_an_hour")]
        pub duration_minutes: i32,
    }
}

fn quarter_of_an_hour() -> i32 {
    15
}

impl Slot {
    /// When it ends; the next one may begin then.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.starts_at + TimeDelta::minutes(i64::from(self.duration_minutes))
    }
}

/// An agreed meeting of a patient and a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Appointment {
    /// Who is seen.
    pub patient_id: PatientId,
    /// Who sees them.
    pub provider_id: UserId,
    /// Where.
    pub room_id: Option<RoomId>,
    /// In which department.
    pub department_id: Option<DepartmentId>,
    /// When.
    pub slot: Slot,
    /// Where it stands.
    pub status: Status,
}

/// What can happen to an appointment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was agreed.
    Scheduled(Scheduled),
    /// It was moved.
    Rescheduled {
        /// To when.
        slot: Slot,
        /// Who sees the patient now.
        provider_id: UserId,
        /// Where.
        room_id: Option<RoomId>,
        /// In which department.
        department_id: Option<DepartmentId>,
        /// The time zone in which it stands in the book.
        time_zone: Text<64>,
    },
    /// The patient said that they will come.
    Confirmed,
    /// The patient is here.
    CheckedIn,
    /// The patient is being seen.
    Started,
    /// The patient was seen.
    Completed,
    /// It will not take place.
    Cancelled {
        /// Why.
        reason: Personal<LongText>,
    },
    /// The patient did not come.
    MarkedNoShow,
}

/// An appointment as agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Who is seen.
    pub patient_id: PatientId,
    /// Who sees them.
    pub provider_id: UserId,
    /// In which department.
    pub department_id: Option<DepartmentId>,
    /// Where.
    pub room_id: Option<RoomId>,
    /// What kind it is, such as `follow_up`.
    pub appointment_type: Text<50>,
    /// When.
    pub slot: Slot,
    /// The time zone in which it stands in the book.
    pub time_zone: Text<64>,
    /// How urgent it is.
    pub priority: Priority,
    /// Why the patient comes.
    pub reason_for_visit: Option<Personal<LongText>>,
    /// What to prepare.
    pub special_instructions: Option<Personal<LongText>>,
    /// Whether the insurance was verified.
    pub insurance_verified: bool,
}

impl Aggregate for Appointment {
    const STREAM: &'static str = "appointment";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let moved_to = |status| move |it| Self { status, ..it };
        match event {
            Event::Scheduled(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                room_id: it.room_id,
                department_id: it.department_id,
                slot: it.slot,
                status: Status::Scheduled,
            }),
            Event::Rescheduled { slot, provider_id, room_id, department_id, time_zone: _ } => state.map(|it| Self {
                slot: *slot,
                provider_id: *provider_id,
                room_id: *room_id,
                department_id: *department_id,
                status: Status::Scheduled,
                ..it
            }),
            Event::Confirmed => state.map(moved_to(Status::Confirmed)),
            Event::CheckedIn => state.map(moved_to(Status::CheckedIn)),
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
