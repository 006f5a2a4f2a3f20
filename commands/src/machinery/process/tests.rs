//! Processes on a log in memory: what they react to, how often, and what becomes of refusals and timers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use hims_domain::appointment::Appointment;
use hims_domain::department::{self, Department};
use hims_domain::process_failure::{self, ProcessFailure};
use hims_domain::room::{self, Room};
use hims_event_store::{ProcessStore as _, StoreError};
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::Caller;
use crate::appointment::ConfirmAppointment;
use crate::department::{ChangeDepartment, OpenDepartment};
use crate::room::{AddRoom, ReactivateRoom, SuspendRoom};
use crate::testing::id;
use crate::testing::samples::{DEPARTMENT, ROOM, added_room, ask, opened};
use crate::testing::world::{World, metadata};

/// Adds a room to each new department and suspends the room an hour later.
#[derive(Default)]
struct Rooms {
    /// Whether something that the process needs to look up does not answer.
    is_cut_off: Arc<AtomicBool>,
}

fn room_of(department: Uuid) -> Uuid {
    hims_domain::derived("room", &[&department.to_string()])
}

impl Process for Rooms {
    const NAME: &'static str = "rooms";
    const ON: &'static [&'static str] = &["department.opened", "department.changed"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        if self.is_cut_off.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("cut off".to_owned()).into());
        }
        let room = room_of(happened.stream_id);
        let DomainEvent::Department(event) = &happened.event else { return Ok(Vec::new()) };
        Ok(match event {
            department::Event::Opened(_) => {
                let add: AddRoom = ask(json!({
                    "id": room, "department_id": happened.stream_id, "room_number": "1", "room_type": "exam",
                }));
                let due_at = happened.recorded_at + TimeDelta::hours(1);
                vec![Reaction::command(add), Reaction::timer(room.to_string(), due_at, json!({ "room_id": room }))]
            }
            // There is no such appointment, so the command is refused.
            department::Event::Changed(_) => {
                vec![Reaction::command(ConfirmAppointment { appointment_id: id(404) })]
            }
            department::Event::Closed | department::Event::Reopened => Vec::new(),
        })
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let room_id: Uuid = ask(timer.payload["room_id"].clone());
        Ok(vec![Reaction::command(SuspendRoom { room_id: room_id.into(), reason: "painted".into() })])
    }
}

/// Answers each suspension of a room with its reactivation, and the other way round: a circle.
struct Quarrel;

impl Process for Quarrel {
    const NAME: &'static str = "quarrel";
    const ON: &'static [&'static str] = &["room.suspended", "room.reactivated"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let room_id = happened.stream_id.into();
        Ok(vec![match &happened.event {
            DomainEvent::Room(room::Event::Suspended { .. }) => Reaction::command(ReactivateRoom { room_id }),
            _ => Reaction::command(SuspendRoom { room_id, reason: "painted".into() }),
        }])
    }
}

fn node(world: &World) -> Processes {
    Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1)
}

fn open(number: u128) -> OpenDepartment {
    ask(json!({"id": id::<Uuid>(number), "code": format!("D{number}"), "name": "Day clinic", "time_zone": "UTC"}))
}

