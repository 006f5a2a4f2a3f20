//! How much space a disk has.

use std::io;
use std::path::{Path, PathBuf};

/// A disk, as far as a program may fill it.
pub(crate) struct Disk {
    /// A folder on the disk.
    pub(crate) folder: PathBuf,
    /// How many bytes are free.
    pub(crate) free: u64,
    /// How many bytes there are.
    pub(crate) whole: u64,
}

impl Disk {
    /// The disk on which a path is, or will be once it is made.
    ///
    /// # Errors
    /// When the disk cannot be looked at.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let folder = path.ancestors().find(|it| it.exists()).unwrap_or(&path).to_owned();
        let disk = rustix::fs::statvfs(&folder)?;
        Ok(Self { folder, free: disk.f_bavail * disk.f_frsize, whole: disk.f_blocks * disk.f_frsize })
    }
}
