//! Who is seen by whom, when and where: scheduling and moving appointments, and patients who come without one.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{Appointment, Event, Priority, Scheduled, Slot, Status};
use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::room::{Room, RoomStatus};
use hims_domain::user::User;
use hims_domain::values::{LongText, Text};
use hims_domain::{AppointmentId, DepartmentId, PatientId, Personal, RoomId, UserId, described};

use super::{CancelAppointment, Refusal};
use crate::department::open_department;
use crate::machinery::command::existing;
use crate::patient::{check_alive, reads_person};
use crate::provider_schedule::{SEES_PATIENTS, check_hours, reads_schedule};
use crate::user::{check_provider, reads_named};
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target, refuse};

described! {
    /// Who is to be seen by whom, where and why.
    pub struct Visit {
        /// The patient who is to be seen.
        pub patient_id: PatientId,
        /// The provider who is to see the patient: a user who may start consultations.
        pub provider_id: UserId,
        /// The department of the appointment; that of the room, or else that of the provider, if left out.
        pub department_id: Option<DepartmentId>,
        /// The room, if one is booked.
        pub room_id: Option<RoomId>,
        /// The kind of appointment, such as `follow_up`.
        pub appointment_type: Text<50>,
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

    /// Books a provider, a room and a patient for a slot.
    pub struct ScheduleAppointment {
        /// The id of the new appointment; issued by the server if left out.
        pub id: Option<AppointmentId>,
        /// Who is to be seen by whom, where and why.
        #[serde(flatten)]
        pub visit: Visit,
        /// The start and duration of the appointment.
        #[serde(flatten)]
        pub slot: Slot,
        /// Whether the appointment may be outside the provider's hours or in their leave.
        #[serde(default)]
        pub outside_hours: bool,
    }

    /// Checks in a patient who has come without an appointment: books a provider, a room and the patient from now on.
    pub struct CheckInWalkIn {
        /// The id of the new appointment; issued by the server if left out.
        pub id: Option<AppointmentId>,
        /// Who is to be seen by whom, where and why.
        #[serde(flatten)]
        pub visit: Visit,
        /// The duration in minutes, from 1 to 480; 15 if left out.
        #[serde(default = "quarter_of_an_hour")]
        pub duration_minutes: i32,
    }

    /// What changes when an appointment is moved.
    pub struct Arrangement {
        /// The start of the appointment.
        pub starts_at: DateTime<Utc>,
        /// The duration in minutes, from 1 to 480.
        pub duration_minutes: i32,
        /// The provider who is to see the patient: a user who may start consultations.
        pub provider_id: UserId,
        /// The room; null for none.
        pub room_id: Option<RoomId>,
    }

    /// Moves an appointment to another time, provider or room.
    pub struct RescheduleAppointment {
        /// Which appointment.
        pub appointment_id: AppointmentId,
        /// The fields to change; a field that is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Arrangement>,
        /// Whether the new time may be outside the provider's hours or in their leave; false if left out.
        pub outside_hours: Option<bool>,
    }
}

fn normal() -> Priority {
    Priority::Normal
}

fn quarter_of_an_hour() -> i32 {
    15
}

fn check_duration(slot: Slot) -> Result<(), Refused> {
    if (1..=480).contains(&slot.duration_minutes) { Ok(()) } else { refuse(Refusal::Duration) }
}

/// How far ahead appointments are made at most.
const FURTHEST: TimeDelta = TimeDelta::days(3_653);

/// Refuses a slot that has begun, and one so far ahead that the year must be mistyped.
pub(crate) fn check_start(slot: Slot, now: DateTime<Utc>) -> Result<(), Refused> {
    if slot.starts_at > now + FURTHEST {
        return Err(Refused::field("out-of-range", "/starts_at", "give a time within the next ten years"));
    }
    if slot.starts_at > now { Ok(()) } else { refuse(Refusal::InThePast) }
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

impl Visit {
    /// The department of the request, or else that of the room, or else that of the provider.
    fn department(&self, found: &Found) -> Option<DepartmentId> {
        let of_room = || found.get::<Room>(self.room_id?).map(|it| it.details.department_id);
        let of_provider = || found.get::<User>(self.provider_id).and_then(|it| it.department_id);
        self.department_id.or_else(of_room).or_else(of_provider)
    }

    /// Looks up the patient, the provider, the room and the department.
    pub(crate) fn reads(&self, found: &Found) -> Reads {
        let reads = Reads::nothing().maybe::<Room>(self.room_id).maybe::<Department>(self.department(found));
        let reads = reads_person(reads, self.patient_id, found);
        reads_named(reads, Some(self.provider_id), found)
    }

    /// The visit at a slot, if all who are named can be booked. Whether the provider works then is not looked at.
    pub(crate) fn schedule(self, slot: Slot, ctx: &Context<'_>) -> Result<Scheduled, Refused> {
        check_duration(slot)?;
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        check_alive(self.patient_id, ctx)?;
        check_provider(ctx, self.provider_id, "/provider_id", self.patient_id, SEES_PATIENTS)?;
        check_room(ctx, self.room_id)?;
        let department_id = self.department(ctx.found);
        let time_zone = time_zone(ctx, department_id)?;
        Ok(Scheduled {
            patient_id: self.patient_id,
            provider_id: self.provider_id,
            department_id,
            room_id: self.room_id,
            appointment_type: self.appointment_type,
            slot,
            time_zone,
            priority: self.priority,
            reason_for_visit: self.reason_for_visit,
            special_instructions: self.special_instructions,
            insurance_verified: self.insurance_verified,
            outside_hours: false,
            series: None,
        })
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
        reads_schedule(self.visit.reads(found), self.visit.provider_id)
    }

    fn decide(self, _: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        check_start(self.slot, ctx.now)?;
        let it = self.visit.schedule(self.slot, ctx)?;
        let at = (it.slot, &it.time_zone);
        let hours = check_hours(ctx, it.provider_id, it.department_id, at, self.outside_hours);
        let outside_hours = matches!(hours, Ok(true));
        Ok(Decision::event(Event::Scheduled(Scheduled { outside_hours, ..it })).unless(hours.err()))
    }
}

impl Command for CheckInWalkIn {
    const NAME: &'static str = "check-in-walk-in";
    const PERMISSION: Permission = Permission::Create(Create::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(CancelAppointment::NAME);
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Appointment>, found: &Found) -> Reads {
        self.visit.reads(found)
    }

    fn decide(self, _: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let slot = Slot { starts_at: ctx.now, duration_minutes: self.duration_minutes };
        let scheduled = Decision::event(Event::Scheduled(self.visit.schedule(slot, ctx)?));
        Ok(scheduled.followed_by(Event::CheckedIn { other_day_reason: None }))
    }
}

impl Arrangement {
    fn of(appointment: &Appointment) -> Self {
        let Slot { starts_at, duration_minutes } = appointment.slot;
        let (provider_id, room_id) = (appointment.provider_id, appointment.room_id);
        Self { starts_at, duration_minutes, provider_id, room_id }
    }

    fn slot(&self) -> Slot {
        Slot { starts_at: self.starts_at, duration_minutes: self.duration_minutes }
    }

    /// The department of the new room if there is one, or else the department that the appointment has.
    fn department(&self, appointment: &Appointment, found: &Found) -> Option<DepartmentId> {
        let new_room = self.room_id.filter(|_| self.room_id != appointment.room_id);
        let of_room = new_room.and_then(|id| found.get::<Room>(id)).map(|room| room.details.department_id);
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

    fn follows_on(state: &Appointment) -> bool {
        matches!(state.status, Status::Scheduled | Status::Confirmed)
    }

    fn reads(&self, state: Option<&Appointment>, found: &Found) -> Reads {
        let Some(appointment) = state else { return Reads::nothing() };
        let Ok(after) = self.changes.clone().apply(&Arrangement::of(appointment)) else { return Reads::nothing() };
        let reads =
            Reads::nothing().maybe::<Department>(after.department(appointment, found)).maybe::<Room>(after.room_id);
        let reads = reads_person(reads, appointment.patient_id, found);
        reads_schedule(reads_named(reads, Some(after.provider_id), found), after.provider_id)
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        let appointment = existing(state)?;
        if !matches!(appointment.status, Status::Scheduled | Status::Confirmed) {
            return Err(Refused::wrong_status::<Appointment>(appointment.status));
        }
        let before = Arrangement::of(appointment);
        let after = self.changes.apply(&before)?;
        if after == before {
            return Ok(Decision::nothing());
        }
        check_alive(appointment.patient_id, ctx)?;
        let slot = after.slot();
        check_duration(slot)?;
        if after.starts_at != before.starts_at {
            check_start(slot, ctx.now)?;
        }
        check_provider(ctx, after.provider_id, "/provider_id", appointment.patient_id, SEES_PATIENTS)?;
        check_room(ctx, after.room_id)?;
        let department_id = after.department(appointment, ctx.found);
        let time_zone = time_zone(ctx, department_id)?;
        let Arrangement { provider_id, room_id, .. } = after;
        let is_moved = (slot, provider_id, department_id)
            != (appointment.slot, appointment.provider_id, appointment.department_id);
        let hours = if is_moved {
            check_hours(ctx, provider_id, department_id, (slot, &time_zone), self.outside_hours == Some(true))
        } else {
            Ok(appointment.outside_hours)
        };
        let outside_hours = matches!(hours, Ok(true));
        let opening = appointment.opening();
        let rescheduled = Decision::event(Event::Rescheduled {
            slot,
            provider_id,
            room_id,
            department_id,
            time_zone,
            outside_hours,
            opening,
        });
        Ok(rescheduled.unless(hours.err()))
    }
}
