use hims_domain::consultation::{self, Consultation};
use hims_testing::sample;

use super::*;
use crate::machinery::scopes::APPOINTMENT_CONSULTATION;
use crate::testing::samples::CONSULTATION;

fn check_in_because(reason: &str) -> CheckInAppointment {
    CheckInAppointment { other_day_reason: Some(said(reason)), ..check_in() }
}

fn undo() -> UndoAppointmentCheckIn {
    UndoAppointmentCheckIn { appointment_id: APPOINTMENT, reason: said("somebody else had come") }
}

fn undone(status: Status) -> Event {
    Event::CheckInUndone { status, reason: said("somebody else had come") }
}

/// An appointment of the third of March at nine in the morning in New York, which is two in the afternoon in UTC.
fn in_march() -> Event {
    let Event::Scheduled(it) = scheduled() else { panic!("scheduled") };
    Event::Scheduled(Scheduled { slot: slot("2027-03-03T14:00:00Z", 30), ..it })
}

#[test]
fn only_who_is_expected_is_checked_in() {
    goes(&check_in(), &[Status::Scheduled, Status::Confirmed], Status::CheckedIn, &checked_in());
}

#[test]
fn a_visit_of_another_day_is_not_checked_in_without_a_word() {
    for when in ["2027-02-24T14:00:00Z", "2027-03-02T20:00:00Z", "2027-03-04T14:00:00Z", "2027-06-03T14:00:00Z"] {
        given([in_march()]).at(at(when)).when(check_in()).then_refused(Refusal::NotToday);
        given([in_march()])
            .at(at(when))
            .when(check_in_because("has come all the way"))
            .then([Event::CheckedIn { other_day_reason: Some(said("has come all the way")) }]);
        // Who is not checked in is neither seen nor has been seen.
        for status in [Status::Scheduled, Status::Confirmed] {
            let wrong = Refused::wrong_status::<Appointment>(status);
            given(until(status)).at(at(when)).when(start()).then_refused(wrong.clone());
            given(until(status)).at(at(when)).when(complete()).then_refused(wrong);
        }
    }
}

#[test]
fn the_day_is_that_of_the_place() {
    // In New York these are the first and the last minute of the third of March.
    for when in ["2027-03-03T05:00:00Z", "2027-03-04T04:59:00Z"] {
        given([in_march()]).at(at(when)).when(check_in()).then([checked_in()]);
    }
}

#[test]
fn nobody_is_asked_why_at_night() {
    let Event::Scheduled(it) = scheduled() else { panic!("scheduled") };
    let after_midnight = Event::Scheduled(Scheduled { slot: slot("2027-03-03T05:10:00Z", 30), ..it.clone() });
    given([after_midnight]).at(at("2027-03-03T04:50:00Z")).when(check_in()).then([checked_in()]);
    let before_midnight = Event::Scheduled(Scheduled { slot: slot("2027-03-03T04:50:00Z", 30), ..it });
    given([before_midnight]).at(at("2027-03-03T05:10:00Z")).when(check_in()).then([checked_in()]);
}

#[test]
fn a_check_in_is_undone_to_what_was_before() {
    given([scheduled(), checked_in()]).when(undo()).then([undone(Status::Scheduled)]).then_claims([]);
    given([scheduled(), Event::Confirmed, checked_in()]).when(undo()).then([undone(Status::Confirmed)]);
    // A confirmation is for one time only.
    given([scheduled(), Event::Confirmed, rescheduled(), checked_in()]).when(undo()).then([undone(Status::Scheduled)]);
}

#[test]
fn who_was_not_here_is_expected_again() {
    let undone = || [scheduled(), checked_in(), undone(Status::Scheduled)];
    given(undone()).when(check_in()).then([checked_in()]);
    given(undone()).when(undo()).then_nothing();
    given_appointment(undone()).when(reschedule(json!({}))).then([rescheduled()]);
}

#[test]
fn only_a_check_in_is_undone() {
    for status in [Status::InProgress, Status::Completed, Status::Cancelled, Status::NoShow] {
        given(until(status)).when(undo()).then_refused(Refused::wrong_status::<Appointment>(status));
    }
}

#[test]
fn only_what_has_led_to_nothing_is_cancelled() {
    let open = [Status::Scheduled, Status::Confirmed, Status::CheckedIn, Status::InProgress];
    goes(&cancel(), &open, Status::Cancelled, &cancelled());
}

#[test]
fn an_appointment_is_cancelled_after_its_consultation_was_not_before() {
    let started = || given(until(Status::InProgress));
    started()
        .owner(APPOINTMENT_CONSULTATION, APPOINTMENT, CONSULTATION)
        .and::<Consultation>(CONSULTATION, [sample::<Consultation>("started")])
        .when(cancel())
        .then_refused(Refusal::ConsultationHolds);
    // A consultation that was broken off has given the key back.
    let broken_off: Vec<consultation::Event> = ["started", "cancelled"].map(sample::<Consultation>).to_vec();
    started().and::<Consultation>(CONSULTATION, broken_off).when(cancel()).then([cancelled()]).then_claims([unbooks()]);
}

