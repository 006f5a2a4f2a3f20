//! Who gets what has become free.

use super::*;
use crate::testing::Then;
use hims_domain::appointment::Event as Visit;
use hims_domain::notification_preferences::{NotificationPreferences, Person};
use hims_domain::provider_schedule::ProviderSchedule;
use hims_testing::{sample, sample_with};

const THIRD_ENTRY: Uuid = Uuid::from_u128(0x73);
const BOOKED: Uuid = Uuid::from_u128(0x74);

/// The cancelled appointment that gives back what is free.
fn cancelled() -> [Visit; 2] {
    let changes = json!({"patient_id": id::<PatientId>(0x98), "provider_id": DOCTOR, "room_id": ROOM, "slot": free().slot,
                         "department_id": DEPARTMENT, "appointment_type": "follow_up"});
    [sample_with::<Appointment>("scheduled", changes), Visit::Cancelled { reason: said("ill") }]
}

/// Those who wait for cardiology, each with the events of their entry, when the appointment was cancelled.
fn given_waiting(entries: &[(Uuid, Vec<Event>)]) -> Given<Appointment> {
    entries.iter().fold(in_hospital(given(cancelled())), |given, (id, events)| {
        given.and::<WaitlistEntry>(*id, events.clone()).owner(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT, *id)
    })
}

fn offer_it() -> OfferFreedTime {
    OfferFreedTime { appointment_id: APPOINTMENT, moved_from: None, freed_at: at("2026-11-23T10:00:00Z") }
}

/// Asserts who gets the offer.
#[track_caller]
fn gets(then: &Then<Appointment>, entry: Option<Uuid>) {
    for id in [ENTRY, OTHER_ENTRY, THIRD_ENTRY] {
        let expected = usize::from(entry == Some(id));
        assert_eq!(then.events_of::<WaitlistEntry>(id).len(), expected, "{id}");
    }
}

fn offers(given: Given<Appointment>, entry: Option<Uuid>) {
    gets(&given.when(offer_it()), entry);
}

fn first() -> (Uuid, Vec<Event>) {
    (ENTRY, vec![joined()])
}

/// Somebody who joined a minute later.
fn second(changes: Value) -> (Uuid, Vec<Event>) {
    let (wish, time_zone) = (Box::new(wish(changes)), "America/New_York".into());
    let joined_at = at("2026-11-23T09:01:00Z");
    (OTHER_ENTRY, vec![Event::Joined { patient_id: OTHER_PATIENT, wish, time_zone, joined_at }])
}

#[test]
fn the_most_urgent_comes_first_and_then_who_has_waited_longest() {
    offers(given_waiting(&[second(json!({})), first()]), Some(ENTRY));
    offers(given_waiting(&[second(json!({"priority": "high"})), first()]), Some(OTHER_ENTRY));
    offers(given_waiting(&[second(json!({"priority": "low"})), first()]), Some(ENTRY));
    offers(given_waiting(&[]), None);
}

/// A process that comes to the same event once more, days later, offers nothing to those who have joined meanwhile.
#[test]
fn who_joins_after_the_time_became_free_is_not_offered_it() {
    let freed_at = |time: &str| OfferFreedTime { freed_at: at(time), ..offer_it() };
    let both = || given_waiting(&[second(json!({}))]);
    gets(&both().when(freed_at("2026-11-23T09:00:59Z")), None);
    gets(&both().when(freed_at("2026-11-23T09:01:00Z")), Some(OTHER_ENTRY));
}

#[test]
fn the_offer_holds_as_much_as_the_patient_needs() {
    let expected = offer_until("2026-11-23T15:00:00Z");
    // It is five in the morning in New York: two hours count from the end of the quiet hours, eight o'clock, on.
    let then = given_waiting(&[first()]).when(offer_it());
    assert_eq!(then.events_of::<WaitlistEntry>(ENTRY), [expected]);
    then.then_claims([
        crate::testing::of(ENTRY, unshares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT)),
        crate::testing::of(ENTRY, books(DOCTOR, held())),
        crate::testing::of(ENTRY, books(PATIENT, held())),
        crate::testing::of(ENTRY, books(ROOM, held())),
    ]);
}

