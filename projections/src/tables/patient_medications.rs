use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::medication_list::{Event, Origin, Status, Taken};
use hims_domain::values::Reason;
use hims_domain::{MedicationEntryId, PatientId, Personal};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text, text_or_erased};

table! {
    /// One row per medication list: that of a patient for whom something was prescribed, or who takes something else.
    MedicationListRow in "medication_lists",
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped {
        /// The list.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// When somebody last went through the list with the patient.
        reconciled_at: Option<DateTime<Utc>>,
        /// The user who went through the list then.
        reconciled_by: Option<Uuid> [indexed],
    }
}

table! {
    /// One row per medication that a patient takes or took.
    PatientMedicationRow in "patient_medications",
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped,
    indexes [(patient_id, status), (recorded_by, patient_id)] {
        /// The entry of the patient's medication list.
        id: Uuid [indexed],
        /// The patient's medication list.
        medication_list_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The product of the catalogue; null if the catalogue does not have the medication.
        medication_id: Option<Uuid> [indexed],
        /// The item of the prescription that began the entry; null if the medication was not prescribed here.
        prescription_item_id: Option<Uuid> [indexed],
        /// The name of a medication that the catalogue does not have.
        medication_name: Option<String> [personal],
        /// The RxNorm concept of the product (RXCUI) when the entry was made or changed.
        rxnorm_code: Option<String>,
        /// The RxNorm concepts of the ingredients (RXCUI) when the entry was made or changed; empty if unknown.
        ingredients: Value,
        /// The dose, such as `500 mg`.
        dose: Option<String> [personal],
        /// The route by which the medication is taken, such as `oral`.
        route: Option<String>,
        /// How often the medication is taken.
        frequency: Option<String>,
        /// Whether the patient takes the medication.
        status: String [indexed] of Status::CODES,
        /// Why the medication was stopped or put on hold, or why the entry is wrong.
        stop_reason: Option<String> [personal],
        /// The first day on which the medication is taken.
        start_date: Option<NaiveDate>,
        /// The last day on which the medication is taken.
        end_date: Option<NaiveDate>,
        /// Who told of the medication; `prescribed_here` if a prescription of this hospital began the entry.
        source: String,
        /// The user who made the entry; null if a part of the system did.
        recorded_by: Option<Uuid> [indexed],
        /// When somebody last went through the list with the patient and decided on the entry.
        reconciled_at: Option<DateTime<Utc>>,
        /// The user who went through the list then.
        reconciled_by: Option<Uuid> [indexed],
    }
}

/// Puts what is known of a medication into its row.
fn set_taken(row: &mut PatientMedicationRow, taken: &Taken) {
    row.medication_id = taken.medication_id.map(Uuid::from);
    row.medication_name = taken.medication_name.as_ref().map(text_or_erased);
    row.rxnorm_code = text(taken.rxnorm_code.as_ref());
    row.ingredients = taken.ingredients.as_ref().map_or_else(|| json!([]), |it| json!(it));
    row.dose = known_text(taken.dose.as_ref());
    row.route = text(taken.route.as_ref());
    row.frequency = text(taken.frequency.as_ref());
    row.start_date = taken.start_date;
    row.end_date = taken.end_date;
}

/// The row of a new entry.
fn new_row(
    event: &Projected<'_, Event>,
    (patient_id, entry_id): (PatientId, MedicationEntryId),
    taken: &Taken,
    origin: Origin,
    status: Status,
) -> PatientMedicationRow {
    let mut row = PatientMedicationRow {
        id: entry_id.into(),
        medication_list_id: event.stream_id,
        patient_id: patient_id.into(),
        medication_id: None,
        prescription_item_id: origin.item_id().map(Uuid::from),
        medication_name: None,
        rxnorm_code: None,
        ingredients: json!([]),
        dose: None,
        route: None,
        frequency: None,
        status: status.to_string(),
        stop_reason: None,
        start_date: None,
        end_date: None,
        source: origin.as_str().to_owned(),
        recorded_by: event.user_id(),
        reconciled_at: None,
        reconciled_by: None,
        stamps: event.stamps(),
    };
    set_taken(&mut row, taken);
    row
}

