mod amendments;
mod diagnoses;
mod steps;
mod symptoms;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::consultation::{Event, Findings, Started, Status};
use hims_domain::values::LongText;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::amendments::AmendmentRow;
pub(crate) use self::diagnoses::DiagnosisRow;
pub(crate) use self::steps::StepRow;
pub(crate) use self::symptoms::SymptomRow;
use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per consultation.
    ConsultationRow in "consultations",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped by,
    search "search @@ websearch_to_tsquery('simple', {q})" found by "hims_identity.consultations_found_by",
    indexes [(patient_id, started_at), (provider_id, started_at), (provider_id, status, started_at)] {
        /// The consultation.
        id: Uuid [indexed],
        /// The appointment that led to the consultation; null for a walk-in.
        appointment_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The provider who sees the patient.
        provider_id: Uuid [indexed],
        /// The kind of consultation, such as `standard`.
        consultation_type: String,
        /// Whether the steps of the consultation are fixed or follow the findings.
        workflow_type: String,
        /// The reason for the visit in the patient's own words.
        chief_complaint: Option<String> [personal],
        /// How the present illness developed.
        history_of_present_illness: Option<String> [personal],
        /// The symptoms that the patient reports for each organ system.
        review_of_systems: Option<Value> [personal],
        /// The findings of the examination for each part of the body.
        physical_examination: Option<Value> [personal],
        /// The assessment: the diagnosis or the likely diagnoses.
        assessment: Option<String> [personal],
        /// The plan for treatment and follow-up.
        plan: Option<String> [personal],
        /// The status of the consultation.
        status: String [indexed] of hims_domain::consultation::Status::CODES,
        /// When the consultation began.
        started_at: DateTime<Utc> [indexed],
        /// When the consultation was completed.
        completed_at: Option<DateTime<Utc>>,
        /// The duration of the consultation in minutes, rounded down.
        total_duration_minutes: Option<i32>,
        /// When the provider signed the consultation as it is; null if it is unsigned or was amended since.
        signed_at: Option<DateTime<Utc>>,
        /// The provider who signed the consultation as it is.
        signed_by: Option<Uuid> [indexed],
    }
}

fn map(value: Option<&Personal<BTreeMap<String, LongText>>>) -> Option<Value> {
    value.and_then(Personal::known).map(|texts| json!(texts))
}

fn set_findings(row: &mut ConsultationRow, findings: &Findings) {
    row.chief_complaint = known_text(findings.chief_complaint.as_ref());
    row.history_of_present_illness = known_text(findings.history_of_present_illness.as_ref());
    row.review_of_systems = map(findings.review_of_systems.as_ref());
    row.physical_examination = map(findings.physical_examination.as_ref());
    row.assessment = known_text(findings.assessment.as_ref());
    row.plan = known_text(findings.plan.as_ref());
}

/// The consultation counts as unsigned again.
fn unsign(row: &mut ConsultationRow) {
    row.signed_at = None;
    row.signed_by = None;
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    rows: &mut Changes<'e, ConsultationRow>,
    steps: &mut Changes<'e, StepRow>,
    symptoms: &mut Changes<'e, SymptomRow>,
    diagnoses: &mut Changes<'e, DiagnosisRow>,
    amendments: &mut Changes<'e, AmendmentRow>,
) {
    if !matches!(event.data, Event::Started(_)) {
        // The version of the row is that of the stream, whatever part of the consultation changes.
        rows.touch(event);
    }
    match event.data {
        Event::Started(it) => {
            rows.insert(started(event, it));
            for (step, step_number) in it.steps.iter().zip(1..) {
                steps.insert(steps::pending(event, it.patient_id, step, step_number));
            }
        }
        Event::FindingsRecorded(findings) => rows.change(event, |row| set_findings(row, findings)),
        Event::Completed { completed_at, total_duration_minutes } => rows.change(event, |row| {
            row.status = Status::Completed.to_string();
            row.completed_at = Some(*completed_at);
            row.total_duration_minutes = Some(*total_duration_minutes);
        }),
        Event::Cancelled { reason: _ } | Event::StartUndone { reason: _ } => {
            rows.change(event, |row| row.status = Status::Cancelled.to_string());
        }
        Event::Signed { signed_by, signed_at } => rows.change(event, |row| {
            row.signed_at = Some(*signed_at);
            row.signed_by = Some((*signed_by).into());
        }),
        Event::Amended(it) => {
            rows.change(event, |row| {
                set_findings(row, &it.findings);
                unsign(row);
            });
            amendments.insert(amendments::of_findings(event, it));
        }
        Event::StepAdded(it) => steps::added(event, it, steps),
        Event::StepStarted(it) => steps::started(event, it, steps),
        Event::StepCompleted(it) => steps::completed(event, it, steps),
        Event::StepSkipped { step_id, reason } => steps::skipped(event, *step_id, reason, steps),
        Event::SymptomRecorded(it) => symptoms.insert(symptoms::row(event, it)),
        Event::SymptomRetracted { symptom_id, reason: _ } => {
            symptoms::retracted(event, *symptom_id, symptoms);
            rows.change(event, unsign);
        }
        Event::DiagnosisRecorded(it) => diagnoses::recorded(event, it, diagnoses),
        Event::DiagnosisChanged(it) => {
            diagnoses::changed(event, it, diagnoses);
            if let Some(amendment) = amendments::of_diagnosis(event, it) {
                amendments.insert(amendment);
                rows.change(event, unsign);
            }
        }
    }
}

/// The row of a consultation that began.
fn started(event: &Projected<'_, Event>, it: &Started) -> ConsultationRow {
    ConsultationRow {
        id: event.stream_id,
        appointment_id: it.appointment_id.map(Uuid::from),
        patient_id: it.patient_id.into(),
        provider_id: it.provider_id.into(),
        consultation_type: it.consultation_type.0.clone(),
        workflow_type: it.workflow_type.to_string(),
        chief_complaint: known_text(it.chief_complaint.as_ref()),
        history_of_present_illness: None,
        review_of_systems: None,
        physical_examination: None,
        assessment: None,
        plan: None,
        status: Status::InProgress.to_string(),
        started_at: it.started_at,
        completed_at: None,
        total_duration_minutes: None,
        signed_at: None,
        signed_by: None,
        stamps: event.stamps(),
    }
}
