//! Who comes and who does not: confirming, checking in, undoing a check-in or a start, cancelling.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{Appointment, Event, Status};
use hims_domain::consultation::Consultation;
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{AppointmentId, Personal, described};

use super::{MarkAppointmentNoShow, Refusal, StartAppointment};
use crate::department::zone_named;
use crate::machinery::command::existing;
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Records that the patient has arrived. An appointment of another day is refused as `not-today`, unless the caller
    /// says why the patient is seen today.
    pub struct CheckInAppointment {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// Why the patient is seen on another day than that of the appointment.
        pub other_day_reason: Option<Personal<Reason>>,
    }

    /// Undoes a check-in that was a mistake. The patient is expected again.
    pub struct UndoAppointmentCheckIn {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// Why the check-in is undone.
        pub reason: Personal<Reason>,
    }

    /// Undoes a start that was a mistake. The patient is checked in and waits. What a consultation has started is
    /// undone with `undo-consultation-start`.
    pub struct UndoAppointmentStart {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// Why the start is undone.
        pub reason: Personal<Reason>,
    }

    /// Undoes that a patient did not come. The patient is expected again, at the time that was booked: the command is
    /// refused as `double-booking` if somebody else has taken the time meanwhile.
    pub struct UndoAppointmentNoShow {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// Why it is undone.
        pub reason: Personal<Reason>,
    }

    /// Records that the patient has confirmed the appointment. Patients may confirm their own appointments.
    pub struct ConfirmAppointment {
        /// Which appointment.
        pub appointment_id: AppointmentId,
    }

    /// Cancels an appointment that did not lead to a consultation, or only to a consultation that was cancelled. The
    /// booked time is free again. Patients may cancel their own appointments until 24 hours before.
    pub struct CancelAppointment {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// Why the appointment is cancelled.
        pub reason: Personal<Reason>,
    }
}

/// How long before its start and after its end an appointment counts as one of today although midnight lies between, so
/// that nobody is asked for a reason at night.
const NIGHT: TimeDelta = TimeDelta::hours(12);

/// Whether it is the day of an appointment, in the time zone in which the appointment is kept, or the night beside it.
fn is_day_of(appointment: &Appointment, now: DateTime<Utc>) -> bool {
    let zone = zone_named(&appointment.time_zone);
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let slot = appointment.slot;
    day(now) == day(slot.starts_at) || (slot.starts_at - NIGHT..=slot.ends_at() + NIGHT).contains(&now)
}

/// How long before its start a patient may cancel an appointment.
const CANCELLATION_NOTICE: TimeDelta = TimeDelta::hours(24);

/// Whether an appointment is one of the caller's own as a patient.
fn is_of(appointment: Option<&Appointment>, caller: &Caller) -> bool {
    appointment.is_some_and(|it| caller.is_patient(it.patient_id))
}

