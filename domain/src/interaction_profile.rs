//! Interaction profiles: what one source says about combining one ingredient with others (ingredients by RxNorm).
//!
//! A pair of ingredients stands once for each source: in the profile of the smaller RxCUI, compared as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Text};
use crate::{Aggregate, InteractionProfileId, Subject, derived, described, terms};

/// The source of what the hospital itself decided about a pair. The hospital's word replaces all other sources.
pub const LOCAL: &str = "local";

terms! {
    /// How severe an interaction is, in ascending order. A hospital that decides for `none` is warned no more.
    pub enum Severity {
        None = "none",
        Minor = "minor",
        Moderate = "moderate",
        Major = "major",
        Contraindicated = "contraindicated",
    }
}

described! {
    /// What is said about an interaction.
    pub struct Advice {
        /// How the two ingredients act on each other.
        pub mechanism: Option<LongText>,
        /// What to do if both are needed.
        pub management: Option<LongText>,
    }
}

/// The interaction of the ingredient of a profile with another ingredient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// How severe the interaction is; the most severe of several rules counts.
    pub severity: Severity,
    /// Whether the severity depends on the dose, the indication or another condition, which the advice names.
    pub is_conditional: bool,
    /// The number of rules of the source that lead to the pair.
    pub rule_count: i32,
    /// What is said about the interaction: the places of the texts in the profile, from 0.
    pub advice: Vec<usize>,
}

/// All that a source says about an ingredient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The source, such as `ANSM`.
    pub source: Text<50>,
    /// The version of the source.
    pub version: Text<20>,
    /// The language of the texts (BCP 47).
    pub language: Text<10>,
    /// The ingredient (RxCUI).
    pub ingredient: Text<20>,
    /// The texts, each once, since many pairs share one.
    pub texts: Vec<Advice>,
    /// The interactions, by the other ingredient (RxCUI), which is the greater one as text.
    pub pairs: BTreeMap<Text<20>, Pair>,
}

/// What the hospital decided about a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// How severe the interaction is.
    pub severity: Severity,
    /// What is said about the interaction.
    pub advice: Advice,
}

/// What one source says about one ingredient. A profile of the source [`LOCAL`] has pairs that were set one by one, and
/// a profile of any other source has the content that was imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InteractionProfile {
    /// The imported content.
    pub content: Option<Content>,
    /// What the hospital decided, by the other ingredient.
    pub decided: BTreeMap<Text<20>, Decided>,
}

/// What can happen to a profile. It begins with `replaced` or `pair_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An import replaced all that the source says about the ingredient.
    Replaced(Content),
    /// The hospital decided about a pair.
    PairSet {
        /// The ingredient of the profile (RxCUI).
        ingredient: Text<20>,
        /// The other ingredient (RxCUI).
        other: Text<20>,
        /// What was decided.
        decided: Decided,
    },
    /// The hospital took its decision about a pair back, so that the other sources count again.
    PairRemoved {
        /// The other ingredient (RxCUI).
        other: Text<20>,
    },
}

/// The id of the profile of an ingredient in a source.
pub fn profile_of(source: &str, ingredient: &Text<20>) -> InteractionProfileId {
    derived("interactions", &[source, ingredient.as_str()]).into()
}

/// A pair in the order in which it is kept: the smaller RxCUI first, compared as text.
pub fn in_order<'a>(one: &'a Text<20>, other: &'a Text<20>) -> (&'a Text<20>, &'a Text<20>) {
    if one <= other { (one, other) } else { (other, one) }
}

impl Aggregate for InteractionProfile {
    const STREAM: &'static str = "interaction_profile";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let mut profile = state.unwrap_or_else(|| Self { content: None, decided: BTreeMap::new() });
        match event {
            Event::Replaced(content) => profile.content = Some(content.clone()),
            Event::PairSet { ingredient: _, other, decided } => {
                profile.decided.insert(other.clone(), decided.clone());
            }
            Event::PairRemoved { other } => {
                profile.decided.remove(other);
            }
        }
        Some(profile)
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