/// What an event does to the row of the list, which begins with the first entry.
fn project_list<'e>(event: &Projected<'e, Event>, lists: &mut Changes<'e, MedicationListRow>) {
    match event.data {
        Event::Prescribed { patient_id, .. } | Event::Added { patient_id, .. } if event.version == 1 => {
            lists.insert(MedicationListRow {
                id: event.stream_id,
                patient_id: (*patient_id).into(),
                reconciled_at: None,
                reconciled_by: None,
                stamps: event.stamps(),
            });
        }
        Event::Reconciled { reconciled_by, reconciled_at, .. } => lists.change(event, |row| {
            row.reconciled_at = Some(*reconciled_at);
            row.reconciled_by = reconciled_by.map(Uuid::from);
        }),
        Event::Prescribed { .. }
        | Event::Dispensed { .. }
        | Event::DispensingReversed { .. }
        | Event::PrescriptionCancelled { .. }
        | Event::Added { .. }
        | Event::Changed { .. }
        | Event::Held { .. }
        | Event::Resumed { .. }
        | Event::Stopped { .. }
        | Event::Completed { .. }
        | Event::MarkedEnteredInError { .. } => lists.touch(event),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    lists: &mut Changes<'e, MedicationListRow>,
    rows: &mut Changes<'e, PatientMedicationRow>,
) {
    project_list(event, lists);
    let mut move_to = |id: MedicationEntryId, status: Status, reason: Option<&'e Personal<Reason>>| {
        rows.change_row(event, id, move |row| {
            row.status = status.to_string();
            row.stop_reason = known_text(reason);
        });
    };
    match event.data {
        Event::Prescribed { patient_id, prescription_id, entries } => {
            for it in entries {
                let origin = Origin::PrescribedHere { prescription_id: *prescription_id, item_id: it.item_id };
                rows.insert(new_row(event, (*patient_id, it.entry_id), &it.taken, origin, it.status));
            }
        }
        Event::Added { patient_id, entry_id, taken, source } => {
            rows.insert(new_row(event, (*patient_id, *entry_id), taken, Origin::Told(*source), Status::Active));
        }
        Event::Dispensed { entries } => {
            for it in entries {
                rows.change_row(event, it.entry_id, |row| {
                    row.status = Status::Active.to_string();
                    row.stop_reason = None;
                    (row.start_date, row.end_date) = (Some(it.start_date), it.end_date);
                });
            }
        }
        Event::DispensingReversed { entries, status } => {
            for id in entries {
                rows.change_row(event, *id, |row| {
                    row.status = status.to_string();
                    (row.start_date, row.end_date) = (None, None);
                });
            }
        }
        Event::PrescriptionCancelled { entries, reason } => {
            for id in entries {
                move_to(*id, Status::Stopped, Some(reason));
            }
        }
        Event::Changed { entry_id, taken } => rows.change_row(event, *entry_id, |row| set_taken(row, taken)),
        Event::Held { entry_id, reason } => move_to(*entry_id, Status::OnHold, Some(reason)),
        // The reason for taking the medication again is in the log: the column tells why it is not taken.
        Event::Resumed { entry_id, reason: _ } => move_to(*entry_id, Status::Active, None),
        Event::Stopped { entry_id, end_date, reason } => {
            move_to(*entry_id, Status::Stopped, Some(reason));
            rows.change_row(event, *entry_id, |row| row.end_date = Some(*end_date));
        }
        Event::Completed { entries } => {
            for id in entries {
                move_to(*id, Status::Completed, None);
            }
        }
        Event::Reconciled { entries, reconciled_by, reconciled_at } => {
            for it in entries {
                rows.change_row(event, it.entry_id, |row| {
                    let status = it.status.to_string();
                    // Who stays on hold without a new reason keeps the old one.
                    if row.status != status || it.reason.is_some() {
                        row.stop_reason = known_text(it.reason.as_ref());
                    }
                    row.status = status;
                    row.end_date = it.end_date;
                    row.reconciled_at = Some(*reconciled_at);
                    row.reconciled_by = reconciled_by.map(Uuid::from);
                });
            }
        }
        Event::MarkedEnteredInError { entry_id, reason } => move_to(*entry_id, Status::EnteredInError, Some(reason)),
    }
}
