use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::consultation::{Event, Findings, Status};
use hims_domain::values::LongText;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per consultation.
    ConsultationRow in "consultations",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped by,
    search "search @@ websearch_to_tsquery('simple', {q})" found by "hims_identity.consultations_found_by",
    indexes [(patient_id, started_at), (provider_id, started_at), (provider_id, status, started_at)] {
        /// The consultation.
        id: Uuid [indexed],
        /// The appointment that led to it.
        appointment_id: Option<Uuid> [indexed],
        /// Who is seen.
        patient_id: Uuid [indexed],
        /// Who sees them.
        provider_id: Uuid [indexed],
        /// What kind it is.
        consultation_type: String,
        /// Whether the steps are fixed.
        workflow_type: String,
        /// Why the patient came.
        chief_complaint: Option<String> [personal],
        /// How it came about.
        history_of_present_illness: Option<String> [personal],
        /// What was asked about each organ system.
        review_of_systems: Option<Value> [personal],
        /// What was found at each part of the body.
        physical_examination: Option<Value> [personal],
        /// What it is taken to be.
        assessment: Option<String> [personal],
        /// What will be done.
        plan: Option<String> [personal],
        /// Where it stands.
        status: String [indexed],
        /// When it began.
        started_at: DateTime<Utc> [indexed],
        /// When it ended.
        completed_at: Option<DateTime<Utc>>,
        /// How long it took, in minutes.
        total_duration_minutes: Option<i32>,
    }
}

fn text(it: Option<&Personal<LongText>>) -> Option<String> {
    it.and_then(Personal::known).map(|it| it.0.clone())
}

fn map(it: Option<&Personal<BTreeMap<String, LongText>>>) -> Option<Value> {
    it.and_then(Personal::known).map(|it| json!(it))
}

fn set_findings(row: &mut ConsultationRow, it: &Findings) {
    row.chief_complaint = text(it.chief_complaint.as_ref());
    row.history_of_present_illness = text(it.history_of_present_illness.as_ref());
    row.review_of_systems = map(it.review_of_systems.as_ref());
    row.physical_examination = map(it.physical_examination.as_ref());
    row.assessment = text(it.assessment.as_ref());
    row.plan = text(it.plan.as_ref());
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, ConsultationRow>) {
    match event.data {
        Event::Started(it) => rows.insert(ConsultationRow {
            id: event.stream_id,
            appointment_id: it.appointment_id.map(Uuid::from),
            patient_id: it.patient_id.into(),
            provider_id: it.provider_id.into(),
            consultation_type: it.consultation_type.0.clone(),
            workflow_type: it.workflow_type.to_string(),
            chief_complaint: text(it.chief_complaint.as_ref()),
            history_of_present_illness: None,
            review_of_systems: None,
            physical_examination: None,
            assessment: None,
            plan: None,
            status: Status::InProgress.to_string(),
            started_at: it.started_at,
            completed_at: None,
            total_duration_minutes: None,
            stamps: event.stamps(),
        }),
        Event::FindingsRecorded(findings) => rows.change(event, |row| set_findings(row, findings)),
        Event::Completed { completed_at, total_duration_minutes } => rows.change(event, |row| {
            row.status = Status::Completed.to_string();
            row.completed_at = Some(*completed_at);
            row.total_duration_minutes = Some(*total_duration_minutes);
        }),
        Event::Cancelled { reason: _ } => rows.change(event, |row| row.status = Status::Cancelled.to_string()),
    }
}
