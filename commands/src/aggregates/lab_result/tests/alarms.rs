//! Critical values: when an alarm is raised and ends, who acknowledges it, and who is told meanwhile.

use std::collections::BTreeSet;

use hims_domain::consultation::Consultation;
use hims_domain::department::Department;
use hims_domain::lab_result::Status;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_domain::role::Role;
use hims_domain::{UserId, department, fold, user};

use super::*;
use crate::testing::now;
use crate::testing::samples::{CONSULTATION, DEPARTMENT, OTHER_DOCTOR, cardiology, created_with, defined, said};
use crate::testing::world::user as caller;
use crate::{Caller, role_id};

const HEAD: UserId = UserId(Uuid::from_u128(0x31));
const NURSE: UserId = UserId(Uuid::from_u128(0x32));
const CLERK: UserId = UserId(Uuid::from_u128(0x33));
const ADMINISTRATOR: UserId = UserId(Uuid::from_u128(0x34));
const LEFT: UserId = UserId(Uuid::from_u128(0x35));

fn raised(revision: i32) -> Event {
    Event::CriticalRaised { revision, codes: vec![POTASSIUM.into()], raised_at: now() }
}

fn told(level: i32, recipients: impl IntoIterator<Item = UserId>) -> Event {
    Event::CriticalEscalated { revision: 1, raised_at: now(), level, recipients: recipients.into_iter().collect() }
}

fn acknowledged() -> Event {
    Event::CriticalAcknowledged { acknowledged_by: DOCTOR, note: None }
}

/// A final result with a critical potassium, and what happened then.
fn critical(then: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events_of(record(json!({"components": all_values("6.9")}))).into_iter().chain(then).collect()
}

fn status(events: &[Event]) -> Status {
    fold::<LabResult>(events).unwrap().status()
}

#[test]
fn a_critical_value_raises_an_alarm_even_if_it_is_preliminary() {
    let events = events_of(preliminary("6.9"));
    assert_eq!(events[1..], [raised(1)]);
    assert_eq!(status(&events), Status::Critical);
    assert_eq!(events_of(preliminary("6.4")).len(), 1, "the value is high, and not critical");
}

#[test]
fn what_is_imported_or_generated_raises_no_alarm_and_the_demo_shows_one() {
    for (name, raises) in [("import", false), ("generate", false), ("demo", true)] {
        let then = given_result([], [placed()]).by(Caller::system(name)).when(preliminary("6.9"));
        assert_eq!(then.events().len() == 2, raises, "{name}");
    }
}

#[test]
fn an_alarm_is_acknowledged_by_a_person_who_has_read_the_values_back() {
    let alarm = || given_result(critical([]), resulted(true)).by(caller(DOCTOR, "nurse"));
    alarm().when(acknowledge()).then([acknowledged()]);
    let unread: AcknowledgeCriticalResult = ask(json!({"lab_result_id": RESULT, "read_back": false}));
    alarm().when(unread).then_refused(Refusal::NotReadBack);
    alarm().by(Caller::system("process:critical-results")).when(acknowledge()).then_code("who-did-it");
    given_result(critical([acknowledged()]), resulted(true)).when(acknowledge()).then_nothing();
    assert_eq!(status(&critical([acknowledged()])), Status::Completed);
}

#[test]
fn critical_values_are_acknowledged_before_they_are_reviewed() {
    let by_doctor = |events| given_result(events, resulted(true)).by(caller(DOCTOR, "doctor"));
    by_doctor(critical([])).when(review()).then_refused(Refusal::Unacknowledged);
    assert!(by_doctor(critical([acknowledged()])).when(review()).is_accepted());
}

#[test]
fn a_value_that_turns_out_to_be_harmless_ends_the_alarm_and_everybody_is_told() {
    let everybody = BTreeSet::from([DOCTOR, HEAD, NURSE]);
    for then in [vec![told(0, [HEAD, NURSE]), acknowledged()], vec![told(0, [DOCTOR, HEAD]), told(1, [NURSE])]] {
        let events = given_result(critical(then.clone()), resulted(true)).when(correct(all_values("4.1"))).events();
        assert_eq!(events[1..], [Event::CriticalWithdrawn { told: everybody.clone() }]);
        assert_eq!(status(&[critical(then.clone()), events].concat()), Status::Completed);
        let events = given_result(critical(then), resulted(true)).when(withdraw("wrong_patient")).events();
        assert_eq!(events[0], Event::CriticalWithdrawn { told: everybody.clone() });
        assert_eq!(events.len(), 2);
    }
}

