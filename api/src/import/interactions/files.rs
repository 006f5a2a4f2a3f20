//! Reading the files of the thesaurus: the rules and the substances as JSON, and the substances' ingredients as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hims_domain::interaction_profile::Severity;
use hims_domain::values::Text;
use hims_domain::values::coding::{RXNORM, read_code};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::names::folded;
use crate::import::Broken;

/// The file that tells the classes of each substance.
const SUBSTANCES: &str = "ansm_substances.json";
/// The file that tells the ingredients of each substance.
const MAPPINGS: &str = "ansm_rxnorm_mappings.tsv";
/// What stands in the table of ingredients for a substance without an ingredient in RxNorm.
const WITHOUT_INGREDIENT: &str = "NA";

/// What a folder holds.
#[derive(Default)]
pub(super) struct Read {
    /// The thesaurus; `None` if a file of it could not be read at all.
    pub(super) thesaurus: Option<Thesaurus>,
    /// The files, and the records of files, that could not be read.
    pub(super) broken: Vec<Broken>,
}

/// The thesaurus as it stands in the files. All names are folded.
pub(super) struct Thesaurus {
    /// The version, which the name of the file of rules tells.
    pub(super) version: String,
    pub(super) rules: Vec<Rule>,
    /// The substances of each class.
    pub(super) classes: BTreeMap<String, BTreeSet<String>>,
    pub(super) substances: BTreeSet<String>,
    /// The ingredients of each substance (RxCUI).
    pub(super) ingredients: BTreeMap<String, BTreeSet<Text<20>>>,
    /// The number of lines of the table of ingredients.
    pub(super) mappings: u64,
    /// The number of those lines that name no ingredient.
    pub(super) without_ingredient: u64,
}

/// What the thesaurus says about two sides, each of which is a substance or a class.
pub(super) struct Rule {
    pub(super) sides: [String; 2],
    pub(super) levels: Vec<Level>,
    pub(super) mechanism: String,
}

/// A level of severity that a rule names.
pub(super) struct Level {
    pub(super) severity: Severity,
    /// The level in the words of the thesaurus.
    pub(super) words: String,
    /// When the level counts, in words; empty if always.
    pub(super) condition: String,
}

impl Rule {
    /// The highest level.
    pub(super) fn severity(&self) -> Severity {
        self.levels.iter().map(|it| it.severity).max().unwrap_or(Severity::None)
    }

    /// The two sides in one order, whichever of them the file names first.
    pub(super) fn unordered(&self) -> (&str, &str) {
        let [one, other] = &self.sides;
        if one <= other { (one, other) } else { (other, one) }
    }
}

#[derive(Deserialize)]
struct WrittenRule {
    main_drug: String,
    plus_drug: String,
    severity_levels: Vec<WrittenLevel>,
    #[serde(default)]
    interaction_mechanism: String,
}

#[derive(Deserialize)]
struct WrittenLevel {
    level: String,
    #[serde(default)]
    info: String,
}

#[derive(Deserialize)]
struct WrittenSubstance {
    substance: String,
    drug_classes: Vec<String>,
}

/// Reads the thesaurus in a folder.
pub(super) fn read(folder: &Path) -> Read {
    let mut read = Read::default();
    let rules = rules_file(folder, &mut read.broken);
    let texts = [folder.join(SUBSTANCES), folder.join(MAPPINGS)].map(|path| text(path, &mut read.broken));
    let (Some((version, rules)), [Some(substances), Some(mappings)]) = (rules, texts) else { return read };
    let Some(rules) = text(rules, &mut read.broken) else { return read };
    let rules = records::<WrittenRule>(&rules, &mut read.broken);
    let listed = records::<WrittenSubstance>(&substances, &mut read.broken);
    let (Some(rules), Some(listed)) = (rules, listed) else { return read };
    let mut thesaurus = Thesaurus {
        version,
        rules: Vec::new(),
        classes: BTreeMap::new(),
        substances: BTreeSet::new(),
        ingredients: BTreeMap::new(),
        mappings: 0,
        without_ingredient: 0,
    };
    for (place, it) in rules {
        match rule(it) {
            Ok(rule) => thesaurus.rules.push(rule),
            Err(problem) => read.broken.push(place.broken(&problem)),
        }
    }
    for (_, it) in listed {
        let name = folded(&it.substance);
        for class in it.drug_classes {
            thesaurus.classes.entry(folded(&class)).or_default().insert(name.clone());
        }
        thesaurus.substances.insert(name);
    }
    thesaurus.map(&mappings, &mut read.broken);
    Read { thesaurus: Some(thesaurus), ..read }
}

