//! Insurance policies: which payer pays for a patient, in which order and when (FHIR R4 `Coverage`).

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Money, Percent, Reason, Text};
use crate::{Aggregate, PatientId, PayerId, Personal, Subject, described, terms};

terms! {
    /// The status of a policy (FHIR `fm-status`).
    pub enum Status {
        /// Nobody has verified the policy yet.
        Draft = "draft",
        Active = "active",
        Cancelled = "cancelled",
        EnteredInError = "entered_in_error",
    }

    /// The relationship of the patient to the subscriber, the person who holds the policy (FHIR
    /// `subscriber-relationship`).
    pub enum Relationship {
        /// The patient holds the policy.
        Own = "self",
        Spouse = "spouse",
        Child = "child",
        Parent = "parent",
        /// A common-law spouse.
        Common = "common",
        /// Somebody who was injured by the subscriber.
        Injured = "injured",
        Other = "other",
    }

    /// How a policy was verified.
    pub enum VerificationMethod {
        /// Somebody has seen the card of the insurer.
        Card = "card",
        Phone = "phone",
        Portal = "portal",
        /// The payer has answered an electronic enquiry (X12 271).
        X12 = "x12_271",
    }
}

described! {
    /// What a policy says: who pays for whom, when, and which part.
    pub struct Coverage {
        /// The payer.
        pub payer_id: PayerId,
        /// The number under which the payer knows the member; required, except in an import.
        pub member_id: Option<Personal<Text<50>>>,
        /// The number of the group to which the policy belongs, such as that of an employer.
        pub group_number: Option<Personal<Text<50>>>,
        /// The name of the plan.
        pub plan_name: Option<Text<200>>,
        /// The type of the plan, such as `PPO`.
        pub plan_type: Option<Text<30>>,
        /// The relationship of the patient to the subscriber, who holds the policy: `self` if that is the patient.
        pub relationship_to_subscriber: Relationship,
        /// The name of the subscriber; required, except in an import, unless the relationship is `self`.
        pub subscriber_name: Option<Personal<Text<200>>>,
        /// The date of birth of the subscriber; required, except in an import, unless the relationship is `self`.
        pub subscriber_birth_date: Option<Personal<NaiveDate>>,
        /// The place of the policy among those of the patient, from 1 to 9: the policy with 1 pays first.
        pub priority: i32,
        /// The first day of the coverage.
        pub effective_from: NaiveDate,
        /// The last day of the coverage; open-ended if left out.
        pub effective_to: Option<NaiveDate>,
        /// The amount that the patient pays at each visit.
        pub copay_amount: Option<Money>,
        /// The amount that the patient pays in a year before the payer pays.
        pub deductible_amount: Option<Money>,
        /// The part of an amount that the patient pays, in percent.
        pub coinsurance_percent: Option<Percent>,
    }
}

impl Coverage {
    /// Whether the dates hold a day.
    pub fn covers(&self, day: NaiveDate) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }

    /// Whether two coverages have a day in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.effective_to.is_none_or(|last| other.effective_from <= last)
            && other.effective_to.is_none_or(|last| self.effective_from <= last)
    }

    /// Whether a change from this coverage to another one makes a verification worthless: another payer, member or
    /// relationship, or other dates.
    pub fn must_be_verified_again_as(&self, changed: &Self) -> bool {
        self.payer_id != changed.payer_id
            || self.member_id != changed.member_id
            || self.relationship_to_subscriber != changed.relationship_to_subscriber
            || self.effective_from != changed.effective_from
            || self.effective_to != changed.effective_to
    }
}

/// How a policy was verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// How the policy was verified.
    pub method: VerificationMethod,
    /// What the payer answered, such as the number of the call.
    pub reference: Option<Text<50>>,
}

/// An insurance policy of a patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsurancePolicy {
    /// The patient.
    pub patient_id: PatientId,
    /// What the policy says.
    pub coverage: Coverage,
    /// The status of the policy.
    pub status: Status,
    /// How the policy was verified; `None` while nobody has verified what the policy says now.
    pub verification: Option<Verification>,
}

impl InsurancePolicy {
    /// Whether the policy pays for a service on a day.
    pub fn is_in_force_on(&self, day: NaiveDate) -> bool {
        self.status == Status::Active && self.coverage.covers(day)
    }
}

