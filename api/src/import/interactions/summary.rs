use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hims_domain::interaction_profile::{Content, Severity};
use hims_domain::values::Text;

use super::files::Thesaurus;
use super::rules::Found;
use crate::import::Broken;

/// The result of an import of interactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InteractionSummary {
    /// The version of the thesaurus; empty if nothing was imported.
    pub version: String,
    /// How many rules the thesaurus has.
    pub rules: u64,
    /// How many rules are no mirror images of others.
    pub distinct_rules: u64,
    /// How many rules have several levels.
    pub conditional_rules: u64,
    /// How many substances the thesaurus has.
    pub substances: u64,
    /// How many classes of substances the thesaurus has.
    pub classes: u64,
    /// How many lines tell the ingredient of a substance.
    pub mappings: u64,
    /// How many of these lines tell that there is none.
    pub without_ingredient: u64,
    /// How many pairs of ingredients there are, by their severity.
    pub pairs: BTreeMap<Severity, u64>,
    /// How many ingredients stand in a pair.
    pub ingredients: u64,
    /// The names in rules that are neither a substance nor a class, and how often each stands there.
    pub unknown: BTreeMap<String, u64>,
    /// How many rules lead to no pair of ingredients.
    pub without_pair: u64,
    /// What could not be read.
    pub broken: Vec<Broken>,
    /// How many events the import recorded.
    pub events: u64,
}

impl InteractionSummary {
    /// Whether everything could be read.
    pub fn is_complete(&self) -> bool {
        self.broken.is_empty() && !self.version.is_empty()
    }

    /// Counts what the thesaurus holds, and the pairs of the profiles that are made of it.
    pub(super) fn count(&mut self, thesaurus: &Thesaurus, found: &Found, profiles: &BTreeMap<Text<20>, Content>) {
        let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        self.version.clone_from(&thesaurus.version);
        self.rules = number(thesaurus.rules.len());
        self.distinct_rules = found.distinct;
        self.conditional_rules = number(thesaurus.rules.iter().filter(|it| it.levels.len() > 1).count());
        self.substances = number(thesaurus.substances.len());
        self.classes = number(thesaurus.classes.len());
        self.mappings = thesaurus.mappings;
        self.without_ingredient = thesaurus.without_ingredient;
        for pair in profiles.values().flat_map(|it| it.pairs.values()) {
            *self.pairs.entry(pair.severity).or_default() += 1;
        }
        let ingredients: BTreeSet<_> = found.pairs.keys().flat_map(|(one, other)| [one, other]).collect();
        self.ingredients = number(ingredients.len());
        self.unknown.clone_from(&found.unknown);
        self.without_pair = found.without_pair;
    }
}

impl fmt::Display for InteractionSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version.is_empty() {
            writeln!(f, "nothing was imported")?;
        } else {
            writeln!(
                f,
                "ANSM {}: {} rules ({} without mirror images, {} with several levels), {} substances, {} classes, {} \
                 mappings ({} without an ingredient)",
                self.version,
                self.rules,
                self.distinct_rules,
                self.conditional_rules,
                self.substances,
                self.classes,
                self.mappings,
                self.without_ingredient
            )?;
            writeln!(f, "{} pairs of {} ingredients", self.pairs.values().sum::<u64>(), self.ingredients)?;
            for (severity, count) in self.pairs.iter().rev() {
                writeln!(f, "{count:>10} {severity}")?;
            }
            for (name, count) in &self.unknown {
                writeln!(f, "unknown in {count} rules: {name}")?;
            }
            writeln!(f, "{} rules lead to no pair of ingredients", self.without_pair)?;
        }
        for Broken { path, problem } in &self.broken {
            writeln!(f, "broken file {}: {problem}", path.display())?;
        }
        write!(f, "{} new events", self.events)
    }
}
