//! What takes too long for every change: `make soak`.

use std::time::Duration;

use super::figures;
use super::house::PROCESSES;
use super::load::Pace;
use super::{begin, check, faults, history, storm};
use crate::hospital::draw;

/// How many clients work, and how long they work as fast as they can before the soak.
const CLIENTS: u64 = 32;
const MEASURED: Duration = Duration::from_secs(30);
/// Which part of the greatest rate the soak has.
const SHARE: f64 = 0.7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour, or SOAK_MINUTES: make soak"]
async fn half_an_hour_of_faults_loses_nothing_and_needs_no_more_memory() {
    let minutes = std::env::var("SOAK_MINUTES").map_or(30, |it| it.parse().expect("SOAK_MINUTES is a number"));
    let (mut house, load, mut state) = begin().await;
    let before = load.ended();
    load.work(CLIENTS, Pace::new(None), draw(&mut state), tokio::time::sleep(MEASURED)).await;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let most = (load.ended() - before) as f64 / MEASURED.as_secs_f64();
    eprintln!("at most {most:.0} operations per second; now {:.0}", SHARE * most);
    let choices = draw(&mut state);
    let storm = storm(&mut house, &load, state, Duration::from_mins(minutes), |it| !it.ends_the_first());
    let memory = load.work(CLIENTS, Pace::new(Some(SHARE * most)), choices, storm).await;
    memory.print();
    figures::assert_mixed(&check(house, &load).await);
    memory.assert_flat();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "proves the checker, not the hospital: make soak"]
async fn a_database_that_forgets_what_it_acknowledged_is_found() {
    let (mut house, load, mut state) = begin().await;
    let choices = draw(&mut state);
    let storm = async {
        load.go_on(100).await;
        house.databases.primary_mut().kill().await;
        let copy = house.copy_database();
        house.heal().await;
        load.go_on(200).await;
        // What was acknowledged since the copy is gone, and nobody remembers it.
        house.databases.primary_mut().kill().await;
        house.put_back(&copy).await;
        for place in 0..PROCESSES {
            house.end(place, "KILL").await;
        }
        house.heal().await;
    };
    load.work(8, Pace::new(None), choices, storm).await;
    let faults = faults(&history(&house, &load).await);
    assert!(faults.iter().any(|it| it.starts_with("lost")), "nothing was lost: {faults:#?}");
    assert!(faults.iter().any(|it| it.starts_with('G')), "in order all the same: {faults:#?}");
    house.leave().await;
}