/// The file of rules, `ansm_YYYY_MM.json`, of which the newest counts, and the version that its name tells.
fn rules_file(folder: &Path, broken: &mut Vec<Broken>) -> Option<(String, PathBuf)> {
    let problem = |problem: String| Broken { path: folder.to_owned(), problem };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            broken.push(problem(format!("cannot be read: {}", error.kind())));
            return None;
        }
    };
    let version = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_prefix("ansm_")?.strip_suffix(".json")?;
        let (year, month) = name.split_once('_')?;
        let is_number = |digits: &str, length| digits.len() == length && digits.bytes().all(|it| it.is_ascii_digit());
        (is_number(year, 4) && is_number(month, 2)).then(|| format!("{year}-{month}"))
    };
    let paths = entries.filter_map(|it| Some(it.ok()?.path()));
    let newest = paths.filter_map(|path| Some((version(&path)?, path))).max();
    if newest.is_none() {
        broken.push(problem("a folder without a file of rules, ansm_YYYY_MM.json".to_owned()));
    }
    newest
}

/// A file that was read.
struct Content {
    path: PathBuf,
    text: String,
}

/// A line of a file.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Place<'_> {
    /// The problem of what stands at the place.
    fn broken(&self, problem: &str) -> Broken {
        Broken { path: self.path.to_owned(), problem: format!("line {}: {problem}", self.line) }
    }
}

/// The text of a file, in UTF-8.
fn text(path: PathBuf, broken: &mut Vec<Broken>) -> Option<Content> {
    let problem = match fs::read(&path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
                return Some(Content { path, text });
            }
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = before.split(|it| *it == b'\n').count();
                format!("line {line}: not UTF-8")
            }
        },
        Err(error) => format!("cannot be read: {}", error.kind()),
    };
    broken.push(Broken { path, problem });
    None
}

/// The records of a JSON array, each with its line. A record that does not have its fields is left out; `None` if the
/// file is no JSON array.
fn records<'a, T: DeserializeOwned>(content: &'a Content, broken: &mut Vec<Broken>) -> Option<Vec<(Place<'a>, T)>> {
    let raw: Vec<&RawValue> = match serde_json::from_str(&content.text) {
        Ok(raw) => raw,
        Err(error) => {
            let place = Place { path: &content.path, line: error.line() };
            broken.push(place.broken("no JSON array, or broken off"));
            return None;
        }
    };
    let (mut records, mut line, mut reached) = (Vec::with_capacity(raw.len()), 1, 0);
    for it in raw {
        // The text of a record is a part of the text of the file, so the difference of the addresses is its place.
        let at = it.get().as_ptr().addr().saturating_sub(content.text.as_ptr().addr());
        line += content.text.get(reached..at).map_or(0, |passed| passed.matches('\n').count());
        reached = at;
        let place = Place { path: &content.path, line };
        match serde_json::from_str(it.get()) {
            Ok(record) => records.push((place, record)),
            Err(error) => {
                let at = Place { line: line + error.line().saturating_sub(1), ..place };
                broken.push(at.broken("a record without the fields that it must have, or with others' values"));
            }
        }
    }
    Some(records)
}

/// The severity that a level means.
fn severity(level: &str) -> Option<Severity> {
    let level = folded(level);
    let meanings = [
        ("CONTRE-INDICATION", Severity::Contraindicated),
        ("DECONSEILLEE", Severity::Major),
        ("PRECAUTION D'EMPLOI", Severity::Moderate),
        ("PRENDRE EN COMPTE", Severity::Minor),
    ];
    meanings.into_iter().find(|(words, _)| level.contains(words)).map(|(_, severity)| severity)
}

/// The text without line breaks, which are those of printed pages.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rule(written: WrittenRule) -> Result<Rule, String> {
    let sides = [folded(&written.main_drug), folded(&written.plus_drug)];
    if sides.iter().any(String::is_empty) {
        return Err("a rule with a side that has no name".to_owned());
    }
    if written.severity_levels.is_empty() {
        return Err("a rule without a level".to_owned());
    }
    let level = |it: WrittenLevel| {
        let severity = severity(&it.level).ok_or("a rule with a level that is none of the four")?;
        Ok::<_, String>(Level { severity, words: in_one_line(&it.level), condition: in_one_line(&it.info) })
    };
    let levels = written.severity_levels.into_iter().map(level).collect::<Result<_, _>>()?;
    Ok(Rule { sides, levels, mechanism: in_one_line(&written.interaction_mechanism) })
}

impl Thesaurus {
    /// Reads the table of ingredients, whose first line names the columns.
    fn map(&mut self, table: &Content, broken: &mut Vec<Broken>) {
        let lines = table.text.lines().zip(1..).skip(1).filter(|(text, _)| !text.trim().is_empty());
        for (text, line) in lines {
            let place = Place { path: &table.path, line };
            let Some((substance, code)) = text.split_once('\t').filter(|(_, code)| !code.contains('\t')) else {
                broken.push(place.broken("not two columns, a substance and an RxCUI, with a tab between them"));
                continue;
            };
            let code = code.trim();
            if code == WITHOUT_INGREDIENT {
                self.without_ingredient += 1;
            } else if let Ok(code) = read_code(RXNORM, code) {
                self.ingredients.entry(folded(substance)).or_default().insert(Text(code));
            } else {
                broken.push(place.broken("neither an RxCUI of 1 to 8 digits nor NA in the second column"));
                continue;
            }
            self.mappings += 1;
        }
    }
}
