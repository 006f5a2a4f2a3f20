use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kept::Element;
use super::reason::Reason;

/// How many places are kept for one reason of one type.
const PLACES: usize = 100;

/// The result of an import. Every resource of every file is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many files were read.
    pub files: u64,
    /// The files that could not be read.
    pub broken: Vec<Broken>,
    /// The rows of files that could not be read, each with its line.
    pub bad_rows: Vec<Broken>,
    /// The files of an export that the folder does not have.
    pub missing: BTreeSet<PathBuf>,
    /// The files in folders that were not read, since they hold no JSON.
    pub passed_over: BTreeSet<PathBuf>,
    /// What became of the resources, by their type.
    pub resources: BTreeMap<String, Counts>,
    /// The paths of elements of imported resources that the record has no place for or could not keep, and how often.
    pub left_out: BTreeMap<String, u64>,
    /// How many streams the import began, by their type.
    pub begun: BTreeMap<&'static str, u64>,
    /// How many events the import recorded.
    pub events: u64,
}

/// What became of the resources of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many resources are in the record now that were not before.
    pub imported: u64,
    /// How many resources were in the record before, or are copies in further files.
    pub already_there: u64,
    /// How many resources are not in the record, by the reason.
    pub skipped: BTreeMap<Reason, u64>,
    /// Where those of the skipped resources stand that are faulty themselves: the first 100 places for each reason, by
    /// path and line.
    pub places: BTreeMap<Reason, BTreeSet<Place>>,
}

/// Where a resource, or a row, begins in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path of the file.
    pub path: Arc<Path>,
    /// The line, from 1; of a compressed file, the line of what was compressed.
    pub line: u64,
    /// The byte of the line, from 1: a file may hold all its resources in one line.
    pub column: u64,
}

/// A file, or a row of a file, that could not be read. The problem names a place in the file, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The path of the file.
    pub path: PathBuf,
    /// Why the file could not be read.
    pub problem: String,
}

/// What became of a resource.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// The resource is in the record now, without the elements named here.
    Imported(Vec<Element>),
    /// The resource was in the record before.
    AlreadyThere,
    /// The resource is not in the record.
    Skipped(Reason),
}

impl Summary {
    /// Whether every file, and every row of every file, could be read.
    pub fn is_complete(&self) -> bool {
        self.broken.is_empty() && self.bad_rows.is_empty()
    }

    /// What became of the resources of a type.
    pub fn of(&self, resource_type: &str) -> Counts {
        self.resources.get(resource_type).cloned().unwrap_or_default()
    }

    /// Counts the copies of a resource, each with its place, of which only one can be imported newly. What was left out
    /// counts also where the files hold no resource of the type, such as for a product that only a request names.
    pub(super) fn count(&mut self, resource_type: &str, places: Vec<Place>, fate: Fate) {
        let copies = u64::try_from(places.len()).unwrap_or(u64::MAX);
        let is_counted = copies > 0;
        match fate {
            Fate::Imported(left_out) => {
                for element in left_out {
                    *self.left_out.entry(format!("{resource_type}.{element}")).or_default() += 1;
                }
                if is_counted {
                    let counts = self.counts(resource_type);
                    counts.imported += 1;
                    counts.already_there += copies - 1;
                }
            }
            Fate::AlreadyThere if is_counted => self.counts(resource_type).already_there += copies,
            Fate::Skipped(reason) if is_counted => {
                self.skip(resource_type, copies, reason);
                if reason.is_fault() {
                    self.counts(resource_type).name(reason, places);
                }
            }
            Fate::AlreadyThere | Fate::Skipped(_) => {}
        }
    }

    /// Counts resources, or rows, that are not in the record, without their places: the reason is no fault of theirs, or
    /// the places are named elsewhere.
    pub(super) fn skip(&mut self, resource_type: &str, count: u64, reason: Reason) {
        if count > 0 {
            *self.counts(resource_type).skipped.entry(reason).or_default() += count;
        }
    }

    /// Counts under other names: the names of the files in which the resources stand.
    pub(super) fn renamed(&mut self, names: &[(&str, &str)]) {
        for (resource_type, name) in names {
            if let Some(counts) = self.resources.remove(*resource_type) {
                self.counts(name).merge(counts);
            }
        }
        let prefix = |path: &str| {
            let (resource_type, element) = path.split_once('.')?;
            let (_, name) = names.iter().find(|it| it.0 == resource_type)?;
            Some(format!("{name}.{element}"))
        };
        let left_out = std::mem::take(&mut self.left_out);
        self.left_out = left_out.into_iter().map(|(path, count)| (prefix(&path).unwrap_or(path), count)).collect();
    }

    /// Adds what became of the rows of a file that are parts of others.
    pub(super) fn add(&mut self, name: &str, parts: Counts) {
        if parts != Counts::default() {
            self.counts(name).merge(parts);
        }
    }

    fn counts(&mut self, resource_type: &str) -> &mut Counts {
        self.resources.entry(resource_type.to_owned()).or_default()
    }
}

impl Counts {
    /// How many resources are not in the record.
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    fn merge(&mut self, other: Self) {
        self.imported += other.imported;
        self.already_there += other.already_there;
        for (reason, count) in other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
        for (reason, places) in other.places {
            self.name(reason, places);
        }
    }

    /// Keeps the places of faulty resources, as far as there is room.
    fn name(&mut self, reason: Reason, places: impl IntoIterator<Item = Place>) {
        let kept = self.places.entry(reason).or_default();
        kept.extend(places);
        while kept.len() > PLACES {
            kept.pop_last();
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.path.display(), self.line)?;
        if self.column > 1 { write!(f, ", column {}", self.column) } else { Ok(()) }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>10}{:>15}{:>10}", "resource", "imported", "already there", "skipped")?;
        for (name, it) in &self.resources {
            writeln!(f, "{name:<24}{:>10}{:>15}{:>10}", it.imported, it.already_there, it.skipped())?;
        }
        for (name, it) in &self.resources {
            for (reason, count) in &it.skipped {
                writeln!(f, "skipped {count} {name}: {reason}")?;
                let Some(places) = it.places.get(reason) else { continue };
                for place in places {
                    writeln!(f, "    in {place}")?;
                }
                let others = count.saturating_sub(u64::try_from(places.len()).unwrap_or(u64::MAX));
                if others > 0 {
                    writeln!(f, "    and {others} more")?;
                }
            }
        }
        for (element, count) in &self.left_out {
            writeln!(f, "left out {count} {element}: the record has no place for it, or not in this form")?;
        }
        for Broken { path, problem } in &self.broken {
            writeln!(f, "broken file {}: {problem}", path.display())?;
        }
        for Broken { path, problem } in &self.bad_rows {
            writeln!(f, "bad row in {}: {problem}", path.display())?;
        }
        for path in &self.missing {
            writeln!(f, "not there: {}", path.display())?;
        }
        for path in &self.passed_over {
            writeln!(f, "passed over {}: no JSON", path.display())?;
        }
        write!(f, "{} files read, {} not readable, {} new events", self.files, self.broken.len(), self.events)
    }
}
