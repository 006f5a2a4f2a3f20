//! What an allergy is to: compared with the products of the catalogue, and with other allergies.

use crate::Personal;
use crate::medication::Details;
use crate::patient::{AllergenType, Allergy};
use crate::values::coding::RXNORM;
use crate::values::{Name, Text, holds, words};

/// The words for the substance in the words of an allergen: `aspirin` in `allergy to aspirin` and `aspirin allergy`.
fn substance(words: &[String]) -> &[String] {
    const KINDS: [&str; 5] = ["allergy", "allergic", "hypersensitivity", "intolerance", "intolerant"];
    match words {
        [kind, to, rest @ ..] if KINDS.contains(&kind.as_str()) && to == "to" && !rest.is_empty() => rest,
        [rest @ .., kind] if KINDS.contains(&kind.as_str()) && !rest.is_empty() => rest,
        _ => words,
    }
}

impl Allergy {
    /// The RxNorm concepts of the allergen, unless none is known or they were erased.
    pub fn concepts(&self) -> impl Iterator<Item = &Text<20>> {
        let is_rxnorm = self.code_system.as_ref().is_some_and(|it| it.as_str() == RXNORM);
        let coded = self.code.as_ref().filter(|_| is_rxnorm);
        self.rxnorm_code.as_ref().and_then(Personal::known).into_iter().chain(coded)
    }

    /// The folded words for the substance in the name of the allergen; none if the name was erased.
    pub fn substance(&self) -> Vec<String> {
        let words = self.allergen_name.known().map(|it| words(it.as_str()));
        words.map(|it| substance(&it).to_vec()).unwrap_or_default()
    }

    /// Whether the allergy may be to a drug. Allergies to food and to the environment do not count.
    pub fn may_be_to_a_drug(&self) -> bool {
        !matches!(self.allergen_type, AllergenType::Food | AllergenType::Environmental)
    }

    /// Whether the allergy speaks against a product, because it has the RxNorm concept or the name of the product or of
    /// an ingredient. Allergies to food and to the environment do not count.
    ///
    /// Names are compared word by word, each word folded: `codeine` speaks against `Acetaminophen 300 MG / Codeine 30
    /// MG Oral Tablet`, `Östradiol` against `Oestradiol`, `allergy to aspirin` against `Aspirin 81 MG`, and what was
    /// recorded about amoxicillin against a product whose generic name is `amoxicillin`.
    pub fn is_to(&self, product: &Details) -> bool {
        if !self.may_be_to_a_drug() {
            return false;
        }
        let is_ingredient =
            |code: &Text<20>| product.ingredients.contains(code) || product.rxnorm_code.as_ref() == Some(code);
        let is_called = |allergen: &Name<200>| {
            let allergen = words(allergen.as_str());
            let substances = [product.generic_name.as_ref(), product.brand_name.as_ref()].into_iter().flatten();
            let mut names = substances.clone().chain([&product.name]);
            names.any(|it| holds(&words(it.as_str()), substance(&allergen)))
                || substances.into_iter().any(|it| holds(&allergen, &words(it.as_str())))
        };
        self.concepts().any(is_ingredient) || self.allergen_name.known().is_some_and(is_called)
    }

