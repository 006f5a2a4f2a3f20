//! What clients asked and were answered, and the log that was left: all that is checked, in a form for files.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    /// The whole log, as it was read when everything was over.
    pub(super) log: Vec<Entry>,
    /// When the log was read, written as the log writes times.
    pub(super) read_at: String,
}

/// Something that a client asked, once or until there was an answer. Times are nanoseconds since the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Operation {
    /// Who asked. Whoever gives up an operation goes on as another process.
    pub(super) process: u32,
    /// When the operation was to begin. A client that is still busy begins later.
    pub(super) due: u64,
    /// When the first request was sent.
    pub(super) began: u64,
    /// When the answer was there.
    pub(super) ended: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum What {
    /// A command: it appends to one stream or several, and to the log.
    Write(Write),
    /// A read of all events of a stream.
    Stream { id: Uuid, seen: Vec<Seen> },
    /// A read of the log from a position to its end.
    Tail { after: i64, seen: Vec<Seen> },
    /// A read of the state of a patient, folded from the log, with the mark that the state has.
    State { id: Uuid, version: i32, mark: Option<u64> },
    /// A read of the row of a patient. The client asked for the position `least`, and the row is that of `position`.
    Row { id: Uuid, least: i64, position: i64, version: i32, mark: Option<u64> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Write {
    /// The number of the command in this run, of which its key and its mark are made.
    pub(super) number: u64,
    pub(super) command: String,
    /// The stream that the command was only for, and the version that it had to have (`If-Match`).
    pub(super) compared: Option<(Uuid, i32)>,
    /// How many requests were sent.
    pub(super) requests: u32,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// Every answer to the command that said that it was carried out; there is at least one.
    Done(Vec<Acknowledged>),
    /// Refused with this code. An earlier request without an answer may be carried out all the same, unless `certain`.
    Refused {
        code: String,
        certain: bool,
    },
    Unknown,
}

/// What an answer to a command says that was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) stream: Uuid,
    pub(super) version: i32,
    /// The positions of all its events, in order.
    pub(super) positions: Vec<i64>,
    pub(super) replayed: bool,
}

/// An event as a client has seen it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) position: i64,
    /// The command that the event belongs to.
    pub(super) command: Uuid,
    pub(super) hash: String,
}

/// An event of the log that was left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) position: i64,
    pub(super) stream: Uuid,
    pub(super) version: i32,
    pub(super) event_type: String,
    pub(super) command: Uuid,
    /// Whether somebody who is logged in gave the command, and not a process.
    pub(super) is_by_user: bool,
    /// The mark that the command put into the event.
    pub(super) mark: Option<u64>,
    pub(super) recorded_at: String,
    pub(super) hash: String,
}

/// What the keys of the commands of a run begin with.
const KEYS: u128 = 0x0c4e_c4e5_0000_7000_8000_0000_0000_0000;

/// The idempotency key of the command with this number, which is the command id of its events.
pub(super) fn key(number: u64) -> Uuid {
    Uuid::from_u128(KEYS | u128::from(number & 0xffff_ffff_ffff))
}

/// The number of a command of a run; `None` for the commands of others, such as processes.
pub(super) fn number(key: Uuid) -> Option<u64> {
    let number = u64::try_from(key.as_u128() ^ KEYS).ok()?;
    (self::key(number) == key).then_some(number)
}

impl History {
    /// Writes the history into a file, so that it can be checked again.
    pub(super) fn keep(&self, file: &Path) {
        let written = std::fs::File::create(file).map(std::io::BufWriter::new);
        serde_json::to_writer(written.expect("a file"), self).expect("the history is written");
    }

    pub(super) fn read(file: &Path) -> Self {
        let kept = std::fs::File::open(file).map(std::io::BufReader::new).expect("a kept history");
        serde_json::from_reader(kept).expect("a history")
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = &Write> {
        self.operations.iter().filter_map(|it| match &it.what {
            What::Write(write) => Some(write),
            _ => None,
        })
    }
}

/// The log that was left, by what is looked up in it.
pub(super) struct Log<'a> {
    pub(super) at: HashMap<i64, &'a Entry>,
    /// The events of each command of the run, in order.
    pub(super) of: HashMap<u64, Vec<&'a Entry>>,
    /// The events of each stream, by version.
    pub(super) streams: HashMap<Uuid, Vec<&'a Entry>>,
}

impl<'a> Log<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut log = Self { at: HashMap::new(), of: HashMap::new(), streams: HashMap::new() };
        for entry in &history.log {
            log.at.insert(entry.position, entry);
            log.streams.entry(entry.stream).or_default().push(entry);
            if let Some(number) = number(entry.command) {
                log.of.entry(number).or_default().push(entry);
            }
        }
        log.of.values_mut().for_each(|it| it.sort_by_key(|entry| entry.position));
        log.streams.values_mut().for_each(|it| it.sort_by_key(|entry| (entry.version, entry.position)));
        log
    }

    /// The events of a stream, by version; none for a stream that there is not.
    pub(super) fn stream(&self, id: Uuid) -> &[&'a Entry] {
        self.streams.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}
