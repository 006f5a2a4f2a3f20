//! Appointments within and outside the hours of their provider.

use hims_domain::provider_schedule::{self, ProviderSchedule};
use hims_testing::sample_with;

use super::*;

/// The doctor works in cardiology on Mondays from eight to twelve, which is one to five in the afternoon in UTC.
fn mondays() -> provider_schedule::Event {
    let hours = json!({"effective_from": "2026-11-01", "effective_to": null,
                       "weekly": [{"weekday": 1, "from": "08:00", "until": "12:00"}]});
    sample_with::<ProviderSchedule>("hours_set", json!({ "hours": hours }))
}

fn given_hours(events: impl IntoIterator<Item = Event>) -> Given<Appointment> {
    given_appointment(events).and::<ProviderSchedule>(ProviderSchedule::stream_of(DOCTOR), [mondays()])
}

fn is_outside(event: &Event) -> bool {
    match event {
        Event::Scheduled(it) => it.outside_hours,
        Event::Rescheduled { outside_hours, .. } => *outside_hours,
        _ => panic!("no time was agreed"),
    }
}

#[test]
fn a_slot_outside_the_hours_is_accepted_or_refused() {
    given_hours([]).when(schedule(json!({}))).then_code("outside-hours");
    assert!(is_outside(&given_hours([]).when(schedule(json!({"outside_hours": true}))).then_event()));
    let within = json!({"starts_at": "2026-11-23T13:00:00Z"});
    assert!(!is_outside(&given_hours([]).when(schedule(within.clone())).then_event()));
    // What did not have to be accepted was not.
    assert!(!is_outside(&given_hours([]).when(schedule(with(within, json!({"outside_hours": true})))).then_event()));
}

#[test]
fn an_appointment_is_moved_within_the_hours_or_accepted() {
    let late = json!({"starts_at": "2026-11-23T18:00:00Z"});
    given_hours([scheduled()]).when(reschedule(late.clone())).then_code("outside-hours");
    let accepted = with(late, json!({"outside_hours": true}));
    let moved = given_hours([scheduled()]).when(reschedule(accepted)).then_event();
    assert!(is_outside(&moved));
    // Another room changes nothing about the time.
    let body = json!({"appointment_id": APPOINTMENT, "room_id": OTHER_ROOM});
    let elsewhere = given_hours([scheduled(), moved.clone()]).when(ask::<RescheduleAppointment>(body)).then_event();
    assert!(is_outside(&elsewhere));
    let back = json!({"starts_at": "2026-11-23T13:00:00Z"});
    assert!(!is_outside(&given_hours([scheduled(), moved]).when(reschedule(back)).then_event()));
}

#[test]
fn who_walks_in_is_seen_whatever_the_hours_say() {
    let here = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "appointment_type": "urgent"});
    assert!(given_hours([]).when(ask::<CheckInWalkIn>(here)).is_accepted());
}
