use super::*;

#[test]
fn moving_an_appointment_books_the_new_time_instead_of_the_old() {
    given_appointment([scheduled()]).when(reschedule(json!({}))).then([rescheduled()]).then_claims([
        unbooks(),
        books(DOCTOR, later()),
        books(PATIENT, later()),
        books(ROOM, later()),
    ]);
}

#[test]
fn moving_an_appointment_may_change_provider_and_room() {
    let elsewhere = json!({"provider_id": OTHER_DOCTOR, "room_id": OTHER_ROOM});
    given_appointment([scheduled()])
        .when(reschedule(elsewhere))
        .then([rescheduled_to(OTHER_DOCTOR, OTHER_ROOM)])
        .then_claims([unbooks(), books(OTHER_DOCTOR, later()), books(PATIENT, later()), books(OTHER_ROOM, later())]);
}

/// Asks for these changes of an appointment only.
fn change(changes: Value) -> RescheduleAppointment {
    ask(with(json!({"appointment_id": APPOINTMENT}), changes))
}

#[test]
fn moving_an_appointment_keeps_what_is_not_said() {
    let an_hour_at = |time: &str| slot(&format!("2026-11-23T{time}:00Z"), 60);
    let of_an_hour = || given_appointment([scheduled(), moved_to(an_hour_at("12:00"), DOCTOR, Some(ROOM))]);
    let moved_to = |slot, provider_id| moved(an_hour_at("12:00"), slot, provider_id, Some(ROOM));
    let to_three = change(json!({"starts_at": "2026-11-23T15:00:00Z"}));
    of_an_hour().when(to_three).then([moved_to(an_hour_at("15:00"), DOCTOR)]);
    let to_other = change(json!({"provider_id": OTHER_DOCTOR}));
    of_an_hour().when(to_other).then([moved_to(an_hour_at("12:00"), OTHER_DOCTOR)]);
    let shorter = change(json!({"duration_minutes": 20}));
    of_an_hour().when(shorter).then([moved_to(slot("2026-11-23T12:00:00Z", 20), DOCTOR)]);
    of_an_hour().when(change(json!({}))).then_nothing();
}

#[test]
fn null_frees_the_room() {
    given_appointment([scheduled()])
        .when(change(json!({"room_id": null})))
        .then([moved_to(noon(), DOCTOR, None)])
        .then_claims([unbooks(), books(DOCTOR, noon()), books(PATIENT, noon())]);
}

#[test]
fn only_a_room_can_be_missing() {
    for field in ["starts_at", "duration_minutes", "provider_id"] {
        given_appointment([scheduled()]).when(change(json!({ field: null }))).then_code("invalid-fields");
    }
}

#[test]
fn an_appointment_that_has_begun_gets_another_room_but_no_time_in_the_past() {
    let late = || given_appointment([scheduled()]).at(at("2026-11-23T12:10:00Z"));
    late().when(change(json!({"room_id": OTHER_ROOM}))).then([moved_to(noon(), DOCTOR, Some(OTHER_ROOM))]);
    late().when(change(json!({"starts_at": "2026-11-23T12:05:00Z"}))).then_refused(Refusal::InThePast);
}

#[test]
fn moving_an_appointment_to_where_it_is_is_quiet() {
    given_appointment([scheduled(), rescheduled()]).when(reschedule(json!({}))).then_nothing();
}

#[test]
fn a_moved_appointment_is_to_be_confirmed_anew() {
    given([scheduled(), Event::Confirmed, rescheduled()]).when(confirm()).then([Event::Confirmed]);
}

#[test]
fn only_what_has_not_begun_is_moved() {
    for status in EVERY {
        let then = given_appointment(until(status)).when(reschedule(json!({})));
        match status {
            Status::Scheduled | Status::Confirmed => drop(then.then([rescheduled()])),
            _ => then.then_refused(Refused::wrong_status::<Appointment>(status)),
        }
    }
}
