//! Deletes what a backup does not need any more. Events are never deleted.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::BackupError;
use super::error::At as _;
use super::history::History;
use super::manifest::{self, EVENTS, Kind, Manifest};

/// Deletes the increments that a whole set has replaced, and the tables beside the log of whole sets that are older
/// than `keep`. The newest whole set stays as it is.
pub(super) fn prune(history: &History, now: DateTime<Utc>, keep: TimeDelta) -> Result<(), BackupError> {
    for set in &history.superseded {
        fs::remove_dir_all(&set.path).at(&set.path)?;
    }
    let newest = history.whole().next_back().map(|(place, _)| place);
    let old = history.whole().filter(|(place, it)| Some(*place) != newest && now - it.manifest.taken_at > keep);
    for (_, set) in old {
        let kept = set.manifest.files.iter().filter(|it| it.table == EVENTS).cloned().collect();
        // First the manifest, so that it never names a file that is gone.
        Manifest { kind: Kind::Events, files: kept, ..set.manifest.clone() }.write(&set.path)?;
    }
    // An earlier run may have been interrupted between the manifest and the files.
    for set in history.sets.iter().filter(|it| it.path.is_dir()) {
        let manifest = Manifest::read(&set.path)?;
        if manifest.kind == Kind::Events {
            delete_what_is_not_named(&set.path, &manifest)?;
        }
    }
    Ok(())
}

fn delete_what_is_not_named(set: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    for entry in fs::read_dir(set).at(set)? {
        let path = entry.at(set)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name != manifest::NAME && manifest.files.iter().all(|it| it.name != name) {
            fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
