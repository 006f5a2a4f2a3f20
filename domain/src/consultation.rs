//! Consultations: encounters of a patient and a provider (FHIR R4 `Encounter`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Text};
use crate::{Aggregate, AppointmentId, PatientId, Personal, Subject, UserId, described, terms};

terms! {
    /// Where a consultation stands.
    pub enum Status {
        InProgress = "in_progress",
        Completed = "completed",
        Cancelled = "cancelled",
    }

    /// Whether the steps are fixed or follow the findings.
    pub enum WorkflowType {
        Standard = "standard",
        Adaptive = "adaptive",
    }
}

described! {
    /// What was found and concluded.
    #[derive(Default)]
    pub struct Findings {
        /// Why the patient came, in their words.
        pub chief_complaint: Option<Personal<LongText>>,
        /// How it came about.
        pub history_of_present_illness: Option<Personal<LongText>>,
        /// What was asked about each organ system.
        pub review_of_systems: Option<Personal<BTreeMap<String, LongText>>>,
        /// What was found at each part of the body.
        pub physical_examination: Option<Personal<BTreeMap<String, LongText>>>,
        /// What it is taken to be.
        pub assessment: Option<Personal<LongText>>,
        /// What will be done.
        pub plan: Option<Personal<LongText>>,
    }
}

/// An encounter of a patient and a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consultation {
    /// Who is seen.
    pub patient_id: PatientId,
    /// Who sees them.
    pub provider_id: UserId,
    /// The appointment that led to it; `None` for a walk-in.
    pub appointment_id: Option<AppointmentId>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// What was found.
    pub findings: Findings,
    /// Where it stands.
    pub status: Status,
}

/// What can happen to a consultation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It began.
    Started(Started),
    /// Something was found; holds everything as it is now.
    FindingsRecorded(Box<Findings>),
    /// It ended as it should.
    Completed {
        /// When.
        completed_at: DateTime<Utc>,
        /// How long it took, in minutes, rounded down.
        total_duration_minutes: i32,
    },
    /// It was broken off.
    Cancelled {
        /// Why.
        reason: Personal<LongText>,
    },
}

/// A consultation as it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Who is seen.
    pub patient_id: PatientId,
    /// Who sees them.
    pub provider_id: UserId,
    /// The appointment that led to it; `None` for a walk-in.
    pub appointment_id: Option<AppointmentId>,
    /// What kind it is, such as `standard`.
    pub consultation_type: Text<50>,
    /// Whether the steps are fixed.
    pub workflow_type: WorkflowType,
    /// Why the patient came.
    pub chief_complaint: Option<Personal<LongText>>,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

impl Aggregate for Consultation {
    const STREAM: &'static str = "consultation";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Started(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                appointment_id: it.appointment_id,
                started_at: it.started_at,
                findings: Findings { chief_complaint: it.chief_complaint.clone(), ..Findings::default() },
                status: Status::InProgress,
            }),
            Event::FindingsRecorded(findings) => state.map(|it| Self { findings: (**findings).clone(), ..it }),
            Event::Completed { .. } => state.map(|it| Self { status: Status::Completed, ..it }),
            Event::Cancelled { reason: _ } => state.map(|it| Self { status: Status::Cancelled, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
