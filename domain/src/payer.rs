//! Payers: insurers and other organisations that pay for patients (FHIR R4 `Organization` of the type `pay`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Phone, Text};
use crate::{Aggregate, Subject, described};

described! {
    /// The description of a payer.
    pub struct Details {
        /// The short code of the payer, unique in the hospital.
        pub code: Text<20>,
        /// The name of the payer.
        pub name: Text<200>,
        /// The id of the payer in electronic claims (X12 NM109).
        pub electronic_payer_id: Option<Text<20>>,
        /// The kind of insurance in electronic claims (X12 SBR09), such as `CI` for a commercial insurance.
        pub claim_filing_indicator: Option<Text<2>>,
        /// The price list that was agreed with the payer; the standard list if left out.
        pub price_list: Option<Text<20>>,
        /// The number of days after a service in which the payer takes claims, from 1 to 3650.
        pub timely_filing_days: Option<i32>,
        /// The phone number of the payer; stored in E.164.
        pub phone: Option<Phone>,
        /// The postal address of the payer.
        pub address: Option<Text<500>>,
    }
}

/// A payer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payer {
    /// The description of the payer.
    pub details: Details,
    /// Only policies of an active payer can be added and verified.
    pub is_active: bool,
}

/// What can happen to a payer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The payer was added.
    Added(Details),
    /// The description of the payer changed. The event holds the whole new description.
    Changed(Details),
    /// No more policies of the payer can be added or verified.
    Deactivated,
    /// Policies of the payer can be added and verified again.
    Reactivated,
}

impl Aggregate for Payer {
    const STREAM: &'static str = "payer";
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
