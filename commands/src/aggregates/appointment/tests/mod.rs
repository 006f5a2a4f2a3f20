mod arrival;
mod hidden;
mod hours;
mod rescheduling;

use hims_domain::appointment::{Opening, Priority, Scheduled, Slot};
use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::role::Role;
use hims_domain::room::Room;
use hims_domain::user::User;
use hims_domain::{DepartmentId, RoomId, UserId, department, room, user};
use serde_json::{Value, json};

use super::*;
use crate::role_id;
use crate::testing::samples::{
    APPOINTMENT, DEPARTMENT, DOCTOR, OTHER_DEPARTMENT, OTHER_DOCTOR, OTHER_PATIENT, OTHER_ROOM, PATIENT, ROOM,
    added_room, ask, created, created_with, defined, opened, registered, said, slot, suspended_room, with,
};
use crate::testing::{Given, at, books, given, now, unbooks};

/// A slot of half an hour at noon.
fn noon() -> Slot {
    slot("2026-11-23T12:00:00Z", 30)
}

fn later() -> Slot {
    slot("2026-11-23T15:00:00Z", 45)
}

fn schedule(changes: Value) -> ScheduleAppointment {
    let body = json!({
        "patient_id": PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "appointment_type": "follow_up",
        "starts_at": "2026-11-23T12:00:00Z", "duration_minutes": 30,
    });
    ask(with(body, changes))
}

fn scheduled() -> Event {
    scheduled_in(Some(DEPARTMENT), "America/New_York")
}

fn scheduled_in(department_id: Option<DepartmentId>, time_zone: &str) -> Event {
    Event::Scheduled(Scheduled {
        patient_id: PATIENT,
        provider_id: DOCTOR,
        department_id,
        room_id: Some(ROOM),
        appointment_type: "follow_up".into(),
        slot: noon(),
        time_zone: time_zone.into(),
        priority: Priority::Normal,
        reason_for_visit: None,
        special_instructions: None,
        insurance_verified: false,
        outside_hours: false,
        series: None,
    })
}

fn reschedule(changes: Value) -> RescheduleAppointment {
    let body = json!({"appointment_id": APPOINTMENT, "starts_at": "2026-11-23T15:00:00Z", "duration_minutes": 45});
    ask(with(body, changes))
}

fn rescheduled() -> Event {
    rescheduled_to(DOCTOR, ROOM)
}

fn rescheduled_to(provider_id: UserId, room_id: RoomId) -> Event {
    moved_to(later(), provider_id, Some(room_id))
}

fn moved_to(slot: Slot, provider_id: UserId, room_id: Option<RoomId>) -> Event {
    moved(noon(), slot, provider_id, room_id)
}

/// The event that moves the appointment of the doctor from a slot to another.
fn moved(from: Slot, slot: Slot, provider_id: UserId, room_id: Option<RoomId>) -> Event {
    let (department_id, time_zone) = (Some(DEPARTMENT), "America/New_York".into());
    let opening = Opening {
        provider_id: DOCTOR,
        department_id,
        room_id: Some(ROOM),
        appointment_type: "follow_up".into(),
        slot: from,
        time_zone: "America/New_York".into(),
    };
    Event::Rescheduled { slot, provider_id, room_id, department_id, time_zone, outside_hours: false, opening }
}

fn checked_in() -> Event {
    Event::CheckedIn { other_day_reason: None }
}

fn cancelled() -> Event {
    Event::Cancelled { reason: said("ill") }
}

fn confirm() -> ConfirmAppointment {
    ConfirmAppointment { appointment_id: APPOINTMENT }
}

fn check_in() -> CheckInAppointment {
    CheckInAppointment { appointment_id: APPOINTMENT, other_day_reason: None }
}

fn start() -> StartAppointment {
    StartAppointment { appointment_id: APPOINTMENT }
}

fn complete() -> CompleteAppointment {
    CompleteAppointment { appointment_id: APPOINTMENT }
}

fn cancel() -> CancelAppointment {
    CancelAppointment { appointment_id: APPOINTMENT, reason: said("ill") }
}

fn no_show() -> MarkAppointmentNoShow {
    MarkAppointmentNoShow { appointment_id: APPOINTMENT }
}

/// The past events of an appointment, in a hospital with Ann, two doctors and two rooms of cardiology.
fn given_appointment(events: impl IntoIterator<Item = Event>) -> Given<Appointment> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<User>(OTHER_DOCTOR, [created()])
        .and::<Room>(ROOM, [added_room()])
        .and::<Room>(OTHER_ROOM, [added_room()])
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
        .and::<Role>(role_id("nurse"), [defined("nurse")])
        .and::<Role>(role_id("receptionist"), [defined("receptionist")])
}

