//! Appointments: scheduling appointments, and everything until the patient was seen or did not come.

use hims_domain::appointment::{Appointment, Event, Priority, Scheduled, Slot, Status};
use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::room::{Room, RoomStatus};
use hims_domain::user::User;
use hims_domain::values::{LongText, Text};
use hims_domain::{AppointmentId, DepartmentId, PatientId, Personal, RoomId, UserId, described};
use uuid::Uuid;

use crate::department::open_department;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ScheduleAppointment>()
        .add::<RescheduleAppointment>()
        .add::<ConfirmAppointment>()
        .add::<CheckInAppointment>()
        .add::<StartAppointment>()
        .add::<CompleteAppointment>()
        .add::<CancelAppointment>()
        .add::<MarkAppointmentNoShow>();
}

refusals! {
    InThePast = Rule, "in-the-past", "the slot begins in the past; choose a later start";
    Duration = Rule, "out-of-range", "an appointment takes 1 to 480 minutes";
    InactiveProvider = Conflict, "inactive-provider", "the provider is not active; choose another";
    PatientsLogin = Conflict, "no-provider", "the provider is a patient's login; name a member of staff";
    SuspendedRoom = Conflict, "suspended-room", "the room is out of use; choose another";
    NotBegun = Rule, "not-begun", "the slot has not begun yet, so the patient can still come";
}

described! {
    /// Books a provider, a room and a patient for a slot.
    pub struct ScheduleAppointment {
        /// The id of the new appointment; issued by the server if left out.
        pub id: Option<AppointmentId>,
        /// The patient who is to be seen.
        pub patient_id: PatientId,
        /// The provider who is to see the patient.
        pub provider_id: UserId,
        /// The department of the appointment; that of the room, or else that of the provider, if left out.
        pub department_id: Option<DepartmentId>,
        /// The room, if one is booked.
        pub room_id: Option<RoomId>,
        /// The kind of appointment, such as `follow_up`.
        pub appointment_type: Text<50>,
        /// The start and duration of the appointment.
        #[serde(flatten)]
        pub slot: Slot,
        /// How urgent the appointment is; `normal` if left out.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// Why the patient comes.
        pub reason_for_visit: Option<Personal<LongText>>,
        /// What is to be prepared for the appointment.
        pub special_instructions: Option<Personal<LongText>>,
        /// Whether the patient's insurance was verified.
        #[serde(default)]
        pub insurance_verified: bool,
    }

    /// Moves an appointment to another slot, and to another provider or room if given.
    pub struct RescheduleAppointment {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// The new start and duration of the appointment.
        #[serde(flatten)]
        pub slot: Slot,
        /// The new provider; the same provider if left out.
        pub provider_id: Option<UserId>,
        /// The new room; the same room if left out.
        pub room_id: Option<RoomId>,
    }

    /// Records that the patient did not come. The booked time is free again.
    pub struct MarkAppointmentNoShow {
        /// Which appointment.
        pub appointment_id: AppointmentId,
    }
}

steps! {
    Appointment by appointment_id: AppointmentId, "Which appointment.";

    /// Records that the patient has confirmed the appointment.
    ConfirmAppointment = "confirm-appointment" needs Update::AppointmentStatus
        moves status from [Status::Scheduled] to [Status::Confirmed] by Event::Confirmed;

    /// Records that the patient has arrived.
    CheckInAppointment = "check-in-appointment" needs Update::AppointmentStatus
        moves status from [Status::Scheduled | Status::Confirmed] to [Status::CheckedIn] by Event::CheckedIn;

    /// Records that the patient is being seen.
    StartAppointment = "start-appointment" needs Update::AppointmentStatus
        moves status from [Status::CheckedIn] to [Status::InProgress] by Event::Started;

    /// Records that the patient was seen.
    CompleteAppointment = "complete-appointment" needs Update::AppointmentStatus
        moves status from [Status::InProgress] to [Status::Completed] by Event::Completed;

    /// Cancels an appointment. The booked time is free again.
    CancelAppointment = "cancel-appointment" needs Update::AppointmentStatus
        with {
            /// Why the appointment is cancelled.
            reason: Personal<LongText>,
        }
        moves status from [Status::Scheduled | Status::Confirmed | Status::CheckedIn] to [Status::Cancelled]
        by Event::Cancelled { reason };
}

impl Claims for Appointment {
    /// Books provider, patient and room for the slot, unless the appointment was cancelled or the patient did not come.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if !matches!(self.status, Status::Cancelled | Status::NoShow) {
            held.book(self.provider_id, self.slot).book(self.patient_id, self.slot).book_if(self.room_id, self.slot);
        }
    }
}

fn normal() -> Priority {
    Priority::Normal
}

