//! Appointments: scheduling appointments, and everything until the patient was seen or did not come.

mod arrival;
mod scheduling;
mod telling;

use hims_domain::appointment::{Appointment, Event, Status};
use hims_domain::permission::{Read, Update};
use hims_domain::{AppointmentId, DepartmentId, PatientId, UserId, described};
use uuid::Uuid;

pub use arrival::{
    CancelAppointment, CheckInAppointment, ConfirmAppointment, UndoAppointmentCheckIn, UndoAppointmentNoShow,
    UndoAppointmentStart,
};
pub(crate) use scheduling::check_start;
pub use scheduling::{Arrangement, CheckInWalkIn, RescheduleAppointment, ScheduleAppointment, Visit};
pub(crate) use telling::{Said, TellOfVisit, in_words, name_of};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Caller, Claims, Command, Context, Decision, Held, Permission, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ScheduleAppointment>()
        .add::<CheckInWalkIn>()
        .add::<RescheduleAppointment>()
        .add::<ConfirmAppointment>()
        .add::<CheckInAppointment>()
        .add::<UndoAppointmentCheckIn>()
        .add::<StartAppointment>()
        .add::<UndoAppointmentStart>()
        .add::<CompleteAppointment>()
        .add::<CancelAppointment>()
        .add::<MarkAppointmentNoShow>()
        .add::<UndoAppointmentNoShow>();
}

refusals! {
    InThePast = Rule, "in-the-past",
        "the slot begins in the past; choose a later start, or check-in-walk-in for a patient who is here now";
    Duration = Rule, "out-of-range", "an appointment takes 1 to 480 minutes";
    SuspendedRoom = Conflict, "suspended-room", "the room is out of use; choose another";
    NotBegun = Rule, "not-begun", "the slot has not begun yet, so the patient can still come";
    NotToday = Rule, "not-today",
        "the appointment is on another day; choose today's, or repeat with other_day_reason if the patient is seen today";
    TooLate = Conflict, "too-late",
        "the appointment begins within 24 hours, so that only the hospital can cancel it; call the front desk";
    ConsultationHolds = Conflict, "wrong-status",
        "the appointment has led to a consultation; cancel the consultation, or undo its start, first";
}

described! {
    /// Records that the patient did not come. The booked time is free again.
    pub struct MarkAppointmentNoShow {
        /// Which appointment.
        pub appointment_id: AppointmentId,
    }
}

steps! {
    Appointment by appointment_id: AppointmentId, "Which appointment.";

    /// Records that the patient is being seen.
    StartAppointment = "start-appointment" needs Update::AppointmentStatus
        moves status from [Status::CheckedIn] to [Status::InProgress] by Event::Started,
        undone by UndoAppointmentStart;

    /// Records that the patient was seen.
    CompleteAppointment = "complete-appointment" needs Update::AppointmentStatus
        moves status from [Status::InProgress] to [Status::Completed] by Event::Completed;
}

impl Claims for Appointment {
    /// Books provider, patient and room for the slot, unless the appointment is over, was cancelled, or the patient did
    /// not come. A visit that ends early gives the rest of its slot back.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if !matches!(self.status, Status::Completed | Status::Cancelled | Status::NoShow) {
            held.book(self.provider_id, self.slot).named_by("/provider_id");
            held.book(self.patient_id, self.slot).named_by("/patient_id");
            if let Some(room_id) = self.room_id {
                held.book(room_id, self.slot).named_by("/room_id");
            }
        }
    }

    fn is_hidden_from(&self, caller: &Caller) -> bool {
        is_hidden(self.patient_id, Some(self.provider_id), self.department_id, caller)
    }
}

/// Whether a caller may not read the appointments of a patient with a provider in a department. The readers are those
/// of the rows in the read tables.
pub(crate) fn is_hidden(
    patient_id: PatientId,
    provider_id: Option<UserId>,
    department_id: Option<DepartmentId>,
    caller: &Caller,
) -> bool {
    let of_department = department_id.is_some() && department_id == caller.department_id;
    let of_provider = provider_id.is_some() && caller.user_id() == provider_id;
    let is_read = caller.reads(Read::AllData)
        || caller.reads(Read::AllAppointments)
        || (of_department && caller.reads(Read::AssignedPatients))
        || (of_provider && caller.reads(Read::ClinicalRecords))
        || caller.reads_own(patient_id);
    !is_read
}

impl Command for MarkAppointmentNoShow {
    const NAME: &'static str = "mark-appointment-no-show";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    const REVERSED_BY: Option<&'static str> = Some(UndoAppointmentNoShow::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn follows_on(state: &Appointment) -> bool {
        matches!(state.status, Status::Scheduled | Status::Confirmed)
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        match appointment.status {
            Status::NoShow => Ok(Decision::nothing()),
            Status::Scheduled | Status::Confirmed if ctx.now < appointment.slot.starts_at => refuse(Refusal::NotBegun),
            Status::Scheduled | Status::Confirmed => Ok(Decision::event(Event::MarkedNoShow)),
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

#[cfg(test)]
mod tests;
