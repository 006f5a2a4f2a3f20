//! Insurance claims: what is asked of a payer for an invoice, and what the payer answers (X12 837 and 835, FHIR R4
//! `Claim`, `ClaimResponse`).

pub mod adjustment;
mod course;
mod event;
mod line;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use adjustment::{Adjustment, Group};
pub use event::{Created, Diagnosed, Event, Figures, Payment, Reversal};
pub use line::{Adjudicated, Line, LinePayment, LineSoFar, Prior};

use crate::values::{ClaimNumber, Money, Text};
use crate::{
    Aggregate, BillingRecordId, ClaimPaymentId, InsuranceClaimId, InsurancePolicyId, PatientId, Subject, UserId, terms,
};

terms! {
    /// The status of a claim.
    pub enum Status {
        /// Nobody has sent the claim yet.
        Draft = "draft",
        Submitted = "submitted",
        /// The payer has taken the claim for adjudication (X12 277CA).
        Accepted = "accepted",
        /// The payer has not taken the claim (X12 277CA). A new claim is made in its place.
        Rejected = "rejected",
        /// The payer has taken the claim and waits for something, such as records.
        Pending = "pending",
        /// The claim is adjudicated in full, even if nothing was paid.
        Paid = "paid",
        /// Some lines are adjudicated, others are open.
        PartiallyPaid = "partially_paid",
        /// The payer refuses to pay (X12 CLP02 4).
        Denied = "denied",
        /// The hospital has objected to the adjudication.
        Appealed = "appealed",
        /// The claim was withdrawn, or another claim has replaced it.
        Cancelled = "cancelled",
    }

    /// The kind of a claim (FHIR `claim-type`).
    pub enum ClaimType {
        Professional = "professional",
        Institutional = "institutional",
        Pharmacy = "pharmacy",
        Dental = "dental",
        Vision = "vision",
    }

    /// Whether a claim is the first for its services (claim frequency code, X12 CLM05-3).
    pub enum Frequency {
        Original = "1",
        /// The claim replaces an earlier one.
        Replacement = "7",
        /// The claim voids an earlier one.
        Void = "8",
    }

    /// How a payer pays (X12 BPR04).
    pub enum PaymentMethod {
        /// By the automated clearing house.
        Ach = "ACH",
        /// By cheque.
        Check = "CHK",
        /// By wire.
        Wire = "FWT",
        /// Nothing is paid.
        Nothing = "NON",
    }

    /// What a payer says of a claim as a whole (X12 CLP02).
    pub enum ClaimStatusCode {
        Primary = "1",
        Secondary = "2",
        Tertiary = "3",
        Denied = "4",
        PrimaryForwarded = "19",
        SecondaryForwarded = "20",
        TertiaryForwarded = "21",
    }
}

/// The code that says that a payer takes an earlier payment back (X12 CLP02).
pub const REVERSAL: &str = "22";

impl Status {
    /// Whether the payer may adjudicate a claim of this status.
    pub fn is_awaited(self) -> bool {
        matches!(self, Self::Submitted | Self::Accepted | Self::Pending | Self::PartiallyPaid | Self::Appealed)
    }

    /// Whether something is still asked of the payer, or will be once the claim is sent.
    pub fn is_open(self) -> bool {
        self == Self::Draft || self.is_awaited()
    }

    /// Whether the payer has the claim: it was sent, and neither rejected nor cancelled.
    pub fn is_with_payer(self) -> bool {
        !matches!(self, Self::Draft | Self::Rejected | Self::Cancelled)
    }
}

/// An adjudication, as the state of a claim remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentSoFar {
    /// The id of the adjudication.
    pub id: ClaimPaymentId,
    /// The number of the payer's transfer, cheque or advice.
    pub trace_number: Text<50>,
    /// How the payer paid.
    pub payment_method: PaymentMethod,
    /// What the payer said of each line.
    pub lines: Vec<LinePayment>,
    /// What the payer paid.
    pub paid: Money,
    /// The reversal of the adjudication and the number of its advice, once the payer has taken the adjudication back.
    pub reversed: Option<(ClaimPaymentId, Text<50>)>,
}

