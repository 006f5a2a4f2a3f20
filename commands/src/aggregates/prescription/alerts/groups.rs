//! The groups of drugs within which an allergy to one speaks against the others: `catalogue/allergy-groups.json`. No
//! other cross-reactivity is claimed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hims_domain::medication::Details;
use hims_domain::patient::Allergy;
use hims_domain::values::{Text, holds, words};
use serde::Deserialize;

/// The groups that the program ships with.
pub(super) static GROUPS: LazyLock<Groups> = LazyLock::new(|| Groups::of(shipped().unwrap_or_default()));

fn shipped() -> Result<File, serde_json::Error> {
    serde_json::from_str(include_str!("../../../../../catalogue/allergy-groups.json"))
}

/// The file of groups.
#[derive(Deserialize, Default)]
struct File {
    version: String,
    groups: Vec<Listed>,
    /// The pairs of groups within which an allergy to a drug of one speaks against those of the other.
    related: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    names: Vec<String>,
    rxcuis: BTreeSet<Text<20>>,
}

/// A group of drugs.
struct Group {
    name: String,
    /// The folded words of each name of the group and of its drugs.
    names: Vec<Vec<String>>,
    ingredients: BTreeSet<Text<20>>,
}

/// Groups of drugs.
pub(super) struct Groups {
    version: String,
    all: Vec<Group>,
    related: Vec<(String, String)>,
}

impl Group {
    /// Whether an allergy is to the group or to a drug of the group. `substance` has the folded words of the allergen.
    fn has_allergen(&self, allergy: &Allergy, substance: &[String]) -> bool {
        allergy.concepts().any(|it| self.ingredients.contains(it)) || self.names.iter().any(|it| holds(substance, it))
    }

    /// Whether a product holds a drug of the group. `names` has the folded words of each name of the product.
    fn has_product(&self, product: &Details, names: &[Vec<String>]) -> bool {
        product.ingredients.iter().chain(&product.rxnorm_code).any(|it| self.ingredients.contains(it))
            || names.iter().any(|name| self.names.iter().any(|it| holds(name, it)))
    }
}

impl Groups {
    fn of(file: File) -> Self {
        let group = |it: Listed| Group {
            name: it.name,
            names: it.names.iter().map(|name| words(name)).collect(),
            ingredients: it.rxcuis,
        };
        Self { version: file.version, all: file.groups.into_iter().map(group).collect(), related: file.related }
    }

    /// The version of the list.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Whether an allergy is to a drug of a group to which the product belongs, or of a related group.
    pub(super) fn are_related(&self, allergy: &Allergy, product: &Details) -> bool {
        let substance = allergy.substance();
        let of_allergen: Vec<_> = self.all.iter().filter(|it| it.has_allergen(allergy, &substance)).collect();
        if of_allergen.is_empty() {
            return false;
        }
        let is_related = |one: &Group, other: &Group| {
            let pair =
                |(a, b): &(String, String)| (a, b) == (&one.name, &other.name) || (b, a) == (&one.name, &other.name);
            one.name == other.name || self.related.iter().any(pair)
        };
        let names = [Some(&product.name), product.generic_name.as_ref(), product.brand_name.as_ref()];
        let names: Vec<_> = names.into_iter().flatten().map(|it| words(it.as_str())).collect();
        let mut of_product = self.all.iter().filter(|it| it.has_product(product, &names));
        of_product.any(|it| of_allergen.iter().any(|other| is_related(it, other)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::samples::ask;

    fn allergy(name: &str, code: Option<&str>) -> Allergy {
        ask(json!({"allergen_type": "drug", "allergen_name": name, "rxnorm_code": code}))
    }

    fn product(name: &str, ingredients: &[&str]) -> Details {
        ask(json!({"name": name, "ingredients": ingredients}))
    }

    #[test]
    fn the_shipped_groups_are_complete() {
        let file = shipped().unwrap();
        assert_eq!(file.groups.len(), 10);
        for group in &file.groups {
            assert!(!group.names.is_empty() && group.rxcuis.len() > 4, "{}", group.name);
            assert!(
                group.rxcuis.iter().all(|code| code.as_str().bytes().all(|it| it.is_ascii_digit())),
                "{}",
                group.name
            );
        }
        let is_a_group = |name: &String| file.groups.iter().any(|it| it.name == *name);
        assert!(file.related.iter().all(|(one, other)| is_a_group(one) && is_a_group(other)));
    }

    #[test]
    fn drugs_of_one_group_are_related_by_code_and_by_name() {
        let amoxicillin = || product("Amoxicillin 500 mg oral capsule", &["723"]);
        let in_words = || product("Amoxicillin 500 mg oral capsule", &[]);
        assert!(GROUPS.are_related(&allergy("Ampicilline", Some("733")), &amoxicillin()));
        assert!(GROUPS.are_related(&allergy("Allergy to penicillins", None), &amoxicillin()));
        assert!(GROUPS.are_related(&allergy("Penicillin", None), &in_words()));
        assert!(!GROUPS.are_related(&allergy("Codeine", Some("2670")), &amoxicillin()));
        assert!(!GROUPS.are_related(&allergy("Penicillamine", Some("7975")), &amoxicillin()));
    }

    #[test]
    fn penicillins_and_cephalosporins_are_related_and_other_groups_are_not() {
        let cefazolin = || product("Cefazolin 1 g", &["2180"]);
        assert!(GROUPS.are_related(&allergy("Penicillin G", Some("7980")), &cefazolin()));
        assert!(GROUPS.are_related(&allergy("Cephalexin", Some("2231")), &product("Amoxicillin", &["723"])));
        assert!(!GROUPS.are_related(&allergy("Erythromycin", Some("4053")), &cefazolin()));
    }

    #[test]
    fn aspirin_is_related_to_the_other_anti_inflammatory_drugs() {
        let naproxen = || product("Naproxen 250 mg oral tablet", &["7258"]);
        assert!(GROUPS.are_related(&allergy("Aspirin", Some("1191")), &naproxen()));
        assert!(GROUPS.are_related(&allergy("NSAIDs", None), &naproxen()));
    }
}