#[test]
fn other_critical_values_raise_the_alarm_again_once_it_was_acknowledged() {
    let correcting = |then: Vec<Event>, potassium| {
        given_result(critical(then), resulted(true)).when(correct(all_values(potassium))).events()
    };
    assert_eq!(correcting(vec![acknowledged()], "7.5")[1..], [raised(2)]);
    assert_eq!(correcting(vec![], "7.5").len(), 1, "the alarm goes on");
    // The other component was wrong; the critical value was acknowledged.
    let values = json!([value(POTASSIUM, "6.9"), value(CREATININE, "1"), {"code": SERUM, "text": "clear"}]);
    let events = given_result(critical([acknowledged()]), resulted(true)).when(correct(values)).events();
    assert_eq!(events.len(), 1);
    // Who acknowledged the alarm had seen the corrected value.
    let corrected = correcting(vec![], "7.5");
    let events = critical(corrected.into_iter().chain([acknowledged()]));
    let values = json!([value(POTASSIUM, "7.5"), value(CREATININE, "1"), {"code": SERUM, "text": "clear"}]);
    assert_eq!(given_result(events, resulted(true)).when(correct(values)).events().len(), 1);
}

#[test]
fn final_values_that_are_the_preliminary_ones_raise_no_second_alarm() {
    let whole = record(json!({"status": "P", "components": all_values("6.9")}));
    let events = events_of(whole).into_iter().chain([acknowledged()]);
    let then = given_result(events, resulted(false)).when(finalise(None));
    then.then([Event::Finalised { patient_id: PATIENT, revision: None }]);
}

fn escalate(level: i32) -> EscalateCriticalResult {
    EscalateCriticalResult { lab_result_id: RESULT, revision: 1, level }
}

/// A department with its head, in which the provider, a nurse, a clerk and somebody who has left work, and an
/// administrator. The patient is seen by another doctor.
fn given_hospital(events: impl IntoIterator<Item = Event>, provider: Vec<user::Event>) -> Given<LabResult> {
    let of_role = |role: &str| created_with(json!({"role_id": role_id(role), "department_id": DEPARTMENT}));
    let head = department::Event::Opened(ask(with(cardiology(), json!({"head_user_id": HEAD}))));
    let started = sample_with::<Consultation>("started", json!({"patient_id": PATIENT, "provider_id": OTHER_DOCTOR}));
    let department = crate::machinery::scopes::USERS_OF_DEPARTMENT;
    let roles = ["doctor", "nurse", "receptionist", "administrator"];
    let given = given_result(events, resulted(true))
        .and::<User>(DOCTOR, provider)
        .and::<User>(OTHER_DOCTOR, [created()])
        .and::<User>(HEAD, [created()])
        .and::<User>(NURSE, [of_role("nurse")])
        .and::<User>(CLERK, [of_role("receptionist")])
        .and::<User>(LEFT, [of_role("nurse"), user::Event::Deactivated])
        .and::<User>(ADMINISTRATOR, [created_with(json!({"role_id": role_id("administrator")}))])
        .and::<Department>(DEPARTMENT, [head])
        .and::<Consultation>(CONSULTATION, [started])
        .owner(crate::machinery::scopes::OPEN_CONSULTATIONS, PATIENT, CONSULTATION)
        .owner(crate::machinery::scopes::USERS_WITH_ROLE, role_id("administrator"), ADMINISTRATOR);
    let given = roles.iter().fold(given, |given, it| given.and::<Role>(role_id(it), [defined(it)]));
    [DOCTOR, NURSE, CLERK, LEFT].iter().fold(given, |given, it| given.owner(department, DEPARTMENT, *it))
}

/// The provider of the order, who works in the department.
fn provider() -> user::Event {
    created_with(json!({"department_id": DEPARTMENT}))
}

