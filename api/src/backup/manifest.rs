//! The manifest of a set: what the set holds, and how to tell that it is whole. It is not encrypted and holds nothing
//! about a person.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use hims_event_store::Position;
use hims_event_store::archive::End;
use hims_event_store::chain::{GENESIS, Hash};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BackupError;
use super::error::At as _;

/// The name of the file in its set.
pub(super) const NAME: &str = "manifest.json";
/// The form of a set that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// What the file with the events stands for, in place of the name of a table beside the log.
pub(super) const EVENTS: &str = "events";

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The new events, and the tables beside the log as a whole. A restore can begin here.
    Whole,
    /// The new events, and what is new in the tables that only grow.
    Increment,
    /// The events of an older whole set. Its tables were deleted when they were older than they are kept.
    Events,
}

/// What a set holds, and how to tell that it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) program: String,
    pub(super) postgresql: String,
    pub(super) kind: Kind,
    /// When the backup was made, by the clock of the database.
    pub(super) taken_at: DateTime<Utc>,
    /// The first position of the events; `last + 1` when there are none.
    pub(super) first: Position,
    /// The last position of the log at that moment.
    pub(super) last: Position,
    /// When the event at the last position was recorded.
    pub(super) recorded_at: DateTime<Utc>,
    /// The hash of the event before the first, in hexadecimal digits.
    #[serde(with = "digits")]
    pub(super) previous_hash: Hash,
    /// The hash of the event at the last position.
    #[serde(with = "digits")]
    pub(super) hash: Hash,
    /// The ids of the master keys that a restore needs: two if one was taking the place of the other.
    pub(super) master_keys: Vec<Uuid>,
    /// Whose keys open the files; none if they are not encrypted.
    pub(super) recipients: Vec<String>,
    pub(super) files: Vec<FileOf>,
}

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileOf {
    pub(super) name: String,
    /// The table of the schema `log`.
    pub(super) table: String,
    /// The columns in their order.
    pub(super) columns: String,
    /// How many bytes the rows have, neither compressed nor encrypted.
    pub(super) content: u64,
    /// How many bytes the file has.
    pub(super) size: u64,
    /// The SHA-256 of the file.
    pub(super) sha256: String,
}

impl Manifest {
    /// The end of the log that the set holds.
    pub(super) fn end(&self) -> End {
        End { position: self.last, hash: self.hash, recorded_at: self.recorded_at }
    }

    pub(super) fn file(&self, table: &str) -> Option<&FileOf> {
        self.files.iter().find(|it| it.table == table)
    }

    /// Reads the manifest of a set.
    pub(super) fn read(set: &Path) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = set.join(NAME);
        let text = fs::read_to_string(&path).at(&path)?;
        let unreadable =
            |error: serde_json::Error| BackupError::Manifest { path: path.clone(), reason: error.to_string() };
        // A newer form may lack what this program looks for.
        let Format { format } = serde_json::from_str(&text).map_err(unreadable)?;
        if format > FORMAT {
            return Err(BackupError::Newer { path, format });
        }
        let manifest: Self = serde_json::from_str(&text).map_err(unreadable)?;
        // A name must not lead out of the set.
        let is_name = |name: &str| Path::new(name).file_name().is_some_and(|it| it == name);
        match manifest.files.iter().find(|it| !is_name(&it.name)) {
            Some(file) => Err(BackupError::Manifest { path, reason: format!("{} is no name of a file", file.name) }),
            None => Ok(manifest),
        }
    }

    /// Writes the manifest into a set, in place of an earlier one.
    pub(super) fn write(&self, set: &Path) -> Result<(), BackupError> {
        let (path, aside) = (set.join(NAME), set.join(format!("{NAME}.new")));
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| BackupError::Manifest { path: path.clone(), reason: error.to_string() })?;
        let mut file = File::create(&aside).at(&aside)?;
        file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).at(&aside)?;
        fs::rename(&aside, &path).at(&path)?;
        File::open(set).and_then(|it| it.sync_all()).at(set)
    }
}

/// A hash as lower-case hexadecimal digits.
mod digits {
    use hims_event_store::chain::{Hash, hex};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

fn parse(text: &str) -> Option<Hash> {
    let mut hash = GENESIS;
    let is_hex = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    is_hex.then_some(())?;
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(hash)
}
