//! Resources that say the opposite of what their type says: that there is no allergy, problem, medication, procedure or
//! immunization, or that nothing is known. Codes say so for every type, and words for allergies.

use hims_domain::values::words;

use super::datatypes::{CodeableConcept, Coding};

/// Codes of SNOMED CT for the absence of an allergy.
const ABSENT: [&str; 9] = [
    "716186003",  // no known allergy
    "409137002",  // no known drug allergy
    "428607008",  // no known environmental allergy
    "429625007",  // no known food allergy
    "716184000",  // no known latex allergy
    "1003774007", // no known latex allergy, since the code before was retired
    "716220001",  // no known animal allergy
    "428197003",  // no known insect allergy
    "160244002",  // no known allergies
];

/// The code system of the International Patient Summary of which every code says that something is absent or unknown,
/// such as `no-known-problems` and `no-medication-info`
/// (<https://hl7.org/fhir/uv/ips/STU1.1/CodeSystem-absent-unknown-uv-ips.html>).
const IPS: &str = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips";

/// Codes of SNOMED CT that say of other things than allergies that there is nothing. They are what the International
/// Patient Summary takes instead of its own codes
/// (<https://hl7.org/fhir/uv/ips/ConceptMap-absence-to-snomed-uv-ips.html>).
const NOTHING: [&str; 5] = [
    "160245001", // no current problems or disability
    "787480003", // no known procedures
    "787481004", // no known medications
    "787482006", // no known immunizations
    "787483001", // no known device use
];

/// Code systems of which every code says why there is no code, or no information at all
/// (<https://hl7.org/fhir/R4/codesystem-data-absent-reason.html>, <https://hl7.org/fhir/R4/v3/NullFlavor/cs.html>).
const OF_ABSENCE: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/data-absent-reason",
    "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    "http://hl7.org/fhir/v3/NullFlavor",
];

/// Codes of `OF_ABSENCE` beside which something is named all the same, only without a code of the expected system.
const NAMED_OTHERWISE: [&str; 2] = ["OTH", "UNC"];

// The texts below are words as `words` folds them, and are compared with the words of a text.

/// Phrases that deny an allergy. More letters may follow the last word: `no allerg` is `no allergy` and `no allergies`.
const DENIALS: [&str; 27] = [
    "no known",
    "no allerg",
    "no drug allerg",
    "no drug or food allerg",
    "no food allerg",
    "no food or drug allerg",
    "no medication allerg",
    "no latex allerg",
    "no environmental allerg",
    "no reported allerg",
    "no documented allerg",
    "no history of allerg",
    "no history of any allerg",
    "no hx of allerg",
    "not allergic",
    "not known to be allergic",
    "none known",
    "nil known",
    "denies",
    "negative for allerg",
    "allergies not known",
    "allergy not known",
    "keine allerg",
    "keine bekannte",
    "aucune allerg",
    "sin alerg",
    "nessuna allerg",
];

/// Abbreviation of "no known allergies", of whatever kind.
const NO_KNOWN_ALLERGIES: &str = "nka";

/// Abbreviations of "no known allergies" of one kind: to drugs, medication, food, latex, the environment.
const OF_ONE_KIND: [&str; 5] = ["nkda", "nkma", "nkfa", "nkla", "nkea"];

/// Words that deny an allergy where the text ends with them: `Allergies: none`.
const LAST: [&str; 3] = ["none", "no", "nil"];

/// Whole texts that say that nothing is known. `Food, unknown` is an allergy.
const WHOLE: [&str; 4] = ["unknown", "n a", "allergies unknown", "allergy status unknown"];

/// Words that name no substance: they tell who denies an allergy, of whom and since when. After other words, a denial
/// is about something else than the text: `Penicillin (no known reaction)`, `Peanut, NKDA`.
const TELLING: [&str; 79] = [
    "a",
    "according",
    "active",
    "adult",
    "all",
    "allergic",
    "allergies",
    "allergy",
    "and",
    "as",
    "assessed",
    "at",
    "by",
    "chart",
    "child",
    "client",
    "confirmed",
    "confirms",
    "current",
    "currently",
    "date",
    "documented",
    "drug",
    "family",
    "father",
    "food",
    "for",
    "had",
    "has",
    "hat",
    "have",
    "he",
    "history",
    "hx",
    "in",
    "infant",
    "is",
    "known",
    "medication",
    "mother",
    "none",
    "no",
    "noted",
    "of",
    "on",
    "parent",
    "parents",
    "pat",
    "patient",
    "patientin",
    "patients",
    "per",
    "pt",
    "recorded",
    "report",
    "reported",
    "reports",
    "resident",
    "reviewed",
    "said",
    "says",
    "she",
    "since",
    "stated",
    "states",
    "status",
    "that",
    "the",
    "their",
    "there",
    "they",
    "this",
    "time",
    "to",
    "today",
    "verified",
    "was",
    "with",
    "yes",
];

/// Words after which a text names an allergy all the same: `No known allergies except penicillin`.
const EXCEPTIONS: [&str; 14] = [
    "apart",
    "besides",
    "but",
    "eccetto",
    "except",
    "excepting",
    "excepto",
    "excluding",
    "otherwise",
    "salvo",
    "sauf",
    "than",
    "tranne",
    "ausser",
];

fn is_one_of(all: &[&str], text: Option<&str>) -> bool {
    text.is_some_and(|it| all.contains(&it))
}