fn recipients(then: crate::testing::Then<LabResult>) -> BTreeSet<UserId> {
    match then.then_event() {
        Event::CriticalEscalated { revision: 1, raised_at, recipients, .. } if raised_at == now() => recipients,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_level_tells_more_people() {
    for (level, expected) in [
        (0, vec![DOCTOR, OTHER_DOCTOR]),
        (1, vec![DOCTOR, HEAD]),
        (2, vec![DOCTOR, HEAD, NURSE]),
        (3, vec![DOCTOR, HEAD, NURSE, ADMINISTRATOR]),
        (40, vec![DOCTOR, HEAD, NURSE, ADMINISTRATOR]),
    ] {
        let then = given_hospital(critical([]), vec![provider()]).when(escalate(level));
        assert_eq!(recipients(then), expected.into_iter().collect(), "level {level}");
    }
}

#[test]
fn the_head_is_told_at_once_if_the_provider_is_away() {
    let inactive = given_hospital(critical([]), vec![provider(), user::Event::Deactivated]).when(escalate(0));
    assert_eq!(recipients(inactive), BTreeSet::from([OTHER_DOCTOR, HEAD]));
    let away = given_hospital(critical([]), vec![provider()])
        .and::<ProviderSchedule>(ProviderSchedule::stream_of(DOCTOR), [on_leave()])
        .when(escalate(0));
    assert_eq!(recipients(away), BTreeSet::from([DOCTOR, OTHER_DOCTOR, HEAD]));
}

/// The leave of a user on the day of all tests.
fn on_leave() -> hims_domain::provider_schedule::Event {
    let leave = json!({"leave": {"from": "2026-11-20T00:00:00Z", "until": "2026-11-30T00:00:00Z"}});
    sample_with::<ProviderSchedule>("leave_added", leave)
}

#[test]
fn where_everybody_of_a_level_is_on_leave_the_next_level_is_told_at_once() {
    let away = |users: &[UserId], level: i32| {
        let given = given_hospital(critical([]), vec![provider()]);
        let schedule = ProviderSchedule::stream_of;
        let given = users.iter().fold(given, |given, id| given.and::<ProviderSchedule>(schedule(*id), [on_leave()]));
        recipients(given.when(escalate(level)))
    };
    let some = BTreeSet::from([DOCTOR, OTHER_DOCTOR, HEAD]);
    assert_eq!(away(&[DOCTOR, HEAD], 0), some, "the doctor who sees the patient is there");
    let colleagues = BTreeSet::from([DOCTOR, OTHER_DOCTOR, HEAD, NURSE]);
    assert_eq!(away(&[DOCTOR, OTHER_DOCTOR, HEAD], 0), colleagues);
    assert_eq!(away(&[DOCTOR, HEAD], 1), BTreeSet::from([DOCTOR, HEAD, NURSE]));
    let all = BTreeSet::from([DOCTOR, HEAD, NURSE, ADMINISTRATOR]);
    assert_eq!(away(&[DOCTOR, HEAD, NURSE], 1), all);
    assert_eq!(away(&[DOCTOR], 1), BTreeSet::from([DOCTOR, HEAD]));
}

#[test]
fn nobody_is_told_of_their_own_values() {
    let own = user::Event::LinkedToPatient { patient_id: PATIENT };
    let then = given_hospital(critical([]), vec![provider(), own]).when(escalate(1));
    assert_eq!(recipients(then), BTreeSet::from([HEAD]));
}

#[test]
fn where_nobody_can_be_told_the_next_level_is_told() {
    // The provider has left, and had no department.
    let left = vec![created(), user::Event::Deactivated];
    let then = given_hospital(critical([]), left).when(escalate(1));
    assert_eq!(recipients(then), BTreeSet::from([ADMINISTRATOR]));
}

#[test]
fn a_level_that_was_told_or_is_no_longer_needed_changes_nothing() {
    let given = |then: Vec<Event>| given_hospital(critical(then), vec![provider()]);
    given(vec![told(1, [DOCTOR])]).when(escalate(1)).then_nothing();
    given(vec![told(1, [DOCTOR])]).when(escalate(0)).then_nothing();
    given(vec![acknowledged()]).when(escalate(1)).then_nothing();
    given(vec![Event::CriticalWithdrawn { told: BTreeSet::new() }]).when(escalate(1)).then_nothing();
    let other = EscalateCriticalResult { revision: 2, ..escalate(1) };
    given(vec![]).when(other).then_nothing();
    assert!(given(vec![told(1, [DOCTOR])]).when(escalate(2)).is_accepted());
}

#[test]
fn what_is_said_with_an_acknowledgement_is_kept() {
    let note = said("Calcium given");
    let asked = AcknowledgeCriticalResult { lab_result_id: RESULT, read_back: true, note: Some(note.clone()) };
    let then = given_result(critical([]), resulted(true)).by(caller(DOCTOR, "doctor")).when(asked);
    then.then([Event::CriticalAcknowledged { acknowledged_by: DOCTOR, note: Some(note) }]);
}
