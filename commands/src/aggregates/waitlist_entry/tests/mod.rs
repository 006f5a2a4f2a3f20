mod answering;
mod joining;
mod offering;
mod opening;
mod racing;

use hims_domain::PatientId;
use hims_domain::appointment::{self, Appointment, Opening, Slot};
use hims_domain::department::Department;
use hims_domain::patient::{self, Patient};
use hims_domain::role::Role;
use hims_domain::room::Room;
use hims_domain::user::User;
use hims_domain::waitlist_entry::{Offer, Wish};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{
    APPOINTMENT, DEPARTMENT, DOCTOR, OTHER_PATIENT, PATIENT, ROOM, added_room, ask, created, defined, opened,
    registered, said, slot, with,
};
use crate::testing::{Given, at, books, given, id, shares, unbooks, unshares};
use crate::{Refused, role_id};

/// The entry of these tests.
const ENTRY: Uuid = Uuid::from_u128(0x71);
/// Another entry.
const OTHER_ENTRY: Uuid = Uuid::from_u128(0x72);

/// Adds the people and places of these tests: two patients, a doctor and a room of cardiology, in New York.
fn in_hospital<A: Claims>(given: Given<A>) -> Given<A> {
    given
        .and::<Patient>(PATIENT, [registered()])
        .and::<Patient>(OTHER_PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<Room>(ROOM, [added_room()])
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
}

/// The past events of an entry in the hospital.
fn given_entry(events: impl IntoIterator<Item = Event>) -> Given<WaitlistEntry> {
    in_hospital(given(events))
}

/// Two weeks of half hours for a follow-up in cardiology.
fn wanted() -> Value {
    json!({"department_id": DEPARTMENT, "appointment_type": "follow_up", "duration_minutes": 30,
           "earliest": "2026-11-23", "latest": "2026-12-06"})
}

fn wish(changes: Value) -> Wish {
    ask(with(wanted(), changes))
}

fn joined_by(patient_id: PatientId, changes: Value) -> Event {
    let (wish, time_zone) = (Box::new(wish(changes)), "America/New_York".into());
    Event::Joined { patient_id, wish, time_zone, joined_at: at("2026-11-23T09:00:00Z") }
}

fn joined() -> Event {
    joined_by(PATIENT, json!({}))
}

/// Three quarters of an hour on Monday, the 30th of November, from nine in the morning in New York on.
fn free() -> Opening {
    Opening {
        provider_id: DOCTOR,
        department_id: Some(DEPARTMENT),
        room_id: Some(ROOM),
        appointment_type: "follow_up".into(),
        slot: slot("2026-11-30T14:00:00Z", 45),
        time_zone: "America/New_York".into(),
    }
}

/// The half hour that is held of [`free`].
fn held() -> Slot {
    slot("2026-11-30T14:00:00Z", 30)
}

fn offer_until(expires_at: &str) -> Event {
    Event::Offered(Box::new(Offer { opening: free(), slot: held(), expires_at: at(expires_at), outside_hours: false }))
}

/// An offer until noon.
fn offered() -> Event {
    offer_until("2026-11-23T12:00:00Z")
}

fn declined() -> Event {
    Event::Declined { opening: free() }
}

fn expired() -> Event {
    Event::Expired { opening: free() }
}

/// An appointment of a patient with nobody of these tests.
fn scheduled(patient_id: PatientId, at: Slot) -> appointment::Event {
    let changes = json!({"patient_id": patient_id, "slot": at, "provider_id": id::<Uuid>(0x99), "room_id": null});
    hims_testing::sample_with::<Appointment>("scheduled", changes)
}

fn died() -> patient::Event {
    ask(json!({"death_recorded": {"deceased_at": {"$personal": "2026-11-22T20:00:00Z"}, "source": null}}))
}

fn accept() -> AcceptWaitlistOffer {
    AcceptWaitlistOffer { entry_id: ENTRY.into() }
}

fn decline() -> DeclineWaitlistOffer {
    DeclineWaitlistOffer { entry_id: ENTRY.into() }
}

fn expire() -> ExpireWaitlistOffer {
    ExpireWaitlistOffer { entry_id: ENTRY.into(), expires_at: None }
}

fn leave() -> LeaveWaitlist {
    LeaveWaitlist { entry_id: ENTRY.into(), reason: Some(said("moved away")) }
}

/// The patient, logged in.
fn themselves() -> Caller {
    Caller { patient_id: Some(PATIENT), ..crate::testing::world::somebody("patient") }
}

/// An entry in each status.
fn every_status() -> [(Status, Vec<Event>); 5] {
    let appointment_id = WaitlistEntry::appointment_of(ENTRY);
    [
        (Status::Waiting, vec![joined()]),
        (Status::Offered, vec![joined(), offered()]),
        (Status::Fulfilled, vec![joined(), offered(), Event::Accepted { appointment_id }]),
        (Status::Lapsed, vec![joined(), Event::Lapsed { opening: None }]),
        (Status::Withdrawn, vec![joined(), Event::Left { opening: None, reason: None }]),
    ]
}

#[test]
fn each_step_is_taken_in_its_status_only() {
    for (status, events) in every_status() {
        let now = || given_entry(events.clone());
        let refused = Refused::wrong_status::<WaitlistEntry>(status);
        let then = now().when(leave());
        match status {
            Status::Waiting | Status::Offered => assert!(then.is_accepted()),
            Status::Withdrawn => then.then_nothing(),
            Status::Fulfilled | Status::Lapsed => then.then_refused(refused.clone()),
        }
        let shorter: ChangeWaitlistEntry = ask(json!({"entry_id": ENTRY, "duration_minutes": 15}));
        let then = now().when(shorter);
        if status == Status::Waiting {
            assert!(then.is_accepted());
        } else {
            then.then_refused(refused);
        }
        let (accepted, declined) = (now().when(accept()), now().when(decline()));
        match status {
            Status::Offered => assert!(accepted.is_accepted() && declined.is_accepted()),
            Status::Fulfilled => {
                accepted.then_nothing();
                declined.then_refused(Refusal::NotOffered);
            }
            Status::Waiting | Status::Lapsed | Status::Withdrawn => {
                accepted.then_refused(Refusal::NotOffered);
                declined.then_refused(Refusal::NotOffered);
            }
        }
        let then = now().at(at("2026-11-23T12:00:00Z")).when(expire());
        if status == Status::Offered { assert!(then.is_accepted()) } else { then.then_refused(Refusal::NotOffered) }
    }
}

#[test]
fn who_may_not_read_an_entry_does_nothing_with_it() {
    let nurse_of = |department_id| Caller { department_id, ..crate::testing::world::somebody("nurse") };
    let waiting = || given_entry([joined()]);
    waiting().by(nurse_of(Some(crate::testing::samples::OTHER_DEPARTMENT))).when(leave()).then_code("not-found");
    assert!(waiting().by(nurse_of(Some(DEPARTMENT))).when(leave()).is_accepted());
    let other = Caller { patient_id: Some(OTHER_PATIENT), ..themselves() };
    waiting().by(other).when(leave()).then_code("not-found");
}
