//! Notes on appointments. A note never changes: an amendment is another note, which names the one that it amends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason};
use crate::{Aggregate, AppointmentId, AppointmentNoteId, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// What a note is about.
    pub enum NoteType {
        General = "general",
        Scheduling = "scheduling",
        Clinical = "clinical",
        Billing = "billing",
        CallLog = "call_log",
    }
}

/// A note on an appointment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppointmentNote {
    /// The appointment.
    pub appointment_id: AppointmentId,
    /// The patient of the appointment.
    pub patient_id: PatientId,
    /// What the note is about.
    pub note_type: NoteType,
    /// Whether the patient may read the note.
    pub is_patient_visible: bool,
    /// The note that this note amends.
    pub amends_id: Option<AppointmentNoteId>,
}

/// What can happen to a note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The note was added.
    Added {
        /// The appointment.
        appointment_id: AppointmentId,
        /// The patient of the appointment.
        patient_id: PatientId,
        /// Who wrote the note; `None` if a part of the system did.
        author_id: Option<UserId>,
        /// What the note is about.
        note_type: NoteType,
        /// The text of the note.
        body: Personal<LongText>,
        /// Whether the patient may read the note.
        is_patient_visible: bool,
        /// The note that this note amends.
        amends_id: Option<AppointmentNoteId>,
        /// Why the other note is amended.
        reason: Option<Personal<Reason>>,
    },
}

impl Aggregate for AppointmentNote {
    const STREAM: &'static str = "appointment_note";
    type Event = Event;

    fn evolve(_: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added { appointment_id, patient_id, note_type, is_patient_visible, amends_id, .. } => Some(Self {
                appointment_id: *appointment_id,
                patient_id: *patient_id,
                note_type: *note_type,
                is_patient_visible: *is_patient_visible,
                amends_id: *amends_id,
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
