//! The checker is checked: a history without faults passes, and each fault that is planted in one is found.

use std::collections::HashMap;

use uuid::Uuid;

use super::history::{Acknowledged, Entry, History, Operation, Outcome, Seen, What, Write, key};
use super::{invariants, order};
use crate::hospital::draw;

/// How many streams there are, and how many operations.
const STREAMS: u128 = 4;
const OPERATIONS: u64 = 400;
/// How many clients ask at the same time.
const CLIENTS: u64 = 5;

/// A log that does what it promises, and what its clients saw.
struct Model {
    history: History,
    versions: HashMap<Uuid, i32>,
    now: u64,
}

fn stream(nth: u128) -> Uuid {
    Uuid::from_u128(0x57_0000 + nth)
}

fn seen(entry: &Entry) -> Seen {
    Seen { position: entry.position, command: entry.command, hash: entry.hash.clone() }
}

impl Model {
    fn new() -> Self {
        Self { history: History { read_at: "1".to_owned(), ..History::default() }, versions: HashMap::new(), now: 0 }
    }

    /// Appends an event of a command to each of the streams.
    fn append(&mut self, number: u64, streams: &[Uuid]) -> Acknowledged {
        let mut positions = Vec::new();
        for &stream in streams {
            let version = self.versions.entry(stream).or_default();
            *version += 1;
            let position = i64::try_from(self.history.log.len()).expect("a few") + 1;
            positions.push(position);
            self.history.log.push(Entry {
                position,
                stream,
                version: *version,
                event_type: "thing.changed".to_owned(),
                command: key(number),
                is_by_user: true,
                mark: Some(number),
                recorded_at: format!("{position:020}"),
                hash: format!("{position}-{number}"),
            });
        }
        Acknowledged { stream: streams[0], version: self.versions[&streams[0]], positions, replayed: false }
    }

    /// Records an operation of a client that takes effect now, and lasts from a moment ago to a moment from now.
    fn tell(&mut self, client: u64, what: What) {
        self.now += 100;
        let process = u32::try_from(client).expect("a few");
        let (began, ended) = (self.now - 90, self.now + 90 * (client % 3));
        self.history.operations.push(Operation { process, due: began, began, ended, what });
    }

    fn write(&mut self, client: u64, number: u64, outcome: Outcome) {
        let write = Write { number, command: "change-thing".to_owned(), compared: None, requests: 1, outcome };
        self.tell(client, What::Write(write));
    }

    fn of_stream(&self, id: Uuid) -> Vec<Seen> {
        self.history.log.iter().filter(|it| it.stream == id).map(seen).collect()
    }

    /// Does what the draws say, with operations that overlap.
    fn run(seed: u64) -> Self {
        let (mut model, mut state) = (Self::new(), seed);
        for number in 0..OPERATIONS {
            // Clients whose operations last longer than a turn do not begin another before they have ended.
            let client = number % CLIENTS;
            let of = |draw: u64| stream(u128::from(draw) % STREAMS);
            let (one, other) = (of(draw(&mut state)), of(draw(&mut state)));
            match draw(&mut state) % 10 {
                0..4 => {
                    let answer = model.append(number, &[one]);
                    model.write(client, number, Outcome::Done(vec![answer]));
                }
                4 if one != other => {
                    let answer = model.append(number, &[one, other]);
                    model.write(client, number, Outcome::Done(vec![answer]));
                }
                5 => model.write(client, number, Outcome::Refused { code: "double-booking".to_owned(), certain: true }),
                6 => {
                    let after = i64::try_from(model.history.log.len() / 2).expect("a few");
                    let seen = model.history.log.iter().filter(|it| it.position > after).map(seen).collect();
                    model.tell(client, What::Tail { after, seen });
                }
                7 if model.versions.contains_key(&one) => {
                    let last = model.history.log.iter().rfind(|it| it.stream == one).expect("a version");
                    let (version, mark, position) = (last.version, last.mark, last.position);
                    model.tell(client, What::State { id: one, version, mark });
                    let position = i64::max(position, i64::try_from(model.history.log.len()).expect("a few"));
                    model.tell(client + CLIENTS, What::Row { id: one, least: position - 1, position, version, mark });
                }
                _ => {
                    let seen = model.of_stream(one);
                    model.tell(client, What::Stream { id: one, seen });
                }
            }
        }
        model
    }

    /// The number for a command of a planted fault.
    fn planted(&self) -> u64 {
        OPERATIONS + u64::try_from(self.history.operations.len()).expect("a few")
    }
}

/// Asserts that both checks pass.
fn assert_sound(history: &History) {
    assert_eq!((order::faults(history), invariants::faults(history)), (Vec::new(), Vec::new()));
}