impl Command for ConfirmAppointment {
    const NAME: &'static str = "confirm-appointment";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn is_own(&self, state: Option<&Appointment>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &Appointment) -> bool {
        matches!(state.status, Status::Scheduled)
    }

    fn decide(self, state: Option<&Appointment>, _: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        match existing(state)?.status {
            Status::Confirmed => Ok(Decision::nothing()),
            Status::Scheduled => Ok(Decision::event(Event::Confirmed)),
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

impl Command for CheckInAppointment {
    const NAME: &'static str = "check-in-appointment";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    const REVERSED_BY: Option<&'static str> = Some(UndoAppointmentCheckIn::NAME);
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
            Status::CheckedIn => Ok(Decision::nothing()),
            Status::Scheduled | Status::Confirmed => {
                if self.other_day_reason.is_none() && !is_day_of(appointment, ctx.now) {
                    return refuse(Refusal::NotToday);
                }
                Ok(Decision::event(Event::CheckedIn { other_day_reason: self.other_day_reason }))
            }
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

/// The status of an appointment whose patient is expected.
fn expected(appointment: &Appointment) -> Status {
    if appointment.is_confirmed { Status::Confirmed } else { Status::Scheduled }
}

impl Command for UndoAppointmentNoShow {
    const NAME: &'static str = "undo-appointment-no-show";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    const REVERSED_BY: Option<&'static str> = Some(MarkAppointmentNoShow::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn follows_on(state: &Appointment) -> bool {
        state.status == Status::NoShow
    }

    fn decide(self, state: Option<&Appointment>, _: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        match appointment.status {
            Status::Scheduled | Status::Confirmed => Ok(Decision::nothing()),
            Status::NoShow => {
                Ok(Decision::event(Event::NoShowUndone { status: expected(appointment), reason: self.reason }))
            }
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

impl Command for UndoAppointmentCheckIn {
    const NAME: &'static str = "undo-appointment-check-in";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    const REVERSED_BY: Option<&'static str> = Some(CheckInAppointment::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn follows_on(state: &Appointment) -> bool {
        matches!(state.status, Status::CheckedIn)
    }

    fn decide(self, state: Option<&Appointment>, _: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        match appointment.status {
            Status::Scheduled | Status::Confirmed => Ok(Decision::nothing()),
            Status::CheckedIn => {
                Ok(Decision::event(Event::CheckInUndone { status: expected(appointment), reason: self.reason }))
            }
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

/// Looks up the consultation to which an appointment may have led. A consultation that was cancelled no longer holds
/// the key, so it is not found.
fn reads_consultation(id: AppointmentId, state: Option<&Appointment>) -> Reads {
    let may_have_led_on = state.is_some_and(|it| it.status == Status::InProgress);
    let (scope, key) = (scopes::APPOINTMENT_CONSULTATION, id.to_string());
    if may_have_led_on { Reads::nothing().owners::<Consultation>(scope, key) } else { Reads::nothing() }
}

/// Whether the appointment has led to a consultation that was not cancelled.
fn has_led_on(id: AppointmentId, ctx: &Context<'_>) -> bool {
    ctx.found.owners::<Consultation>(scopes::APPOINTMENT_CONSULTATION, id.to_string()).next().is_some()
}

impl Command for UndoAppointmentStart {
    const NAME: &'static str = "undo-appointment-start";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    const REVERSED_BY: Option<&'static str> = Some(StartAppointment::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn follows_on(state: &Appointment) -> bool {
        state.status == Status::InProgress
    }

    fn reads(&self, state: Option<&Appointment>, _: &Found) -> Reads {
        reads_consultation(self.appointment_id, state)
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        match existing(state)?.status {
            Status::CheckedIn => Ok(Decision::nothing()),
            Status::InProgress if has_led_on(self.appointment_id, ctx) => refuse(Refusal::ConsultationHolds),
            Status::InProgress => Ok(Decision::event(Event::StartUndone { reason: self.reason })),
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}

impl Command for CancelAppointment {
    const NAME: &'static str = "cancel-appointment";
    const PERMISSION: Permission = Permission::Update(Update::AppointmentStatus);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn is_own(&self, state: Option<&Appointment>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &Appointment) -> bool {
        matches!(state.status, Status::Scheduled | Status::Confirmed | Status::CheckedIn | Status::InProgress)
    }

    fn reads(&self, state: Option<&Appointment>, _: &Found) -> Reads {
        reads_consultation(self.appointment_id, state)
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        let is_close = ctx.now > appointment.slot.starts_at - CANCELLATION_NOTICE;
        match appointment.status {
            Status::Cancelled => Ok(Decision::nothing()),
            _ if is_close && !ctx.caller.may(Self::PERMISSION) => refuse(Refusal::TooLate),
            Status::InProgress if has_led_on(self.appointment_id, ctx) => refuse(Refusal::ConsultationHolds),
            Status::Scheduled | Status::Confirmed | Status::CheckedIn | Status::InProgress => {
                Ok(Decision::event(Event::Cancelled { reason: self.reason }))
            }
            status => Err(Refused::wrong_status::<Appointment>(status)),
        }
    }
}
