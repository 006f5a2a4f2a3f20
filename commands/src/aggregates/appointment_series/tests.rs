use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_domain::role::Role;
use hims_domain::room::Room;
use hims_domain::user::User;
use hims_testing::sample_with;
use serde_json::{Value, json};

use super::*;
use crate::role_id;
use crate::testing::samples::{
    DEPARTMENT, DOCTOR, OTHER_DEPARTMENT, PATIENT, ROOM, added_room, ask, created, defined, opened, registered, said,
    slot, with,
};
use crate::testing::world::somebody;
use crate::testing::{Given, ISSUED, at, books, given, of};

/// The past events of a series, in a hospital with a patient, a doctor and a room of cardiology, in New York.
fn given_series(events: impl IntoIterator<Item = Event>) -> Given<AppointmentSeries> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<Room>(ROOM, [added_room()])
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
}

/// Nine in the morning in New York on Mondays, from the 30th of November 2026 on.
fn schedule(changes: Value) -> ScheduleAppointmentSeries {
    let body = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "appointment_type": "dialysis",
                      "starts_at": "2026-11-30T14:00:00Z", "duration_minutes": 30, "rrule": "FREQ=WEEKLY;COUNT=3"});
    ask(with(body, changes))
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The appointments that a command books: day, beginning and place in the series.
fn booked(changes: Value) -> Vec<(String, String, i32)> {
    let then = given_series([]).when(schedule(changes));
    let occurrences = match &then.events()[0] {
        Event::Scheduled(it) => it.occurrences.clone(),
        Event::CancelledFrom { .. } => panic!("scheduled"),
    };
    let of = |it: &Occurrence| match then.events_of::<Appointment>(it.appointment_id).remove(0) {
        appointment::Event::Scheduled(booked) => {
            let series = booked.series.unwrap();
            assert_eq!((series.series_id.0, series.index), (ISSUED, it.index));
            let starts_at = booked.slot.starts_at.format("%m-%d %H:%M").to_string();
            (it.day.to_string(), starts_at, series.index)
        }
        _ => panic!("scheduled"),
    };
    occurrences.iter().map(of).collect()
}

fn expected(of: &[(&str, &str)]) -> Vec<(String, String, i32)> {
    of.iter().zip(1..).map(|((day, at), index)| ((*day).to_owned(), (*at).to_owned(), index)).collect()
}

#[test]
fn a_series_begins_an_appointment_for_each_day() {
    let days = [("2026-11-30", "11-30 14:00"), ("2026-12-07", "12-07 14:00"), ("2026-12-14", "12-14 14:00")];
    assert_eq!(booked(json!({})), expected(&days));
    let without = [days[0], days[2]];
    assert_eq!(booked(json!({"exclude_dates": ["2026-12-07"]})), expected(&without));
    let slots = ["2026-11-30T14:00:00Z", "2026-12-07T14:00:00Z"].map(|it| slot(it, 30));
    let then = given_series([]).when(schedule(json!({"rrule": "FREQ=WEEKLY;COUNT=2"})));
    let ids = ["2026-11-30", "2026-12-07"].map(|it| AppointmentSeries::occurrence_of(ISSUED, day(it)));
    then.then_claims(
        ids.into_iter().zip(slots).flat_map(|(id, slot)| {
            [of(id, books(PATIENT, slot)), of(id, books(DOCTOR, slot)), of(id, books(ROOM, slot))]
        }),
    );
}

#[test]
fn nine_in_the_morning_stays_nine_over_both_changes_of_clocks() {
    let found = booked(json!({"rrule": "FREQ=WEEKLY;INTERVAL=12;COUNT=5"}));
    let hours: Vec<_> = found.iter().map(|(_, at, _)| at.as_str()).collect();
    // In UTC, that is one hour earlier in summer.
    assert_eq!(hours, ["11-30 14:00", "02-22 14:00", "05-17 13:00", "08-09 13:00", "11-01 13:00"]);
}

#[test]
fn a_time_that_clocks_skip_is_named_and_one_that_comes_twice_is_the_earlier() {
    // Half past two in the night of the 14th of March 2027 does not exist.
    let nights = json!({"starts_at": "2027-03-13T07:30:00Z", "rrule": "FREQ=DAILY;COUNT=3"});
    let then = given_series([]).when(schedule(nights.clone()));
    then.then_field("no-such-local-time", "/starts_at");
    assert_eq!(booked(with(nights, json!({"exclude_dates": ["2027-03-14"]}))).len(), 2);
    let twice = json!({"starts_at": "2026-12-31T06:30:00Z", "rrule": "FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=-1;COUNT=2"});
    assert_eq!(booked(twice).len(), 2);
    let sundays = json!({"starts_at": "2027-10-31T05:30:00Z", "rrule": "FREQ=WEEKLY;COUNT=2"});
    // The 7th of November 2027, when half past one comes twice.
    assert_eq!(booked(sundays), expected(&[("2027-10-31", "10-31 05:30"), ("2027-11-07", "11-07 05:30")]));
}

