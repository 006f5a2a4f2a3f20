//! What a patient allows or forbids others to see (FHIR R4 `Consent`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text};
use crate::{Aggregate, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// What a consent is about.
    pub enum Scope {
        /// Who may see the records for the treatment and what goes with it.
        Treatment = "treatment",
        /// Whether the records may be used for research.
        Research = "research",
        /// Whether callers and visitors are told that the patient is here.
        Directory = "directory",
    }

    /// Whether something is allowed.
    pub enum Provision {
        Permit = "permit",
        Deny = "deny",
    }
}

/// A consent of a patient, or a refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// The patient.
    pub patient_id: PatientId,
    /// What the consent is about.
    pub scope: Scope,
    /// Whether it is allowed.
    pub provision: Provision,
    /// The user who may not see the records; `None` for what concerns nobody in particular.
    pub user_id: Option<UserId>,
    /// Whether the patient withdrew it.
    pub is_withdrawn: bool,
}

/// What can happen to a consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The patient allowed or forbade something.
    Recorded {
        /// The patient.
        patient_id: PatientId,
        /// What the consent is about.
        scope: Scope,
        /// Whether it is allowed.
        provision: Provision,
        /// The user who may not see the records; `None` for what concerns nobody in particular.
        user_id: Option<UserId>,
        /// Where the patient said so, such as the number of a signed form.
        source: Option<Personal<Text<200>>>,
    },
    /// The patient withdrew it: nothing is said about the matter any more.
    Withdrawn {
        /// Why, if the patient said so.
        reason: Option<Personal<Reason>>,
    },
}

impl Aggregate for Consent {
    const STREAM: &'static str = "consent";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Recorded { patient_id, scope, provision, user_id, source: _ } => Some(Self {
                patient_id: *patient_id,
                scope: *scope,
                provision: *provision,
                user_id: *user_id,
                is_withdrawn: false,
            }),
            Event::Withdrawn { reason: _ } => state.map(|it| Self { is_withdrawn: true, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
