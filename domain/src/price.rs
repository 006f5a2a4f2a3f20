//! Price lists: what a service costs from which day on. One stream for the prices of one service in one list.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Percent, Text, UnitPrice};
use crate::{Aggregate, PriceId, Subject, derived};

/// The price list that counts where no other list was agreed with the payer.
pub const STANDARD: &str = "standard";

/// The id of the prices of one service in one list.
pub fn price_id(price_list: &str, code_system: &str, code: &str) -> PriceId {
    derived("price", &[price_list, code_system, code]).into()
}

/// What a service costs from one day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The first day on which the price counts.
    pub effective_from: NaiveDate,
    /// The last day on which the price counts; open-ended if there is none.
    pub effective_to: Option<NaiveDate>,
    /// What the service is called.
    pub description: Text<500>,
    /// The price of one unit.
    pub unit_price: UnitPrice,
    /// The tax on the price, in percent.
    pub tax_rate: Percent,
}

impl Version {
    /// Whether the price counts on a day.
    pub fn covers(&self, day: NaiveDate) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }
}

/// A version that ends on another day than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The first day of the version.
    pub effective_from: NaiveDate,
    /// The last day of the version now.
    pub effective_to: NaiveDate,
}

/// The prices of one service in one list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// The price list.
    pub price_list: Text<20>,
    /// The versions by their first days; no two of them count on the same day.
    pub versions: BTreeMap<NaiveDate, Version>,
}

impl Price {
    /// The price that counts on a day.
    pub fn on(&self, day: NaiveDate) -> Option<&Version> {
        self.versions.range(..=day).next_back().map(|(_, version)| version).filter(|it| it.covers(day))
    }

    /// The versions with one of them ending on another day.
    fn cut(mut self, cut: &Cut) -> Self {
        if let Some(version) = self.versions.get_mut(&cut.effective_from) {
            version.effective_to = Some(cut.effective_to);
        }
        self
    }
}

/// What can happen to the prices of a service in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A price was set, in place of a version with the same first day.
    Set(Box<PriceSet>),
    /// The service has no price in the list any more after a day.
    Ended {
        /// The version that ends earlier than before.
        cut: Cut,
        /// The first days of the versions that would have begun later, and are dropped.
        dropped: Vec<NaiveDate>,
    },
}

/// A price that was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceSet {
    /// The price list.
    pub price_list: Text<20>,
    /// The code system (URI) of the service.
    pub code_system: Text<100>,
    /// The code of the service.
    pub code: Text<20>,
    /// The price, from its first day to its last.
    pub version: Version,
    /// The version before, which ends earlier now.
    pub cut: Option<Cut>,
}

impl Aggregate for Price {
    const STREAM: &'static str = "price";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Set(set) => {
                let new = || Self { price_list: set.price_list.clone(), versions: BTreeMap::new() };
                let price = state.unwrap_or_else(new);
                let mut price = set.cut.iter().fold(price, Self::cut);
                price.versions.insert(set.version.effective_from, set.version.clone());
                Some(price)
            }
            Event::Ended { cut, dropped } => state.map(|price| {
                let mut price = price.cut(cut);
                price.versions.retain(|first, _| !dropped.contains(first));
                price
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
