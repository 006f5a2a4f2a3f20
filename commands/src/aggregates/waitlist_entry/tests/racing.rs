//! Accepting, expiring and booking at the same moment, on one log.

use chrono::TimeDelta;

use super::*;
use crate::appointment::ScheduleAppointment;
use crate::patient::{CancelAppointmentsOfDeceased, RecordPatientDeath};
use crate::testing::now;
use crate::testing::world::World;

async fn joins(world: &World, entry: Uuid, patient_id: PatientId) {
    world.done(ask::<JoinWaitlist>(with(wanted(), json!({"id": entry, "patient_id": patient_id})))).await;
}

/// A hospital in memory, where the patient waits.
async fn hospital() -> World {
    let world = World::new();
    world.has::<Patient>(PATIENT, [registered()]).await;
    world.has::<Patient>(OTHER_PATIENT, [registered()]).await;
    world.has::<User>(DOCTOR, [created()]).await;
    world.has::<Room>(ROOM, [added_room()]).await;
    world.has::<Department>(DEPARTMENT, [opened()]).await;
    world.has::<Role>(role_id("doctor"), [defined("doctor")]).await;
    joins(&world, ENTRY, PATIENT).await;
    world
}

#[tokio::test]
async fn in_the_second_of_expiry_exactly_one_of_accepting_and_expiring_happens() {
    for milliseconds in [-1, 0, 1] {
        let world = hospital().await;
        let expires_at = now() + TimeDelta::minutes(5);
        let offer = json!({"entry_id": ENTRY, "provider_id": DOCTOR, "starts_at": "2026-11-30T14:00:00Z",
                           "expires_at": expires_at});
        world.done(ask::<OfferWaitlistSlot>(offer)).await;
        world.after(TimeDelta::minutes(5) + TimeDelta::milliseconds(milliseconds));
        // Eight times each, at the same moment.
        let accepted = futures::future::join_all((0..8).map(|_| world.execute(accept())));
        let expired = futures::future::join_all((0..8).map(|_| world.execute(expire())));
        tokio::join!(accepted, expired);
        let ends = [world.count("waitlist_entry.accepted").await, world.count("waitlist_entry.expired").await];
        assert_eq!(ends, if milliseconds < 0 { [1, 0] } else { [0, 1] }, "{milliseconds}");
        assert_eq!(world.count("appointment.scheduled").await, ends[0]);
    }
}

#[tokio::test]
async fn whoever_is_first_has_the_time_the_desk_or_the_offer() {
    let world = hospital().await;
    let visit = json!({"patient_id": OTHER_PATIENT, "provider_id": DOCTOR, "appointment_type": "new",
                       "starts_at": "2026-11-30T14:15:00Z", "duration_minutes": 30});
    let (desk, freed) = (ask::<ScheduleAppointment>(visit.clone()), ask::<ScheduleAppointment>(visit));
    let cancelled = [
        hims_testing::sample_with::<Appointment>(
            "scheduled",
            json!({"patient_id": OTHER_PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "slot": free().slot,
                   "department_id": DEPARTMENT, "series": null}),
        ),
        appointment::Event::Cancelled { reason: said("ill") },
    ];
    world.has::<Appointment>(APPOINTMENT, cancelled).await;
    let offer = || OfferFreedTime { appointment_id: APPOINTMENT, moved_from: None, freed_at: now() };
    let (booked, offered) = tokio::join!(world.execute(desk), world.execute(offer()));
    let offers = world.count("waitlist_entry.offered").await;
    assert!(offered.is_ok(), "the offer is quiet when the desk was faster: {offered:?}");
    assert_eq!(booked.is_ok(), offers == 0, "{booked:?}");
    // What is taken is not offered, and what is offered is not booked.
    world.done(offer()).await;
    assert_eq!(world.count("waitlist_entry.offered").await, offers);
    assert_eq!(crate::testing::world::refused(world.execute(freed).await).code, "double-booking");
}

#[tokio::test]
async fn two_callers_offer_one_time_once() {
    let world = hospital().await;
    joins(&world, OTHER_ENTRY, OTHER_PATIENT).await;
    let there = world.another_node();
    let offer = |entry: Uuid| -> OfferWaitlistSlot {
        ask(json!({"entry_id": entry, "provider_id": DOCTOR, "starts_at": "2026-11-30T14:00:00Z",
                   "expires_at": "2026-11-23T12:00:00Z"}))
    };
    let request = || crate::Request::of(Caller::system("test"));
    let (one, two) = tokio::join!(world.execute(offer(ENTRY)), there.execute(offer(OTHER_ENTRY), request()));
    assert_ne!(one.is_ok(), two.is_ok());
    let refused = crate::testing::world::refused(if one.is_ok() { two } else { one });
    assert_eq!(refused.code, "double-booking");
    assert_eq!(world.count("waitlist_entry.offered").await, 1);
}

#[tokio::test]
async fn what_is_held_for_the_dead_is_given_back_although_it_is_found_among_the_bookings_too() {
    let world = hospital().await;
    joins(&world, OTHER_ENTRY, OTHER_PATIENT).await;
    let offer = json!({"entry_id": OTHER_ENTRY, "provider_id": DOCTOR, "starts_at": "2026-11-30T14:00:00Z",
                       "expires_at": "2026-11-23T12:00:00Z"});
    world.done(ask::<OfferWaitlistSlot>(offer)).await;
    let death = json!({"patient_id": OTHER_PATIENT, "deceased_at": "2026-11-22T20:00:00Z"});
    world.done(ask::<RecordPatientDeath>(death)).await;
    for node in [world.another_node(), world.another_node()] {
        let command = CancelAppointmentsOfDeceased { patient_id: OTHER_PATIENT };
        node.execute(command, crate::Request::of(Caller::system("test"))).await.unwrap();
        assert_eq!(world.count("waitlist_entry.left").await, 1);
    }
    assert_eq!(world.state::<WaitlistEntry>(OTHER_ENTRY).await.status, Status::Withdrawn);
}
