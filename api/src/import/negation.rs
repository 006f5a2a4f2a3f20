//! Allergies that say the opposite of an allergy: that there is none, or that nothing is known.

use super::datatypes::CodeableConcept;

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

/// Code systems of which every code says that something is absent or unknown.
const OF_ABSENCE: [&str; 4] = [
    "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
    "http://terminology.hl7.org/CodeSystem/data-absent-reason",
    "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    "http://hl7.org/fhir/v3/NullFlavor",
];

/// What a text without an allergy begins with.
const BEGINNINGS: [&str; 20] = [
    "no known",
    "no allerg",
    "no drug allerg",
    "no food allerg",
    "no latex allerg",
    "no environmental allerg",
    "no history of allerg",
    "not allergic",
    "none known",
    "nil known",
    "denies",
    "patient denies",
    "negative for allerg",
    "allergies not known",
    "allergy not known",
    "keine allerg",
    "keine bekannte",
    "aucune allerg",
    "sin alerg",
    "nessuna allerg",
];

/// Texts without an allergy.
const WHOLE: [&str; 11] =
    ["nka", "nkda", "nkfa", "nkla", "nkea", "none", "no", "nil", "unknown", "n/a", "allergy status unknown"];

/// Whether a concept says that an allergy is absent or not known.
pub(super) fn is_absence(concept: &CodeableConcept) -> bool {
    let coded = concept.coding.iter().any(|coding| {
        let is_one_of = |all: &[&str], text: &Option<String>| text.as_deref().is_some_and(|it| all.contains(&it));
        is_one_of(&OF_ABSENCE, &coding.system) || is_one_of(&ABSENT, &coding.code)
    });
    let displays = concept.coding.iter().filter_map(|it| it.display.as_deref());
    coded || concept.text.as_deref().into_iter().chain(displays).any(says_absence)
}

fn says_absence(text: &str) -> bool {
    let text = text.trim().trim_end_matches(['.', '!']).to_lowercase();
    WHOLE.contains(&text.as_str()) || BEGINNINGS.iter().any(|it| text.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concept(text: &str) -> CodeableConcept {
        CodeableConcept { coding: Vec::new(), text: Some(text.to_owned()) }
    }

    #[test]
    fn the_absence_of_an_allergy_is_no_allergy() {
        for text in ["No known allergy", "NKDA", "nka.", "No known drug allergies", "Keine bekannten Allergien", "None"]
        {
            assert!(is_absence(&concept(text)), "{text}");
        }
        for text in ["Penicillin", "Nonoxynol", "Nuts", "Latex, no other known", "Nickel", "Novocain"] {
            assert!(!is_absence(&concept(text)), "{text}");
        }
    }
}
