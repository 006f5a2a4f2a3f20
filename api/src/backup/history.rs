//! The sets in the folder of a backup, in the order in which they follow each other.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use hims_event_store::Position;
use hims_event_store::archive::End;

use super::BackupError;
use super::error::At as _;
use super::files::Source;
use super::manifest::{self, Kind, Manifest};

/// What the name of a set begins with until the set is complete.
const UNFINISHED: &str = "unfinished-";
/// The file whose lock keeps a second run out of the folder.
const LOCK: &str = "lock";
/// The file whose lock says that somebody reads the folder, so that nothing is deleted.
const READING: &str = "reading";

/// A set of files that one run has written.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
}

impl Set {
    /// The file with the rows of a table, or with the events.
    pub(super) fn source(&self, table: &str) -> Option<Source> {
        let file = self.manifest.file(table)?.clone();
        let is_encrypted = !self.manifest.recipients.is_empty();
        Some(Source { path: self.path.join(&file.name), file, is_encrypted })
    }
}

/// The sets of a backup. Each holds the events that follow those of the set before.
#[derive(Debug)]
pub(super) struct History {
    pub(super) folder: PathBuf,
    pub(super) sets: Vec<Set>,
    /// Increments whose events a later whole set holds too.
    pub(super) superseded: Vec<Set>,
}

impl History {
    /// Reads the manifests of a folder.
    ///
    /// # Errors
    /// When a manifest cannot be read, or the events of a set are missing.
    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let mut sets = Vec::new();
        for entry in fs::read_dir(folder).at(folder)? {
            let path = entry.at(folder)?.path();
            let is_unfinished = path.file_name().and_then(OsStr::to_str).is_none_or(|it| it.starts_with(UNFINISHED));
            if !is_unfinished && path.join(manifest::NAME).is_file() {
                sets.push(Set { manifest: Manifest::read(&path)?, path });
            }
        }
        // By what they hold: the clock of the database may have been set back.
        sets.sort_by_key(|it| (it.manifest.last, it.manifest.taken_at));
        let newest = sets.iter().rposition(|it| it.manifest.kind != Kind::Increment);
        let mut superseded = Vec::new();
        if let Some(newest) = newest {
            let (before, after) = sets.split_at(newest);
            let (old, kept): (Vec<_>, Vec<_>) =
                before.iter().cloned().partition(|it| it.manifest.kind == Kind::Increment);
            superseded = old;
            sets = [kept.as_slice(), after].concat();
        }
        let history = Self { folder: folder.to_owned(), sets, superseded };
        let mut end = End::NOTHING;
        for Set { manifest, .. } in &history.sets {
            if manifest.first != end.position + 1 || manifest.previous_hash != end.hash {
                return Err(BackupError::Gap { folder: folder.to_owned(), after: end.position });
            }
            end = manifest.end();
        }
        Ok(history)
    }

    /// The end of the log after the sets that a new set of this kind follows: a whole set follows the whole ones and
    /// holds the events of the increments once more.
    pub(super) fn end_before(&self, kind: Kind) -> End {
        let followed = |it: &&Set| kind == Kind::Increment || it.manifest.kind != Kind::Increment;
        self.sets.iter().rfind(followed).map_or(End::NOTHING, |it| it.manifest.end())
    }

    /// The newest set of all.
    pub(super) fn newest(&self) -> Option<&Set> {
        self.sets.last()
    }

    /// The whole sets, the oldest first.
    pub(super) fn whole(&self) -> impl DoubleEndedIterator<Item = (usize, &Set)> {
        self.sets.iter().enumerate().filter(|(_, it)| it.manifest.kind == Kind::Whole)
    }
}

/// Opens the file of a lock, and makes it if it is missing.
fn lock_file(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Says for as long as it lives that a folder is being read, unless nothing can be written there, as on a medium that is
/// protected: then nothing can be deleted there either.
pub(super) struct Reader {
    _lock: Option<File>,
}

impl Reader {
    /// Marks a folder as being read.
    ///
    /// # Errors
    /// When sets are being deleted at this moment.
    pub(super) fn of(folder: &Path) -> Result<Self, BackupError> {
        let Ok(lock) = lock_file(&folder.join(READING)) else { return Ok(Self { _lock: None }) };
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self { _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy),
            // A file system without locks.
            Err(TryLockError::Error(_)) => Ok(Self { _lock: None }),
        }
    }
}

/// The folder of a backup, kept for this run.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens a folder to add a set to it, and makes it if it is missing. What an interrupted run has left is removed.
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).at(path)?;
        let lock_path = path.join(LOCK);
        let lock = lock_file(&lock_path).at(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
            Err(TryLockError::Error(source)) => return Err(BackupError::Io { path: lock_path, source }),
        }
        for entry in fs::read_dir(path).at(path)? {
            let left = entry.at(path)?.path();
            if left.file_name().and_then(OsStr::to_str).is_some_and(|it| it.starts_with(UNFINISHED)) {
                fs::remove_dir_all(&left).at(&left)?;
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Keeps readers out, so that sets can be deleted; `None` while somebody reads the folder.
    ///
    /// # Errors
    /// When the file of the lock cannot be opened or locked.
    pub(super) fn keep_readers_out(&self) -> Result<Option<File>, BackupError> {
        let path = self.path.join(READING);
        let lock = lock_file(&path).at(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(BackupError::Io { path, source }),
        }
    }

    /// Begins a set, under a name that says that it is not complete.
    pub(super) fn begin(&self, at: DateTime<Utc>, last: Position, kind: Kind) -> Result<Unfinished, BackupError> {
        let ending = if kind == Kind::Increment { "-increment" } else { "" };
        let name = format!("{}-{last:012}{ending}", at.format("%Y%m%dT%H%M%S%.3fZ"));
        let path = self.path.join(format!("{UNFINISHED}{name}"));
        DirBuilder::new().mode(0o700).create(&path).at(&path)?;
        Ok(Unfinished { path, complete: self.path.join(name), is_complete: false })
    }
}

/// A set that is being written. It is removed unless it is completed.
pub(super) struct Unfinished {
    pub(super) path: PathBuf,
    complete: PathBuf,
    is_complete: bool,
}

impl Unfinished {
    /// Writes the manifest, and gives the set its name. From now on the set counts.
    pub(super) fn complete(mut self, manifest: Manifest) -> Result<Set, BackupError> {
        manifest.write(&self.path)?;
        fs::rename(&self.path, &self.complete).at(&self.complete)?;
        self.is_complete = true;
        let folder = self.complete.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|it| it.sync_all()).at(folder)?;
        Ok(Set { path: self.complete.clone(), manifest })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_complete {
            // The next run removes what stays.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
