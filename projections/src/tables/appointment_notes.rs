use hims_domain::appointment_note::Event;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per note on an appointment. What a note says never changes; an amendment is a note that names the amended
    /// one, whose row names the amendment.
    NoteRow in "appointment_notes",
    readers [AllAppointments, AssignedPatients, ClinicalRecords, OwnRecords],
    stamped (created_at),
    indexes [(appointment_id, created_at), (patient_id, created_at)] {
        /// The note.
        id: Uuid [indexed],
        /// The appointment.
        appointment_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// Who wrote the note; null if a part of the system did.
        author_id: Option<Uuid> [indexed],
        /// What the note is about.
        note_type: String [] of hims_domain::appointment_note::NoteType::CODES,
        /// The text of the note.
        body: Option<String> [personal],
        /// Whether the patient may read the note.
        is_patient_visible: bool,
        /// The note that this note amends.
        amends_id: Option<Uuid> [indexed],
        /// Why the other note is amended.
        reason: Option<String> [personal],
        /// The note that amends this note.
        amended_by_id: Option<Uuid> [indexed],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, NoteRow>) {
    match event.data {
        Event::Added {
            appointment_id,
            patient_id,
            author_id,
            note_type,
            body,
            is_patient_visible,
            amends_id,
            reason,
        } => {
            rows.insert(NoteRow {
                id: event.stream_id,
                appointment_id: (*appointment_id).into(),
                patient_id: (*patient_id).into(),
                author_id: author_id.map(Uuid::from),
                note_type: note_type.to_string(),
                body: known_text(Some(body)),
                is_patient_visible: *is_patient_visible,
                amends_id: amends_id.map(Uuid::from),
                reason: known_text(reason.as_ref()),
                amended_by_id: None,
                stamps: event.stamps(),
            });
            if let Some(amended) = amends_id {
                let (newest, at) = (event.stream_id, event.recorded_at);
                rows.change_foreign(*amended, move |row| {
                    row.amended_by_id = Some(newest);
                    row.stamps.change_from_outside(at);
                });
            }
        }
    }
}
