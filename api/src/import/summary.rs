use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::reason::Reason;

/// What became of an import: every resource of every file is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that were read.
    pub files: u64,
    /// Files that could not be read, by name.
    pub broken: Vec<Broken>,
    /// What became of the resources, by their type.
    pub resources: BTreeMap<String, Counts>,
    /// What of an imported resource the record could not keep, and how often.
    pub left_out: BTreeMap<String, u64>,
    /// New streams of the log, by their type.
    pub begun: BTreeMap<&'static str, u64>,
    /// New events of the log.
    pub events: u64,
}

/// What became of the resources of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the record now, and not before.
    pub imported: u64,
    /// In the record before, or repeated from file to file.
    pub already_there: u64,
    /// Not in the record, and why.
    pub skipped: BTreeMap<Reason, u64>,
}

/// A file that could not be read. What was wrong names a place, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub path: PathBuf,
    /// What was wrong.
    pub problem: String,
}

/// What became of a resource.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is in the record now, but for the elements named here.
    Imported(Vec<&'static str>),
    /// It was in the record before.
    AlreadyThere,
    /// It is not in the record.
    Skipped(Reason),
}

impl Summary {
    /// Whether every file could be read.
    pub fn is_complete(&self) -> bool {
        self.broken.is_empty()
    }

    /// What became of the resources of a type.
    pub fn of(&self, resource_type: &str) -> Counts {
        self.resources.get(resource_type).cloned().unwrap_or_default()
    }

    /// Counts so many copies of a resource: only one of them can be new.
    pub(super) fn count(&mut self, resource_type: &str, copies: u64, fate: Fate) {
        if copies == 0 {
            return;
        }
        let counts = self.resources.entry(resource_type.to_owned()).or_default();
        match fate {
            Fate::Imported(left_out) => {
                counts.imported += 1;
                counts.already_there += copies - 1;
                for element in left_out {
                    *self.left_out.entry(format!("{resource_type}.{element}")).or_default() += 1;
                }
            }
            Fate::AlreadyThere => counts.already_there += copies,
            Fate::Skipped(reason) => *counts.skipped.entry(reason).or_default() += copies,
        }
    }
}

impl Counts {
    /// How many are not in the record.
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
            writeln!(f, "left out {count} {element}: not of a form that the record keeps")?;
        }
        for Broken { path, problem } in &self.broken {
            writeln!(f, "broken file {}: {problem}", path.display())?;
        }
        write!(f, "{} files read, {} not readable, {} new events", self.files, self.broken.len(), self.events)
    }
}
