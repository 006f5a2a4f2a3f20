//! The medication catalogue (FHIR R4 `Medication`; ingredients by RxNorm).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Name, Text, Unit};
use crate::{Aggregate, Subject, described};

described! {
    /// The description of a product in the medication catalogue.
    pub struct Details {
        /// The full name of the product.
        pub name: Name<200>,
        /// The generic name: the name of the substance.
        pub generic_name: Option<Name<200>>,
        /// The brand name that the manufacturer gave the product.
        pub brand_name: Option<Name<200>>,
        /// The amount of the substance in one unit, such as `500 mg`.
        pub strength: Option<Text<50>>,
        /// The dose form, such as `tablet`.
        pub form: Option<Text<50>>,
        /// The route by which the product is given, such as `oral`.
        pub route: Option<Text<50>>,
        /// The class of drugs to which the product belongs.
        pub drug_class: Option<Text<100>>,
        /// Whether the product is a controlled substance.
        #[serde(default)]
        pub controlled_substance: bool,
        /// The schedule of a controlled substance in the United States, `I` to `V`.
        pub dea_schedule: Option<Text<5>>,
        /// Whether the product needs a prescription; `true` if left out.
        #[serde(default = "yes")]
        pub requires_prescription: bool,
        /// The RxNorm concept of the product (RXCUI).
        pub rxnorm_code: Option<Text<20>>,
        /// The RxNorm concepts of the ingredients (RXCUI), by which interactions are found.
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
    /// The description of the product.
    pub details: Details,
    /// Only an active product can be prescribed.
    pub is_active: bool,
    /// The units in which the product was received or ordered so far.
    pub units: BTreeSet<Unit>,
    /// Whether the product is or was a controlled substance. Changes of its lots need a witness from then on: nobody
    /// goes round the witness by correcting the catalogue.
    pub was_controlled: bool,
}

/// What can happen to a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The product was added to the catalogue.
    Added(Details),
    /// The description of the product changed. The event holds the whole new description.
    Changed(Details),
    /// The product can no longer be prescribed.
    Deactivated,
    /// The product can be prescribed again.
    Reactivated,
    /// A lot or an order of the product is in a unit that no lot and no order of the product had before.
    UnitIntroduced {
        /// The unit.
        unit: Unit,
    },
}

impl Aggregate for Medication {
    const STREAM: &'static str = "medication";
    const STATE_VERSION: i32 = 3;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added(details) => Some(Self {
                details: details.clone(),
                is_active: true,
                units: BTreeSet::new(),
                was_controlled: details.controlled_substance,
            }),
            Event::Changed(details) => state.map(|it| Self {
                details: details.clone(),
                was_controlled: it.was_controlled || details.controlled_substance,
                ..it
            }),
            Event::Deactivated => state.map(|it| Self { is_active: false, ..it }),
            Event::Reactivated => state.map(|it| Self { is_active: true, ..it }),
            Event::UnitIntroduced { unit } => state.map(|mut it| {
                it.units.insert(unit.clone());
                it
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
