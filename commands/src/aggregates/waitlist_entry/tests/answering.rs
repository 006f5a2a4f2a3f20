use super::*;
use crate::testing::of;
use hims_domain::appointment::{Priority, Scheduled};
use hims_domain::provider_schedule::ProviderSchedule;
use hims_testing::sample_with;

/// The appointment to which the offer leads.
fn made() -> Scheduled {
    Scheduled {
        patient_id: PATIENT,
        provider_id: DOCTOR,
        department_id: Some(DEPARTMENT),
        room_id: Some(ROOM),
        appointment_type: "follow_up".into(),
        slot: held(),
        time_zone: "America/New_York".into(),
        priority: Priority::Normal,
        reason_for_visit: None,
        special_instructions: None,
        insurance_verified: false,
        outside_hours: false,
        series: None,
    }
}

#[test]
fn accepting_makes_the_appointment_with_the_same_bookings() {
    let appointment_id = WaitlistEntry::appointment_of(ENTRY);
    given_entry([joined(), offered()])
        .by(themselves())
        .when(accept())
        .then([Event::Accepted { appointment_id }])
        .then_also::<Appointment>(appointment_id, [appointment::Event::Scheduled(made())])
        .then_claims([
            unshares(scopes::WAITLIST_OF_PATIENT, PATIENT),
            unbooks(),
            of(appointment_id, books(DOCTOR, held())),
            of(appointment_id, books(PATIENT, held())),
            of(appointment_id, books(ROOM, held())),
        ]);
}

#[test]
fn accepting_cancels_the_appointment_that_is_given_up() {
    let gives_up = || joined_by(PATIENT, json!({"gives_up_appointment_id": APPOINTMENT}));
    let later = || scheduled(PATIENT, slot("2026-12-20T14:00:00Z", 30));
    let offered = |more: Vec<appointment::Event>| {
        given_entry([gives_up(), offered()]).and::<Appointment>(APPOINTMENT, [vec![later()], more].concat())
    };
    let reason = || said("an offer from the waiting list was accepted");
    offered(vec![])
        .when(accept())
        .then_also::<Appointment>(APPOINTMENT, [appointment::Event::Cancelled { reason: reason() }]);
    // Whatever became of it meanwhile is left alone.
    let checked_in = appointment::Event::CheckedIn { other_day_reason: None };
    offered(vec![checked_in]).when(accept()).then_also::<Appointment>(APPOINTMENT, []);
    let cancelled = appointment::Event::Cancelled { reason: said("ill") };
    offered(vec![cancelled]).when(accept()).then_also::<Appointment>(APPOINTMENT, []);
}

#[test]
fn an_offer_is_accepted_before_it_expires_or_expires() {
    let standing = |now: &str| given_entry([joined(), offered()]).at(at(now));
    let (last, over) = ("2026-11-23T11:59:59.999999Z", "2026-11-23T12:00:00Z");
    assert!(standing(last).when(accept()).is_accepted());
    standing(last).when(expire()).then_refused(Refusal::NotExpired);
    standing(over).when(accept()).then_refused(Refusal::OfferExpired);
    standing(over)
        .when(expire())
        .then([expired()])
        .then_claims([unbooks(), shares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT)]);
    // Afterwards too, the patient is told that it has expired.
    given_entry([joined(), offered(), expired()]).when(accept()).then_refused(Refusal::OfferExpired);
    given_entry([joined(), offered(), expired()]).when(expire()).then_nothing();
}

#[test]
fn the_third_offer_without_an_answer_is_the_last() {
    let twice = [joined(), offered(), expired(), offered(), expired(), offered()];
    let lapsed = Event::Lapsed { opening: Some(free()) };
    let then = given_entry(twice.clone()).at(at("2026-11-23T12:00:00Z")).when(expire());
    then.then([lapsed.clone()]).then_claims([unbooks(), unshares(scopes::WAITLIST_OF_PATIENT, PATIENT)]);
    let [.., last] = twice.clone();
    let over = [twice.to_vec(), vec![lapsed]].concat();
    given_entry(over).when(accept()).then_refused(Refusal::OfferExpired);
    // An offer that was declined is one that was answered.
    let declined_one = [joined(), offered(), expired(), offered(), declined(), last];
    given_entry(declined_one).at(at("2026-11-23T12:00:00Z")).when(expire()).then([expired()]);
}

#[test]
fn a_timer_ends_only_the_offer_for_which_it_was_set() {
    let expire_at = |expires_at: &str| ExpireWaitlistOffer { expires_at: Some(at(expires_at)), ..expire() };
    let late = at("2026-11-23T15:00:00Z");
    let again = [joined(), offered(), declined(), offer_until("2026-11-23T14:00:00Z")];
    given_entry(again.clone()).at(late).when(expire_at("2026-11-23T12:00:00Z")).then_nothing();
    given_entry(again).at(late).when(expire_at("2026-11-23T14:00:00Z")).then([expired()]);
    for (status, events) in every_status() {
        if status != Status::Offered {
            given_entry(events).at(late).when(expire_at("2026-11-23T12:00:00Z")).then_nothing();
        }
    }
}

#[test]
fn declining_gives_everything_back_and_the_patient_waits_on() {
    given_entry([joined(), offered()])
        .by(themselves())
        .when(decline())
        .then([declined()])
        .then_claims([unbooks(), shares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT)]);
    given_entry([joined(), offered(), declined()]).when(decline()).then_nothing();
    given_entry([joined(), offered(), declined()]).when(accept()).then_refused(Refusal::NotOffered);
}

#[test]
fn a_leave_since_the_offer_stands_against_it_and_other_hours_do_not() {
    let stream = ProviderSchedule::stream_of(DOCTOR);
    let away = json!({"leave": {"from": "2026-11-30T14:15:00Z", "until": "2026-12-01T00:00:00Z"}});
    let away = sample_with::<ProviderSchedule>("leave_added", away);
    let mondays = json!({"hours": {"effective_from": "2026-11-01", "effective_to": null,
                                   "weekly": [{"weekday": 1, "from": "12:00", "until": "13:00"}]}});
    let mondays = sample_with::<ProviderSchedule>("hours_set", mondays);
    let with_schedule = |event| given_entry([joined(), offered()]).and::<ProviderSchedule>(stream, [event]);
    with_schedule(away).when(accept()).then_refused(Refusal::ProviderAway);
    let then = with_schedule(mondays).when(accept());
    let expected = appointment::Event::Scheduled(Scheduled { outside_hours: true, ..made() });
    then.then_also::<Appointment>(WaitlistEntry::appointment_of(ENTRY), [expected]);
}

#[test]
fn who_died_since_the_offer_does_not_come() {
    let dead = given_entry([joined(), offered()]).and::<Patient>(PATIENT, [registered(), died()]);
    dead.when(accept()).then_code("deceased");
}

#[test]
fn after_a_merge_the_surviving_record_gets_the_visit() {
    let into = patient::Event::MergedInto { patient_id: OTHER_PATIENT, reason: said("twice") };
    let (duplicate_id, brought, reason) = (PATIENT, [].into(), said("twice"));
    let merged = patient::Event::DuplicateMerged { duplicate_id, brought, reason };
    let then = given_entry([joined(), offered()])
        .and::<Patient>(PATIENT, [registered(), into])
        .and::<Patient>(OTHER_PATIENT, [registered(), merged])
        .when(accept());
    let expected = appointment::Event::Scheduled(Scheduled { patient_id: OTHER_PATIENT, ..made() });
    then.then_also::<Appointment>(WaitlistEntry::appointment_of(ENTRY), [expected]);
}