    /// Whether two allergies are to the same substance: by RxNorm concept, or by the folded words of the name.
    pub fn is_to_the_same(&self, other: &Self) -> bool {
        let names = self.allergen_name.known().zip(other.allergen_name.known());
        let is_same_name =
            |(one, two): (&Name<200>, &Name<200>)| substance(&words(one.as_str())) == substance(&words(two.as_str()));
        let is_same_concept = self.concepts().any(|one| other.concepts().any(|two| one == two));
        is_same_concept || names.is_some_and(is_same_name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn allergy(changes: Value) -> Allergy {
        let penicillin = json!({"allergen_type": "drug", "allergen_name": "Penicillin"});
        serde_json::from_value(hims_testing::patched(penicillin, changes)).unwrap()
    }

    fn product(changes: Value) -> Details {
        serde_json::from_value(hims_testing::patched(json!({"name": "Product"}), changes)).unwrap()
    }

    #[test]
    fn a_code_of_rxnorm_is_a_concept_and_a_code_of_another_system_is_none() {
        let coded = |system: &str| allergy(json!({"allergen_name": "Pen", "code_system": system, "code": "7980"}));
        assert!(coded(RXNORM).is_to(&product(json!({"ingredients": ["7980"]}))));
        assert!(!coded("http://snomed.info/sct").is_to(&product(json!({"ingredients": ["7980"]}))));
        assert!(coded(RXNORM).is_to_the_same(&allergy(json!({"rxnorm_code": "7980"}))));
    }

    #[test]
    fn the_same_ingredient_speaks_against_a_product() {
        let to_ingredient = allergy(json!({"allergen_name": "Pen", "rxnorm_code": "7980"}));
        assert!(to_ingredient.is_to(&product(json!({"ingredients": ["723", "7980"]}))));
        assert!(to_ingredient.is_to(&product(json!({"rxnorm_code": "7980"}))));
        assert!(!to_ingredient.is_to(&product(json!({"ingredients": ["723"], "rxnorm_code": "1"}))));
        assert!(!allergy(json!({})).is_to(&product(json!({}))));
    }

    #[test]
    fn the_same_name_speaks_against_a_product() {
        let penicillin = allergy(json!({"allergen_name": "PÉNICILLIN"}));
        for changes in [
            json!({"name": "Penicillin"}),
            json!({"name": "Penicillin V Potassium 250 MG Oral Tablet"}),
            json!({"generic_name": "penicillin"}),
            json!({"brand_name": "Penicillin"}),
        ] {
            assert!(penicillin.is_to(&product(changes.clone())), "{changes}");
        }
        for changes in [json!({"name": "Penicillinase"}), json!({"generic_name": "amoxicillin"}), json!({})] {
            assert!(!penicillin.is_to(&product(changes.clone())), "{changes}");
        }
        let in_words = allergy(json!({"allergen_name": "Allergy to amoxicillin"}));
        assert!(in_words.is_to(&product(json!({"generic_name": "Amoxicillin"}))));
        assert!(!in_words.is_to(&product(json!({"name": "to"}))), "only substances are looked for in what is said");
        for words in ["Allergy to aspirin", "aspirin allergy", "Hypersensitivity to Aspirin", "allergic to ASPIRIN"] {
            let aspirin = allergy(json!({ "allergen_name": words }));
            assert!(aspirin.is_to(&product(json!({"name": "Aspirin 81 MG Oral Tablet"}))), "{words}");
            assert!(!aspirin.is_to(&product(json!({"name": "Allergy relief 10 MG"}))), "{words}");
            assert!(aspirin.is_to_the_same(&allergy(json!({"allergen_name": "Aspirin"}))), "{words}");
        }
        assert!(!allergy(json!({"allergen_name": "allergy"})).is_to(&product(json!({"name": "Aspirin"}))));
    }

    #[test]
    fn another_spelling_of_the_name_speaks_against_a_product() {
        for (allergen, name) in
            [("Östradiol", "Oestradiol"), ("Oestradiol", "Östradiol"), ("Süßholz", "Suessholz"), ("Grøn", "Gron")]
        {
            let (one, other) = (allergy(json!({"allergen_name": allergen})), allergy(json!({"allergen_name": name})));
            assert!(one.is_to(&product(json!({"name": format!("{name} 2 mg")}))), "{allergen}, {name}");
            assert!(one.is_to_the_same(&other), "{allergen}, {name}");
        }
    }

    #[test]
    fn an_allergy_to_food_or_the_environment_does_not_count() {
        for (kind, counts) in
            [("drug", true), ("biologic", true), ("other", true), ("food", false), ("environmental", false)]
        {
            let allergy = allergy(json!({"allergen_type": kind}));
            assert_eq!(allergy.is_to(&product(json!({"generic_name": "penicillin"}))), counts, "{kind}");
        }
    }

    #[test]
    fn what_was_erased_speaks_against_nothing() {
        let gone = json!({"$erased": true});
        let erased = allergy(json!({"allergen_name": gone, "rxnorm_code": gone}));
        assert!(!erased.is_to(&product(json!({"generic_name": "penicillin", "ingredients": ["7980"]}))));
        assert!(!erased.is_to_the_same(&erased));
    }

    #[test]
    fn two_allergies_are_to_the_same_by_name_or_concept() {
        let penicillin = allergy(json!({"rxnorm_code": "7980"}));
        for same in [json!({"allergen_name": "penicillin "}), json!({"allergen_name": "PCN", "rxnorm_code": "7980"})] {
            assert!(penicillin.is_to_the_same(&allergy(same.clone())), "{same}");
        }
        for other in [json!({"allergen_name": "Penicillin V"}), json!({"allergen_name": "Latex", "rxnorm_code": "1"})] {
            assert!(!penicillin.is_to_the_same(&allergy(other.clone())), "{other}");
        }
    }
}
