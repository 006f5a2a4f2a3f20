//! The rows that a patient may ask to amend, and where each is found: in the state of the record of which it is a part.

use hims_domain::amendment_request::RecordTable;
use hims_domain::appointment_note::AppointmentNote;
use hims_domain::consultation::{Consultation, amendment_row};
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{LabResult, component_row};
use hims_domain::medical_history::MedicalHistory;
use hims_domain::medication_list::{MedicationList, list_of};
use hims_domain::patient::Patient;
use hims_domain::prescription::Prescription;
use hims_domain::treatment::Treatment;
use hims_domain::vital_signs::VitalSigns;
use hims_domain::{PatientId, Subject};
use uuid::Uuid;

use crate::{Claims, Context, Reads};

/// The record of a row, where the table and the patient tell which one it is; `None` for a part of a record that the
/// request must name.
pub(super) fn record_of(table: RecordTable, row: Uuid, patient_id: PatientId) -> Option<Uuid> {
    match table {
        RecordTable::Patients
        | RecordTable::MedicalHistory
        | RecordTable::VitalSigns
        | RecordTable::AppointmentNotes
        | RecordTable::Consultations
        | RecordTable::Treatments
        | RecordTable::LabOrders
        | RecordTable::LabResults
        | RecordTable::Prescriptions => Some(row),
        RecordTable::PatientAllergies => Some(patient_id.into()),
        RecordTable::PatientMedications => Some(list_of(patient_id).into()),
        RecordTable::ConsultationSteps
        | RecordTable::ConsultationAmendments
        | RecordTable::Symptoms
        | RecordTable::Diagnoses
        | RecordTable::LabOrderItems
        | RecordTable::Specimens
        | RecordTable::LabResultComponents
        | RecordTable::PrescriptionItems
        | RecordTable::PrescriptionAlerts => None,
    }
}

/// Also looks up the record with the rows of a table.
pub(super) fn reads_record(reads: Reads, table: RecordTable, record: Uuid) -> Reads {
    match table {
        RecordTable::Patients | RecordTable::PatientAllergies => reads.stream::<Patient>(record),
        RecordTable::PatientMedications => reads.stream::<MedicationList>(record),
        RecordTable::MedicalHistory => reads.stream::<MedicalHistory>(record),
        RecordTable::VitalSigns => reads.stream::<VitalSigns>(record),
        RecordTable::AppointmentNotes => reads.stream::<AppointmentNote>(record),
        RecordTable::Consultations
        | RecordTable::ConsultationSteps
        | RecordTable::ConsultationAmendments
        | RecordTable::Symptoms
        | RecordTable::Diagnoses => reads.stream::<Consultation>(record),
        RecordTable::Treatments => reads.stream::<Treatment>(record),
        RecordTable::LabOrders | RecordTable::LabOrderItems | RecordTable::Specimens => {
            reads.stream::<LabOrder>(record)
        }
        RecordTable::LabResults | RecordTable::LabResultComponents => reads.stream::<LabResult>(record),
        RecordTable::Prescriptions | RecordTable::PrescriptionItems | RecordTable::PrescriptionAlerts => {
            reads.stream::<Prescription>(record)
        }
    }
}

/// The patient of a record, if the record has a row in the table and the caller may know of the record.
pub(super) fn patient_of(table: RecordTable, record: Uuid, row: Uuid, ctx: &Context<'_>) -> Option<PatientId> {
    let has_parts = HasRow { record, ctx };
    let is_record = row == record;
    match table {
        RecordTable::Patients => has_parts.of::<Patient>(|_| is_record),
        RecordTable::PatientAllergies => has_parts
            .of::<Patient>(|it| it.allergies.contains_key(&row.into()) || it.retired_allergies.contains(&row.into())),
        RecordTable::PatientMedications => has_parts.of::<MedicationList>(|it| it.entries.contains_key(&row.into())),
        RecordTable::MedicalHistory => has_parts.of::<MedicalHistory>(|_| is_record),
        RecordTable::VitalSigns => has_parts.of::<VitalSigns>(|_| is_record),
        RecordTable::AppointmentNotes => has_parts.of::<AppointmentNote>(|_| is_record),
        RecordTable::Consultations => has_parts.of::<Consultation>(|_| is_record),
        RecordTable::ConsultationSteps => {
            has_parts.of::<Consultation>(|it| it.steps.iter().any(|step| Uuid::from(step.step.id) == row))
        }
        RecordTable::ConsultationAmendments => {
            has_parts.of::<Consultation>(|it| (1..=it.amendments).any(|number| amendment_row(record, number) == row))
        }
        RecordTable::Symptoms => has_parts.of::<Consultation>(|it| it.symptoms.contains_key(&row.into())),
        RecordTable::Diagnoses => has_parts.of::<Consultation>(|it| it.diagnoses.contains_key(&row.into())),
        RecordTable::Treatments => has_parts.of::<Treatment>(|_| is_record),
        RecordTable::LabOrders => has_parts.of::<LabOrder>(|_| is_record),
        RecordTable::LabOrderItems => {
            has_parts.of::<LabOrder>(|it| it.items.iter().any(|item| Uuid::from(item.id) == row))
        }
        RecordTable::Specimens => has_parts.of::<LabOrder>(|it| it.specimens.contains_key(&row.into())),
        RecordTable::LabResults => has_parts.of::<LabResult>(|_| is_record),
        RecordTable::LabResultComponents => has_parts.of::<LabResult>(|it| has_component(it, record, row)),
        RecordTable::Prescriptions => has_parts.of::<Prescription>(|_| is_record),
        RecordTable::PrescriptionItems => {
            has_parts.of::<Prescription>(|it| it.lines.iter().any(|line| Uuid::from(line.item.id) == row))
        }
        RecordTable::PrescriptionAlerts => {
            has_parts.of::<Prescription>(|it| it.alerts.iter().any(|alert| alert.row(record) == row))
        }
    }
}

/// Whether a row is a value of a result, in any of its revisions.
fn has_component(result: &LabResult, record: Uuid, row: Uuid) -> bool {
    let codes = || result.revision.components.iter().map(|it| it.code.as_str());
    (1..=result.revision.number).any(|number| codes().any(|code| component_row(record, number, code) == row))
}

/// The question whether a record that was looked up has a row.
struct HasRow<'a> {
    record: Uuid,
    ctx: &'a Context<'a>,
}

impl HasRow<'_> {
    /// The patient of the record, if the record is of this aggregate, is not hidden from the caller, and has the row.
    fn of<A: Claims>(&self, has: impl Fn(&A) -> bool) -> Option<PatientId> {
        let state = self.ctx.found.get::<A>(self.record)?;
        match state.subject(self.record)? {
            Subject::Patient(id) if has(state) && !state.is_hidden_from(self.ctx.caller) => Some(id.into()),
            _ => None,
        }
    }
}