fn check_slot(slot: Slot, ctx: &Context<'_>) -> Result<(), Refused> {
    if !(1..=480).contains(&slot.duration_minutes) {
        return refuse(Refusal::Duration);
    }
    if slot.starts_at <= ctx.now {
        return refuse(Refusal::InThePast);
    }
    Ok(())
}

fn check_provider<'a>(ctx: &'a Context<'_>, id: UserId) -> Result<&'a User, Refused> {
    let provider = ctx.found.get::<User>(id);
    match provider {
        Some(provider) if !provider.is_active => refuse(Refusal::InactiveProvider),
        Some(provider) if provider.patient_id.is_some() => refuse(Refusal::PatientsLogin),
        Some(provider) => Ok(provider),
        None => Err(ctx.named::<User>(id, "/provider_id").err().unwrap_or_else(Refused::exists)),
    }
}

fn check_room(ctx: &Context<'_>, id: Option<RoomId>) -> Result<(), Refused> {
    let Some(id) = id else { return Ok(()) };
    match ctx.named::<Room>(id, "/room_id")?.status {
        RoomStatus::Active => Ok(()),
        RoomStatus::Suspended => refuse(Refusal::SuspendedRoom),
    }
}

/// The time zone of a department, which must be open; UTC without a department.
fn time_zone(ctx: &Context<'_>, department: Option<DepartmentId>) -> Result<Text<64>, Refused> {
    match department {
        Some(id) => Ok(open_department(ctx, id)?.details.time_zone.clone()),
        None => Ok("UTC".into()),
    }
}

impl ScheduleAppointment {
    /// The department of the request, or else that of the room, or else that of the provider.
    fn department(&self, found: &Found) -> Option<DepartmentId> {
        let of_room = || found.get::<Room>(self.room_id?).map(|it| it.details.department_id);
        let of_provider = || found.get::<User>(self.provider_id).and_then(|it| it.department_id);
        self.department_id.or_else(of_room).or_else(of_provider)
    }
}

impl Command for ScheduleAppointment {
    const NAME: &'static str = "schedule-appointment";
    const PERMISSION: Permission = Permission::Create(Create::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(CancelAppointment::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Appointment>, found: &Found) -> Reads {
        Reads::nothing()
            .stream::<Patient>(self.patient_id)
            .stream::<User>(self.provider_id)
            .maybe::<Room>(self.room_id)
            .maybe::<Department>(self.department(found))
    }

    fn decide(self, _: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        check_slot(self.slot, ctx)?;
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        check_provider(ctx, self.provider_id)?;
        check_room(ctx, self.room_id)?;
        let department_id = self.department(ctx.found);
        let time_zone = time_zone(ctx, department_id)?;
        Ok(Decision::event(Event::Scheduled(Scheduled {
            patient_id: self.patient_id,
            provider_id: self.provider_id,
            department_id,
            room_id: self.room_id,
            appointment_type: self.appointment_type,
            slot: self.slot,
            time_zone,
            priority: self.priority,
            reason_for_visit: self.reason_for_visit,
            special_instructions: self.special_instructions,
            insurance_verified: self.insurance_verified,
        })))
    }
}

impl RescheduleAppointment {
    /// The department of the new room, or else the department that the appointment has.
    fn department(&self, appointment: &Appointment, found: &Found) -> Option<DepartmentId> {
        let of_room = self.room_id.and_then(|id| found.get::<Room>(id)).map(|room| room.details.department_id);
        of_room.or(appointment.department_id)
    }
}

impl Command for RescheduleAppointment {
    const NAME: &'static str = "reschedule-appointment";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn reads(&self, state: Option<&Appointment>, found: &Found) -> Reads {
        Reads::nothing()
            .maybe::<Department>(state.and_then(|it| self.department(it, found)))
            .maybe::<User>(self.provider_id.or(state.map(|it| it.provider_id)))
            .maybe::<Room>(self.room_id.or(state.and_then(|it| it.room_id)))
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        if !matches!(appointment.status, Status::Scheduled | Status::Confirmed) {
            return Err(Refused::wrong_status::<Appointment>(appointment.status));
        }
        let provider_id = self.provider_id.unwrap_or(appointment.provider_id);
        let room_id = self.room_id.or(appointment.room_id);
        if (self.slot, provider_id, room_id) == (appointment.slot, appointment.provider_id, appointment.room_id) {
            return Ok(Decision::nothing());
        }
        check_slot(self.slot, ctx)?;
        check_provider(ctx, provider_id)?;
        check_room(ctx, room_id)?;
        let department_id = self.department(appointment, ctx.found);
        let time_zone = time_zone(ctx, department_id)?;
        Ok(Decision::event(Event::Rescheduled { slot: self.slot, provider_id, room_id, department_id, time_zone }))
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