fn undo_start() -> UndoAppointmentStart {
    UndoAppointmentStart { appointment_id: APPOINTMENT, reason: said("still in the waiting room") }
}

#[test]
fn a_start_is_undone_and_the_patient_waits_again() {
    let undone = || Event::StartUndone { reason: said("still in the waiting room") };
    goes(&undo_start(), &[Status::InProgress], Status::CheckedIn, &undone());
    let events = || until(Status::InProgress).into_iter().chain([undone()]);
    given(events()).when(start()).then([Event::Started]);
    given(events()).when(undo_start()).then_nothing();
}

#[test]
fn the_start_of_a_visit_with_a_consultation_is_undone_by_the_consultation() {
    given(until(Status::InProgress))
        .owner(APPOINTMENT_CONSULTATION, APPOINTMENT, CONSULTATION)
        .and::<Consultation>(CONSULTATION, [sample::<Consultation>("started")])
        .when(undo_start())
        .then_refused(Refusal::ConsultationHolds);
}

#[test]
fn who_was_here_after_all_is_expected_again_at_the_same_time() {
    let undo = || UndoAppointmentNoShow { appointment_id: APPOINTMENT, reason: said("sat in the other waiting room") };
    let undone = |status| Event::NoShowUndone { status, reason: said("sat in the other waiting room") };
    given([scheduled(), Event::MarkedNoShow]).when(undo()).then([undone(Status::Scheduled)]).then_claims([
        books(DOCTOR, noon()),
        books(PATIENT, noon()),
        books(ROOM, noon()),
    ]);
    given([scheduled(), Event::Confirmed, Event::MarkedNoShow]).when(undo()).then([undone(Status::Confirmed)]);
    given([scheduled(), Event::MarkedNoShow, undone(Status::Scheduled)]).when(undo()).then_nothing();
    for status in [Status::CheckedIn, Status::InProgress, Status::Completed, Status::Cancelled] {
        given(until(status)).when(undo()).then_refused(Refused::wrong_status::<Appointment>(status));
    }
}

fn walk_in(changes: Value) -> CheckInWalkIn {
    let body = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "appointment_type": "follow_up",
                      "duration_minutes": 30});
    ask(with(body, changes))
}

#[test]
fn who_walks_in_is_here_from_now_on() {
    let slot = Slot { starts_at: now(), duration_minutes: 30 };
    let Event::Scheduled(it) = scheduled() else { panic!("scheduled") };
    given_appointment([])
        .when(walk_in(json!({})))
        .then([Event::Scheduled(Scheduled { slot, ..it }), checked_in()])
        .then_claims([books(DOCTOR, slot), books(PATIENT, slot), books(ROOM, slot)]);
    given_appointment([]).when(walk_in(json!({"duration_minutes": 0}))).then_refused(Refusal::Duration);
}

#[test]
fn a_walk_in_keeps_the_rules_of_a_booking() {
    given_appointment([])
        .and::<Room>(ROOM, [added_room(), suspended_room()])
        .when(walk_in(json!({})))
        .then_refused(Refusal::SuspendedRoom);
    given_appointment([])
        .and::<User>(DOCTOR, [created_with(json!({"role_id": role_id("nurse")}))])
        .when(walk_in(json!({})))
        .then_field("not-entitled", "/provider_id");
}

/// The patient of the appointment, who has no permission of staff.
fn oneself() -> crate::Caller {
    crate::Caller { patient_id: Some(PATIENT), ..crate::testing::world::somebody("patient") }
}

#[test]
fn patients_confirm_and_cancel_what_is_their_own() {
    let appointment = hims_domain::fold::<Appointment>(&[scheduled()]).unwrap();
    let stranger = crate::Caller { patient_id: Some(OTHER_PATIENT), ..oneself() };
    for (caller, is_own) in [(oneself(), true), (stranger, false)] {
        assert_eq!(confirm().is_own(Some(&appointment), &caller), is_own);
        assert_eq!(cancel().is_own(Some(&appointment), &caller), is_own);
    }
    assert!(!confirm().is_own(None, &oneself()) && !cancel().is_own(None, &oneself()));
    given([scheduled()]).by(oneself()).when(confirm()).then([Event::Confirmed]);
}

#[test]
fn a_patient_cancels_until_a_day_before_and_the_desk_whenever() {
    for (when, code) in [("2026-11-22T12:00:00Z", None), ("2026-11-22T12:00:01Z", Some("too-late"))] {
        assert_eq!(given([scheduled()]).at(at(when)).by(oneself()).when(cancel()).code(), code, "{when}");
        let desk = crate::testing::world::somebody("receptionist");
        assert_eq!(given([scheduled()]).at(at(when)).by(desk).when(cancel()).code(), None, "{when}");
    }
    given([scheduled(), cancelled()]).at(noon().starts_at).by(oneself()).when(cancel()).then_nothing();
}
