//! Disclosures of what is recorded about a patient to somebody outside of the hospital, of which the patient may ask
//! for an account (45 CFR 164.528).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason, Text};
use crate::{Aggregate, PatientId, Personal, Subject, described, terms};

terms! {
    /// For what something was disclosed. What needs no account has no word here: treatment, payment and the hospital's
    /// own work, what the patient got or agreed to, and what went to those who care for the patient.
    pub enum Purpose {
        RequiredByLaw = "required_by_law",
        PublicHealth = "public_health",
        AbuseOrNeglect = "abuse_or_neglect",
        HealthOversight = "health_oversight",
        JudicialProceeding = "judicial_proceeding",
        LawEnforcement = "law_enforcement",
        Decedents = "decedents",
        OrganDonation = "organ_donation",
        Research = "research",
        SeriousThreat = "serious_threat",
        GovernmentFunction = "government_function",
        WorkersCompensation = "workers_compensation",
        Unauthorised = "unauthorised",
    }

    /// Whether a record of a disclosure counts.
    pub enum Status {
        Recorded = "recorded",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// What was disclosed when, to whom and for what.
    pub struct Account {
        /// When the disclosure happened; of several to the same recipient for one purpose, the first.
        pub disclosed_at: DateTime<Utc>,
        /// Who got the information: a person or an organisation.
        pub recipient_name: Personal<Text<200>>,
        /// The address of the recipient, if it is known.
        pub recipient_address: Option<Personal<Text<500>>>,
        /// What was disclosed.
        pub description: Personal<LongText>,
        /// For what it was disclosed.
        pub purpose: Purpose,
        /// The purpose in words, or the request in writing that the disclosure followed.
        pub statement: Option<Personal<LongText>>,
    }
}

/// The record of a disclosure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disclosure {
    /// The patient.
    pub patient_id: PatientId,
    /// Whether the record counts.
    pub status: Status,
}

/// What can happen to the record of a disclosure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A disclosure was recorded.
    Recorded(Box<Recorded>),
    /// The disclosure had been recorded by mistake: it did not happen, or not so.
    MarkedEnteredInError {
        /// What was mistaken.
        reason: Personal<Reason>,
    },
}

/// A disclosure as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The patient.
    pub patient_id: PatientId,
    /// What was disclosed when, to whom and for what.
    #[serde(flatten)]
    pub account: Account,
}

impl Aggregate for Disclosure {
    const STREAM: &'static str = "disclosure";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Recorded(it) => Some(Self { patient_id: it.patient_id, status: Status::Recorded }),
            Event::MarkedEnteredInError { reason: _ } => state.map(|it| Self { status: Status::EnteredInError, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