/// Whether the codes of a concept say that something is absent, or that nothing is known of it.
pub(super) fn says_absence(concept: &CodeableConcept) -> bool {
    let denies = |it: &Coding| {
        let code = it.code.as_deref();
        it.system.as_deref() == Some(IPS) || is_one_of(&NOTHING, code) || is_one_of(&ABSENT, code)
    };
    let names_nothing =
        |it: &Coding| is_one_of(&OF_ABSENCE, it.system.as_deref()) && !is_one_of(&NAMED_OTHERWISE, it.code.as_deref());
    let codes = &concept.coding;
    codes.iter().any(denies) || !codes.is_empty() && codes.iter().all(names_nothing)
}

/// Whether a concept says, in codes or in words, that an allergy is absent or not known.
pub(super) fn is_absence(concept: &CodeableConcept) -> bool {
    let is_of_absence = |it: &Coding| is_one_of(&OF_ABSENCE, it.system.as_deref());
    let coded = says_absence(concept) || concept.coding.iter().any(is_of_absence);
    let displays = concept.coding.iter().filter_map(|it| it.display.as_deref());
    coded || concept.text.as_deref().into_iter().chain(displays).any(denies_allergies)
}

/// Whether a text denies an allergy, or says that nothing is known, and names no allergy.
fn denies_allergies(text: &str) -> bool {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.iter().any(|it| EXCEPTIONS.contains(it)) {
        return false;
    }
    WHOLE.iter().any(|whole| whole.split(' ').eq(words.iter().copied()))
        || (0..words.len()).any(|at| {
            let (before, rest) = words.split_at(at);
            denies_everything(rest) || before.iter().all(|it| is_telling(it)) && denies(rest)
        })
}

/// Whether words begin with a denial of all allergies, which counts wherever it stands. `No known allergy to latex`
/// denies a single one.
fn denies_everything(words: &[&str]) -> bool {
    match words {
        [NO_KNOWN_ALLERGIES, ..] => true,
        ["no", "known", "allergy" | "allergies" | "allergen" | "allergens", rest @ ..] => {
            !matches!(rest, ["to" | "against" | "for", ..])
        }
        _ => false,
    }
}

/// Whether words begin with a denial. `NKDA, shellfish` names an allergy to food after the denial.
fn denies(words: &[&str]) -> bool {
    let is_abbreviated = match words {
        [last] => OF_ONE_KIND.contains(last) || LAST.contains(last),
        [first, second, ..] => OF_ONE_KIND.contains(first) && (is_telling(second) || OF_ONE_KIND.contains(second)),
        [] => false,
    };
    is_abbreviated || DENIALS.iter().any(|denial| begins_with(words, denial))
}

fn begins_with(words: &[&str], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    let Some((last, first)) = phrase.split_last() else { return false };
    words.starts_with(first) && words.get(first.len()).is_some_and(|it| it.starts_with(last))
}

/// Whether a word names no substance: a word of `TELLING`, or a number, as in a date.
fn is_telling(word: &str) -> bool {
    TELLING.contains(&word) || word.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concept(text: &str) -> CodeableConcept {
        CodeableConcept { coding: Vec::new(), text: Some(text.to_owned()) }
    }

    #[test]
    fn the_absence_of_an_allergy_is_no_allergy() {
        for text in [
            "No known allergy",
            "No known drug allergy (situation)",
            "NKDA",
            "nka.",
            "N/A",
            "None",
            "Allergies: none",
            "Pat. hat keine bekannten Allergien",
            "No known drug allergies",
            "NKDA - no known drug allergies",
            "NKDA (no known drug allergies)",
            "NKDA, NKFA",
            "NKDA per Dr. Smith",
            "Patient has no known allergies",
            "Pt. denies any drug allergies",
            "Patient is not allergic to anything",
            "Allergies: NKA",
            "Allergies: no known drug or food allergies",
            "2024-03-01: NKDA, confirmed",
            "Mother states that the child has no known food allergies.",
            "Discussed with caregiver; no known allergies",
            "Seen at triage, NKA",
            "No history of allergies",
            "Keine bekannten Allergien",
            "Aucune allergie connue",
            "Sin alergias conocidas",
        ] {
            assert!(is_absence(&concept(text)), "{text}");
        }
    }

    #[test]
    fn an_allergy_stays_one_beside_a_denial_of_something_else() {
        for text in [
            "Penicillin",
            "Penicillin (no known reaction)",
            "Penicillin, no known allergy to cephalosporins",
            "Penicillin, not allergic to cephalosporins",
            "Penicillin - patient denies anaphylaxis",
            "Penicillin; otherwise no known allergies",
            "No known allergies except penicillin",
            "No known drug allergies other than sulfa",
            "Keine bekannten Allergien außer Penicillin",
            "Latex, no other known",
            "Latex, no known food allergies",
            "Peanut, NKDA",
            "NKDA, shellfish",
            "Unknown antibiotic",
            "Food, unknown",
            "Allergy to eggs",
            "Nonoxynol",
            "Nuts",
            "Nickel",
            "Novocain",
            "Nkabinde root",
            "",
        ] {
            assert!(!is_absence(&concept(text)), "{text}");
        }
    }

    #[test]
    fn the_words_are_written_as_they_are_compared() {
        let texts = DENIALS.iter().chain(&OF_ONE_KIND).chain(&LAST).chain(&WHOLE).chain(&TELLING).chain(&EXCEPTIONS);
        for text in texts.chain(&[NO_KNOWN_ALLERGIES]) {
            assert_eq!(words(text).join(" "), *text);
        }
    }
}
