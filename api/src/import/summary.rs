use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::kept::Element;
use super::reason::Reason;

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

    /// Counts the copies of a resource, of which only one can be imported newly. What was left out counts also where
    /// the files hold no resource of the type, such as for a product that only a request names.
    pub(super) fn count(&mut self, resource_type: &str, copies: u64, fate: Fate) {
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
                *self.counts(resource_type).skipped.entry(reason).or_default() += copies;
            }
            Fate::AlreadyThere | Fate::Skipped(_) => {}
        }
    }

    /// Counts under other names: the names of the files in which the resources stand.
    pub(super) fn renamed(&mut self, names: &[(&str, &str)]) {
        for (resource_type, name) in names {
            if let Some(counts) = self.resources.remove(*resource_type) {
                let there = self.counts(name);
                there.imported += counts.imported;
                there.already_there += counts.already_there;
                for (reason, count) in counts.skipped {
                    *there.skipped.entry(reason).or_default() += count;
                }
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
        if parts == Counts::default() {
            return;
        }
        let counts = self.counts(name);
        counts.imported += parts.imported;
        counts.already_there += parts.already_there;
        for (reason, count) in parts.skipped {
            *counts.skipped.entry(reason).or_default() += count;
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
