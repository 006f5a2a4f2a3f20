//! Drug interactions: what an import says about each ingredient, and what the hospital itself decides about a pair.

mod loading;

use std::collections::BTreeSet;

use hims_domain::interaction_profile::{
    Advice, Decided, Event, InteractionProfile, LOCAL, Severity, in_order, profile_of,
};
use hims_domain::interaction_source::{InteractionSource, sources};
use hims_domain::permission::{Create, Update};
use hims_domain::values::coding::RXNORM;
use hims_domain::values::{LongText, Text};
use hims_domain::{InteractionProfileId, described};

pub use loading::{RecordInteractionsLoaded, ReplaceInteractionProfile};

use crate::machinery::coding::read_at;
use crate::machinery::command::existing;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<SetLocalInteraction>().add::<RemoveLocalInteraction>();
}

described! {
    /// Sets what this hospital thinks of combining two ingredients. Its word replaces every imported source for the
    /// pair: with the severity `none`, nobody is warned of the pair any more.
    pub struct SetLocalInteraction {
        /// The RxNorm concept of one ingredient (RXCUI).
        pub ingredient_a: Text<20>,
        /// The RxNorm concept of the other ingredient (RXCUI).
        pub ingredient_b: Text<20>,
        /// How severe the interaction is.
        pub severity: Severity,
        /// How the two ingredients act on each other.
        pub mechanism: Option<LongText>,
        /// What to do if both are needed, or why nobody is to be warned.
        pub management: Option<LongText>,
    }

    /// Takes back what this hospital thinks of combining two ingredients, so that the imported sources count again.
    pub struct RemoveLocalInteraction {
        /// The RxNorm concept of one ingredient (RXCUI).
        pub ingredient_a: Text<20>,
        /// The RxNorm concept of the other ingredient (RXCUI).
        pub ingredient_b: Text<20>,
    }
}

/// What is known of an ingredient holds nothing.
impl Claims for InteractionProfile {}

/// The list of sources holds nothing.
impl Claims for InteractionSource {}

/// The profile in which the hospital keeps its word on a pair.
fn local_profile(one: &Text<20>, other: &Text<20>) -> InteractionProfileId {
    profile_of(LOCAL, in_order(one, other).0)
}

/// The two ingredients of a request, the smaller one first.
///
/// # Errors
/// When an ingredient is no RxNorm concept, or the two are the same.
fn checked<'a>(one: &'a Text<20>, other: &'a Text<20>) -> Result<(&'a Text<20>, &'a Text<20>), Refused> {
    read_at(RXNORM, one, "/ingredient_a")?;
    read_at(RXNORM, other, "/ingredient_b")?;
    if one == other {
        return Err(Refused::field("same-ingredient", "/ingredient_b", "give two different ingredients"));
    }
    Ok(in_order(one, other))
}

impl Command for SetLocalInteraction {
    const NAME: &'static str = "set-local-interaction";
    const PERMISSION: Permission = Permission::Create(Create::DrugInteractions);
    const REVERSED_BY: Option<&'static str> = Some(RemoveLocalInteraction::NAME);
    type Aggregate = InteractionProfile;

    fn target(&self) -> Target {
        Target::either(local_profile(&self.ingredient_a, &self.ingredient_b))
    }

    fn decide(
        self,
        state: Option<&InteractionProfile>,
        _: &Context<'_>,
    ) -> Result<Decision<InteractionProfile>, Refused> {
        let (ingredient, other) = checked(&self.ingredient_a, &self.ingredient_b)?;
        let advice = Advice { mechanism: self.mechanism, management: self.management };
        let decided = Decided { severity: self.severity, advice };
        if state.is_some_and(|it| it.decided.get(other) == Some(&decided)) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::PairSet { ingredient: ingredient.clone(), other: other.clone(), decided }))
    }
}

impl Command for RemoveLocalInteraction {
    const NAME: &'static str = "remove-local-interaction";
    const PERMISSION: Permission = Permission::Update(Update::DrugInteractions);
    const REVERSED_BY: Option<&'static str> = Some(SetLocalInteraction::NAME);
    type Aggregate = InteractionProfile;

    fn target(&self) -> Target {
        Target::existing(local_profile(&self.ingredient_a, &self.ingredient_b))
    }

    fn decide(
        self,
        state: Option<&InteractionProfile>,
        _: &Context<'_>,
    ) -> Result<Decision<InteractionProfile>, Refused> {
        let (_, other) = checked(&self.ingredient_a, &self.ingredient_b)?;
        if !existing(state)?.decided.contains_key(other) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::PairRemoved { other: other.clone() }))
    }
}

/// Also looks up which sources of interactions were loaded, and what these and the hospital say about the pairs of two
/// sets of ingredients. The sources must have been looked up before their profiles are.
pub(crate) fn reads_interactions(reads: Reads, pairs: &BTreeSet<(&Text<20>, &Text<20>)>, found: &Found) -> Reads {
    let reads = reads.stream::<InteractionSource>(sources());
    let ingredients: BTreeSet<_> = pairs.iter().map(|(one, other)| in_order(one, other).0).collect();
    ingredients.into_iter().fold(reads, |reads, ingredient| {
        let of = |source: &str| profile_of(source, ingredient);
        let reads = reads.stream::<InteractionProfile>(of(LOCAL));
        loaded(found).fold(reads, |reads, it| reads.stream::<InteractionProfile>(of(it)))
    })
}

/// The names of the sources that were loaded.
fn loaded(found: &Found) -> impl Iterator<Item = &str> {
    let sources = found.get::<InteractionSource>(sources());
    sources.into_iter().flat_map(|it| it.loaded.keys().map(Text::as_str))
}

/// Whether a source of interactions was loaded, so that something can be compared.
pub(crate) fn is_loaded(found: &Found) -> bool {
    loaded(found).next().is_some()
}

/// What is known of a pair of ingredients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// How severe the interaction is.
    pub(crate) severity: Severity,
    /// The source that says so.
    pub(crate) source: Text<50>,
    /// The version of the source; `None` for the hospital's own word.
    pub(crate) version: Option<Text<20>>,
}

/// What is known of a pair of ingredients, as far as it was looked up: the word of the hospital, or else the most severe
/// of what the sources say.
pub(crate) fn known_of(one: &Text<20>, other: &Text<20>, found: &Found) -> Option<Known> {
    let (ingredient, other) = in_order(one, other);
    let local = found.get::<InteractionProfile>(profile_of(LOCAL, ingredient));
    if let Some(decided) = local.and_then(|it| it.decided.get(other)) {
        return Some(Known { severity: decided.severity, source: LOCAL.into(), version: None });
    }
    let of_sources = loaded(found).filter_map(|source| {
        let content = found.get::<InteractionProfile>(profile_of(source, ingredient))?.content.as_ref()?;
        let severity = content.pairs.get(other)?.severity;
        Some(Known { severity, source: content.source.clone(), version: Some(content.version.clone()) })
    });
    of_sources.max_by_key(|it| it.severity)
}

#[cfg(test)]
mod tests;