/// The events that lead an appointment to a status.
fn until(status: Status) -> Vec<Event> {
    let way = [scheduled(), Event::Confirmed, checked_in(), Event::Started, Event::Completed];
    match status {
        Status::Scheduled => way[..1].to_vec(),
        Status::Confirmed => way[..2].to_vec(),
        Status::CheckedIn => way[..3].to_vec(),
        Status::InProgress => way[..4].to_vec(),
        Status::Completed => way.to_vec(),
        Status::Cancelled => vec![scheduled(), cancelled()],
        Status::NoShow => vec![scheduled(), Event::MarkedNoShow],
    }
}

const EVERY: [Status; 7] = [
    Status::Scheduled,
    Status::Confirmed,
    Status::CheckedIn,
    Status::InProgress,
    Status::Completed,
    Status::Cancelled,
    Status::NoShow,
];

/// Asserts for every status that the command records the event (`from`), records nothing (`to`), or is refused.
fn goes<C: Command<Aggregate = Appointment>>(command: &C, from: &[Status], to: Status, event: &Event) {
    for status in EVERY {
        let then = given(until(status)).at(noon().starts_at).when(command.clone());
        if from.contains(&status) {
            then.then([event.clone()]);
        } else if status == to {
            then.then_nothing();
        } else {
            then.then_refused(Refused::wrong_status::<Appointment>(status));
        }
    }
}

#[test]
fn scheduling_books_provider_patient_and_room() {
    given_appointment([]).when(schedule(json!({}))).then([scheduled()]).then_claims([
        books(DOCTOR, noon()),
        books(PATIENT, noon()),
        books(ROOM, noon()),
    ]);
}

#[test]
fn without_a_room_none_is_booked() {
    given_appointment([])
        .when(schedule(json!({"room_id": null})))
        .then_claims([books(DOCTOR, noon()), books(PATIENT, noon())]);
}

#[test]
fn an_appointment_takes_a_quarter_of_an_hour_unless_told() {
    let command: ScheduleAppointment = ask(json!({
        "patient_id": PATIENT, "provider_id": DOCTOR, "appointment_type": "new", "starts_at": "2026-11-23T12:00:00Z",
    }));
    assert_eq!(command.slot, slot("2026-11-23T12:00:00Z", 15));
    assert_eq!(command.visit.priority, Priority::Normal);
}

#[test]
fn the_department_is_the_one_given() {
    given_appointment([])
        .and::<Department>(
            OTHER_DEPARTMENT,
            [department::Event::Opened(ask(json!({"code": "er", "name": "Emergency", "time_zone": "Europe/Berlin"})))],
        )
        .when(schedule(json!({"department_id": OTHER_DEPARTMENT})))
        .then([scheduled_in(Some(OTHER_DEPARTMENT), "Europe/Berlin")]);
}

#[test]
fn the_department_is_else_that_of_the_provider() {
    let then = given_appointment([])
        .and::<User>(DOCTOR, [created_with(json!({"department_id": DEPARTMENT}))])
        .when(schedule(json!({"room_id": null})));
    let Event::Scheduled(it) = then.then_event() else { panic!("scheduled") };
    assert_eq!((it.department_id, it.time_zone.as_str()), (Some(DEPARTMENT), "America/New_York"));
}

#[test]
fn without_a_department_the_book_is_kept_in_utc() {
    let then = given_appointment([]).when(schedule(json!({"room_id": null})));
    let Event::Scheduled(it) = then.then_event() else { panic!("scheduled") };
    assert_eq!((it.department_id, it.time_zone.as_str()), (None, "UTC"));
}

#[test]
fn a_slot_begins_in_the_future() {
    for when in ["2026-11-23T10:00:00Z", "2026-11-22T10:00:00Z"] {
        given_appointment([]).when(schedule(json!({"starts_at": when}))).then_refused(Refusal::InThePast);
        given_appointment([scheduled()]).when(reschedule(json!({"starts_at": when}))).then_refused(Refusal::InThePast);
    }
    assert!(given_appointment([]).when(schedule(json!({"starts_at": "2026-11-23T10:00:01Z"}))).is_accepted());
}

#[test]
fn an_appointment_takes_1_to_480_minutes() {
    for minutes in [0, -15, 481, i32::MIN, i32::MAX] {
        let told = json!({"duration_minutes": minutes});
        given_appointment([]).when(schedule(told.clone())).then_refused(Refusal::Duration);
        given_appointment([scheduled()]).when(reschedule(told)).then_refused(Refusal::Duration);
    }
    for minutes in [1, 480] {
        assert!(given_appointment([]).when(schedule(json!({"duration_minutes": minutes}))).is_accepted());
    }
}

#[test]
fn only_who_may_see_patients_is_a_provider() {
    for role in ["nurse", "receptionist"] {
        let other = || [created_with(json!({"role_id": role_id(role)}))];
        given_appointment([])
            .and::<User>(DOCTOR, other())
            .when(schedule(json!({})))
            .then_field("not-entitled", "/provider_id");
        given_appointment([scheduled()])
            .and::<User>(OTHER_DOCTOR, other())
            .when(reschedule(json!({"provider_id": OTHER_DOCTOR})))
            .then_field("not-entitled", "/provider_id");
    }
    // Any of the roles counts, and the permission is asked of the user, not of the caller.
    let both = json!({"role_id": role_id("nurse"), "additional_role_ids": [role_id("doctor")]});
    given_appointment([])
        .and::<User>(DOCTOR, [created_with(both)])
        .by(crate::testing::world::somebody("receptionist"))
        .when(schedule(json!({})))
        .then([scheduled()]);
}