/// Asserts that the check of the order finds an anomaly of this kind.
#[track_caller]
fn assert_out_of_order(history: &History, kind: &str) {
    let faults = order::faults(history);
    assert!(faults.iter().any(|it| it.starts_with(kind)), "no {kind} in {faults:#?}");
}

/// Asserts that the other check finds this.
#[track_caller]
fn assert_wrong(history: &History, what: &str) {
    let faults = invariants::faults(history);
    assert!(faults.iter().any(|it| it.contains(what)), "no {what:?} in {faults:#?}");
}

#[test]
fn what_a_sound_log_does_passes() {
    for seed in 0..20 {
        assert_sound(&Model::run(seed).history);
    }
}

#[test]
fn a_history_in_a_file_is_the_same_history() {
    let history = Model::run(1).history;
    let file = tempfile::NamedTempFile::new().expect("a file");
    history.keep(file.path());
    assert_eq!(History::read(file.path()), history);
}

#[test]
fn a_lost_command_is_found() {
    let mut model = Model::run(2);
    let number = model.planted();
    let position = i64::try_from(model.history.log.len()).expect("a few") + 1;
    let answer = Acknowledged { stream: stream(0), version: 1_000, positions: vec![position], replayed: false };
    model.write(0, number, Outcome::Done(vec![answer]));
    let seen = model.of_stream(stream(0));
    model.tell(0, What::Stream { id: stream(0), seen });
    assert_wrong(&model.history, "lost");
    assert_out_of_order(&model.history, "G-single-item-realtime");
}

#[test]
fn a_command_that_was_carried_out_twice_is_found() {
    let mut model = Model::run(3);
    let number = model.planted();
    let answer = model.append(number, &[stream(1)]);
    model.append(number + 1_000, &[stream(2)]);
    model.append(number, &[stream(1)]);
    model.write(0, number, Outcome::Done(vec![answer]));
    assert_wrong(&model.history, "carried out more than once");
}

#[test]
fn a_command_that_was_carried_out_again_under_another_key_is_found() {
    let mut model = Model::run(3);
    let number = model.planted();
    let answer = model.append(number, &[stream(1)]);
    model.write(0, number, Outcome::Done(vec![answer]));
    model.append(number, &[stream(1)]);
    model.history.log.last_mut().expect("an event").command = Uuid::from_u128(1);
    assert_wrong(&model.history, "nobody gave the command");
}

#[test]
fn an_event_from_the_future_is_found() {
    let mut model = Model::run(16);
    model.history.log.last_mut().expect("an event").recorded_at = "2".to_owned();
    assert_wrong(&model.history, "from the future");
}

#[test]
fn a_gap_in_the_log_is_found() {
    let mut model = Model::run(17);
    model.history.log.remove(40);
    assert_wrong(&model.history, "position 41 has");
}

#[test]
fn a_refused_command_that_was_carried_out_is_found() {
    let mut model = Model::run(4);
    let number = model.planted();
    model.append(number, &[stream(1)]);
    model.write(0, number, Outcome::Refused { code: "double-booking".to_owned(), certain: true });
    assert_wrong(&model.history, "refused and carried out");
}

#[test]
fn a_stale_read_after_an_acknowledged_command_is_found() {
    let mut model = Model::run(5);
    let (number, before) = (model.planted(), model.of_stream(stream(2)));
    let answer = model.append(number, &[stream(2)]);
    model.write(0, number, Outcome::Done(vec![answer]));
    model.tell(0, What::Stream { id: stream(2), seen: before });
    assert_out_of_order(&model.history, "G-single-item-realtime");
}

#[test]
fn a_stale_read_of_the_log_is_found_across_its_pieces() {
    let mut model = Model::run(6);
    let (number, end) = (model.planted(), i64::try_from(model.history.log.len()).expect("a few"));
    for nth in 0..2_500 {
        let answer = model.append(number + nth, &[stream(3)]);
        model.write(0, number + nth, Outcome::Done(vec![answer]));
    }
    assert_sound(&model.history);
    model.tell(0, What::Tail { after: end, seen: Vec::new() });
    assert_out_of_order(&model.history, "G-single-item-realtime");
}

#[test]
fn a_stale_row_is_found() {
    let mut model = Model::run(7);
    let number = model.planted();
    let answer = model.append(number, &[stream(0)]);
    let (version, position) = (answer.version, answer.positions[0]);
    model.write(0, number, Outcome::Done(vec![answer]));
    let row = |position, version| What::Row { id: stream(0), least: position, position, version, mark: Some(number) };
    model.tell(0, row(position, version));
    assert_sound(&model.history);
    model.tell(0, row(position, version - 1));
    assert_wrong(&model.history, "the row of");
}

