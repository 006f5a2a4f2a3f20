use chrono::{DateTime, Utc};
use hims_domain::consultation::{Event, Step, StepAdded, StepCompleted, StepData, StepStarted, StepStatus};
use hims_domain::values::Reason;
use hims_domain::{ConsultationStepId, PatientId, Personal};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per step of a consultation.
    StepRow in "consultation_steps",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    indexes [(performed_by, patient_id)] {
        /// The step.
        id: Uuid [indexed],
        /// The consultation.
        consultation_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the step in the consultation, from 1.
        step_number: i32,
        /// What the step is about.
        step_type: String,
        /// What the step is called, if its type does not say it.
        title: Option<String>,
        /// How far the step has come.
        status: String,
        /// What the step collected.
        data: Option<Value> [personal],
        /// Why the step was left out.
        skip_reason: Option<String> [personal],
        /// The user who started or completed the step last.
        performed_by: Option<Uuid> [indexed],
        /// When the step was started.
        started_at: Option<DateTime<Utc>>,
        /// When the step was completed.
        completed_at: Option<DateTime<Utc>>,
    }
}

fn data(value: &Personal<StepData>) -> Option<Value> {
    value.known().map(|texts| json!(texts))
}

/// The row of a step that nobody has begun.
pub(super) fn pending(event: &Projected<'_, Event>, patient_id: PatientId, step: &Step, step_number: i32) -> StepRow {
    StepRow {
        id: step.id.into(),
        consultation_id: event.stream_id,
        patient_id: patient_id.into(),
        step_number,
        step_type: step.step_type.to_string(),
        title: text(step.title.as_ref()),
        status: StepStatus::Pending.to_string(),
        data: None,
        skip_reason: None,
        performed_by: None,
        started_at: None,
        completed_at: None,
        stamps: event.stamps(),
    }
}

pub(super) fn added<'e>(event: &Projected<'e, Event>, it: &'e StepAdded, steps: &mut Changes<'e, StepRow>) {
    for place in &it.moved {
        steps.change_row(event, place.step_id, |row| row.step_number = place.step_number);
    }
    steps.insert(pending(event, it.patient_id, &it.step, it.step_number));
}

pub(super) fn started<'e>(event: &Projected<'e, Event>, it: &'e StepStarted, steps: &mut Changes<'e, StepRow>) {
    steps.change_row(event, it.step_id, |row| {
        row.status = StepStatus::InProgress.to_string();
        row.started_at = Some(it.started_at);
        row.performed_by = it.performed_by.map(Uuid::from);
    });
}

pub(super) fn completed<'e>(event: &Projected<'e, Event>, it: &'e StepCompleted, steps: &mut Changes<'e, StepRow>) {
    steps.change_row(event, it.step_id, |row| {
        row.status = StepStatus::Completed.to_string();
        row.completed_at = Some(it.completed_at);
        row.performed_by = it.performed_by.map(Uuid::from);
        row.data = it.data.as_ref().and_then(data);
    });
}

pub(super) fn skipped<'e>(
    event: &Projected<'e, Event>,
    id: ConsultationStepId,
    reason: &'e Personal<Reason>,
    steps: &mut Changes<'e, StepRow>,
) {
    steps.change_row(event, id, |row| {
        row.status = StepStatus::Skipped.to_string();
        row.skip_reason = known_text(Some(reason));
    });
}
