//! Consultations: encounters of a patient and a provider (FHIR R4 `Encounter`).

mod diagnoses;
mod steps;
mod symptoms;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason, Text};
use crate::{
    Aggregate, AppointmentId, ConsultationStepId, DiagnosisId, PatientId, Personal, Subject, SymptomId, UserId,
    derived_row, described, terms,
};

pub use diagnoses::{
    AmendedDiagnosis, ClinicalStatus, Diagnosis, DiagnosisChanged, DiagnosisRecorded, DiagnosisType, Rank,
    RankedDiagnosis, VerificationStatus,
};
pub use steps::{Step, StepAdded, StepCompleted, StepData, StepPlace, StepSoFar, StepStarted, StepStatus, StepType};
pub use symptoms::{DurationUnit, RecordStatus, Symptom, SymptomRecorded, SymptomSeverity};

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
    /// The kind of consultation, such as `standard`.
    pub consultation_type: Text<50>,
    /// When the consultation began.
    pub started_at: DateTime<Utc>,
    /// Whether the steps are fixed or follow the findings.
    pub workflow_type: WorkflowType,
    /// The findings so far.
    pub findings: Findings,
    /// The status of the consultation.
    pub status: Status,
    /// The steps in their order.
    pub steps: Vec<StepSoFar>,
    /// The symptoms that were recorded, and whether each counts.
    pub symptoms: BTreeMap<SymptomId, RecordStatus>,
    /// The diagnoses that were recorded.
    pub diagnoses: BTreeMap<DiagnosisId, RankedDiagnosis>,
    /// Whether the provider has signed the consultation as it is.
    pub is_signed: bool,
    /// How many times the consultation was amended.
    pub amendments: i32,
}

/// The id of the row of an amendment, which is told by its number in the consultation, from 1.
pub fn amendment_row(consultation: Uuid, number: i32) -> Uuid {
    derived_row(consultation, &["amendment", &number.to_string()])
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
    /// A step was added.
    StepAdded(StepAdded),
    /// A step was begun.
    StepStarted(StepStarted),
    /// A step was completed.
    StepCompleted(StepCompleted),
    /// A step was left out.
    StepSkipped {
        /// The step.
        step_id: ConsultationStepId,
        /// Why the step was left out.
        reason: Personal<Reason>,
    },
    /// A symptom was recorded.
    SymptomRecorded(Box<SymptomRecorded>),
    /// A symptom turned out to be entered in error.
    SymptomRetracted {
        /// The symptom.
        symptom_id: SymptomId,
        /// Why the symptom is wrong.
        reason: Personal<Reason>,
    },
    /// A diagnosis was recorded.
    DiagnosisRecorded(Box<DiagnosisRecorded>),
    /// A diagnosis was changed.
    DiagnosisChanged(Box<DiagnosisChanged>),
    /// The provider signed the consultation.
    Signed {
        /// The provider.
        signed_by: UserId,
        /// When the provider signed.
        signed_at: DateTime<Utc>,
    },
    /// The findings were amended after the consultation was completed, which ends the signature.
    Amended(Box<Amended>),
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
    /// The steps in their order.
    pub steps: Vec<Step>,
}

/// The findings of a consultation before and after they were amended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Amended {
    /// The patient.
    pub patient_id: PatientId,
    /// The number of the amendment in the consultation, from 1.
    pub number: i32,
    /// Why the findings were amended.
    pub reason: Personal<Reason>,
    /// The findings as they were.
    pub before: Findings,
    /// The findings as they are now.
    pub findings: Findings,
}

impl Consultation {
    /// Sets the status of a step.
    fn with_step(mut self, id: ConsultationStepId, status: StepStatus) -> Self {
        for step in self.steps.iter_mut().filter(|it| it.step.id == id) {
            step.status = status;
        }
        self
    }

    /// Adds a step at its number.
    fn with_new_step(mut self, added: &StepAdded) -> Self {
        let place = usize::try_from(added.step_number - 1).unwrap_or(usize::MAX).min(self.steps.len());
        self.steps.insert(place, StepSoFar::pending(added.step.clone()));
        self
    }

    fn with_symptom(mut self, id: SymptomId, status: RecordStatus) -> Self {
        self.symptoms.insert(id, status);
        self
    }

    fn with_diagnosis(mut self, id: DiagnosisId, diagnosis: &Diagnosis, rank: i32, moved: &[Rank]) -> Self {
        diagnoses::rank(&mut self.diagnoses, moved);
        self.diagnoses.insert(id, RankedDiagnosis { diagnosis: diagnosis.clone(), rank });
        self
    }

    fn amended(self) -> Self {
        Self { is_signed: false, amendments: self.amendments + 1, ..self }
    }
}

impl Aggregate for Consultation {
    const STREAM: &'static str = "consultation";
    const STATE_VERSION: i32 = 3;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Started(it) => Some(Self {
                patient_id: it.patient_id,
                provider_id: it.provider_id,
                appointment_id: it.appointment_id,
                consultation_type: it.consultation_type.clone(),
                started_at: it.started_at,
                workflow_type: it.workflow_type,
                findings: Findings { chief_complaint: it.chief_complaint.clone(), ..Findings::default() },
                status: Status::InProgress,
                steps: it.steps.iter().cloned().map(StepSoFar::pending).collect(),
                symptoms: BTreeMap::new(),
                diagnoses: BTreeMap::new(),
                is_signed: false,
                amendments: 0,
            }),
            Event::FindingsRecorded(findings) => state.map(|it| Self { findings: (**findings).clone(), ..it }),
            Event::Completed { .. } => state.map(|it| Self { status: Status::Completed, ..it }),
            Event::Cancelled { reason: _ } | Event::StartUndone { reason: _ } => {
                state.map(|it| Self { status: Status::Cancelled, ..it })
            }
            Event::StepAdded(added) => state.map(|it| it.with_new_step(added)),
            Event::StepStarted(step) => state.map(|it| it.with_step(step.step_id, StepStatus::InProgress)),
            Event::StepCompleted(step) => state.map(|it| it.with_step(step.step_id, StepStatus::Completed)),
            Event::StepSkipped { step_id, reason: _ } => state.map(|it| it.with_step(*step_id, StepStatus::Skipped)),
            Event::SymptomRecorded(symptom) => {
                state.map(|it| it.with_symptom(symptom.symptom_id, RecordStatus::Recorded))
            }
            Event::SymptomRetracted { symptom_id, reason: _ } => {
                state.map(|it| Self { is_signed: false, ..it }.with_symptom(*symptom_id, RecordStatus::EnteredInError))
            }
            Event::DiagnosisRecorded(new) => {
                state.map(|it| it.with_diagnosis(new.diagnosis_id, &new.diagnosis, new.rank, &new.moved))
            }
            Event::DiagnosisChanged(new) => state.map(|it| {
                let changed = it.with_diagnosis(new.diagnosis_id, &new.diagnosis, new.rank, &new.moved);
                if new.amends.is_some() { changed.amended() } else { changed }
            }),
            Event::Signed { .. } => state.map(|it| Self { is_signed: true, ..it }),
            Event::Amended(new) => state.map(|it| Self { findings: new.findings.clone(), ..it }.amended()),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
