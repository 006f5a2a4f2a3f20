//! The medication catalogue (FHIR R4 `Medication`; ingredients by RxNorm).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Text;
use crate::{Aggregate, Subject, described};

described! {
    /// What a product is.
    pub struct Details {
        /// Its full name.
        pub name: Text<200>,
        /// The name of its substance.
        pub generic_name: Option<Text<200>>,
        /// The name that its maker gave it.
        pub brand_name: Option<Text<200>>,
        /// How much of the substance is in one unit, such as `500 mg`.
        pub strength: Option<Text<50>>,
        /// Its form, such as `tablet`.
        pub form: Option<Text<50>>,
        /// How it is given, such as `oral`.
        pub route: Option<Text<50>>,
        /// The class of drugs that it belongs to.
        pub drug_class: Option<Text<100>>,
        /// Whether the law controls it.
        #[serde(default)]
        pub controlled_substance: bool,
        /// The schedule of a controlled substance in the United States, `I` to `V`.
        pub dea_schedule: Option<Text<5>>,
        /// Whether it is given out on prescription only; it is unless told.
        #[serde(default = "yes")]
        pub requires_prescription: bool,
        /// The RxNorm concept of the product (RXCUI).
        pub rxnorm_code: Option<Text<20>>,
        /// The RxNorm concepts of its ingredients (RXCUI); interactions are found by them.
        #[serde(default)]
        pub ingredients: BTreeSet<Text<20>>,
    }
}

fn yes() -> bool {
    true
}

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Medication {
    /// What it is.
    pub details: Details,
    /// Only an active product can be prescribed.
    pub is_active: bool,
}

/// What can happen to a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was added.
    Added(Details),
    /// More, or something else, is known of it; holds everything as it is now.
    Changed(Details),
    /// It can no longer be prescribed.
    Deactivated,
    /// It can again.
    Reactivated,
}

impl Aggregate for Medication {
    const STREAM: &'static str = "medication";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added(details) => Some(Self { details: details.clone(), is_active: true }),
            Event::Changed(details) => state.map(|it| Self { details: details.clone(), ..it }),
            Event::Deactivated => state.map(|it| Self { is_active: false, ..it }),
            Event::Reactivated => state.map(|it| Self { is_active: true, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
