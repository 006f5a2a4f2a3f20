//! Finding PostgreSQL's programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// The major versions of PostgreSQL that are supported.
const SUPPORTED: std::ops::RangeInclusive<u32> = 15..=18;

/// The programs of one installation of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) postgres: PathBuf,
    pub(super) initdb: PathBuf,
}

impl Binaries {
    /// Finds the programs in the folder `named`, or else in the folders of the distribution, or else on the search
    /// path. If there are data already, `version` is the major version that wrote the data, and only that version is
    /// accepted.
    pub(super) fn find(named: Option<&Path>, data: &Path, version: Option<u32>) -> Result<Self, EmbeddedError> {
        let mut found = match named {
            Some(folder) => vec![Self::in_folder(folder).ok_or_else(|| EmbeddedError::NoBinaries(folder.to_owned()))?],
            None => candidates().iter().filter_map(|it| Self::in_folder(it)).collect(),
        };
        if found.is_empty() {
            return Err(EmbeddedError::NotInstalled);
        }
        match version.map(|wanted| (wanted, found.iter().position(|candidate| candidate.0 == wanted))) {
            None => Ok(found.swap_remove(0).1),
            Some((_, Some(index))) => Ok(found.swap_remove(index).1),
            Some((version, None)) => Err(EmbeddedError::OtherVersion { data: data.to_owned(), version }),
        }
    }

    /// The programs in a folder and their major version, if that version is supported.
    fn in_folder(folder: &Path) -> Option<(u32, Self)> {
        // A program on the search path may be a link to the real program, or a script around it.
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let initdb = [postgres.with_file_name("initdb"), folder.join("initdb")].into_iter().find(|it| it.is_file())?;
        let told = Command::new(&postgres).arg("--version").output().ok()?.stdout;
        let major = major_version(std::str::from_utf8(&told).ok()?)?;
        SUPPORTED.contains(&major).then_some((major, Self { postgres, initdb }))
    }
}

fn candidates() -> Vec<PathBuf> {
    let packaged = SUPPORTED.map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let searched = std::env::var_os("PATH").unwrap_or_default();
    packaged.chain(std::env::split_paths(&searched)).collect()
}

/// Reads the major version from the output of `postgres --version`: 15 from `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_version(told: &str) -> Option<u32> {
    let version = told.split_once("(PostgreSQL)")?.1.trim_start();
    version.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_tells() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn a_named_folder_without_postgres_is_an_error_that_names_it() {
        let refused = Binaries::find(Some(Path::new("/nowhere")), Path::new("/data"), None);
        assert!(matches!(refused, Err(EmbeddedError::NoBinaries(folder)) if folder == Path::new("/nowhere")));
    }
}
