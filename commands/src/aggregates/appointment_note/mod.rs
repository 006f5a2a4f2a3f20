//! Notes on appointments. Each note is a stream of its own, so that a logged call makes no version of the appointment
//! stale.

use hims_domain::appointment::Appointment;
use hims_domain::appointment_note::{AppointmentNote, Event, NoteType};
use hims_domain::permission::{Create, Read};
use hims_domain::values::{LongText, Reason};
use hims_domain::{AppointmentId, AppointmentNoteId, Personal, described};
use uuid::Uuid;

use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Kind, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddAppointmentNote>().add::<AmendAppointmentNote>();
}

refusals! {
    AlreadyAmended = Conflict, "already-amended",
        "the note was amended already; amend the amendment (see candidates), or what has amended that since";
}

described! {
    /// Adds a note to an appointment. A clinical note also needs the right to read clinical records, or the patients of
    /// the department.
    pub struct AddAppointmentNote {
        /// The id of the new note; issued by the server if left out.
        pub id: Option<AppointmentNoteId>,
        /// The appointment.
        pub appointment_id: AppointmentId,
        /// What the note is about.
        pub note_type: NoteType,
        /// The text of the note.
        pub body: Personal<LongText>,
        /// Whether the patient may read the note.
        #[serde(default)]
        pub is_patient_visible: bool,
    }

    /// Amends a note by another, which is about the same and is read by the same people. The amended note stays.
    pub struct AmendAppointmentNote {
        /// The note to amend.
        pub note_id: AppointmentNoteId,
        /// The id of the new note; issued by the server if left out.
        pub id: Option<AppointmentNoteId>,
        /// The text of the new note.
        pub body: Personal<LongText>,
        /// Why the note is amended.
        pub reason: Personal<Reason>,
    }
}

impl Claims for AppointmentNote {
    /// A note is amended once: whoever amends it later amends the amendment.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take_if(scopes::NOTE_AMENDS, self.amends_id.map(|id| id.to_string()));
    }
}

/// Refuses a clinical note by somebody who does not read what was found.
fn check_may_write(note_type: NoteType, caller: &Caller) -> Result<(), Refused> {
    let reads_findings = caller.reads(Read::ClinicalRecords) || caller.reads(Read::AssignedPatients);
    if note_type != NoteType::Clinical || reads_findings {
        return Ok(());
    }
    let detail = "a clinical note needs the permission to read clinical_records or assigned_patients";
    Err(Refused::new(Kind::Forbidden, "forbidden", detail))
}

impl Command for AddAppointmentNote {
    const NAME: &'static str = "add-appointment-note";
    const PERMISSION: Permission = Permission::Create(Create::PatientNotes);
    const REVERSED_BY: Option<&'static str> = Some(AmendAppointmentNote::NAME);
    type Aggregate = AppointmentNote;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&AppointmentNote>, _: &Found) -> Reads {
        Reads::nothing().stream::<Appointment>(self.appointment_id)
    }

    fn decide(self, _: Option<&AppointmentNote>, ctx: &Context<'_>) -> Result<Decision<AppointmentNote>, Refused> {
        check_may_write(self.note_type, ctx.caller)?;
        let appointment = ctx.shown::<Appointment>(self.appointment_id, "/appointment_id")?;
        Ok(Decision::event(Event::Added {
            appointment_id: self.appointment_id,
            patient_id: appointment.patient_id,
            author_id: ctx.caller.user_id(),
            note_type: self.note_type,
            body: self.body,
            is_patient_visible: self.is_patient_visible,
            amends_id: None,
            reason: None,
        }))
    }
}

impl Command for AmendAppointmentNote {
    const NAME: &'static str = "amend-appointment-note";
    const PERMISSION: Permission = Permission::Create(Create::PatientNotes);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = AppointmentNote;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&AppointmentNote>, found: &Found) -> Reads {
        let note = found.get::<AppointmentNote>(self.note_id);
        let reads = Reads::nothing().stream::<AppointmentNote>(self.note_id);
        let reads = reads.holders(scopes::NOTE_AMENDS, self.note_id.to_string());
        reads.maybe::<Appointment>(note.map(|it| it.appointment_id))
    }

    fn decide(self, _: Option<&AppointmentNote>, ctx: &Context<'_>) -> Result<Decision<AppointmentNote>, Refused> {
        let note = ctx.named::<AppointmentNote>(self.note_id, "/note_id")?;
        // A note on an appointment that is hidden from the caller is as unknown as the appointment.
        ctx.shown::<Appointment>(note.appointment_id, "/note_id")?;
        check_may_write(note.note_type, ctx.caller)?;
        let amendments = ctx.found.holders(scopes::NOTE_AMENDS, self.note_id.to_string());
        if !amendments.is_empty() {
            return refuse(Refused { candidates: amendments.to_vec(), ..Refusal::AlreadyAmended.into() });
        }
        Ok(Decision::event(Event::Added {
            appointment_id: note.appointment_id,
            patient_id: note.patient_id,
            author_id: ctx.caller.user_id(),
            note_type: note.note_type,
            body: self.body,
            is_patient_visible: note.is_patient_visible,
            amends_id: Some(self.note_id),
            reason: Some(self.reason),
        }))
    }
}

#[cfg(test)]
mod tests;
