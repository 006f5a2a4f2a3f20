use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::Personal;
use hims_domain::consultation::{Diagnosis, DiagnosisChanged, DiagnosisRecorded, Event, Rank};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per diagnosis of a consultation.
    DiagnosisRow in "diagnoses",
    entries of consultation [diagnoses] by diagnosis_id,
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    indexes [(patient_id, clinical_status), (patient_id, diagnosed_at), (code_system, code)] {
        /// The diagnosis.
        id: Uuid [indexed],
        /// The consultation.
        consultation_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The rank among the diagnoses of the same type in the consultation, from 1.
        rank: i32,
        /// The code system (URI) of `code`.
        code_system: String [indexed],
        /// The code of the diagnosis in the code system.
        code: String,
        /// The diagnosis in words.
        description: Option<String> [personal],
        /// For what the diagnosis is given.
        diagnosis_type: String,
        /// How certain the diagnosis is.
        verification_status: String,
        /// How the condition is at present; null if the diagnosis was entered in error.
        clinical_status: Option<String>,
        /// When the condition began.
        onset_date: Option<NaiveDate> [personal],
        /// When the condition ended.
        abatement_date: Option<NaiveDate> [personal],
        /// The user who made the diagnosis.
        diagnosed_by: Uuid [indexed],
        /// When the diagnosis was made.
        diagnosed_at: DateTime<Utc>,
        /// Notes on the diagnosis.
        notes: Option<String> [personal],
    }
}

fn day(value: Option<&Personal<NaiveDate>>) -> Option<NaiveDate> {
    value.and_then(Personal::known).copied()
}

fn set(row: &mut DiagnosisRow, diagnosis: &Diagnosis, rank: i32) {
    row.rank = rank;
    row.code_system.clone_from(&diagnosis.code_system.0);
    row.code.clone_from(&diagnosis.code.0);
    row.description = known_text(Some(&diagnosis.description));
    row.diagnosis_type = diagnosis.diagnosis_type.to_string();
    row.verification_status = diagnosis.verification_status.to_string();
    row.clinical_status = diagnosis.clinical_status.map(|it| it.to_string());
    row.onset_date = day(diagnosis.onset_date.as_ref());
    row.abatement_date = day(diagnosis.abatement_date.as_ref());
    row.notes = known_text(diagnosis.notes.as_ref());
}

fn move_down<'e>(event: &Projected<'e, Event>, moved: &'e [Rank], diagnoses: &mut Changes<'e, DiagnosisRow>) {
    for place in moved {
        diagnoses.change_row(event, place.diagnosis_id, |row| row.rank = place.rank);
    }
}

pub(super) fn recorded<'e>(
    event: &Projected<'e, Event>,
    it: &'e DiagnosisRecorded,
    diagnoses: &mut Changes<'e, DiagnosisRow>,
) {
    move_down(event, &it.moved, diagnoses);
    let mut row = DiagnosisRow {
        id: it.diagnosis_id.into(),
        consultation_id: event.stream_id,
        patient_id: it.patient_id.into(),
        rank: it.rank,
        code_system: String::new(),
        code: String::new(),
        description: None,
        diagnosis_type: String::new(),
        verification_status: String::new(),
        clinical_status: None,
        onset_date: None,
        abatement_date: None,
        diagnosed_by: it.diagnosed_by.into(),
        diagnosed_at: it.diagnosed_at,
        notes: None,
        stamps: event.stamps(),
    };
    set(&mut row, &it.diagnosis, it.rank);
    diagnoses.insert(row);
}

pub(super) fn changed<'e>(
    event: &Projected<'e, Event>,
    it: &'e DiagnosisChanged,
    diagnoses: &mut Changes<'e, DiagnosisRow>,
) {
    move_down(event, &it.moved, diagnoses);
    diagnoses.change_row(event, it.diagnosis_id, |row| set(row, &it.diagnosis, it.rank));
}
