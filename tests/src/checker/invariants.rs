//! What must be true of a history besides the order of its operations: nothing is lost, doubled or made up.

use std::collections::HashSet;

use super::history::{Acknowledged, Entry, History, Log, Outcome, Seen, What, Write, number};

/// The codes with which a command may be refused; any other says that the hospital did not know what it had recorded.
const REFUSALS: [&str; 3] = ["double-booking", "stale-version", "version-conflict"];

/// What is wrong.
pub(super) fn faults(history: &History) -> Vec<String> {
    let log = Log::of(history);
    let mut faults = the_log_is_whole(history);
    let (mut asked, mut written) = (HashSet::new(), HashSet::new());
    for write in history.writes() {
        asked.insert(write.number);
        written.extend(log.of.get(&write.number).into_iter().flatten().map(|it| it.stream));
        faults.extend(command(write, &log));
    }
    for operation in &history.operations {
        faults.extend(match &operation.what {
            What::Write(_) => Vec::new(),
            What::Stream { seen, .. } => unlike(seen, &log),
            What::Tail { after, seen } => {
                let positions = seen.iter().map(|it| it.position);
                let gap = !positions.eq((after + 1..).take(seen.len()));
                let gap = gap.then(|| format!("a read of the log after position {after} had a gap: {seen:?}"));
                gap.into_iter().chain(unlike(seen, &log)).collect()
            }
            What::State { id, version, mark } => {
                let stream = log.stream(*id);
                let last = usize::try_from(*version).ok().and_then(|it| stream.get(it.checked_sub(1)?));
                let is_so = last.is_some_and(|it| it.mark == *mark);
                let told =
                    || format!("the state of {id} was {mark:?} in version {version}, which the log does not say");
                (!is_so).then(told).into_iter().collect()
            }
            What::Row { id, least, position, version, mark } => {
                let last = log.stream(*id).iter().rfind(|it| it.position <= *position);
                let is_so = last.is_some_and(|it| it.version == *version && it.mark == *mark) && position >= least;
                let told = || {
                    format!(
                        "the row of {id} at position {position} was {mark:?} in version {version}, where {least} was \
                         asked for and the log says {last:?}"
                    )
                };
                (!is_so).then(told).into_iter().collect()
            }
        });
    }
    // Nobody else who is logged in writes the streams of the run, and only its commands use their marks.
    for entry in &history.log {
        let number = number(entry.command);
        if entry.mark.is_some() && entry.mark != number || number.is_some_and(|it| !asked.contains(&it)) {
            faults.push(format!("nobody gave the command of {entry:?}"));
        } else if number.is_none() && entry.is_by_user && written.contains(&entry.stream) {
            faults.push(format!("somebody else wrote {entry:?}"));
        }
    }
    faults
}

/// Positions and versions have no gap, and time does not go backwards.
fn the_log_is_whole(history: &History) -> Vec<String> {
    let mut faults = Vec::new();
    let gaps = (1..).zip(&history.log).filter(|(position, it)| it.position != *position);
    faults.extend(gaps.take(3).map(|(position, it)| format!("position {position} has {it:?}")));
    for next in history.log.windows(2) {
        if next[1].recorded_at < next[0].recorded_at {
            faults.push(format!("time went backwards at {:?}", next[1]));
        }
    }
    let early = history.log.iter().find(|it| it.recorded_at > history.read_at);
    faults.extend(early.map(|it| format!("from the future: {it:?}")));
    for (id, entries) in &Log::of(history).streams {
        let is_so = (1..).zip(entries).all(|(version, it): (i32, _)| it.version == version);
        let in_order = entries.is_sorted_by_key(|it| it.position);
        if !(is_so && in_order) {
            faults.push(format!("the versions of {id} are not one after the other"));
        }
    }
    faults
}

/// What was acknowledged is in the log, once and where it was said to be; what was refused is not.
fn command(write: &Write, log: &Log<'_>) -> Vec<String> {
    let entries = log.of.get(&write.number).map(Vec::as_slice).unwrap_or_default();
    let positions: Vec<i64> = entries.iter().map(|it| it.position).collect();
    let told = |what: &str| format!("{what}: {write:?}; the log has {positions:?}");
    let mut faults = Vec::new();
    // The events of a command are written together, so there is nothing between them.
    if !positions.windows(2).all(|it| it[1] == it[0] + 1) {
        faults.push(told("carried out more than once"));
    }
    match &write.outcome {
        Outcome::Done(answers) => {
            if answers.iter().any(|it| it.positions != positions || !is_of(it, entries)) {
                faults.push(told(if positions.is_empty() { "lost" } else { "not recorded as it was acknowledged" }));
            }
            if answers.iter().filter(|it| !it.replayed).count() > 1 || write.requests == 1 && answers[0].replayed {
                faults.push(told("the answer says wrongly whether it repeats another"));
            }
        }
        Outcome::Refused { code, certain } => {
            if *certain && !entries.is_empty() {
                faults.push(told("refused and carried out"));
            }
            if !REFUSALS.contains(&code.as_str()) {
                faults.push(told("refused for no reason"));
            }
        }
        Outcome::Unknown => faults.push(told("there was never an answer")),
    }
    faults
}

/// Whether an answer names the stream and the version that the command left.
fn is_of(answer: &Acknowledged, entries: &[&Entry]) -> bool {
    entries.iter().rfind(|it| it.stream == answer.stream).is_some_and(|it| it.version == answer.version)
}

/// What was seen is in the log that was left: its hash covers everything before.
fn unlike(seen: &[Seen], log: &Log<'_>) -> Vec<String> {
    let is_there =
        |it: &&Seen| log.at.get(&it.position).is_some_and(|entry| entry.hash == it.hash && entry.command == it.command);
    let other = seen.iter().filter(|it| !is_there(it)).take(1);
    other.map(|it| format!("somebody read {it:?}, but the log has {:?}", log.at.get(&it.position))).collect()
}
