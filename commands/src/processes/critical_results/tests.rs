use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::LabResult;
use hims_domain::lab_test::LabTest;
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::{LabOrderId, LabResultId};
use hims_event_store::{ProcessStore as _};
use hims_testing::{sample, sample_with};
use tokio::sync::watch;
use uuid::Uuid;

use super::*;
use crate::lab_result::{AcknowledgeCriticalResult, CorrectLabResult, RecordLabResult};
use crate::testing::at;
use crate::testing::samples::{DOCTOR, PATIENT, ask, created, registered};
use crate::testing::world::{World, user};
use crate::{Processes, Request};

const ORDER: LabOrderId = LabOrderId(Uuid::from_u128(0x90));
const RESULT: LabResultId = LabResultId(Uuid::from_u128(0xb1));

#[test]
fn the_levels_are_four_ascending_numbers_of_minutes() {
    assert_eq!("0,15,30,60".parse(), Ok(CriticalEscalation::default()));
    assert_eq!(" 5, 10 ,20,1440 ".parse(), Ok(CriticalEscalation([5, 10, 20, 1440])));
    for wrong in ["", "0,15,30", "0,15,30,60,90", "0,15,15,60", "30,15,0,60", "0,1,2,1441", "-1,0,1,2", "a,b,c,d"] {
        assert!(wrong.parse::<CriticalEscalation>().is_err(), "{wrong}");
    }
}

#[test]
fn after_the_last_level_people_are_told_every_hour_and_after_a_day_every_day() {
    let levels = CriticalEscalation::default();
    for (level, minutes) in
        [(0, 0), (1, 15), (2, 30), (3, 60), (4, 120), (26, 1440), (27, 2 * 1440), (28, 3 * 1440), (400, 375 * 1440)]
    {
        assert_eq!(levels.after(level).num_minutes(), minutes, "level {level}");
    }
    let late = "0,15,30,1430".parse::<CriticalEscalation>().unwrap();
    assert_eq!([3, 4, 5].map(|it| late.after(it).num_minutes()), [1430, 1430 + 1440, 1430 + 2 * 1440]);
}

#[test]
fn repetitions_whose_time_has_passed_are_left_out_but_for_the_last() {
    let levels = CriticalEscalation::default();
    let raised_at = at("2026-11-23T10:00:00Z");
    for (level, now, next) in [
        (0, "2026-11-23T10:00:01Z", 1),
        (0, "2026-11-23T20:00:00Z", 1),
        (2, "2026-11-23T20:00:00Z", 3),
        (3, "2026-11-23T11:00:10Z", 4),
        (3, "2026-11-23T15:30:00Z", 7),
        (30, "2026-11-23T15:30:00Z", 31),
        (3, "2026-11-26T10:00:00Z", 28),
    ] {
        assert_eq!(levels.following(level, raised_at, at(now)), next, "after level {level} at {now}");
    }
}

fn happened(event: Event, recorded_at: &str) -> Happened {
    let recorded_at = at(recorded_at);
    let event = DomainEvent::LabResult(event);
    Happened { position: 7, user_id: None, stream_id: RESULT.0, recorded_at, occurred_at: recorded_at, event }
}

#[tokio::test]
async fn an_alarm_sets_a_timer_and_the_timer_gives_the_command() {
    let process = CriticalResults(CriticalEscalation::default());
    let raised_at = at("2026-11-23T10:00:00Z");
    let raised = Event::CriticalRaised { revision: 1, codes: vec![], raised_at };
    let escalated = Event::CriticalEscalated { revision: 1, raised_at, level: 0, recipients: [DOCTOR].into() };
    for (event, level, due) in [(raised, 0, "2026-11-23T10:00:00Z"), (escalated, 1, "2026-11-23T10:15:00Z")] {
        let reactions = process.react(&happened(event, "2026-11-23T10:00:01Z")).await.unwrap();
        let [Reaction(crate::machinery::process::Kind::Timer { key, due_at, payload })] = reactions.as_slice() else {
            panic!("one timer is set");
        };
        assert_eq!(*due_at, at(due));
        let timer = Timer { id: Uuid::nil(), key: key.clone(), due_at: *due_at, payload: payload.clone() };
        let fired = process.fire(&timer).await.unwrap();
        let commands: Vec<_> = fired.iter().filter_map(Reaction::given::<EscalateCriticalResult>).collect();
        assert_eq!(commands.iter().map(|it| (it.lab_result_id, it.level)).collect::<Vec<_>>(), [(RESULT, level)]);
    }
}

