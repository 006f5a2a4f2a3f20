//! A legal hold: nothing of a person may be erased, since a court or an investigation may ask for it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::erasure::Person;
use crate::values::{Reason, Text};
use crate::{Aggregate, Personal, Subject};

/// A legal hold on the records of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegalHold {
    /// Whose records are held.
    pub person: Person,
    /// Whether the hold was released.
    pub is_released: bool,
}

/// What can happen to a legal hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The records of a person were put under a hold.
    Placed {
        /// Whose records are held.
        #[serde(flatten)]
        person: Person,
        /// The number of the case.
        case_number: Option<Personal<Text<100>>>,
        /// Why the records are held.
        reason: Personal<Reason>,
    },
    /// The hold ended.
    Released {
        /// Why the hold ended.
        reason: Personal<Reason>,
    },
}

impl Aggregate for LegalHold {
    const STREAM: &'static str = "legal_hold";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Placed { person, .. } => Some(Self { person: *person, is_released: false }),
            Event::Released { reason: _ } => state.map(|it| Self { is_released: true, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(self.person.subject())
    }
}