#[test]
fn readers_who_disagree_about_what_came_first_are_found() {
    let mut model = Model::run(8);
    let (number, x, y) = (model.planted(), stream(10), stream(11));
    let written = [x, y].map(|it| model.append(number + u64::from(it == y), &[it]));
    let mut read = |client: u64, id: Uuid, sees: bool| {
        let seen = if sees { model.of_stream(id) } else { Vec::new() };
        model.tell(client, What::Stream { id, seen });
    };
    // One client sees `x` before `y` is written, another one `y` before `x`.
    read(6, x, true);
    read(6, y, false);
    read(9, y, true);
    read(9, x, false);
    let began = model.history.operations[model.history.operations.len() - 4].began;
    for (nth, answer) in (0..).zip(written) {
        model.write(12 + nth, number + nth, Outcome::Done(vec![answer]));
        // Both commands last as long as all four reads.
        let ended = model.now + 1_000;
        let write = model.history.operations.last_mut().expect("a write");
        (write.began, write.ended) = (began, ended);
    }
    assert_out_of_order(&model.history, "G-");
}

#[test]
fn two_streams_that_order_two_commands_differently_are_found() {
    let mut model = Model::run(9);
    let number = model.planted();
    for nth in 0..2 {
        let answer = model.append(number + nth, &[stream(0), stream(1)]);
        model.write(nth, number + nth, Outcome::Done(vec![answer]));
    }
    assert_sound(&model.history);
    let end = model.history.log.len();
    // The second stream has the second command first.
    let versions = [end - 3, end - 1].map(|it| model.history.log[it].version);
    model.history.log[end - 3].version = versions[1];
    model.history.log[end - 1].version = versions[0];
    assert_out_of_order(&model.history, "G0");
    assert_wrong(&model.history, "are not one after the other");
}

#[test]
fn a_stream_that_was_read_in_another_order_is_found() {
    let mut model = Model::run(10);
    let mut seen = model.of_stream(stream(0));
    let last = seen.len() - 1;
    seen.swap(last, last - 1);
    model.tell(0, What::Stream { id: stream(0), seen });
    assert_out_of_order(&model.history, "incompatible-order");
}

#[test]
fn half_of_a_command_that_was_read_is_found() {
    let mut model = Model::run(11);
    let number = model.planted();
    let answer = model.append(number, &[stream(0), stream(1)]);
    let half = model.history.log.len() - 1;
    let seen = model.history.log[half - 10..half].iter().map(seen).collect();
    model.write(0, number, Outcome::Done(vec![answer]));
    let after = i64::try_from(half - 10).expect("a few");
    model.tell(1, What::Tail { after, seen });
    assert_out_of_order(&model.history, "G1b");
}

#[test]
fn what_only_a_dead_node_recorded_is_found() {
    let mut model = Model::run(12);
    let number = model.planted();
    // The node that died has answered with a position, and others have read it; then another node used the position.
    let answer = model.append(number, &[stream(0)]);
    let lost = model.history.log.pop().expect("an event");
    *model.versions.get_mut(&stream(0)).expect("a version") -= 1;
    model.write(0, number, Outcome::Done(vec![answer]));
    model.tell(1, What::Tail { after: lost.position - 1, seen: vec![seen(&lost)] });
    let answer = model.append(number + 1, &[stream(0)]);
    model.write(2, number + 1, Outcome::Done(vec![answer]));
    assert_wrong(&model.history, "lost");
    assert_wrong(&model.history, "somebody read");
    assert_out_of_order(&model.history, "G");
}

#[test]
fn a_later_command_that_comes_earlier_in_the_log_is_found() {
    let mut model = Model::run(13);
    let number = model.planted();
    let answers = [1, 0].map(|nth| model.append(number + nth, &[stream(u128::from(nth))]));
    // The command whose events come second had ended before the other one was given.
    for (nth, answer) in (0..).zip(answers.into_iter().rev()) {
        model.write(0, number + nth, Outcome::Done(vec![answer]));
        model.now += 1_000;
    }
    assert_out_of_order(&model.history, "G0-realtime");
}

#[test]
fn two_changes_of_the_same_version_are_found() {
    let mut model = Model::run(14);
    let number = model.planted();
    let version = model.versions[&stream(0)];
    for nth in 0..2 {
        let answer = model.append(number + nth, &[stream(0)]);
        model.write(nth, number + nth, Outcome::Done(vec![answer]));
        let Some(What::Write(write)) = model.history.operations.last_mut().map(|it| &mut it.what) else { continue };
        write.compared = Some((stream(0), version));
    }
    assert_out_of_order(&model.history, "lost-update");
}

#[test]
fn a_repetition_that_was_no_repetition_is_found() {
    let mut model = Model::run(15);
    let number = model.planted();
    let answer = Acknowledged { replayed: true, ..model.append(number, &[stream(0)]) };
    model.write(0, number, Outcome::Done(vec![answer]));
    assert_wrong(&model.history, "the answer says wrongly");
}

#[test]
fn a_history_without_operations_is_no_proof() {
    assert_ne!(order::faults(&History::default()), Vec::<String>::new());
}
