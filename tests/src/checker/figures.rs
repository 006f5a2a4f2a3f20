//! The figures of a run: how much was done, how long it took, and how much memory the nodes had.

use std::collections::BTreeMap;

use super::history::{History, Operation, Outcome, What};
use super::house::{House, PROCESSES};
use super::load::Load;

/// What an operation is called in the figures.
fn name(operation: &Operation) -> &str {
    match &operation.what {
        What::Write(write) => &write.command,
        What::Stream { .. } => "read of a stream",
        What::Tail { .. } => "read of the log",
        What::State { .. } => "read of a state",
        What::Row { .. } => "read of a row",
    }
}

/// The time that no more than so many per thousand of the operations exceed, in milliseconds.
fn percentile(sorted: &[u64], per_mille: usize) -> f64 {
    let nth = (sorted.len() * per_mille).div_ceil(1_000).saturating_sub(1);
    #[expect(clippy::cast_precision_loss, reason = "for readers")]
    sorted.get(nth).map_or(0.0, |it| *it as f64 / 1e6)
}

fn print_times(of: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let [half, most, all] = [500, 990, 1_000].map(|it| percentile(&times, it));
    eprintln!("{of}: {} operations, p50 {half:.1} ms, p99 {most:.1} ms, at most {all:.1} ms", times.len());
}

/// Prints what was done, and how long it took, without what was given up and asked for again after the work.
pub(super) fn print(history: &History, load: &Load) {
    let strikes = load.strikes.lock().expect("a lock");
    let worked = || history.operations.iter().filter(|it| it.ended <= load.worked_until());
    let since_due = |it: &Operation| it.ended.saturating_sub(it.due);
    let since_sent = |it: &Operation| it.ended - it.began;
    let is_struck = |it: &&Operation| strikes.iter().any(|fault| it.due < fault.ended && fault.began < it.ended);
    print_times("since they were due", worked().map(since_due).collect());
    print_times("since they were due, beside faults", worked().filter(|it| !is_struck(it)).map(since_due).collect());
    print_times("since they were sent", worked().map(since_sent).collect());
    let mut kinds = BTreeMap::<&str, Vec<u64>>::new();
    for operation in worked() {
        kinds.entry(name(operation)).or_default().push(since_sent(operation));
    }
    for (kind, times) in kinds {
        print_times(kind, times);
    }
    let mut outcomes = BTreeMap::<String, usize>::new();
    for write in history.writes() {
        let outcome = match &write.outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { code, certain } => format!("{code}{}", if *certain { "" } else { ", perhaps done" }),
            Outcome::Unknown => "unknown".to_owned(),
        };
        *outcomes.entry(outcome).or_default() += 1;
        if write.requests > 1 {
            *outcomes.entry("asked more than once".to_owned()).or_default() += 1;
        }
    }
    let (failures, events) = (load.failures(), history.log.len());
    eprintln!("commands: {outcomes:?}; {failures} requests without an answer; {events} events");
    eprintln!("{} faults", strikes.len());
}

/// Fails unless the run had something of everything, without which the check would say little.
pub(super) fn assert_mixed(history: &History) {
    let mut kinds = BTreeMap::<&str, usize>::new();
    for operation in &history.operations {
        *kinds.entry(name(operation)).or_default() += 1;
    }
    for wanted in [
        "change-patient-demographics",
        "adjust-medication-lot",
        "transfer-inventory",
        "dispense-prescription",
        "schedule-appointment",
        "change-department",
        "read of a stream",
        "read of the log",
        "read of a state",
        "read of a row",
    ] {
        assert!(kinds.get(wanted).is_some_and(|it| *it > 10), "too little of {wanted}: {kinds:?}");
    }
    assert!(history.writes().any(|it| matches!(it.outcome, Outcome::Refused { .. })), "nothing was refused");
    assert!(history.writes().any(|it| it.compared.is_some()), "nothing was compared");
    assert!(history.writes().any(|it| it.requests > 1), "nothing was asked more than once");
}

/// How much memory the nodes had in the course of a run, in kB.
#[derive(Default)]
pub(super) struct Memory {
    noted: Vec<[Option<u64>; PROCESSES]>,
}

impl Memory {
    pub(super) fn note(&mut self, house: &House) {
        self.noted.push(house.memory());
    }

    pub(super) fn print(&self) {
        for place in 0..PROCESSES {
            let of_node: Vec<_> = self.noted.iter().filter_map(|it| it[place]).map(|it| it >> 10).collect();
            eprintln!("memory of the node {place} in MB: {of_node:?}");
        }
    }

    /// Fails if the first node, which no fault ends, has more memory in the last quarter of the run than in the second.
    pub(super) fn assert_flat(&self) {
        let of_first: Vec<u64> = self.noted.iter().filter_map(|it| it[0]).collect();
        let quarter = of_first.len() / 4;
        let mean = |of: &[u64]| of.iter().sum::<u64>() / u64::try_from(of.len().max(1)).unwrap_or(1);
        let (second, last) = (mean(&of_first[quarter..2 * quarter]), mean(&of_first[3 * quarter..]));
        assert!(last <= second + second / 5, "the memory of a node grew from {second} kB to {last} kB");
    }
}