/// A hospital with an ordered test, whose specimen was taken an hour ago.
async fn hospital() -> World {
    let world = World::new();
    world.has::<User>(DOCTOR, [created()]).await;
    world.has::<Patient>(PATIENT, [registered()]).await;
    world.has::<LabTest>(Uuid::from_u128(0x81), [sample::<LabTest>("defined")]).await;
    let placed = sample_with::<LabOrder>("placed", json!({"details": {"consultation_id": null}}));
    let collected = sample_with::<LabOrder>("specimen_collected", json!({"collected_at": "2026-11-23T09:00:00Z"}));
    world.has::<LabOrder>(ORDER, [placed, collected]).await;
    world
}

fn values(potassium: &str) -> serde_json::Value {
    json!([{"code": "2823-3", "value": potassium}, {"code": "2160-0", "value": "1"},
           {"code": "20570-8", "text": "clear"}])
}

/// Records preliminary or final values with this potassium.
async fn record(world: &World, status: &str, potassium: &str) {
    let command: RecordLabResult = ask(json!({
        "id": RESULT, "lab_order_id": ORDER, "item_id": Uuid::from_u128(0x91), "status": status,
        "components": values(potassium), "performed_by": DOCTOR,
    }));
    world.done(command).await;
}

fn node(world: &World) -> Processes {
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
    processes.start(CriticalResults(CriticalEscalation::default()))
}

/// The levels at which people were told, with how often each was.
async fn levels(world: &World) -> BTreeMap<i32, usize> {
    let mut levels = BTreeMap::new();
    let escalated = world.log().await.into_iter().filter(|it| it.event_type == "lab_result.critical_escalated");
    for opened in world.store().open(escalated.collect()).await.unwrap() {
        if let Event::CriticalEscalated { level, .. } = opened.decode().unwrap() {
            *levels.entry(level).or_default() += 1;
        }
    }
    levels
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_at_minute_14_leaves_the_alarm_of_minute_15_to_another_once() {
    let world = hospital().await;
    let one = node(&world);
    world.settled(CriticalResults::NAME).await;
    record(&world, "P", "6.9").await;
    world.settled(CriticalResults::NAME).await;
    assert_eq!(levels(&world).await, BTreeMap::from([(0, 1)]));
    world.after(TimeDelta::minutes(14));
    world.settled(CriticalResults::NAME).await;
    one.stop().await;
    // The node that holds the lease has died, so the lease lapses.
    assert!(world.log.lead(CriticalResults::NAME, Uuid::from_u128(77)).await.unwrap().is_some());
    let (other, third) = (node(&world), node(&world));
    world.after(TimeDelta::minutes(1));
    while levels(&world).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.settled(CriticalResults::NAME).await;
    assert_eq!(levels(&world).await, BTreeMap::from([(0, 1), (1, 1)]));
    other.stop().await;
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_any_more_once_somebody_has_acknowledged_the_values() {
    let world = hospital().await;
    let processes = node(&world);
    world.settled(CriticalResults::NAME).await;
    record(&world, "F", "6.9").await;
    world.settled(CriticalResults::NAME).await;
    let read_back: AcknowledgeCriticalResult = ask(json!({"lab_result_id": RESULT, "read_back": true}));
    world.executor.execute(read_back, Request::of(user(DOCTOR, "doctor"))).await.unwrap();
    world.after(TimeDelta::days(3));
    world.settled(CriticalResults::NAME).await;
    assert_eq!(levels(&world).await, BTreeMap::from([(0, 1)]));
    // The value was wrong: whoever was told is told.
    let corrected: CorrectLabResult =
        ask(json!({"lab_result_id": RESULT, "components": values("4.1"), "reason": "swapped tubes"}));
    world.done(corrected).await;
    assert_eq!(world.last_event::<Event>().await, Event::CriticalWithdrawn { told: [DOCTOR].into() });
    assert!(!world.state::<LabResult>(RESULT).await.is_alarming());
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_nobody_acknowledges_never_ends() {
    let world = hospital().await;
    let processes = node(&world);
    world.settled(CriticalResults::NAME).await;
    record(&world, "F", "6.9").await;
    world.settled(CriticalResults::NAME).await;
    for (minutes, told) in [(14, 1), (1, 2), (15, 3), (30, 4), (60, 5), (22 * 60, 6), (24 * 60, 7)] {
        world.after(TimeDelta::minutes(minutes));
        while levels(&world).await.len() < told {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        world.settled(CriticalResults::NAME).await;
        assert!(levels(&world).await.values().all(|it| *it == 1));
    }
    processes.stop().await;
}