#[test]
fn a_series_has_2_to_52_appointments_within_366_days() {
    for (told, code) in [
        (json!({"rrule": "FREQ=DAILY;COUNT=52"}), None),
        (json!({"rrule": "FREQ=DAILY;UNTIL=20270120"}), None),
        (json!({"rrule": "FREQ=DAILY;UNTIL=20270121"}), Some("occurrences")),
        (json!({"rrule": "FREQ=DAILY;COUNT=2", "exclude_dates": ["2026-12-01"]}), Some("occurrences")),
        (json!({"rrule": "FREQ=MONTHLY;COUNT=13"}), Some("unsupported-rule")),
        (json!({"rrule": "FREQ=MONTHLY;BYMONTHDAY=28;COUNT=13", "starts_at": "2026-11-28T14:00:00Z"}), None),
        (
            json!({"rrule": "FREQ=MONTHLY;BYMONTHDAY=28;COUNT=14", "starts_at": "2026-11-28T14:00:00Z"}),
            Some("occurrences"),
        ),
        (json!({"rrule": "FREQ=WEEKLY;INTERVAL=12;COUNT=6"}), Some("occurrences")),
        (json!({"starts_at": "2026-11-16T14:00:00Z"}), Some("in-the-past")),
        (json!({"duration_minutes": 481}), Some("out-of-range")),
        (json!({"patient_id": ROOM}), Some("unknown-reference")),
    ] {
        assert_eq!(given_series([]).when(schedule(told.clone())).code(), code, "{told}");
    }
}

#[test]
fn every_day_that_is_outside_the_hours_is_named() {
    let mondays = json!({"hours": {"effective_from": "2026-12-01", "effective_to": "2026-12-10",
                                   "weekly": [{"weekday": 1, "from": "08:00", "until": "09:00"}]}});
    let away = json!({"leave": {"from": "2026-12-14T00:00:00Z", "until": "2026-12-15T00:00:00Z"}});
    let schedule_events =
        [sample_with::<ProviderSchedule>("hours_set", mondays), sample_with::<ProviderSchedule>("leave_added", away)];
    let stream = ProviderSchedule::stream_of(DOCTOR);
    let hours = || given_series([]).and::<ProviderSchedule>(stream, schedule_events.clone());
    let then = hours().when(schedule(json!({})));
    assert_eq!(then.code(), Some("series-conflict"));
    then.then_fields("series-conflict", &["/starts_at", "/starts_at"]);
    let then = hours().when(schedule(json!({"outside_hours": true})));
    let accepted = |day: &str| {
        let id = AppointmentSeries::occurrence_of(ISSUED, day.parse().unwrap());
        match then.events_of::<Appointment>(id).remove(0) {
            appointment::Event::Scheduled(it) => it.outside_hours,
            _ => panic!("scheduled"),
        }
    };
    assert_eq!(["2026-11-30", "2026-12-07", "2026-12-14"].map(accepted), [false, true, true]);
}

#[test]
fn what_is_open_from_a_day_on_is_cancelled() {
    let series = uuid::Uuid::from_u128(0x5e);
    let scheduled = given_series([]).when(ScheduleAppointmentSeries { id: Some(series.into()), ..schedule(json!({})) });
    let ids = ["2026-11-30", "2026-12-07", "2026-12-14"]
        .map(|it| AppointmentSeries::occurrence_of(series, it.parse().unwrap()));
    let begun = ids.map(|id| scheduled.events_of::<Appointment>(id).remove(0));
    let event = scheduled.then_event();
    let [first, second, third] = begun;
    let in_progress =
        [first.clone(), appointment::Event::CheckedIn { other_day_reason: None }, appointment::Event::Started];
    let known = || {
        given::<AppointmentSeries>([event.clone()])
            .at(at("2026-11-30T14:05:00Z"))
            .and::<Appointment>(ids[0], in_progress.clone())
            .and::<Appointment>(ids[1], [second.clone(), appointment::Event::Confirmed])
            .and::<Appointment>(ids[2], [third.clone()])
    };
    let cancel = |from: Option<&str>| CancelAppointmentSeries {
        series_id: series.into(),
        from: from.map(day),
        reason: said("moved away"),
    };
    let cancelled = || appointment::Event::Cancelled { reason: said("moved away") };
    // From today: the one in progress stays.
    known()
        .when(cancel(None))
        .then([Event::CancelledFrom { from: day("2026-11-30"), reason: said("moved away") }])
        .then_also::<Appointment>(ids[0], [])
        .then_also::<Appointment>(ids[1], [cancelled()])
        .then_also::<Appointment>(ids[2], [cancelled()]);
    known()
        .when(cancel(Some("2026-12-08")))
        .then_also::<Appointment>(ids[1], [])
        .then_also::<Appointment>(ids[2], [cancelled()]);
    known().when(cancel(Some("2027-01-01"))).then_nothing();
    // Who may not read the series cannot cancel it.
    let nurse_of = |department_id| Caller { department_id, ..somebody("nurse") };
    known().by(nurse_of(Some(OTHER_DEPARTMENT))).when(cancel(None)).then_code("not-found");
    assert!(known().by(nurse_of(Some(DEPARTMENT))).when(cancel(None)).is_accepted());
}
