//! Reading the files of an export, row by row. A row that cannot be read is named by its line and its column, never by
//! a value, which could be personal.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::super::files::{abandoned, broken};
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::summary::{Broken, Fate, Summary};

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
    /// Reads a file and hands its rows on, one after the other. A row that cannot be read, or that is not taken, is
    /// counted and named, and the rest goes on. A file that is not there is noted.
    pub(super) async fn each<R: Row>(&mut self, mut take: impl FnMut(R) -> Result<(), Problem>) {
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
        for (line, row) in content.rows {
            if let Err(problem) = take(row) {
                bad.push((line, problem.to_owned()));
            }
        }
        bad.sort();
        for (line, problem) in bad {
            self.summary.count(R::FILE, 1, Fate::Skipped(Reason::BadRow));
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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Fault::Missing),
        Err(error) => return Err(unreadable(format!("cannot be read: {}", error.kind()))),
    };
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(|error| unreadable(told(&error, None)))?.clone();
    let mut content = Content { rows: Vec::new(), bad: Vec::new() };
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(content),
            Ok(true) => {
                // Empty lines before the row are not part of it.
                let line = record.position().map_or(line, csv::Position::line);
                match record.deserialize(Some(&header)) {
                    Ok(row) => content.rows.push((line, row)),
                    Err(error) => match missing_column(&error) {
                        Some(column) => return Err(unreadable(format!("has no column {column}"))),
                        None => content.bad.push((line, told(&error, Some(&header)))),
                    },
                }
            }
            Err(error) if error.is_io_error() => return Err(unreadable(told(&error, None))),
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                content.bad.push((line, told(&error, Some(&header))));
            }
        }
    }
}

/// The column that a file lacks, if a row could not be read for that reason. The library says so in words only.
fn missing_column(error: &csv::Error) -> Option<&str> {
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else { return None };
    let csv::DeserializeErrorKind::Message(message) = err.kind() else { return None };
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// What is wrong, without the value that is wrong.
fn told(error: &csv::Error, header: Option<&csv::StringRecord>) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => format!("cannot be read: {}", error.kind()),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns, and the first line has {expected_len}")
        }
        csv::ErrorKind::Deserialize { err, .. } => {
            let field = err.field().and_then(|it| usize::try_from(it).ok());
            match field.and_then(|it| header?.get(it)) {
                Some(column) => format!("the value of {column} is not of the form that the column has"),
                None => "has another form than the rows of this file".to_owned(),
            }
        }
        _ => "cannot be read".to_owned(),
    }
}
