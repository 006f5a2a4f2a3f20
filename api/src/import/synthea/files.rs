//! Reading the files of an export, row by row. A row that cannot be read is named by its line and its column, never by
//! a value, which could be personal.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::super::files::{abandoned, broken};
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::summary::{Broken, Place, Summary};
use super::record;

/// A row of one of the files. The columns that a row does not name are not read.
pub(super) trait Row: DeserializeOwned + Send + 'static {
    /// The name of the file, without `.csv`. The summary counts the rows under this name.
    const FILE: &'static str;
}

/// Why a row cannot be imported. A problem names a column, never a value.
pub(super) type Problem = &'static str;

/// What was read of a file.
struct Content<R> {
    /// The rows with their lines.
    rows: Vec<(u64, R)>,
    /// The rows that cannot be read, with the line and the reason.
    bad: Vec<(u64, String)>,
}

/// The folder of an export, and what is told of reading its files.
pub(super) struct Folder<'a> {
    pub(super) path: &'a Path,
    pub(super) summary: &'a mut Summary,
    pub(super) progress: &'a dyn Progress,
}

impl Folder<'_> {
    /// Reads a file and hands its rows on with their places, one after the other. A row that cannot be read, or that is
    /// not taken, is counted and named, and the rest goes on. A file that is not there is noted.
    pub(super) async fn each<R: Row>(&mut self, mut take: impl FnMut(R, &Place) -> Result<(), Problem>) {
        let path = self.path.join(format!("{}.csv", R::FILE));
        let reading = tokio::task::spawn_blocking({
            let path = path.clone();
            move || read::<R>(&path)
        });
        let read = reading.await.unwrap_or_else(|_| Err(Fault::Broken(abandoned(&path))));
        self.progress.advance();
        let content = match read {
            Ok(content) => content,
            Err(Fault::Missing) => {
                self.summary.missing.insert(path);
                return;
            }
            Err(Fault::Broken(broken)) => {
                self.summary.broken.push(broken);
                return;
            }
        };
        self.summary.files += 1;
        let mut bad = content.bad;
        let whole: Arc<Path> = path.as_path().into();
        for (line, row) in content.rows {
            let place = Place { path: Arc::clone(&whole), line, column: 1 };
            if let Err(problem) = take(row, &place) {
                bad.push((line, problem.to_owned()));
            }
        }
        bad.sort();
        for (line, problem) in bad {
            self.summary.skip(R::FILE, 1, Reason::BadRow);
            self.summary.bad_rows.push(broken(&path, format!("line {line}: {problem}")));
        }
    }
}

/// Why nothing of a file can be read.
enum Fault {
    /// The folder has no such file.
    Missing,
    /// The file has another form than the files of an export.
    Broken(Broken),
}

/// Reads all rows of a file.
fn read<R: Row>(path: &PathBuf) -> Result<Content<R>, Fault> {
    let unreadable = |problem: String| Fault::Broken(broken(path, problem));
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Fault::Missing),
        Err(error) => return Err(unreadable(format!("cannot be read: {}", error.kind()))),
    };
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|error| unreadable(told(&error)))?.clone();
    if let Some(column) = record::columns::<R>().iter().find(|it| !header.iter().any(|column| column == **it)) {
        return Err(unreadable(format!("has no column {column}")));
    }
    let mut content = Content { rows: Vec::new(), bad: Vec::new() };
    let mut fields = csv::StringRecord::new();
    loop {
        let line = line(&bytes, reader.position());
        match reader.read_record(&mut fields) {
            Ok(false) => return Ok(content),
            Ok(true) => match record::row(&header, &fields) {
                Ok(row) => content.rows.push((line, row)),
                Err(column) => {
                    content.bad.push((line, format!("the value of {column} is not of the form that the column has")));
                }
            },
            Err(error) if error.is_io_error() => return Err(unreadable(told(&error))),
            Err(error) => content.bad.push((line, told(&error))),
        }
    }
}

/// The line of the next row: empty lines before the row are not part of it.
fn line(bytes: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default().iter();
    let empty = rest.take_while(|it| matches!(it, b'\r' | b'\n')).filter(|it| **it == b'\n').count();
    position.line() + u64::try_from(empty).unwrap_or(u64::MAX)
}

/// What is wrong with the form of a file or a row, without any value.
fn told(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns, and the first line has {expected_len}")
        }
        _ => "cannot be read".to_owned(),
    }
}
