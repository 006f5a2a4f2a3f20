use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::Text;
use crate::{Described, Invalid, Pointer, Shape};

/// A unit in which medicines are counted or dosed: the UCUM code where UCUM has the unit (`mL`, `[iU]`), or else a word
/// in the singular (`tablet`). The words that people write for a unit (`Tablets`, `tab.`) are read as the unit.
///
/// A unit that is in neither list stays: in lower case if it is a word, and as it was written otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Unit(String);

/// Units of UCUM, each with other words for it, in lower case and in the singular.
const UCUM: &[(&str, &[&str])] = &[
    ("kg", &["kilogram", "kilogramme", "kilo"]),
    ("g", &["gram", "gramme", "gm", "grm"]),
    ("mg", &["milligram", "milligramme"]),
    ("ug", &["microgram", "microgramme", "mcg"]),
    ("ng", &["nanogram", "nanogramme"]),
    ("L", &["liter", "litre", "ltr"]),
    ("dL", &["deciliter", "decilitre"]),
    ("cL", &["centiliter", "centilitre"]),
    ("mL", &["milliliter", "millilitre", "cc", "ccm"]),
    ("uL", &["microliter", "microlitre"]),
    ("mol", &["mole"]),
    ("mmol", &["millimol", "millimole"]),
    ("umol", &["micromol", "micromole"]),
    ("meq", &["milliequivalent"]),
    ("[iU]", &["iu", "i.u", "international unit", "ie", "i.e", "ui"]),
    ("[USP'U]", &["usp unit"]),
    ("[CFU]", &["cfu", "colony forming unit"]),
    ("[drp]", &["drop", "gtt", "drp"]),
    ("kBq", &["kilobecquerel"]),
    ("MBq", &["megabecquerel"]),
    ("GBq", &["gigabecquerel"]),
    ("mCi", &["millicurie"]),
    ("%", &["percent", "per cent"]),
    ("mm", &["millimeter", "millimetre"]),
    ("cm", &["centimeter", "centimetre"]),
    ("min", &["minute"]),
    ("h", &["hour", "hr"]),
    ("d", &["day"]),
    ("wk", &["week"]),
    ("mo", &["month"]),
];

/// Units that UCUM does not have, each with other words for it, in lower case and in the singular. Among the other
/// words are the codes of HL7 v3 for forms of drugs (`orderableDrugForm`), such as `tab`.
const WORDS: &[(&str, &[&str])] = &[
    ("actuation", &[]),
    ("ampoule", &["amp", "ampul", "ampule"]),
    ("applicatorful", &["applicator", "appful"]),
    ("bag", &[]),
    ("bar", &[]),
    ("blister", &[]),
    ("bottle", &["btl", "bot"]),
    ("box", &["bx"]),
    ("can", &[]),
    ("canister", &[]),
    ("caplet", &["cplt"]),
    ("capsule", &["cap", "cps"]),
    ("carton", &["ctn"]),
    ("cartridge", &[]),
    ("course", &[]),
    ("device", &[]),
    ("disk", &["disc"]),
    ("dose", &[]),
    ("each", &["ea", "piece", "pc", "item"]),
    ("film", &[]),
    ("fluid ounce", &["fl oz", "fl. oz", "floz"]),
    ("gum", &["chewing gum"]),
    ("implant", &[]),
    ("inhalation", &[]),
    ("inhaler", &["inh"]),
    ("insert", &[]),
    ("jar", &[]),
    ("kit", &[]),
    ("lozenge", &["loz"]),
    ("nebule", &["neb", "respule"]),
    ("ounce", &["oz"]),
    ("pack", &["package", "pkg", "pk"]),
    ("packet", &["pkt"]),
    ("pad", &[]),
    ("pastille", &[]),
    ("patch", &[]),
    ("pellet", &[]),
    ("pen", &["prefilled pen", "pre-filled pen"]),
    ("pessary", &[]),
    ("pill", &[]),
    ("pouch", &[]),
    ("puff", &[]),
    ("ring", &[]),
    ("sachet", &[]),
    ("scoop", &[]),
    ("softgel", &["soft gel"]),
    ("sponge", &[]),
    ("spray", &["spry"]),
    ("strip", &["test strip"]),
    ("suppository", &["supp", "suppos"]),
    ("swab", &[]),
    ("syringe", &["syr", "prefilled syringe", "pre-filled syringe"]),
    ("tablespoon", &["tablespoonful", "tbsp", "tbs"]),
    ("tablet", &["tab", "tabl", "tbl"]),
    ("teaspoon", &["teaspoonful", "tsp"]),
    ("troche", &[]),
    ("tube", &[]),
    ("unit", &["u", "unt"]),
    ("vial", &["vl"]),
    ("wafer", &[]),
];

/// The longest text, in bytes, that is looked up. No longer text names a unit.
const LONGEST: usize = 60;

/// The unit for a word in lower case.
fn listed(word: &str) -> Option<&'static str> {
    let is_named = |(unit, others): &&(&str, &[&str])| unit.eq_ignore_ascii_case(word) || others.contains(&word);
    UCUM.iter().chain(WORDS).find(is_named).map(|(unit, _)| *unit)
}

/// The unit for a word in lower case, in the singular or in the plural.
fn listed_in_any_number(word: &str) -> Option<&'static str> {
    let singular = |ending: &str| word.strip_suffix(ending).filter(|it| it.chars().count() > 1);
    listed(word)
        .or_else(|| listed(singular("(s)")?))
        .or_else(|| listed(singular("s")?))
        .or_else(|| listed(singular("es")?))
        .or_else(|| listed(&format!("{}y", singular("ies")?)))
}

/// The known unit that a text names, also as a rate such as `mg/hr`.
fn known(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    // UCUM writes what is counted in braces, `{tablet}`, and the micro sign as `u`.
    let bare = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(text);
    let word = bare.to_lowercase().replace(['\u{b5}', '\u{3bc}'], "u");
    let parts = word.split('/').map(|part| listed_in_any_number(part.trim().trim_end_matches('.')));
    parts.collect::<Option<Vec<_>>>().map(|it| it.join("/"))
}

impl Unit {
    /// The unit as it is stored and answered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Unit {
    fn from(text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_word = text.chars().all(|it| it.is_alphabetic() || matches!(it, ' ' | '-'));
        Self(known(&text).unwrap_or_else(|| if is_word { text.to_lowercase() } else { text }))
    }
}

impl From<Text<20>> for Unit {
    fn from(text: Text<20>) -> Self {
        Self::from(text.as_str())
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
        Text::<20>(self.0.clone()).check(at, invalid);
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
        let mut seen = BTreeSet::new();
        for (unit, words) in UCUM.iter().chain(WORDS) {
            for word in [unit.to_lowercase().as_str()].into_iter().chain(words.iter().copied()) {
                assert_eq!(word, word.to_lowercase());
                assert!(seen.insert(word.to_owned()), "{word} is listed twice");
                assert_eq!(Unit::from(word).as_str(), *unit, "{word}");
            }
            assert!(Unit::from(*unit).is_valid() && Unit::from(*unit).as_str() == *unit);
        }
    }
}
