//! Whether there is one order of all operations that explains every answer, and in which whatever had ended before
//! something else began comes first: strict serialisability, by the crate `adya` (ADR 40).
//!
//! A stream is a list to which commands append and which reads show up to some event. So is the log, in pieces of
//! [`PIECE`] positions, since a read would otherwise repeat all of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use adya::history::{Id, Interner, Mop, Op, OpType, ReadValue, Scalar};
use adya::{Opts, Valid, Workload};
use uuid::Uuid;

use super::history::{Entry, History, Log, Operation, Outcome, Seen, What, Write, number};

/// How many positions of the log make one list.
const PIECE: i64 = 1_000;
/// How many events a command has room for among the elements of the lists.
const ROOM: u64 = 32;
/// How many anomalies of a kind are told.
const TOLD: usize = 3;

/// What speaks against such an order.
pub(super) fn faults(history: &History) -> Vec<String> {
    let mut lists = Lists::of(history);
    let operations = lists.operations(history);
    let checked = adya::History::from_ops(operations, lists.names);
    let report = adya::check(&checked, Workload::ListAppend, &Opts::default());
    let mut faults = two_at_once(history);
    for (kind, anomalies) in &report.anomalies {
        faults.push(format!("{kind}: found {} times", anomalies.len()));
        faults.extend(anomalies.iter().take(TOLD).map(|it| format!("{kind}: {}", reasons(&it.explanation))));
    }
    if report.valid != Valid::True && faults.is_empty() {
        faults.push("nothing could be found out about the order of the operations".to_owned());
    }
    faults
}

/// The reasons of an anomaly, without the operations in full, which may be long.
fn reasons(explanation: &str) -> String {
    let reasons = explanation.split_once("Then:\n").map_or(explanation, |(_, reasons)| reasons);
    reasons.chars().take(1_000).collect()
}

/// A process asks one thing at a time. A history in which one does not says nothing.
fn two_at_once(history: &History) -> Vec<String> {
    let mut spans = BTreeMap::<u32, Vec<(u64, u64)>>::new();
    for it in &history.operations {
        spans.entry(it.process).or_default().push((it.began, it.ended));
    }
    let mut faults = Vec::new();
    for (process, mut spans) in spans {
        spans.sort_unstable();
        if spans.windows(2).any(|it| it[1].0 < it[0].1) {
            faults.push(format!("the process {process} asked two things at once"));
        }
    }
    faults
}

/// The lists of a history, with the names that `adya` knows them and their elements by.
struct Lists<'a> {
    log: Log<'a>,
    names: Interner,
    /// The element that an event of the log is, if it is of a command of the run.
    elements: HashMap<i64, (u64, Id)>,
    /// The pieces of the log: the positions and elements of each.
    pieces: BTreeMap<i64, Vec<(i64, Id)>>,
    /// The streams that commands of the run wrote.
    written: HashSet<Uuid>,
}

impl<'a> Lists<'a> {
    fn of(history: &'a History) -> Self {
        let log = Log::of(history);
        let (mut names, mut elements) = (Interner::default(), HashMap::new());
        let (mut pieces, mut written) = (BTreeMap::<i64, Vec<_>>::new(), HashSet::new());
        for (&number, entries) in &log.of {
            for (nth, entry) in (0..).zip(entries) {
                let element = element(&mut names, number, nth);
                elements.insert(entry.position, (number, element));
                pieces.entry(entry.position / PIECE).or_default().push((entry.position, element));
                written.insert(entry.stream);
            }
        }
        for piece in pieces.values_mut() {
            piece.sort_unstable();
        }
        Self { log, names, elements, pieces, written }
    }

    fn stream_key(&mut self, id: Uuid) -> Id {
        self.names.intern(Scalar::Str(format!("stream {id}")))
    }

    fn piece_key(&mut self, piece: i64) -> Id {
        self.names.intern(Scalar::Str(format!("log {piece}")))
    }

    /// The element that a client saw; `None` for an event that no command of the run wrote. What is not in the log that
    /// was left is an element of its own.
    fn seen(&mut self, seen: &Seen) -> Option<Id> {
        let number = number(seen.command)?;
        match self.elements.get(&seen.position) {
            Some((same, element)) if *same == number => Some(*element),
            _ => Some(element(&mut self.names, number, ROOM - 1)),
        }
    }

    /// The first versions of a stream, as the log that was left has them.
    fn versions(&self, id: Uuid, version: usize) -> Vec<Id> {
        let first = self.log.stream(id).iter().take(version);
        first.filter_map(|it| self.elements.get(&it.position)).map(|(_, element)| *element).collect()
    }

    /// A piece of the log up to a position.
    fn piece(&self, piece: i64, to: i64) -> Vec<Id> {
        let all = self.pieces.get(&piece).map(Vec::as_slice).unwrap_or_default();
        all.iter().take_while(|(position, _)| *position <= to).map(|(_, element)| *element).collect()
    }