#[tokio::test(start_paused = true)]
async fn each_event_has_its_reaction_once_with_the_circumstances() {
    let world = World::new();
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    let opened = world.done(open(1)).await;
    world.settled("rooms").await;
    let log = world.log().await;
    let added = log.iter().find(|it| it.event_type == "room.added").unwrap();
    assert_eq!(added.stream_id, room_of(opened.id));
    let (cause, told) = (metadata(&log[0]), metadata(added));
    assert_eq!(told["actor"], json!({"type": "system", "name": "process:rooms"}));
    assert_eq!((&told["causation_id"], &told["reactions"]), (&cause["command_id"], &json!(1)));
    assert_eq!(told["correlation_id"], cause["correlation_id"]);
    assert_eq!(cause.get("reactions"), None);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_process_reacts_to_nothing_that_happened_before() {
    let world = World::new();
    world.done(open(1)).await;
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    world.done(open(2)).await;
    world.settled("rooms").await;
    assert_eq!(world.count("room.added").await, 1);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_imported_or_made_up_has_no_reaction() {
    let world = World::new();
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    for (number, name) in (1..).zip(["import", "generate", "demo", "set-up"]) {
        world.executor.execute(open(number), Request::of(Caller::system(name))).await.unwrap();
    }
    world.settled("rooms").await;
    assert_eq!(world.count("room.added").await, 0);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_lost_its_place_repeats_nothing() {
    let world = World::new();
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    let begun_at = world.log.processes().await.unwrap()[0].1;
    world.done(open(1)).await;
    world.settled("rooms").await;
    processes.stop().await;
    let events = world.log().await.len();
    // The node was killed after the reaction, and the position was not moved.
    let reached = world.log.processes().await.unwrap()[0].1;
    assert!(world.log.advance("rooms", reached, begun_at, &[]).await.unwrap());
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    assert_eq!(world.log().await.len(), events);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_one_runs_a_process_and_the_other_takes_over() {
    let world = World::new();
    let one = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    let elsewhere = id::<Uuid>(77);
    assert_eq!(world.log.lead("rooms", elsewhere).await.unwrap(), None);
    one.stop().await;
    assert!(world.log.lead("rooms", elsewhere).await.unwrap().is_some());
    // The node that holds the lease has died, so the lease lapses.
    let other = node(&world).start(Rooms::default());
    world.done(open(1)).await;
    world.settled("rooms").await;
    assert_eq!(world.count("room.added").await, 1);
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_kept_and_the_process_goes_on() {
    let world = World::new();
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    let department = world.done(open(1)).await.id;
    world.settled("rooms").await;
    let change: ChangeDepartment = ask(json!({"department_id": department, "name": "Night clinic"}));
    let changed = world.done(change).await;
    world.done(open(2)).await;
    world.settled("rooms").await;
    assert_eq!((world.count("room.added").await, world.count("process_failure.occurred").await), (2, 1));
    let log = world.log().await;
    let failure = log.iter().find(|it| it.event_type == "process_failure.occurred").unwrap();
    let opened = world.store().open(vec![failure.clone()]).await.unwrap();
    let process_failure::Event::Occurred(failed) = opened[0].decode().unwrap();
    assert_eq!((failed.process.as_str(), failed.position), ("rooms", Some(changed.position)));
    assert_eq!((failed.command.as_deref(), failed.code.as_str()), (Some("confirm-appointment"), "not-found"));
    assert_eq!((failed.resource_type.as_str(), failed.resource_id), (Appointment::STREAM, Some(id(404))));
    // Nothing else tells of the refusal: no attempt of a caller was refused.
    assert_eq!(world.count("access.command_refused").await, 0);
    world.state::<ProcessFailure>(failure.stream_id).await;
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_asked_again() {
    let world = World::new();
    let is_cut_off = Arc::new(AtomicBool::new(true));
    let processes = node(&world).start(Rooms { is_cut_off: Arc::clone(&is_cut_off) });
    // The process begins before the event.
    while world.log.processes().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.done(open(1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.count("room.added").await, 0);
    is_cut_off.store(false, Ordering::SeqCst);
    world.settled("rooms").await;
    assert_eq!((world.count("room.added").await, world.count("process_failure.occurred").await), (1, 0));
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reactions_that_go_round_in_a_circle_end() {
    let world = World::new();
    world.has::<Department>(DEPARTMENT, [opened()]).await;
    world.has::<Room>(ROOM, [added_room()]).await;
    let processes = node(&world).start(Quarrel);
    world.settled("quarrel").await;
    world.done(SuspendRoom { room_id: ROOM, reason: "painted".into() }).await;
    world.settled("quarrel").await;
    let steps = world.count("room.suspended").await + world.count("room.reactivated").await;
    assert_eq!((steps, world.count("process_failure.occurred").await), (1 + 8, 1));
    let process_failure::Event::Occurred(failed) = world.last_event().await;
    assert_eq!(failed.code, "chain-too-long");
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_once_at_its_time_however_late() {
    let world = World::new();
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    let department = world.done(open(1)).await.id;
    world.settled("rooms").await;
    world.after(TimeDelta::minutes(59));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.count("room.suspended").await, 0);
    // Nobody is there at the time.
    processes.stop().await;
    world.after(TimeDelta::days(30));
    let processes = node(&world).start(Rooms::default());
    world.settled("rooms").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.count("room.suspended").await, 1);
    assert_eq!(world.state::<Room>(room_of(department)).await.status, room::RoomStatus::Suspended);
    let told = metadata(&world.last().await.recorded);
    assert_eq!((&told["actor"]["name"], &told["reactions"]), (&json!("process:rooms"), &json!(1)));
    processes.stop().await;
}

/// Reads the read tables, so it follows their position.
struct Reading(Arc<Mutex<Vec<Position>>>);

impl Process for Reading {
    const NAME: &'static str = "reading";
    const ON: &'static [&'static str] = &["department.opened"];
    const READS_TABLES: bool = true;

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        self.0.lock().unwrap().push(happened.position);
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_reads_tables_reacts_when_they_show_the_event() {
    let world = World::new();
    let (tables, position) = watch::channel(0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), position);
    let processes = processes.start(Reading(Arc::clone(&seen)));
    while world.log.processes().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.done(open(1)).await;
    world.done(open(2)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(seen.lock().unwrap().is_empty());
    tables.send_replace(1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(*seen.lock().unwrap(), [1]);
    tables.send_replace(2);
    world.settled("reading").await;
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
    processes.stop().await;
}
