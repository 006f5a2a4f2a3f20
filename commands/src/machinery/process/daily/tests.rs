//! The daily work of processes on a log in memory: when, how often, and for which time zones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use hims_domain::room::Room;
use hims_event_store::{ProcessStore as _, StoreError};
use tokio::sync::watch;

use super::*;
use crate::Processes;
use crate::room::SuspendRoom;
use crate::testing::samples::{ROOM, added_room};
use crate::testing::world::World;
use crate::testing::{at, id};

/// A hospital in these time zones, in which some patients' medications are over.
#[derive(Default)]
struct Found {
    zones: Mutex<Vec<Tz>>,
    patients: Vec<Uuid>,
}

impl Tables for Found {
    fn time_zones(&self) -> BoxFuture<'_, Result<Vec<Tz>, StoreError>> {
        ready(Ok(self.zones.lock().unwrap().clone())).boxed()
    }

    fn patients_past_an_end(&self, _: NaiveDate, part: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        let rest = self.patients.iter().filter(|it| part.after.is_none_or(|after| **it > after));
        ready(Ok(rest.copied().take(part.limit).collect())).boxed()
    }

    fn lots_expiring(&self, _: (NaiveDate, NaiveDate), _: Tz, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn articles_with_expired_lots(&self, _: NaiveDate, _: Tz, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }
}

/// A part of a day as the process was asked about it: the zone, the day there, the day everywhere, the first record.
type Asked = (String, String, String, Option<Uuid>);

/// Notes what it is asked about, and suspends a room every night.
#[derive(Clone, Default)]
struct Nightly(Arc<Mutex<Vec<Asked>>>);

impl Process for Nightly {
    const NAME: &'static str = "nightly";
    const DAILY_AT: Option<NaiveTime> = NaiveTime::from_hms_opt(2, 0, 0);

    async fn daily(&self, day: &Day<'_>) -> Result<DailyWork, Failure> {
        let asked = (day.time_zone.to_string(), day.date.to_string(), day.begun_everywhere.to_string(), day.part.after);
        self.0.lock().unwrap().push(asked);
        let records = day.tables.patients_past_an_end(day.date, day.part).await?;
        Ok(day.each(&records, |_| Reaction::command(SuspendRoom { room_id: ROOM, reason: "cleaned at night".into() })))
    }
}

const NEW_YORK: Tz = Tz::America__New_York;
const ZURICH: Tz = Tz::Europe__Zurich;

/// A world at an instant, and what is found in its read tables.
async fn a_hospital(now: &str, zones: &[Tz], patients: u128) -> (World, Arc<Found>, Nightly) {
    let world = World::new();
    world.after(at(now) - crate::testing::now());
    world.has::<Room>(ROOM, [added_room()]).await;
    let patients = (1..=patients).map(id::<Uuid>).collect();
    (world, Arc::new(Found { zones: Mutex::new(zones.to_vec()), patients }), Nightly::default())
}

fn node(world: &World, tables: &Arc<Found>, process: &Nightly) -> Processes {
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
    processes.with_tables(Arc::clone(tables) as _).start(process.clone())
}

/// Lets the process run for two minutes, in which it also looks for new time zones.
async fn run(_: &Processes) {
    tokio::time::sleep(Duration::from_mins(2)).await;
}

impl Nightly {
    fn asked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().iter().map(|it| (it.0.clone(), it.1.clone())).collect()
    }
}

