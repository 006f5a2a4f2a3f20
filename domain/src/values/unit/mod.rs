mod ucum;
mod words;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::Text;
use crate::{Described, Invalid, Pointer, Shape};
pub use ucum::UcumCode;
use words::{MEASURES, UCUM, WORDS, Words};

/// A unit in which medicines are counted or dosed: the UCUM code where UCUM has the unit (`mL`, `[iU]`), or else a word
/// in the singular (`tablet`). The words that people write for a unit (`Tablets`, `tab.`) are read as the unit.
///
/// A unit that is in neither list stays: in lower case if it is a word, and as it was written otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Unit(String);

/// The longest text, in bytes, that is looked up. No longer text names a unit.
const LONGEST: usize = 60;

/// The unit for a word in lower case.
fn listed(word: &str, lists: [Words; 2]) -> Option<&'static str> {
    let is_named = |(unit, others): &&(&str, &[&str])| unit.eq_ignore_ascii_case(word) || others.contains(&word);
    lists.into_iter().flatten().find(is_named).map(|(unit, _)| *unit)
}

/// The unit for a word in lower case, in the singular or in the plural.
fn listed_in_any_number(word: &str, lists: [Words; 2]) -> Option<&'static str> {
    let singular = |ending: &str| word.strip_suffix(ending).filter(|it| it.chars().count() > 1);
    listed(word, lists)
        .or_else(|| listed(singular("(s)")?, lists))
        .or_else(|| listed(singular("s")?, lists))
        .or_else(|| listed(singular("es")?, lists))
        .or_else(|| listed(&format!("{}y", singular("ies")?), lists))
}

/// The unit of some lists that a text names, also as a rate such as `mg/hr`.
fn known(text: &str, lists: [Words; 2]) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    // UCUM writes what is counted in braces, `{tablet}`, and the micro sign as `u`.
    let bare = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(text);
    let word = bare.to_lowercase().replace(['\u{b5}', '\u{3bc}'], "u").replace(". ", " ");
    if let Some(unit) = listed(&word, lists) {
        return Some(unit.to_owned());
    }
    let parts = word.split('/').map(|part| listed_in_any_number(part.trim().trim_end_matches('.'), lists));
    parts.collect::<Option<Vec<_>>>().map(|it| it.join("/"))
}

/// The text with single spaces between its words.
fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The UCUM code of the unit of a measurement, such as `[lb_av]` for `pounds`, or `mm[Hg]`; `None` if the text names no
/// unit in which people are measured.
pub fn measuring_unit(text: &str) -> Option<String> {
    known(&single_spaced(text), [UCUM, MEASURES])
}

impl Unit {
    /// The unit as it is stored and answered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Unit {
    fn from(text: &str) -> Self {
        let text = single_spaced(text);
        let is_word = text.chars().all(|it| it.is_alphabetic() || matches!(it, ' ' | '-'));
        Self(known(&text, [UCUM, WORDS]).unwrap_or_else(|| if is_word { text.to_lowercase() } else { text }))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

impl Described for Unit {
    const SHAPE: Shape = Text::<20>::SHAPE;

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        // A listed unit may be a sign, such as `%`.
        if known(&self.0, [UCUM, WORDS]).is_none() {
            Text::<20>(self.0.clone()).check(at, invalid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn written() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), r"\{?[A-Za-z]{1,8}[.)}/ ]?[a-z]{0,4}"]
    }

    proptest! {
        #[test]
        fn a_unit_that_is_read_again_stays(text in written()) {
            let unit = Unit::from(text.as_str());
            prop_assert_eq!(Unit::from(unit.as_str()), unit);
        }
    }

    #[test]
    fn the_words_for_a_unit_are_one_unit() {
        for (unit, words) in [
            (
                "tablet",
                &["tablets", "Tablets", "TABLET", "tab", "TAB", "tabs", "tab.", "tablet(s)", "{tbl}", " tablet "][..],
            ),
            ("capsule", &["Caps", "CAP", "capsules", "cap.", "{capsule}"]),
            ("suppository", &["suppositories", "SUPP"]),
            ("box", &["boxes", "BX"]),
            ("patch", &["patches", "Patch"]),
            ("mL", &["ml", "ML", "mls", "millilitres", "cc", "mL"]),
            ("ug", &["mcg", "\u{b5}g", "\u{3bc}g", "micrograms", "UG"]),
            ("mg", &["MG", "milligrams", "mgs"]),
            ("g", &["G", "gm", "grams"]),
            ("[iU]", &["IU", "iu", "I.U.", "international  units", "[IU]"]),
            ("[drp]", &["drops", "gtt", "gtts"]),
            ("unit", &["Units", "U", "unit"]),
            ("each", &["EA", "pieces", "pcs"]),
            ("mg/h", &["MG/hr", "mg / hour"]),
            ("ug/mL", &["mcg/ml"]),
            ("mg/kg/d", &["mg/kg/day"]),
        ] {
            for word in words {
                assert_eq!(Unit::from(*word).as_str(), unit, "{word:?}");
            }
        }
    }

    #[test]
    fn a_unit_of_signs_is_one_that_is_listed() {
        assert!(Unit::from("%").is_valid());
        for text in ["...", "-", "/", "{}", "\u{b0}"] {
            assert!(!Unit::from(text).is_valid(), "{text}");
        }
    }

    #[test]
    fn people_are_measured_in_units_that_count_no_medicine() {
        for (text, code) in [("pounds", "[lb_av]"), ("deg. C", "Cel"), ("mm Hg", "mm[Hg]"), ("L / min", "L/min")] {
            assert_eq!(measuring_unit(text).as_deref(), Some(code), "{text}");
        }
        assert_eq!(measuring_unit("tablet"), None);
        assert_eq!(Unit::from("M").as_str(), "m", "a word that is not listed for medicines stays a word");
    }

    #[test]
    fn different_units_stay_different() {
        let units = ["tablet", "caplet", "capsule", "mg", "g", "ug", "mL", "L", "unit", "[iU]", "meq", "mmol", "dose"];
        assert_eq!(units.map(Unit::from).into_iter().collect::<BTreeSet<_>>().len(), units.len());
    }

    #[test]
    fn a_unit_that_is_not_listed_stays() {
        for (text, unit) in [("Globuli", "globuli"), ("10*6.[CFU]", "10*6.[CFU]"), ("Kisten  groß", "kisten groß")] {
            assert_eq!(Unit::from(text).as_str(), unit);
        }
    }

    #[test]
    fn each_word_is_listed_once_and_in_lower_case() {
        for lists in [[UCUM, WORDS], [UCUM, MEASURES]] {
            let mut seen = BTreeSet::new();
            for (unit, words) in lists.into_iter().flatten() {
                for word in [unit.to_lowercase().as_str()].into_iter().chain(words.iter().copied()) {
                    assert_eq!(word, word.to_lowercase());
                    assert!(seen.insert(word.to_owned()), "{word} is listed twice");
                    assert_eq!(known(word, lists).as_deref(), Some(*unit), "{word}");
                }
            }
        }
        for (unit, _) in UCUM.iter().chain(WORDS) {
            assert!(Unit::from(*unit).is_valid() && Unit::from(*unit).as_str() == *unit);
        }
    }
}
