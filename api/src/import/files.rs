//! Listing the files of an import, and reading one file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::bundle::{Bundle, Entry};
use super::summary::Broken;

/// The files of some paths, each once, with the `.json` files in and below folders; and the paths that cannot be read.
pub(super) fn list(paths: &[PathBuf]) -> (BTreeSet<PathBuf>, Vec<Broken>) {
    let (mut files, mut broken) = (BTreeSet::new(), Vec::new());
    for path in paths {
        if let Err(error) = add(path, &mut files, &mut broken) {
            broken.push(unreadable(path, &error));
        }
    }
    (files, broken)
}

fn add(path: &Path, files: &mut BTreeSet<PathBuf>, broken: &mut Vec<Broken>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    for child in fs::read_dir(path)? {
        let child = child?;
        let (path, is_folder) = (child.path(), child.file_type()?.is_dir());
        let is_json = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("json"));
        if is_folder || is_json {
            add(&path, files, broken).unwrap_or_else(|error| broken.push(unreadable(&path, &error)));
        }
    }
    Ok(())
}

/// Reads the entries of the bundle in a file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Broken> {
    let broken = |problem: String| Broken { path: path.to_owned(), problem };
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let bundle: Bundle = serde_json::from_slice(&bytes).map_err(|error| {
        // Only the place is reported, since the message of the error may quote a personal value.
        let what = if error.is_data() { "not a FHIR bundle" } else { "not JSON" };
        broken(format!("{what} (line {}, column {})", error.line(), error.column()))
    })?;
    if bundle.resource_type != "Bundle" {
        return Err(broken("not a FHIR bundle".to_owned()));
    }
    Ok(bundle.entry)
}

fn unreadable(path: &Path, error: &io::Error) -> Broken {
    Broken { path: path.to_owned(), problem: format!("cannot be read: {}", error.kind()) }
}

/// A file whose reader ended without an answer, such as by a panic.
pub(super) fn abandoned(path: &Path) -> Broken {
    Broken { path: path.to_owned(), problem: "cannot be read".to_owned() }
}
