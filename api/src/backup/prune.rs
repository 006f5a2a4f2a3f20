//! Deletes what a backup does not need any more. Events are never deleted.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};

use super::BackupError;
use super::error::At as _;
use super::history::History;
use super::manifest::{EVENTS, Kind, Manifest};

/// Deletes the increments that a whole set has replaced, and the tables beside the log of whole sets that are older
/// than `keep`. The newest whole set stays as it is.
pub(super) fn prune(history: &History, now: DateTime<Utc>, keep: TimeDelta) -> Result<(), BackupError> {
    for set in &history.superseded {
        fs::remove_dir_all(&set.path).at(&set.path)?;
    }
    let newest = history.whole().next_back().map(|(place, _)| place);
    let old = history.whole().filter(|(place, it)| Some(*place) != newest && now - it.manifest.taken_at > keep);
    for (_, set) in old {
        let (kept, deleted) = set.manifest.files.iter().cloned().partition(|it| it.table == EVENTS);
        let manifest = Manifest { kind: Kind::Events, files: kept, ..set.manifest.clone() };
        // First the manifest, so that it never names a file that is gone.
        manifest.write(&set.path)?;
        for file in deleted {
            let path = set.path.join(&file.name);
            fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
