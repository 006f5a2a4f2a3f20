use hims_domain::interaction_profile::{Advice, Content, Decided, Event, LOCAL, Pair};
use hims_domain::values::coding::RXNORM;
use hims_domain::values::{LongText, Text};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per pair of ingredients and source that says something about the pair. A row of the source `local` is the
    /// word of this hospital, which counts instead of the others.
    InteractionRow in "drug_interactions",
    children of profile_id,
    catalogue for everybody,
    stamped {
        /// The pair in the source.
        id: Uuid [indexed],
        /// The stream with all that the source says about `ingredient_a`.
        profile_id: Uuid [indexed],
        /// The RxNorm concept of one ingredient (RXCUI): the smaller one of the two, compared as text.
        ingredient_a: String [indexed],
        /// The RxNorm concept of the other ingredient (RXCUI).
        ingredient_b: String [indexed],
        /// The system of the two codes, as a URI.
        code_system: String,
        /// How severe the interaction is; `none` if this hospital decided that nobody is to be warned.
        severity: String [] of hims_domain::interaction_profile::Severity::CODES,
        /// Whether the severity depends on a dose, an indication or the like, which `management` names.
        is_conditional: bool,
        /// The number of rules of the source that lead to the pair.
        rule_count: i32,
        /// How the two ingredients act on each other; one paragraph for each rule.
        mechanism: Option<String>,
        /// What to do if both are needed; one paragraph for each rule.
        management: Option<String>,
        /// The language of the texts (BCP 47); null if it is not known.
        language: Option<String>,
        /// The source, such as `ANSM`; `local` for this hospital.
        source: String [indexed],
        /// The version of the source; null for this hospital.
        source_version: Option<String>,
    }
}

/// The id of the row of a pair.
fn pair_id(profile: Uuid, other: &Text<20>) -> Uuid {
    derived_id(profile, &["pair", other.as_str()])
}

/// The texts of several rules, one paragraph for each.
fn paragraphs<'a>(texts: impl Iterator<Item = Option<&'a LongText>>) -> Option<String> {
    let texts: Vec<_> = texts.flatten().map(|it| it.0.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn imported_row(event: &Projected<'_, Event>, content: &Content, other: &Text<20>, pair: &Pair) -> InteractionRow {
    let advice: Vec<&Advice> = pair.advice.iter().filter_map(|place| content.texts.get(*place)).collect();
    InteractionRow {
        id: pair_id(event.stream_id, other),
        profile_id: event.stream_id,
        ingredient_a: content.ingredient.0.clone(),
        ingredient_b: other.0.clone(),
        code_system: RXNORM.to_owned(),
        severity: pair.severity.to_string(),
        is_conditional: pair.is_conditional,
        rule_count: pair.rule_count,
        mechanism: paragraphs(advice.iter().map(|it| it.mechanism.as_ref())),
        management: paragraphs(advice.iter().map(|it| it.management.as_ref())),
        language: Some(content.language.0.clone()),
        source: content.source.0.clone(),
        source_version: Some(content.version.0.clone()),
        stamps: event.stamps(),
    }
}

fn local_row(
    event: &Projected<'_, Event>,
    (ingredient, other): (&Text<20>, &Text<20>),
    decided: &Decided,
) -> InteractionRow {
    InteractionRow {
        id: pair_id(event.stream_id, other),
        profile_id: event.stream_id,
        ingredient_a: ingredient.0.clone(),
        ingredient_b: other.0.clone(),
        code_system: RXNORM.to_owned(),
        severity: decided.severity.to_string(),
        is_conditional: false,
        rule_count: 1,
        mechanism: text(decided.advice.mechanism.as_ref()),
        management: text(decided.advice.management.as_ref()),
        language: None,
        source: LOCAL.to_owned(),
        source_version: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, InteractionRow>) {
    match event.data {
        Event::Replaced(content) => {
            let pairs = content.pairs.iter();
            rows.replace(event.stream_id, pairs.map(|(other, it)| imported_row(event, content, other, it)).collect());
        }
        Event::PairSet { ingredient, other, decided } => {
            let new = local_row(event, (ingredient, other), decided);
            rows.change_list(event, event.stream_id, move |rows| match rows.iter_mut().find(|it| it.id == new.id) {
                Some(row) => *row = InteractionRow { stamps: row.stamps, ..new },
                None => rows.push(new),
            });
        }
        Event::PairRemoved { other } => rows.remove(pair_id(event.stream_id, other)),
    }
}
