use super::*;
use crate::testing::samples::{OTHER_DOCTOR, suspended_room};
use crate::waitlist_entry::OfferWaitlistSlot;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_testing::sample_with;

fn offer(changes: Value) -> OfferWaitlistSlot {
    let body = json!({"entry_id": ENTRY, "provider_id": DOCTOR, "room_id": ROOM, "starts_at": "2026-11-30T14:00:00Z",
                      "expires_at": "2026-11-23T12:00:00Z"});
    ask(with(body, changes))
}

/// What the front desk offers: no more than what is held.
fn by_desk(outside_hours: bool) -> Event {
    let opening = Opening { slot: held(), ..free() };
    let expires_at = at("2026-11-23T12:00:00Z");
    Event::Offered(Box::new(Offer { opening, slot: held(), expires_at, outside_hours }))
}

#[test]
fn an_offer_holds_provider_patient_and_room() {
    given_entry([joined()]).when(offer(json!({}))).then([by_desk(false)]).then_claims([
        unshares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT),
        books(DOCTOR, held()),
        books(PATIENT, held()),
        books(ROOM, held()),
    ]);
    given_entry([joined()]).when(offer(json!({"room_id": null}))).then_claims([
        unshares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT),
        books(DOCTOR, held()),
        books(PATIENT, held()),
    ]);
}

#[test]
fn the_same_offer_again_is_quiet_and_another_is_refused() {
    let standing = || given_entry([joined(), by_desk(false)]);
    standing().when(offer(json!({}))).then_nothing();
    standing().when(offer(json!({"starts_at": "2026-11-30T15:00:00Z"}))).then_code("wrong-status");
}

#[test]
fn what_cannot_be_booked_is_not_offered() {
    for (changes, code) in [
        (json!({"starts_at": "2026-11-23T10:00:00Z"}), "in-the-past"),
        (json!({"expires_at": "2026-11-23T10:00:00Z"}), "out-of-range"),
        (json!({"expires_at": "2026-11-30T14:00:01Z"}), "out-of-range"),
        (json!({"provider_id": OTHER_DOCTOR}), "unknown-reference"),
    ] {
        given_entry([joined()]).when(offer(changes)).then_code(code);
    }
    let suspended = given_entry([joined()]).and::<Room>(ROOM, [added_room(), suspended_room()]);
    suspended.when(offer(json!({}))).then_code("suspended-room");
    let dead = given_entry([joined()]).and::<Patient>(PATIENT, [registered(), died()]);
    dead.when(offer(json!({}))).then_code("deceased");
}

#[test]
fn hours_and_leave_count_unless_the_desk_says_otherwise() {
    let away = json!({"leave": {"from": "2026-11-30T00:00:00Z", "until": "2026-12-01T00:00:00Z"}});
    let stream = ProviderSchedule::stream_of(DOCTOR);
    let leave = || [sample_with::<ProviderSchedule>("leave_added", away.clone())];
    let on_leave = || given_entry([joined()]).and::<ProviderSchedule>(stream, leave());
    on_leave().when(offer(json!({}))).then_code("on-leave");
    on_leave().when(offer(json!({"outside_hours": true}))).then([by_desk(true)]);
    // What was offered in spite of the leave can be accepted, and the appointment says so.
    let then = given_entry([joined(), by_desk(true)]).and::<ProviderSchedule>(stream, leave()).when(accept());
    match then.events_of::<Appointment>(WaitlistEntry::appointment_of(ENTRY)).remove(0) {
        appointment::Event::Scheduled(it) => assert!(it.outside_hours),
        other => panic!("{other:?}"),
    }
}
