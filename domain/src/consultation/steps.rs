//! The steps of a consultation: what is to be done, in an order that can grow.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::values::{LongText, Text};
use crate::{ConsultationStepId, PatientId, Personal, UserId, terms};

terms! {
    /// What a step of a consultation is about.
    pub enum StepType {
        Triage = "triage",
        Vitals = "vitals",
        History = "history",
        ReviewOfSystems = "review_of_systems",
        Examination = "examination",
        Assessment = "assessment",
        Plan = "plan",
        Orders = "orders",
        Prescribing = "prescribing",
        Education = "education",
        Checkout = "checkout",
        Custom = "custom",
    }

    /// The status of a step.
    pub enum StepStatus {
        Pending = "pending",
        InProgress = "in_progress",
        Completed = "completed",
        Skipped = "skipped",
    }
}

/// What a step collects: an entry for each thing that was asked or done.
pub type StepData = BTreeMap<String, LongText>;

/// A step as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The id of the step.
    pub id: ConsultationStepId,
    /// What the step is about.
    pub step_type: StepType,
    /// What the step is called, if its type does not say it.
    pub title: Option<Text<200>>,
}

/// A step and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSoFar {
    /// The step.
    pub step: Step,
    /// How far the step has come.
    pub status: StepStatus,
}

impl StepSoFar {
    /// A step that nobody has begun.
    pub(super) fn pending(step: Step) -> Self {
        Self { step, status: StepStatus::Pending }
    }

    /// Whether somebody still has to complete or skip the step.
    pub fn is_open(&self) -> bool {
        matches!(self.status, StepStatus::Pending | StepStatus::InProgress)
    }
}

/// The place of a step in the consultation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPlace {
    /// The step.
    pub step_id: ConsultationStepId,
    /// The number of the step in the consultation, from 1.
    pub step_number: i32,
}

/// A step that was added to a consultation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepAdded {
    /// The patient of the consultation.
    pub patient_id: PatientId,
    /// The new step.
    pub step: Step,
    /// The number of the new step in the consultation, from 1.
    pub step_number: i32,
    /// The new places of the steps that come after the new one.
    pub moved: Vec<StepPlace>,
}

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepStarted {
    /// The step.
    pub step_id: ConsultationStepId,
    /// When the step was begun.
    pub started_at: DateTime<Utc>,
    /// The user who does the step.
    pub performed_by: Option<UserId>,
}

/// A step that was completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepCompleted {
    /// The step.
    pub step_id: ConsultationStepId,
    /// When the step was completed.
    pub completed_at: DateTime<Utc>,
    /// The user who completed the step.
    pub performed_by: Option<UserId>,
    /// What the step collected.
    pub data: Option<Personal<StepData>>,
}
