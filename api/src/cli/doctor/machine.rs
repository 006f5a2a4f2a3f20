//! The disk of the embedded PostgreSQL.

use std::path::Path;

use super::Findings;
use crate::Settings;
use crate::disk::Disk;

/// The least free space with which a hospital can go on for a while.
const LEAST: u64 = 1 << 30;

/// How much space is free where the data lie. The disk of another PostgreSQL cannot be seen from here.
pub(super) fn disk(settings: &Settings, found: &mut Findings) {
    if settings.database_url.is_some() {
        return found.advice("disk: watch the disks of your PostgreSQL, which cannot be seen from here");
    }
    match Disk::of(&settings.data_dir) {
        Ok(Disk { folder, free, whole }) => judge(&folder, free, whole, found),
        Err(error) => found.fault(format!("disk: {} cannot be looked at: {error}", settings.data_dir.display())),
    }
}

fn judge(folder: &Path, free: u64, whole: u64, found: &mut Findings) {
    let percent = free.saturating_mul(100) / whole.max(1);
    let text = format!("disk: {percent} % ({} MB) of the disk of {} are free", free >> 20, folder.display());
    if free < LEAST {
        found.fault(format!("{text}: free some space, or nothing can be recorded soon"));
    } else if percent < 20 {
        found.advice(format!("{text}; a rebuild of the read tables needs space for a second set"));
    } else {
        found.fine(text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn little_space_is_a_fault_and_less_than_a_fifth_is_worth_advice() {
        let judged = |free, whole| {
            let mut found = Findings::default();
            judge(Path::new("/data"), free, whole, &mut found);
            found.0.pop()
        };
        assert!(matches!(judged(1 << 29, 1 << 30), Some(Finding::Fault(_))));
        assert!(matches!(judged(1 << 31, 1 << 40), Some(Finding::Advice(_))));
        assert!(matches!(judged(1 << 39, 1 << 40), Some(Finding::Fine(_))));
        assert!(matches!(judged(0, 0), Some(Finding::Fault(_))));
    }
}