/// When an offer that is made at a time expires.
fn expires(now: &str, of: impl FnOnce(Given<Appointment>) -> Given<Appointment>) -> DateTime<Utc> {
    let then = of(given_waiting(&[first()])).at(at(now)).when(offer_it());
    match then.events_of::<WaitlistEntry>(ENTRY).remove(0) {
        Event::Offered(offer) => offer.expires_at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn there_are_two_hours_for_an_answer_but_none_of_the_night() {
    let usual = |now: &str| expires(now, |it| it);
    assert_eq!(usual("2026-11-25T17:00:00Z"), at("2026-11-25T19:00:00Z"), "at noon");
    assert_eq!(usual("2026-11-26T01:59:00Z"), at("2026-11-26T03:59:00Z"), "a minute before nine in the evening");
    assert_eq!(usual("2026-11-26T02:00:00Z"), at("2026-11-26T15:00:00Z"), "at nine in the evening");
    // At the latest an hour before the visit, at nine in the morning of the 30th in New York.
    assert_eq!(usual("2026-11-30T11:45:00Z"), at("2026-11-30T13:00:00Z"));
    // The patient wants other quiet hours.
    let wishes = json!({"wishes": {"quiet_from": "10:00", "quiet_until": "14:00", "time_zone": "UTC"},
                        "patient_id": PATIENT, "user_id": null});
    let set = sample_with::<NotificationPreferences>("set", wishes);
    let stream = NotificationPreferences::stream_of(Person::PatientId(PATIENT));
    let own = |it: Given<Appointment>| it.and::<NotificationPreferences>(stream, [set]);
    assert_eq!(expires("2026-11-25T12:00:00Z", own), at("2026-11-25T16:00:00Z"));
}

#[test]
fn what_is_less_than_two_hours_ahead_is_offered_to_nobody() {
    offers(given_waiting(&[first()]).at(at("2026-11-30T12:00:00Z")), Some(ENTRY));
    offers(given_waiting(&[first()]).at(at("2026-11-30T12:00:01Z")), None);
}

#[test]
fn whom_it_does_not_suit_is_passed_over() {
    for changes in [
        json!({"duration_minutes": 60}),
        json!({"appointment_type": "new"}),
        json!({"weekdays": [2]}),
        json!({"latest": "2026-11-29"}),
    ] {
        let urgent = with(changes, json!({"priority": "emergency"}));
        offers(given_waiting(&[second(urgent), first()]), Some(ENTRY));
    }
}

#[test]
fn whoever_did_not_take_it_is_not_offered_it_again() {
    for passed_up in [declined(), expired()] {
        let (id, events) = first();
        let before = [events, vec![offered(), passed_up]].concat();
        offers(given_waiting(&[(id, before), second(json!({}))]), Some(OTHER_ENTRY));
    }
}

#[test]
fn whoever_is_booked_dead_or_erased_is_passed_over() {
    let both = || given_waiting(&[first(), second(json!({}))]);
    let elsewhere = scheduled(PATIENT, slot("2026-11-30T14:29:00Z", 10));
    let booked =
        both().and::<Appointment>(BOOKED, [elsewhere]).booked(PATIENT, slot("2026-11-30T14:29:00Z", 10), BOOKED);
    offers(booked, Some(OTHER_ENTRY));
    // The time after the half hour does not matter.
    offers(both().booked(PATIENT, slot("2026-11-30T14:30:00Z", 10), BOOKED), Some(ENTRY));
    offers(both().and::<Patient>(PATIENT, [registered(), died()]), Some(OTHER_ENTRY));
    let erased = sample_with::<Patient>("registered", json!({"mrn": {"$erased": true, "$personal": null}}));
    offers(both().and::<Patient>(PATIENT, [erased]), Some(OTHER_ENTRY));
    // The doctor does not treat themselves.
    let linked = [created(), hims_domain::user::Event::LinkedToPatient { patient_id: PATIENT }];
    offers(both().and::<User>(DOCTOR, linked), Some(OTHER_ENTRY));
}

#[test]
fn a_booking_under_another_record_of_the_patient_counts() {
    let into = patient::Event::MergedInto { patient_id: OTHER_PATIENT, reason: said("twice") };
    let (duplicate_id, brought, reason) = (PATIENT, [].into(), said("twice"));
    let merged = patient::Event::DuplicateMerged { duplicate_id, brought, reason };
    let one = || {
        given_waiting(&[first()])
            .and::<Patient>(PATIENT, [registered(), into.clone()])
            .and::<Patient>(OTHER_PATIENT, [registered(), merged.clone()])
    };
    offers(one(), Some(ENTRY));
    offers(one().booked(OTHER_PATIENT, held(), BOOKED), None);
}

#[test]
fn an_appointment_is_given_up_only_for_an_earlier_one() {
    let gives_up = (ENTRY, vec![joined_by(PATIENT, json!({"gives_up_appointment_id": BOOKED}))]);
    let with_visit = |starts_at: &str| {
        let visit = scheduled(PATIENT, slot(starts_at, 30));
        given_waiting(&[gives_up.clone(), second(json!({}))]).and::<Appointment>(BOOKED, [visit])
    };
    offers(with_visit("2026-12-02T14:00:00Z"), Some(ENTRY));
    offers(with_visit("2026-11-27T14:00:00Z"), Some(OTHER_ENTRY));
}

#[test]
fn what_is_taken_again_is_offered_to_nobody() {
    let one = || given_waiting(&[first()]);
    for resource in [Uuid::from(DOCTOR), Uuid::from(ROOM)] {
        offers(one().booked(resource, slot("2026-11-30T14:15:00Z", 15), BOOKED), None);
        offers(one().booked(resource, slot("2026-11-30T14:30:00Z", 15), BOOKED), Some(ENTRY));
    }
}

#[test]
fn what_cannot_be_booked_any_more_is_offered_to_nobody() {
    let one = || given_waiting(&[first()]);
    let stream = ProviderSchedule::stream_of(DOCTOR);
    let away = json!({"leave": {"from": "2026-11-30T00:00:00Z", "until": "2026-12-01T00:00:00Z"}});
    offers(one().and::<ProviderSchedule>(stream, [sample_with::<ProviderSchedule>("leave_added", away)]), None);
    offers(one().and::<Room>(ROOM, [added_room(), sample::<Room>("suspended")]), None);
    offers(one().and::<Department>(DEPARTMENT, [opened(), sample::<Department>("closed")]), None);
    offers(one().and::<User>(DOCTOR, [created(), sample::<User>("deactivated")]), None);
}

#[test]
fn an_appointment_that_stands_gives_nothing_back_but_what_it_was_moved_from() {
    let [scheduled, _] = cancelled();
    let standing = |moved_from| {
        let given = in_hospital(given([scheduled.clone()])).and::<WaitlistEntry>(ENTRY, [joined()]);
        let given = given.owner(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT, ENTRY);
        given.when(OfferFreedTime { moved_from, ..offer_it() })
    };
    gets(&standing(None), None);
    gets(&standing(Some(free())), Some(ENTRY));
}

#[test]
fn what_somebody_did_not_take_is_offered_to_the_next() {
    let (id, next) = second(json!({}));
    let then = given_entry([joined(), offered(), declined()])
        .and::<WaitlistEntry>(id, next)
        .and::<WaitlistEntry>(ENTRY, [joined(), offered(), declined()])
        .owner(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT, ENTRY)
        .owner(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT, id)
        .when(OfferAgain { entry_id: ENTRY.into(), opening: free(), freed_at: at("2026-11-23T10:00:00Z") });
    let [Event::Offered(offer)] = &then.events_of::<WaitlistEntry>(id)[..] else { panic!("one offer") };
    assert_eq!((&offer.opening, offer.slot), (&free(), held()));
    assert_eq!(then.events(), []);
}

#[test]
fn somebody_who_waits_for_a_provider_gets_their_time() {
    let of_doctor = second(json!({"department_id": null, "provider_id": DOCTOR, "priority": "high"}));
    let given = given_waiting(&[first()]).and::<WaitlistEntry>(of_doctor.0, of_doctor.1);
    offers(given.owner(scopes::WAITLIST_OF_PROVIDER, DOCTOR, OTHER_ENTRY), Some(OTHER_ENTRY));
}
