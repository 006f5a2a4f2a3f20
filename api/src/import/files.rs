//! Listing the files of an import, and reading one file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::documents::{self, Documents};
use super::summary::Broken;

/// How much of a file is looked at to tell whether the file holds JSON.
const BEGINNING: u64 = 512;

/// The files of some paths.
#[derive(Default)]
pub(super) struct Listed {
    /// The files to read, each once.
    pub(super) files: BTreeSet<PathBuf>,
    /// The paths that cannot be read, and the folders without anything to read.
    pub(super) broken: Vec<Broken>,
    /// The files in folders that hold no JSON.
    pub(super) passed_over: BTreeSet<PathBuf>,
}

/// Lists the files that are named, and of a folder all files with JSON in and below it, whatever their names.
pub(super) fn list(paths: &[PathBuf]) -> Listed {
    let mut listed = Listed::default();
    for path in paths {
        let before = listed.files.len() + listed.broken.len();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                listed.add_folder(path);
                if listed.files.len() + listed.broken.len() == before && !listed.holds(path) {
                    listed.broken.push(broken(path, "a folder without any file of JSON or NDJSON"));
                }
            }
            Ok(_) => drop(listed.files.insert(path.clone())),
            Err(error) => listed.broken.push(unreadable(path, &error)),
        }
    }
    listed
}

impl Listed {
    fn add_folder(&mut self, folder: &Path) {
        let children = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let children = match children {
            Ok(children) => children,
            Err(error) => return self.broken.push(unreadable(folder, &error)),
        };
        for child in children {
            let path = child.path();
            // A folder behind a symbolic link is not entered, since the link could lead in a circle.
            let is_folder = child.file_type().is_ok_and(|it| it.is_dir());
            match if is_folder { Ok(true) } else { is_json(&path) } {
                Ok(_) if is_folder => self.add_folder(&path),
                Ok(true) => drop(self.files.insert(path)),
                Ok(false) => drop(self.passed_over.insert(path)),
                Err(error) => self.broken.push(unreadable(&path, &error)),
            }
        }
    }

    /// Whether a file to read lies in or below a folder.
    fn holds(&self, folder: &Path) -> bool {
        self.files.iter().any(|it| it.starts_with(folder))
    }
}

/// Whether a file holds JSON, by its name or by its first bytes.
fn is_json(path: &Path) -> io::Result<bool> {
    if fs::metadata(path)?.is_dir() {
        return Ok(false);
    }
    let name = path.file_name().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if [".json", ".ndjson", ".jsonl"].iter().any(|ending| name.ends_with(ending)) {
        return Ok(true);
    }
    let mut beginning = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut beginning)?;
    Ok(documents::looks_like_json(&beginning))
}

/// Reads the resources in a file.
pub(super) fn read(path: &Path) -> Result<Documents, Broken> {
    fs::read(path).map(|bytes| documents::read(path, &bytes)).map_err(|error| unreadable(path, &error))
}

/// A file that cannot be used, and why.
pub(super) fn broken(path: &Path, problem: impl Into<String>) -> Broken {
    Broken { path: path.to_owned(), problem: problem.into() }
}

fn unreadable(path: &Path, error: &io::Error) -> Broken {
    broken(path, format!("cannot be read: {}", error.kind()))
}

/// A file whose reader ended without an answer, such as by a panic.
pub(super) fn abandoned(path: &Path) -> Broken {
    broken(path, "cannot be read: its reader ended without an answer")
}
