//! The erasure of a person: asked for by one user and confirmed by another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::patient::Patient;
use crate::user::User;
use crate::values::Reason;
use crate::{Aggregate, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// Why a person is erased (the grounds of GDPR, article 17).
    pub enum Ground {
        /// The person asked for it.
        Requested = "requested",
        /// The person withdrew the consent on which the records rested.
        ConsentWithdrawn = "consent_withdrawn",
        /// The records are no longer needed, and need not be kept any longer.
        RetentionEnded = "retention_ended",
        /// The records should not have been made.
        Unlawful = "unlawful",
        /// A law or a court demands it.
        LegalDuty = "legal_duty",
    }

    /// How far an erasure is.
    pub enum Status {
        Requested = "requested",
        Confirmed = "confirmed",
        Declined = "declined",
    }
}

/// A person with values of their own in the log: a patient or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Person {
    /// A patient.
    #[serde(rename = "patient_id")]
    Patient(PatientId),
    /// A user.
    #[serde(rename = "user_id")]
    User(UserId),
}

impl Person {
    /// The patient, if the person is one.
    pub fn patient_id(self) -> Option<PatientId> {
        if let Self::Patient(id) = self { Some(id) } else { None }
    }

    /// The user, if the person is one.
    pub fn user_id(self) -> Option<UserId> {
        if let Self::User(id) = self { Some(id) } else { None }
    }

    /// The person whom an event erased, if it is an event of this kind.
    pub fn erased_by(event_type: &str, stream_id: Uuid) -> Option<Self> {
        match event_type.strip_suffix(".erased")? {
            Patient::STREAM => Some(Self::Patient(stream_id.into())),
            User::STREAM => Some(Self::User(stream_id.into())),
            _ => None,
        }
    }

    /// The id of the person, which is also that of the key with which everything about them is sealed.
    pub fn id(self) -> Uuid {
        match self {
            Self::Patient(id) => id.0,
            Self::User(id) => id.0,
        }
    }

    /// The subject whose key seals what is said about the person.
    pub fn subject(self) -> Subject {
        match self {
            Self::Patient(id) => Subject::Patient(id.0),
            Self::User(id) => Subject::User(id.0),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())
    }
}

/// The erasure of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// Who is to be erased.
    pub person: Person,
    /// Who asked for it.
    pub requested_by: UserId,
    /// How far the erasure is.
    pub status: Status,
}

/// What can happen to an erasure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A user asked that a person be erased.
    Requested {
        /// Who is to be erased.
        #[serde(flatten)]
        person: Person,
        /// Who asked for it.
        requested_by: UserId,
        /// Why.
        ground: Ground,
        /// What the user says about it, which is erased with the person.
        reason: Personal<Reason>,
    },
    /// Another user confirmed the erasure, and the person was erased.
    Confirmed,
    /// Another user declined the erasure, or whoever asked for it took it back.
    Declined {
        /// Why.
        reason: Personal<Reason>,
    },
}

impl Aggregate for Erasure {
    const STREAM: &'static str = "erasure";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Requested { person, requested_by, .. } => {
                Some(Self { person: *person, requested_by: *requested_by, status: Status::Requested })
            }
            Event::Confirmed => state.map(|it| Self { status: Status::Confirmed, ..it }),
            Event::Declined { reason: _ } => state.map(|it| Self { status: Status::Declined, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(self.person.subject())
    }
}