/// A claim on a payer for an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsuranceClaim {
    /// The number of the claim.
    pub number: ClaimNumber,
    /// The patient.
    pub patient_id: PatientId,
    /// The billing record.
    pub billing_record_id: BillingRecordId,
    /// The policy by which the payer is to pay.
    pub insurance_policy_id: InsurancePolicyId,
    /// The place of the policy among those of the patient when the claim was made.
    pub priority: i32,
    /// The kind of the claim.
    pub claim_type: ClaimType,
    /// Whether the claim is the first for its services.
    pub frequency: Frequency,
    /// The claim that this claim replaces or voids.
    pub original_claim_id: Option<InsuranceClaimId>,
    /// The first day of the services.
    pub service_date: NaiveDate,
    /// The diagnoses, the most important one first.
    pub diagnoses: Vec<Diagnosed>,
    /// The lines, and what the payer has said of each.
    pub lines: Vec<LineSoFar>,
    /// The adjudications, in the order in which they were recorded.
    pub payments: Vec<PaymentSoFar>,
    /// Whether it was said why the claim is later than the payer takes claims.
    pub is_late_for_a_reason: bool,
    /// The user who sent the claim.
    pub submitted_by: Option<UserId>,
    /// The number of the claim with the payer, once it is known.
    pub payer_claim_number: Option<Text<50>>,
    /// The level of the last appeal.
    pub appeal_level: Option<i32>,
    /// The status of the claim.
    pub status: Status,
}

impl InsuranceClaim {
    /// A claim that was just made.
    pub fn new(created: &Created) -> Self {
        Self {
            number: created.number.clone(),
            patient_id: created.patient_id,
            billing_record_id: created.billing_record_id,
            insurance_policy_id: created.insurance_policy_id,
            priority: created.priority,
            claim_type: created.claim_type,
            frequency: created.frequency,
            original_claim_id: created.original_claim_id,
            service_date: created.service_date,
            diagnoses: created.diagnoses.clone(),
            lines: created.lines.iter().map(LineSoFar::new).collect(),
            payments: Vec::new(),
            is_late_for_a_reason: created.late_reason.is_some(),
            submitted_by: None,
            payer_claim_number: None,
            appeal_level: None,
            status: Status::Draft,
        }
    }
}

impl Aggregate for InsuranceClaim {
    const STREAM: &'static str = "insurance_claim";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Created(it) => Some(Self::new(it)),
            Event::Submitted { submitted_at: _, submitted_by, late_reason } => state.map(|it| Self {
                status: Status::Submitted,
                submitted_by: *submitted_by,
                is_late_for_a_reason: it.is_late_for_a_reason || late_reason.is_some(),
                ..it
            }),
            Event::Accepted { payer_claim_number } => state.map(|it| Self {
                status: Status::Accepted,
                payer_claim_number: payer_claim_number.clone().or(it.payer_claim_number),
                ..it
            }),
            Event::Rejected { codes: _, reason: _ } => state.map(|it| Self { status: Status::Rejected, ..it }),
            Event::Pended => state.map(|it| Self { status: Status::Pending, ..it }),
            Event::PaymentRecorded(payment) => state.map(|mut claim| {
                claim.adjudicate(payment.payment_id, payment.claim_status_code, &payment.lines);
                claim.payments.push(PaymentSoFar {
                    id: payment.payment_id,
                    trace_number: payment.trace_number.clone(),
                    payment_method: payment.payment_method,
                    lines: payment.lines.clone(),
                    paid: payment.paid_amount,
                    reversed: None,
                });
                let payer_claim_number = payment.payer_claim_number.clone();
                Self { status: payment.status, payer_claim_number, ..claim }
            }),
            Event::PaymentReversed(reversal) => state.map(|mut claim| {
                claim.reopen(reversal.reverses_id);
                for payment in claim.payments.iter_mut().filter(|it| it.id == reversal.reverses_id) {
                    payment.reversed = Some((reversal.payment_id, reversal.trace_number.clone()));
                }
                Self { status: reversal.status, ..claim }
            }),
            Event::Appealed { level, deadline: _, reason: _, figures: _ } => {
                state.map(|it| Self { appeal_level: Some(*level), ..it.appealed() })
            }
            Event::DenialUpheld { figures: _ } => state.map(|it| it.upheld()),
            Event::Replaced { replaced_by: _ } | Event::Cancelled { reason: _ } => {
                state.map(|it| Self { status: Status::Cancelled, ..it })
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