#[test]
fn a_provider_who_is_a_patient_too_sees_others_only() {
    let linked_to = |patient_id| [created(), user::Event::LinkedToPatient { patient_id }];
    given_appointment([]).and::<User>(DOCTOR, linked_to(OTHER_PATIENT)).when(schedule(json!({}))).then([scheduled()]);
    let oneself = || given_appointment([scheduled()]).and::<User>(OTHER_DOCTOR, linked_to(PATIENT));
    given_appointment([])
        .and::<User>(DOCTOR, linked_to(PATIENT))
        .when(schedule(json!({})))
        .then_refused(crate::user::Refusal::TreatsThemselves);
    oneself()
        .when(reschedule(json!({"provider_id": OTHER_DOCTOR})))
        .then_refused(crate::user::Refusal::TreatsThemselves);
}

#[test]
fn an_inactive_provider_is_not_booked() {
    let inactive = || given_appointment([]).and::<User>(DOCTOR, [created(), user::Event::Deactivated]);
    inactive().when(schedule(json!({}))).then_refused(crate::user::Refusal::NotActing);
    given_appointment([scheduled()])
        .and::<User>(OTHER_DOCTOR, [created(), user::Event::Deactivated])
        .when(reschedule(json!({"provider_id": OTHER_DOCTOR})))
        .then_refused(crate::user::Refusal::NotActing);
}

#[test]
fn a_suspended_room_is_not_booked() {
    given_appointment([])
        .and::<Room>(ROOM, [added_room(), suspended_room()])
        .when(schedule(json!({})))
        .then_refused(Refusal::SuspendedRoom);
    given_appointment([])
        .and::<Room>(ROOM, [added_room(), suspended_room(), room::Event::Reactivated])
        .when(schedule(json!({})))
        .then([scheduled()]);
    given_appointment([scheduled()])
        .and::<Room>(OTHER_ROOM, [added_room(), suspended_room()])
        .when(reschedule(json!({"room_id": OTHER_ROOM})))
        .then_refused(Refusal::SuspendedRoom);
}

#[test]
fn a_closed_department_takes_no_appointments() {
    given_appointment([])
        .and::<Department>(DEPARTMENT, [opened(), department::Event::Closed])
        .when(schedule(json!({})))
        .then_refused(crate::department::Refusal::Closed);
}

#[test]
fn who_and_where_must_exist() {
    let nobody = "00000000-0000-0000-0000-00000000dead";
    for field in ["patient_id", "provider_id", "room_id", "department_id"] {
        given_appointment([])
            .when(schedule(with(json!({}), json!({ field: nobody }))))
            .then_field("unknown-reference", &format!("/{field}"));
    }
}

#[test]
fn only_a_scheduled_appointment_is_confirmed() {
    goes(&confirm(), &[Status::Scheduled], Status::Confirmed, &Event::Confirmed);
}

#[test]
fn only_who_is_here_is_seen() {
    goes(&start(), &[Status::CheckedIn], Status::InProgress, &Event::Started);
}

#[test]
fn only_who_is_being_seen_was_seen() {
    goes(&complete(), &[Status::InProgress], Status::Completed, &Event::Completed);
}

#[test]
fn only_who_is_expected_does_not_come() {
    goes(&no_show(), &[Status::Scheduled, Status::Confirmed], Status::NoShow, &Event::MarkedNoShow);
}

#[test]
fn what_is_called_off_or_over_frees_its_time() {
    given([scheduled()]).when(cancel()).then_claims([unbooks()]);
    given(until(Status::InProgress)).when(complete()).then_claims([unbooks()]);
    given([scheduled()]).at(noon().starts_at).when(no_show()).then_claims([unbooks()]);
}

#[test]
fn what_goes_on_keeps_its_time() {
    given([scheduled()]).when(confirm()).then_claims([]);
    given([scheduled()]).when(check_in()).then_claims([]);
    given(until(Status::CheckedIn)).when(start()).then_claims([]);
}

#[test]
fn nobody_is_late_before_the_slot_begins() {
    given([scheduled()]).at(now()).when(no_show()).then_refused(Refusal::NotBegun);
    given([scheduled()]).at(at("2026-11-23T11:59:59Z")).when(no_show()).then_refused(Refusal::NotBegun);
}

#[test]
fn there_is_nothing_to_do_about_no_appointment() {
    given([]).when(confirm()).then_refused(Refused::missing("appointment"));
    given([]).when(no_show()).then_refused(Refused::missing("appointment"));
    given([]).when(reschedule(json!({}))).then_refused(Refused::missing("appointment"));
}