fn of(zone: Tz, days: &[&str]) -> Vec<(String, String)> {
    days.iter().map(|day| (zone.to_string(), (*day).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn each_night_is_worked_once_at_its_time() {
    let (world, tables, nightly) = a_hospital("2026-11-23T10:00:00Z", &[ZURICH], 0).await;
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    assert_eq!(nightly.asked(), [], "the night before the first start is over");
    world.after(at("2026-11-24T00:59:59Z") - at("2026-11-23T10:00:00Z"));
    run(&processes).await;
    assert_eq!(nightly.asked(), []);
    world.after(TimeDelta::seconds(1));
    run(&processes).await;
    assert_eq!(nightly.asked(), of(ZURICH, &["2026-11-24"]));
    for _ in 0..2 {
        world.after(TimeDelta::hours(24));
        run(&processes).await;
    }
    assert_eq!(nightly.asked(), of(ZURICH, &["2026-11-24", "2026-11-25", "2026-11-26"]));
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nights_in_which_no_node_ran_are_made_up_for_once() {
    let (world, tables, nightly) = a_hospital("2026-11-23T10:00:00Z", &[ZURICH], 0).await;
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    processes.stop().await;
    world.after(TimeDelta::days(5));
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    assert_eq!(nightly.asked(), of(ZURICH, &["2026-11-28"]));
    let due = world.log.due_timers("nightly", at("2026-12-31T00:00:00Z"), 10).await.unwrap();
    let due: Vec<_> = due.iter().map(|it| it.due_at).collect();
    assert_eq!(due, [at("2026-11-29T01:00:00Z")]);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nights_in_which_clocks_change_are_worked_once() {
    // In New York, clocks show no two o'clock on 14 March 2027, and show one o'clock twice on 7 November 2027.
    for (before, night, works_at) in [
        ("2027-03-13T12:00:00Z", "2027-03-14", "2027-03-14T07:00:00Z"),
        ("2027-11-06T12:00:00Z", "2027-11-07", "2027-11-07T07:00:00Z"),
    ] {
        let (world, tables, nightly) = a_hospital(before, &[NEW_YORK], 0).await;
        let processes = node(&world, &tables, &nightly);
        run(&processes).await;
        world.after(at(works_at) - at(before) - TimeDelta::seconds(1));
        run(&processes).await;
        assert_eq!(nightly.asked(), [], "{night}");
        world.after(TimeDelta::seconds(1));
        run(&processes).await;
        world.after(TimeDelta::hours(3));
        run(&processes).await;
        assert_eq!(nightly.asked(), of(NEW_YORK, &[night]));
        processes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_time_zone_has_nights_of_its_own_as_long_as_a_department_is_there() {
    let (world, tables, nightly) = a_hospital("2026-11-23T10:00:00Z", &[NEW_YORK], 0).await;
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    // A department abroad is opened.
    tables.zones.lock().unwrap().push(ZURICH);
    run(&processes).await;
    world.after(at("2026-11-24T01:00:00Z") - at("2026-11-23T10:00:00Z"));
    run(&processes).await;
    world.after(TimeDelta::hours(6));
    run(&processes).await;
    let nights: Vec<_> =
        nightly.0.lock().unwrap().iter().map(|it| (it.0.clone(), it.1.clone(), it.2.clone())).collect();
    let night = |zone: Tz, everywhere: &str| (zone.to_string(), "2026-11-24".to_owned(), everywhere.to_owned());
    // When it is two o'clock in Zurich, it is still the day before in New York.
    assert_eq!(nights, [night(ZURICH, "2026-11-23"), night(NEW_YORK, "2026-11-24")]);
    tables.zones.lock().unwrap().retain(|it| *it != ZURICH);
    world.after(TimeDelta::hours(24));
    run(&processes).await;
    assert_eq!(nightly.asked().len(), 3);
    assert_eq!(nightly.asked().last(), of(NEW_YORK, &["2026-11-25"]).first());
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn much_work_is_done_in_parts_and_of_two_nodes_by_one() {
    let (world, tables, nightly) = a_hospital("2026-11-23T10:00:00Z", &[ZURICH], 120).await;
    let (one, other) = (node(&world, &tables, &nightly), node(&world, &tables, &nightly));
    run(&one).await;
    world.after(TimeDelta::hours(24));
    run(&one).await;
    let parts: Vec<_> = nightly.0.lock().unwrap().iter().map(|it| it.3).collect();
    assert_eq!(parts, [None, Some(id(50)), Some(id(100))]);
    assert_eq!(world.count("room.suspended").await, 1, "the command is quiet when it is repeated");
    one.stop().await;
    run(&other).await;
    world.after(TimeDelta::hours(24));
    run(&other).await;
    assert_eq!(nightly.0.lock().unwrap().len(), 6);
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_night_that_breaks_off_is_worked_again_under_the_same_ids() {
    let (world, tables, nightly) = a_hospital("2026-11-23T10:00:00Z", &[ZURICH], 1).await;
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    let timer = world.log.due_timers("nightly", at("2026-12-31T00:00:00Z"), 1).await.unwrap().remove(0);
    world.after(TimeDelta::hours(24));
    run(&processes).await;
    processes.stop().await;
    let events = world.log().await.len();
    // The node was killed after the command, and its timer was not ended.
    let next = world.log.due_timers("nightly", at("2026-12-31T00:00:00Z"), 1).await.unwrap().remove(0);
    assert!(world.log.end_timer("nightly", next.id, std::slice::from_ref(&timer)).await.unwrap());
    let processes = node(&world, &tables, &nightly);
    run(&processes).await;
    assert_eq!(nightly.asked(), of(ZURICH, &["2026-11-24", "2026-11-24"]));
    assert_eq!(world.log().await.len(), events);
    let again = world.log.due_timers("nightly", at("2026-12-31T00:00:00Z"), 10).await.unwrap();
    assert_eq!(again, [next]);
    processes.stop().await;
}
