//! Access to a patient's records in an emergency, without being assigned to the patient ("breaking the glass"), and its
//! review.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason};
use crate::{Aggregate, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// How far the review of an access is, and what came of it.
    pub enum Review {
        Open = "open",
        Justified = "justified",
        NotJustified = "not_justified",
    }

    /// What a review finds.
    pub enum Finding {
        Justified = "justified",
        NotJustified = "not_justified",
    }
}

/// The access of a user to the records of a patient in an emergency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmergencyAccess {
    /// The patient.
    pub patient_id: PatientId,
    /// Who took the access.
    pub user_id: UserId,
    /// The second person who allowed the access, if one did.
    pub seconded_by: Option<UserId>,
    /// Since when the access lasts.
    pub granted_at: DateTime<Utc>,
    /// When the access ends, or ended.
    pub ends_at: DateTime<Utc>,
    /// How many minutes a second person is asked to allow; `None` if the access needs no second person, or has one.
    pub awaits_minutes: Option<i32>,
    /// How far the review is.
    pub review: Review,
}

/// What can happen to an access in an emergency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A user took access to the records of a patient.
    Granted {
        /// The patient.
        patient_id: PatientId,
        /// Who took the access.
        user_id: UserId,
        /// Why the records are needed.
        reason: Personal<Reason>,
        /// Since when the access lasts.
        granted_at: DateTime<Utc>,
        /// When the access ends by itself.
        ends_at: DateTime<Utc>,
    },
    /// A user asked for access to very restricted records, which a second person must allow.
    Asked {
        /// The patient.
        patient_id: PatientId,
        /// Who asked for the access.
        user_id: UserId,
        /// Why the records are needed.
        reason: Personal<Reason>,
        /// When the user asked.
        asked_at: DateTime<Utc>,
        /// How many minutes the access would last.
        minutes: i32,
    },
    /// A second person allowed the access.
    Seconded {
        /// The second person.
        seconded_by: UserId,
        /// Since when the access lasts.
        granted_at: DateTime<Utc>,
        /// When the access ends by itself.
        ends_at: DateTime<Utc>,
    },
    /// The access was given back before its time.
    Ended {
        /// When the access ended; for one that no second person had allowed, when it was asked for.
        ended_at: DateTime<Utc>,
    },
    /// Somebody else looked at the access and what was done with it.
    Reviewed {
        /// What the review found.
        finding: Finding,
        /// What the reviewer noted.
        note: Option<Personal<LongText>>,
        /// When the access was reviewed.
        reviewed_at: DateTime<Utc>,
    },
}

impl From<Finding> for Review {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Justified => Self::Justified,
            Finding::NotJustified => Self::NotJustified,
        }
    }
}

impl Aggregate for EmergencyAccess {
    const STREAM: &'static str = "emergency_access";
    const STATE_VERSION: i32 = 3;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Granted { patient_id, user_id, reason: _, granted_at, ends_at } => Some(Self {
                patient_id: *patient_id,
                user_id: *user_id,
                seconded_by: None,
                granted_at: *granted_at,
                ends_at: *ends_at,
                awaits_minutes: None,
                review: Review::Open,
            }),
            Event::Asked { patient_id, user_id, reason: _, asked_at, minutes } => Some(Self {
                patient_id: *patient_id,
                user_id: *user_id,
                seconded_by: None,
                granted_at: *asked_at,
                ends_at: *asked_at,
                awaits_minutes: Some(*minutes),
                review: Review::Open,
            }),
            Event::Seconded { seconded_by, granted_at, ends_at } => state.map(|it| Self {
                seconded_by: Some(*seconded_by),
                granted_at: *granted_at,
                ends_at: *ends_at,
                awaits_minutes: None,
                ..it
            }),
            Event::Ended { ended_at } => state.map(|it| Self { ends_at: *ended_at, awaits_minutes: None, ..it }),
            // What was not justified ends at once.
            Event::Reviewed { finding, reviewed_at, .. } => state.map(|it| {
                let is_over = *finding == Finding::NotJustified;
                let ends_at = if is_over { it.ends_at.min(*reviewed_at).max(it.granted_at) } else { it.ends_at };
                Self { review: (*finding).into(), ends_at, ..it }
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
