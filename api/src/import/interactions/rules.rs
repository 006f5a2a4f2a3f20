//! The pairs of ingredients to which the rules lead.

use std::collections::{BTreeMap, BTreeSet};

use hims_domain::interaction_profile::{Advice, Content, Pair, Severity, in_order};
use hims_domain::values::{LongText, Text};

use super::files::{Level, Rule, Thesaurus};

/// The largest number of texts about a pair.
const TEXTS: usize = 4;

/// How a rule names an ingredient, in the order in which what it says counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    AsSubstance,
    AsClass,
}

/// Two ingredients, the smaller one as text first.
pub(super) type Ingredients = (Text<20>, Text<20>);

/// What the rules lead to.
#[derive(Default)]
pub(super) struct Found {
    /// The rules about each pair: the place of the rule, and how exactly it names the ingredients (0 for two substances,
    /// 2 for two classes).
    pub(super) pairs: BTreeMap<Ingredients, BTreeMap<usize, usize>>,
    /// The names of sides that are neither a substance nor a class, and how many sides have each.
    pub(super) unknown: BTreeMap<String, u64>,
    /// The number of rules that lead to no pair.
    pub(super) without_pair: u64,
    /// The number of rules without those that are the mirror images of others.
    pub(super) distinct: u64,
}

/// The substances of a side. A side may be a class, a substance, or both.
fn substances<'a>(thesaurus: &'a Thesaurus, side: &'a str) -> BTreeMap<&'a str, Named> {
    let of_class = thesaurus.classes.get(side).into_iter().flatten();
    let mut found: BTreeMap<_, _> = of_class.map(|it| (it.as_str(), Named::AsClass)).collect();
    if thesaurus.substances.contains(side) || thesaurus.ingredients.contains_key(side) {
        found.insert(side, Named::AsSubstance);
    }
    found
}

/// An ingredient of a side, with the substance to which it belongs.
struct Ingredient<'a> {
    code: &'a Text<20>,
    substance: &'a str,
    /// How the side names the substance.
    named: Named,
}

/// The ingredients of a side.
fn ingredients<'a>(thesaurus: &'a Thesaurus, substances: &BTreeMap<&'a str, Named>) -> Vec<Ingredient<'a>> {
    let of = |(substance, named): (&&'a str, &Named)| {
        let (substance, named) = (*substance, *named);
        let codes = thesaurus.ingredients.get(substance).into_iter().flatten();
        codes.map(move |code| Ingredient { code, substance, named })
    };
    substances.iter().flat_map(of).collect()
}

/// Finds the pairs of ingredients. Pairs of a substance with itself, and of an ingredient with itself, fall out.
pub(super) fn pairs(thesaurus: &Thesaurus) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for (place, rule) in thesaurus.rules.iter().enumerate() {
        let sides = rule.sides.each_ref().map(|it| substances(thesaurus, it));
        for (name, _) in rule.sides.iter().zip(&sides).filter(|(_, it)| it.is_empty()) {
            *found.unknown.entry(name.clone()).or_default() += 1;
        }
        let [one, other] = sides.each_ref().map(|it| ingredients(thesaurus, it));
        let is_new = seen.insert(rule.unordered());
        found.distinct += u64::from(is_new);
        let mut leads_to_a_pair = false;
        for one in &one {
            for other in &other {
                if one.substance == other.substance || one.code == other.code {
                    continue;
                }
                leads_to_a_pair = true;
                if !is_new {
                    continue;
                }
                let (smaller, greater) = in_order(one.code, other.code);
                let exact = [one, other].iter().filter(|it| it.named == Named::AsClass).count();
                let rules = found.pairs.entry((smaller.clone(), greater.clone())).or_default();
                let known = rules.entry(place).or_insert(exact);
                *known = exact.min(*known);
            }
        }
        found.without_pair += u64::from(!leads_to_a_pair);
    }
    found
}

/// What a rule says to do. A rule with several levels says each level with its condition, which no program can judge.
fn management(rule: &Rule) -> Option<LongText> {
    let say = |Level { words, condition, .. }: &Level| {
        if condition.is_empty() { words.clone() } else { format!("{words}: {condition}") }
    };
    let text = match rule.levels.as_slice() {
        [Level { condition, .. }] => condition.clone(),
        levels => levels.iter().map(say).collect::<Vec<_>>().join("\n"),
    };
    (!text.is_empty()).then_some(Text(text))
}

fn advice(rule: &Rule) -> Advice {
    let mechanism = Some(&rule.mechanism).filter(|it| !it.is_empty()).map(|it| Text(it.clone()));
    Advice { mechanism, management: management(rule) }
}

/// The profiles of all ingredients that are the smaller one of a pair, made from a content without pairs.
pub(super) fn profiles(thesaurus: &Thesaurus, found: &Found, base: &Content) -> BTreeMap<Text<20>, Content> {
    let mut profiles = BTreeMap::<Text<20>, Content>::new();
    // The place of the text of each rule in the profile of each ingredient.
    let mut places = BTreeMap::<(&Text<20>, usize), usize>::new();
    for ((ingredient, other), rules) in &found.pairs {
        let of = |place: usize| &thesaurus.rules[place];
        let severity = rules.keys().map(|it| of(*it).severity()).max().unwrap_or(Severity::None);
        let mut highest: Vec<_> = rules.iter().filter(|(place, _)| of(**place).severity() == severity).collect();
        highest.sort_by_key(|(place, exact)| (**exact, **place));
        let is_conditional = highest.iter().all(|(place, _)| of(**place).levels.len() > 1);
        let profile = profiles
            .entry(ingredient.clone())
            .or_insert_with(|| Content { ingredient: ingredient.clone(), ..base.clone() });
        let mut texts = Vec::new();
        for (place, _) in highest.into_iter().take(TEXTS) {
            let text = *places.entry((ingredient, *place)).or_insert_with(|| {
                let advice = advice(of(*place));
                let known = profile.texts.iter().position(|it| *it == advice);
                known.unwrap_or_else(|| {
                    profile.texts.push(advice);
                    profile.texts.len() - 1
                })
            });
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let rule_count = i32::try_from(rules.len()).unwrap_or(i32::MAX);
        profile.pairs.insert(other.clone(), Pair { severity, is_conditional, rule_count, advice: texts });
    }
    profiles
}
