//! Appointments: scheduling appointments, and everything until the patient was seen or did not come.

mod arrival;
mod scheduling;

use hims_domain::appointment::{Appointment, Event, Status};
use hims_domain::permission::Update;
use hims_domain::{AppointmentId, described};
use uuid::Uuid;

pub use arrival::{CancelAppointment, CheckInAppointment, ConfirmAppointment, UndoAppointmentCheckIn};
pub(crate) use scheduling::check_start;
pub use scheduling::{Arrangement, CheckInWalkIn, RescheduleAppointment, ScheduleAppointment, Visit};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Held, Permission, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ScheduleAppointment>()
        .add::<CheckInWalkIn>()
        .add::<RescheduleAppointment>()
        .add::<ConfirmAppointment>()
        .add::<CheckInAppointment>()
        .add::<UndoAppointmentCheckIn>()
        .add::<StartAppointment>()
        .add::<CompleteAppointment>()
        .add::<CancelAppointment>()
        .add::<MarkAppointmentNoShow>();
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
        "the appointment has led to a consultation; cancel the consultation first";
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
        moves status from [Status::CheckedIn] to [Status::InProgress] by Event::Started;

    /// Records that the patient was seen.
    CompleteAppointment = "complete-appointment" needs Update::AppointmentStatus
        moves status from [Status::InProgress] to [Status::Completed] by Event::Completed;
}

impl Claims for Appointment {
    /// Books provider, patient and room for the slot, unless the appointment is over, was cancelled, or the patient did
    /// not come. A visit that ends early gives the rest of its slot back.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if !matches!(self.status, Status::Completed | Status::Cancelled | Status::NoShow) {
            held.book(self.provider_id, self.slot).book(self.patient_id, self.slot).book_if(self.room_id, self.slot);
        }
    }
}

impl Command for MarkAppointmentNoShow {
    const NAME: &'static str = "mark-appointment-no-show";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
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
