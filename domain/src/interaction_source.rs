//! Which sources of drug interactions were loaded. One stream for the whole hospital, which prescribing reads: without a
//! source, nothing can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Text;
use crate::{Aggregate, InteractionSourceId, Subject, derived};

/// A source as it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// The source, such as `ANSM`.
    pub source: Text<50>,
    /// The version of the source.
    pub version: Text<20>,
    /// The number of pairs of ingredients.
    pub pairs: i32,
    /// The ingredients that have a profile (RxCUI).
    pub ingredients: BTreeSet<Text<20>>,
    /// The names in the source that are neither a substance nor a class of substances.
    pub unknown_names: BTreeSet<Text<200>>,
}

/// The sources that were loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InteractionSource {
    /// The sources by their names, each as it was loaded last.
    pub loaded: BTreeMap<Text<50>, Loaded>,
}

/// What can happen to the list of sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// All profiles of a source were loaded.
    Loaded(Loaded),
}

/// The id of the one stream of sources.
pub fn sources() -> InteractionSourceId {
    derived("interaction_source", &[]).into()
}

impl Aggregate for InteractionSource {
    const STREAM: &'static str = "interaction_source";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let mut sources = state.unwrap_or_else(|| Self { loaded: BTreeMap::new() });
        match event {
            Event::Loaded(it) => {
                sources.loaded.insert(it.source.clone(), it.clone());
            }
        }
        Some(sources)
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