/// What can happen to a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The policy was added. Nobody has verified it yet.
    Added {
        /// The patient.
        patient_id: PatientId,
        /// What the policy says.
        coverage: Box<Coverage>,
    },
    /// What the policy says changed.
    Changed {
        /// All that the policy says now.
        coverage: Box<Coverage>,
        /// Whether the policy must be verified, whatever was verified before.
        resets_verification: bool,
    },
    /// The policy was verified.
    Verified(Verification),
    /// The coverage ends on a certain day.
    Ended {
        /// The last day of the coverage.
        effective_to: NaiveDate,
    },
    /// The policy was cancelled and pays for nothing any more.
    Cancelled {
        /// The reason for the cancellation.
        reason: Personal<Reason>,
    },
    /// The policy was recorded by mistake.
    MarkedEnteredInError {
        /// What was wrong.
        reason: Personal<Reason>,
    },
}

impl Aggregate for InsurancePolicy {
    const STREAM: &'static str = "insurance_policy";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added { patient_id, coverage } => Some(Self {
                patient_id: *patient_id,
                coverage: (**coverage).clone(),
                status: Status::Draft,
                verification: None,
            }),
            Event::Changed { coverage, resets_verification: true } => {
                state.map(|it| Self { coverage: (**coverage).clone(), status: Status::Draft, verification: None, ..it })
            }
            Event::Changed { coverage, resets_verification: false } => {
                state.map(|it| Self { coverage: (**coverage).clone(), ..it })
            }
            Event::Verified(verification) => {
                state.map(|it| Self { status: Status::Active, verification: Some(verification.clone()), ..it })
            }
            Event::Ended { effective_to } => {
                state.map(|it| Self { coverage: Coverage { effective_to: Some(*effective_to), ..it.coverage }, ..it })
            }
            Event::Cancelled { reason: _ } => state.map(|it| Self { status: Status::Cancelled, ..it }),
            Event::MarkedEnteredInError { reason: _ } => state.map(|it| Self { status: Status::EnteredInError, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn coverage(from: &str, to: Option<&str>) -> Coverage {
        Coverage {
            payer_id: PayerId(Uuid::from_u128(1)),
            member_id: None,
            group_number: None,
            plan_name: None,
            plan_type: None,
            relationship_to_subscriber: Relationship::Own,
            subscriber_name: None,
            subscriber_birth_date: None,
            priority: 1,
            effective_from: day(from),
            effective_to: to.map(day),
            copay_amount: None,
            deductible_amount: None,
            coinsurance_percent: None,
        }
    }

    #[test]
    fn a_visit_on_31_december_bills_the_old_policy() {
        let old = coverage("2025-01-01", Some("2025-12-31"));
        let new = coverage("2026-01-01", None);
        for (visit, by_old, by_new) in
            [("2025-01-01", true, false), ("2025-12-31", true, false), ("2026-01-01", false, true)]
        {
            assert_eq!((old.covers(day(visit)), new.covers(day(visit))), (by_old, by_new), "{visit}");
        }
        assert!(!old.overlaps(&new) && !new.overlaps(&old));
    }

    #[test]
    fn coverages_with_one_day_in_common_overlap() {
        let open = coverage("2025-06-01", None);
        for (from, to, overlaps) in [
            ("2025-01-01", Some("2025-05-31"), false),
            ("2025-01-01", Some("2025-06-01"), true),
            ("2024-01-01", None, true),
            ("2026-01-01", Some("2026-01-01"), true),
        ] {
            let other = coverage(from, to);
            assert_eq!((open.overlaps(&other), other.overlaps(&open)), (overlaps, overlaps), "{from}");
        }
    }

    #[test]
    fn only_an_active_policy_is_in_force() {
        for (status, is_in_force) in [
            (Status::Draft, false),
            (Status::Active, true),
            (Status::Cancelled, false),
            (Status::EnteredInError, false),
        ] {
            let patient_id = PatientId(Uuid::from_u128(2));
            let policy =
                InsurancePolicy { patient_id, coverage: coverage("2025-01-01", None), status, verification: None };
            assert_eq!(policy.is_in_force_on(day("2025-01-01")), is_in_force, "{status}");
            assert!(!policy.is_in_force_on(day("2024-12-31")));
        }
    }
}
