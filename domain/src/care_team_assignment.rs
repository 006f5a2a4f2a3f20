//! Care teams: who is assigned to a patient, and from when until when (FHIR R4 `CareTeam.participant`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Reason;
use crate::{Aggregate, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// What somebody is in a care team.
    pub enum Participation {
        Lead = "lead",
        Member = "member",
    }

    /// The status of an assignment.
    pub enum Status {
        Active = "active",
        Ended = "ended",
    }
}

/// The assignment of a user to the care team of a patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CareTeamAssignment {
    /// The patient.
    pub patient_id: PatientId,
    /// The member of the team.
    pub user_id: UserId,
    /// What the user is in the team.
    pub participation: Participation,
    /// Since when the user belongs to the team.
    pub starts_at: DateTime<Utc>,
    /// From when on the user does not belong to the team any more; `None` if nobody said so.
    pub ends_at: Option<DateTime<Utc>>,
    /// The status of the assignment.
    pub status: Status,
}

/// What can happen to an assignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A user was assigned to the care team of a patient.
    Assigned {
        /// The patient.
        patient_id: PatientId,
        /// The member of the team.
        user_id: UserId,
        /// What the user is in the team.
        participation: Participation,
        /// Since when the user belongs to the team.
        starts_at: DateTime<Utc>,
        /// From when on the user does not belong to the team any more; `None` if nobody said so.
        ends_at: Option<DateTime<Utc>>,
        /// Why the user was assigned.
        reason: Option<Personal<Reason>>,
    },
    /// The assignment ended before its time.
    Ended {
        /// Why the assignment ended.
        reason: Option<Personal<Reason>>,
    },
}

impl Aggregate for CareTeamAssignment {
    const STREAM: &'static str = "care_team_assignment";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Assigned { patient_id, user_id, participation, starts_at, ends_at, reason: _ } => Some(Self {
                patient_id: *patient_id,
                user_id: *user_id,
                participation: *participation,
                starts_at: *starts_at,
                ends_at: *ends_at,
                status: Status::Active,
            }),
            Event::Ended { reason: _ } => state.map(|it| Self { status: Status::Ended, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
