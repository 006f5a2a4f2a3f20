use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::consultation::{Event, RecordStatus, SymptomRecorded};
use hims_domain::{Personal, SymptomId};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per symptom that was recorded in a consultation.
    SymptomRow in "symptoms",
    entries of consultation [symptoms] by symptom_id,
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    indexes [(patient_id, recorded_at), (recorded_by, patient_id)] {
        /// The symptom.
        id: Uuid [indexed],
        /// The consultation.
        consultation_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The code system (URI) of `code`.
        code_system: Option<String>,
        /// The code of the symptom in the code system.
        code: Option<String> [indexed],
        /// The name of the symptom.
        name: Option<String> [personal],
        /// Where in the body the symptom is felt.
        body_site: Option<String>,
        /// How severe the symptom is.
        severity: Option<String>,
        /// When the symptom began.
        onset_date: Option<NaiveDate> [personal],
        /// For how long the symptom has lasted, in `duration_unit`.
        duration_value: Option<i32>,
        /// The unit of the duration (UCUM).
        duration_unit: Option<String>,
        /// Whether the patient was asked and does not have the symptom.
        is_negated: bool,
        /// Notes on the symptom.
        notes: Option<String> [personal],
        /// Whether the record counts.
        status: String,
        /// The user who recorded the symptom.
        recorded_by: Uuid [indexed],
        /// When the symptom was recorded.
        recorded_at: DateTime<Utc>,
    }
}

pub(super) fn row(event: &Projected<'_, Event>, it: &SymptomRecorded) -> SymptomRow {
    let symptom = &it.symptom;
    SymptomRow {
        id: it.symptom_id.into(),
        consultation_id: event.stream_id,
        patient_id: it.patient_id.into(),
        code_system: text(symptom.code_system.as_ref()),
        code: text(symptom.code.as_ref()),
        name: known_text(Some(&symptom.name)),
        body_site: text(symptom.body_site.as_ref()),
        severity: symptom.severity.map(|it| it.to_string()),
        onset_date: symptom.onset_date.as_ref().and_then(Personal::known).copied(),
        duration_value: symptom.duration_value,
        duration_unit: symptom.duration_unit.map(|it| it.to_string()),
        is_negated: symptom.is_negated,
        notes: known_text(symptom.notes.as_ref()),
        status: RecordStatus::Recorded.to_string(),
        recorded_by: it.recorded_by.into(),
        recorded_at: it.recorded_at,
        stamps: event.stamps(),
    }
}

pub(super) fn retracted<'e>(event: &Projected<'e, Event>, id: SymptomId, symptoms: &mut Changes<'e, SymptomRow>) {
    symptoms.change_row(event, id, |row| row.status = RecordStatus::EnteredInError.to_string());
}
