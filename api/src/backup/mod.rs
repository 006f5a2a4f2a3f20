//! Backups of a hospital: its log, and what lies beside the log and does not follow from it.
//!
//! A backup is a folder that grows by a set of files with each run (`history.rs`). The events of a run follow those of
//! the run before, so each event is copied once; the tables beside the log are copied as a whole by a whole run. A set
//! is complete when its manifest is there, which comes last. ADR 36 says why.

mod error;
mod files;
mod history;
mod make;
mod manifest;
mod notes;
mod prune;
mod restore;
mod sealing;

use std::path::Path;

use self::error::At as _;
pub(crate) use self::error::{BackupError, instant};
pub(crate) use self::make::{Made, Wanted, back_up};
pub(crate) use self::notes::{Note, NoteOf, failed_verification, last, note};
pub(crate) use self::restore::{Restored, Until, restore};
pub(crate) use self::sealing::{Identities, Recipients};
use crate::disk::Disk;

/// Refuses a disk on which so many bytes do not fit.
fn refuse_full(path: &Path, needed: u64) -> Result<(), BackupError> {
    let Disk { folder, free, .. } = Disk::of(path).at(path)?;
    if needed < free {
        return Ok(());
    }
    Err(BackupError::NoSpace { folder, needed: (needed >> 20) + 1, free: free >> 20 })
}