    /// All that was invoked and completed, in the order of time, and a read of everything at the end.
    fn operations(&mut self, history: &History) -> Vec<Op> {
        let mut moments = Vec::new();
        for (nth, operation) in history.operations.iter().enumerate() {
            let Some((kind, done)) = self.done(operation) else { continue };
            let asked = done.iter().filter(|it| matches!(it, Mop::Append { .. })).cloned().collect();
            moments.push((operation.began, false, nth, OpType::Invoke, asked));
            moments.push((operation.ended, true, nth, kind, done));
        }
        // Where two happened in the same nanosecond, they overlapped.
        moments.sort_by_key(|(time, is_over, nth, ..)| (*time, *is_over, *nth));
        let moment = |(time, _, nth, kind, value): (u64, bool, usize, OpType, Vec<Mop>)| {
            (i64::from(history.operations[nth].process), kind, value, time)
        };
        let mut operations: Vec<_> = moments.into_iter().map(moment).collect();
        let (last, everything) = (operations.last().map_or(0, |it| it.3), self.everything());
        operations.push((i64::MAX, OpType::Invoke, Vec::new(), last + 1));
        operations.push((i64::MAX, OpType::Ok, everything, last + 2));
        let with_index = |(index, (process, kind, value, time)): (u64, (i64, OpType, Vec<Mop>, u64))| Op {
            index,
            kind,
            process: Some(process),
            value,
            time: i64::try_from(time).ok(),
        };
        (0..).zip(operations).map(with_index).collect()
    }

    /// What is known to have been done to the lists.
    fn done(&mut self, operation: &Operation) -> Option<(OpType, Vec<Mop>)> {
        let read = match &operation.what {
            What::Write(write) => return self.written(write),
            What::Stream { id, seen } => {
                let list = seen.iter().filter_map(|it| self.seen(it)).collect();
                vec![read(self.stream_key(*id), list)]
            }
            What::Tail { after, seen } => self.tail(*after, seen),
            What::State { id, version, .. } => {
                let list = self.versions(*id, usize::try_from(*version).unwrap_or(0));
                vec![read(self.stream_key(*id), list)]
            }
            // A row is that of its position, which may be a past one.
            What::Row { .. } => return None,
        };
        Some((OpType::Ok, read))
    }

    /// A read of the log to its end shows the piece that the end is in, and that there is nothing after it. The hash of
    /// each event covers those before, so what lies before `after` is that of the log that was left.
    fn tail(&mut self, after: i64, seen: &[Seen]) -> Vec<Mop> {
        let end = seen.last().map_or(after, |it| it.position);
        let last = end / PIECE;
        let mut list = self.piece(last, after);
        list.extend(seen.iter().filter(|it| it.position / PIECE == last).filter_map(|it| self.seen(it)));
        let mut reads = vec![read(self.piece_key(last), list)];
        if self.pieces.contains_key(&(last + 1)) {
            reads.push(read(self.piece_key(last + 1), Vec::new()));
        }
        reads
    }

    fn written(&mut self, write: &Write) -> Option<(OpType, Vec<Mop>)> {
        let entries: Vec<&Entry> = self.log.of.get(&write.number).cloned().unwrap_or_default();
        let (kind, lost) = match &write.outcome {
            Outcome::Done(answers) => {
                let is_lost = |it: &&i64| entries.iter().all(|entry| entry.position != **it);
                let lost = answers.iter().flat_map(|it| it.positions.iter().map(|position| (it.stream, position)));
                (OpType::Ok, lost.filter(|(_, it)| is_lost(it)).map(|(stream, it)| (stream, *it)).collect())
            }
            Outcome::Refused { certain: false, .. } | Outcome::Unknown if !entries.is_empty() => {
                (OpType::Info, Vec::new())
            }
            Outcome::Refused { .. } | Outcome::Unknown => return None,
        };
        let mut done = Vec::new();
        if let (Some((id, version)), OpType::Ok) = (write.compared, kind) {
            let list = self.versions(id, usize::try_from(version).unwrap_or(0));
            done.push(read(self.stream_key(id), list));
        }
        done.extend(entries.first().and_then(|it| self.piece_before(it.position, &entries)));
        for entry in &entries {
            let value = self.elements[&entry.position].1;
            done.push(Mop::Append { key: self.stream_key(entry.stream), value });
            done.push(Mop::Append { key: self.piece_key(entry.position / PIECE), value });
        }
        for (nth, (stream, position)) in (ROOM / 2..).zip(lost) {
            let value = element(&mut self.names, write.number, nth.min(ROOM - 2));
            done.push(Mop::Append { key: self.stream_key(stream), value });
            done.push(Mop::Append { key: self.piece_key(position / PIECE), value });
        }
        Some((kind, done))
    }

    /// Whoever writes the first event of a piece has the whole piece before, which ties the pieces together.
    fn piece_before(&mut self, first: i64, entries: &[&Entry]) -> Option<Mop> {
        let piece = first / PIECE;
        let begins = self.pieces.get(&piece)?.first()?.0 == first;
        let is_within = entries.iter().all(|it| it.position / PIECE == piece);
        let before = self.piece(piece - 1, first);
        (begins && is_within && !before.is_empty()).then(|| read(self.piece_key(piece - 1), before))
    }

    /// A read of every stream and of the whole log.
    fn everything(&mut self) -> Vec<Mop> {
        let streams: Vec<Uuid> = self.written.iter().copied().collect();
        let mut reads = Vec::new();
        for id in streams {
            let list = self.versions(id, usize::MAX);
            reads.push(read(self.stream_key(id), list));
        }
        let pieces: Vec<i64> = self.pieces.keys().copied().collect();
        for piece in pieces {
            let list = self.piece(piece, i64::MAX);
            reads.push(read(self.piece_key(piece), list));
        }
        reads
    }
}

fn read(key: Id, list: Vec<Id>) -> Mop {
    Mop::Read { key, value: ReadValue::List(list) }
}

/// The element that the `nth` event of a command is in the lists.
fn element(names: &mut Interner, number: u64, nth: u64) -> Id {
    names.intern(Scalar::Int(i64::try_from(number * ROOM + nth).unwrap_or(i64::MAX)))
}
