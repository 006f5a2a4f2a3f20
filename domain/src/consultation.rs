//! Consultations: encounters of a patient and a provider (FHIR R4 `Encounter`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason, Text};
use crate::{Aggregate, AppointmentId, PatientId, Personal, Subject, UserId, described, terms};

terms! {
    /// The status of a consultation.
    pub enum Status {
        InProgress = "in_progress",
        Completed = "completed",
        Cancelled = "cancelled",
    }

    /// Whether the steps of a consultation are fixed or follow the findings.
    pub enum WorkflowType {
        Standard = "standard",
        Adaptive = "adaptive",
    }
}

described! {
    /// The findings of a consultation and the conclusions from them.
    #[derive(Default)]
    pub struct Findings {
        /// The reason for the visit in the patient's own words.
        pub chief_complaint: Option<Personal<LongText>>,
        /// How the present illness developed.
        pub history_of_present_illness: Option<Personal<LongText>>,
        /// The symptoms that the patient reports for each organ system.
        pub review_of_systems: Option<Personal<BTreeMap<String, LongText>>>,
        /// The findings of the examination for each part of the body.
        pub physical_examination: Option<Personal<BTreeMap<String, LongText>>>,
        /// The assessment: the diagnosis or the likely diagnoses.
        pub assessment: Option<Personal<LongText>>,
        /// The plan for treatment and follow-up.
        pub plan: Option<Personal<LongText>>,
    }
}

/// An encounter of a patient and a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consultation {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who sees the patient.
    pub provider_id: UserId,
    /// The appointment that led to the consultation; `None` for a walk-in.
    pub appointment_id: Option<AppointmentId>,
    /// When the consultation began.
    pub started_at: DateTime<Utc>,
    /// The findings so far.
    pub findings: Findings,
    /// The status of the consultation.
    pub status: Status,
}

/// What can happen to a consultation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The consultation began.
    Started(Started),
    /// Findings were recorded. The event holds all findings so far.
    FindingsRecorded(Box<Findings>),
    /// The consultation was completed.
    Completed {
        /// When the consultation was completed.
        completed_at: DateTime<Utc>,
        /// The duration of the consultation in minutes, rounded down.
        total_duration_minutes: i32,
    },
    /// The consultation was broken off.
    Cancelled {
        /// The reason for breaking the consultation off.
        reason: Personal<Reason>,
    },
    /// The consultation never took place: its start had been recorded by mistake.
    StartUndone {
        /// The reason for undoing the start.
        reason: Personal<Reason>,
    },
}

/// The consultation as it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who sees the patient.
    pub provider_id: UserId,
    /// The appointment that led to the consultation; `None` for a walk-in.
    pub appointment_id: Option<AppointmentId>,
    /// The kind of consultation, such as `standard`.
    pub consultation_type: Text<50>,
    /// Whether the steps of the consultation are fixed or follow the findings.
    pub workflow_type: WorkflowType,
    /// The reason for the visit in the patient's own words.
    pub chief_complaint: Option<Personal<LongText>>,
    /// When the consultation began.
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
            Event::Cancelled { reason: _ } | Event::StartUndone { reason: _ } => {
                state.map(|it| Self { status: Status::Cancelled, ..it })
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
