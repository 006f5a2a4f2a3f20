use chrono::NaiveDate;
use hims_domain::Personal;
use hims_domain::medical_history::{Entry, Event, HistoryType, Status};
use hims_domain::values::PartialDate;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text, text_or_erased};

table! {
    /// One row per entry of a patient's medical history.
    MedicalHistoryRow in "medical_history",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    indexes [(patient_id, history_type), (recorded_by, patient_id)] {
        /// The entry.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// What the entry is about.
        history_type: String [indexed] of HistoryType::CODES,
        /// The system of the code, as a URI (FHIR `Coding.system`).
        code_system: Option<String>,
        /// The code of what the entry is about (FHIR `Coding.code`).
        code: Option<String> [indexed],
        /// What the entry is about, in words.
        description: String [personal],
        /// The relative whom an entry of the type `family` is about.
        family_relationship: Option<String>,
        /// Whether the patient still has the condition.
        clinical_status: Option<String>,
        /// When it began or was done, the first day of the month or year if no more is known; null if unknown or
        /// erased.
        onset_date: Option<NaiveDate> [personal],
        /// How exactly that is known: `day`, `month` or `year`.
        onset_precision: Option<String>,
        /// The day on which the condition ended.
        resolved_date: Option<NaiveDate> [personal],
        /// The lot number of the vaccine.
        lot_number: Option<String>,
        /// The number of the dose in its series.
        dose_number: Option<i32>,
        /// Where in the body the vaccine was given.
        site: Option<String>,
        /// The route by which the vaccine was given.
        route: Option<String>,
        /// Who told of it.
        source: String,
        /// The user who recorded the entry.
        recorded_by: Uuid [indexed],
        /// Notes on the entry.
        notes: Option<String> [personal],
        /// Whether the entry is valid or was entered in error.
        status: String,
        /// The reason for marking the entry as entered in error.
        error_reason: Option<String> [personal],
    }
}

/// The row of an entry after an event.
fn row(event: &Projected<'_, Event>, (patient_id, recorded_by): (Uuid, Uuid), entry: &Entry) -> MedicalHistoryRow {
    let onset = entry.onset_date.as_ref().and_then(Personal::known);
    MedicalHistoryRow {
        id: event.stream_id,
        patient_id,
        history_type: entry.history_type.to_string(),
        code_system: text(entry.code_system.as_ref()),
        code: text(entry.code.as_ref()),
        description: text_or_erased(&entry.description),
        family_relationship: text(entry.family_relationship.as_ref()),
        clinical_status: entry.clinical_status.map(|it| it.to_string()),
        onset_date: onset.and_then(PartialDate::first_day),
        onset_precision: entry.onset_precision.map(|it| it.to_string()),
        resolved_date: entry.resolved_date.as_ref().and_then(Personal::known).copied(),
        lot_number: text(entry.lot_number.as_ref()),
        dose_number: entry.dose_number,
        site: text(entry.site.as_ref()),
        route: text(entry.route.as_ref()),
        source: entry.source.to_string(),
        recorded_by,
        notes: known_text(entry.notes.as_ref()),
        status: Status::Recorded.to_string(),
        error_reason: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, MedicalHistoryRow>) {
    match event.data {
        Event::Recorded { patient_id, recorded_by, entry } => {
            rows.insert(row(event, (patient_id.0, recorded_by.0), entry));
        }
        Event::Changed(entry) => {
            let changed = row(event, (Uuid::nil(), Uuid::nil()), entry);
            rows.change(event, move |row| {
                let (patient_id, recorded_by) = (row.patient_id, row.recorded_by);
                *row = MedicalHistoryRow { patient_id, recorded_by, stamps: row.stamps, ..changed };
            });
        }
        Event::MarkedEnteredInError { reason } => rows.change(event, |row| {
            row.status = Status::EnteredInError.to_string();
            row.error_reason = known_text(Some(reason));
        }),
    }
}
