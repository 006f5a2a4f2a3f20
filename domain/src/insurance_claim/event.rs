//! What can happen to a claim.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{ClaimStatusCode, ClaimType, Frequency, Line, LinePayment, PaymentMethod, Status};
use crate::values::{ClaimNumber, Money, Reason, Text};
use crate::{BillingRecordId, ClaimPaymentId, InsuranceClaimId, InsurancePolicyId, PatientId, Personal, UserId};

/// A diagnosis of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosed {
    /// The code system (URI) of `code`.
    pub code_system: Text<100>,
    /// The code of the diagnosis.
    pub code: Text<20>,
}

/// A claim as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The number of the claim.
    pub number: ClaimNumber,
    /// The patient.
    pub patient_id: PatientId,
    /// The billing record.
    pub billing_record_id: BillingRecordId,
    /// The policy by which the payer is to pay.
    pub insurance_policy_id: InsurancePolicyId,
    /// The place of the policy among those of the patient, from 1 to 9: the policy with 1 pays first.
    pub priority: i32,
    /// The kind of the claim.
    pub claim_type: ClaimType,
    /// Whether the claim is the first for its services.
    pub frequency: Frequency,
    /// The claim that this claim replaces or voids.
    pub original_claim_id: Option<InsuranceClaimId>,
    /// The first day of the services.
    pub service_date: NaiveDate,
    /// The diagnoses, at most 12, the most important one first.
    pub diagnoses: Vec<Diagnosed>,
    /// The lines, in the order of the invoice.
    pub lines: Vec<Line>,
    /// What is billed: the sum of the lines' charges.
    pub billed_amount: Money,
    /// Why the claim is later than the payer takes claims.
    pub late_reason: Option<Personal<Reason>>,
}

/// What came of a claim so far: sums over the lines that are adjudicated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What the payer allows: the charges, less what nobody owes any more. `None` while no line is adjudicated.
    pub allowed: Option<Money>,
    /// What the payer has paid.
    pub paid: Option<Money>,
    /// What the patient bears.
    pub patient_responsibility: Option<Money>,
    /// Why lines were not paid at all, such as `CO-50`.
    pub denial_codes: Vec<Text<20>>,
}

/// One adjudication of a claim (X12 835 `CLP`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// The id of the adjudication.
    pub payment_id: ClaimPaymentId,
    /// The patient.
    pub patient_id: PatientId,
    /// The number of the payer's transfer, cheque or advice (X12 TRN02).
    pub trace_number: Text<50>,
    /// How the payer pays.
    pub payment_method: PaymentMethod,
    /// The day of the payment.
    pub payment_date: NaiveDate,
    /// What the payer says of the claim as a whole.
    pub claim_status_code: ClaimStatusCode,
    /// The number of the claim with the payer, if it is known.
    pub payer_claim_number: Option<Text<50>>,
    /// What the payer says of each line.
    pub lines: Vec<LinePayment>,
    /// What is paid for all these lines.
    pub paid_amount: Money,
    /// What the patient bears of these lines.
    pub patient_responsibility: Money,
    /// The status of the claim afterwards.
    pub status: Status,
    /// What came of the claim so far.
    pub figures: Figures,
}

/// An adjudication that the payer took back (X12 835 `CLP` with CLP02 22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reversal {
    /// The id of the reversal.
    pub payment_id: ClaimPaymentId,
    /// The adjudication that is taken back.
    pub reverses_id: ClaimPaymentId,
    /// The patient.
    pub patient_id: PatientId,
    /// The number of the payer's advice (X12 TRN02).
    pub trace_number: Text<50>,
    /// The day of the reversal.
    pub payment_date: NaiveDate,
    /// How the payer had paid.
    pub payment_method: PaymentMethod,
    /// What the payer had said of each line.
    pub lines: Vec<LinePayment>,
    /// What is taken back.
    pub paid_amount: Money,
    /// What the patient had to bear of these lines.
    pub patient_responsibility: Money,
    /// Why the payer takes the adjudication back.
    pub reason: Personal<Reason>,
    /// The status of the claim afterwards.
    pub status: Status,
    /// What came of the claim so far.
    pub figures: Figures,
}

/// What can happen to a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The claim was made, as a draft.
    Created(Box<Created>),
    /// The claim was sent to the payer.
    Submitted {
        /// When the claim was sent.
        submitted_at: DateTime<Utc>,
        /// The user who sent the claim.
        submitted_by: Option<UserId>,
        /// Why the claim is later than the payer takes claims, if it was said when the claim was sent.
        late_reason: Option<Personal<Reason>>,
    },
    /// The payer took the claim for adjudication.
    Accepted {
        /// The number of the claim with the payer, if it is known.
        payer_claim_number: Option<Text<50>>,
    },
    /// The payer did not take the claim.
    Rejected {
        /// The codes of the payer (X12 277CA).
        codes: Vec<Text<20>>,
        /// What the payer said.
        reason: Option<Personal<Reason>>,
    },
    /// The payer waits for something before the claim is adjudicated.
    Pended,
    /// The payer adjudicated some lines, or all.
    PaymentRecorded(Box<Payment>),
    /// The payer took an adjudication back.
    PaymentReversed(Box<Reversal>),
    /// The hospital objected to the adjudication. The lines that the payer refused are open again.
    Appealed {
        /// The level of the appeal, from 1 to 5.
        level: i32,
        /// The day by which the payer must have the appeal.
        deadline: Option<NaiveDate>,
        /// Why the hospital objects.
        reason: Personal<Reason>,
        /// What came of the claim so far.
        figures: Figures,
    },
    /// The payer stood by its adjudication.
    DenialUpheld {
        /// What came of the claim so far.
        figures: Figures,
    },
    /// Another claim, which replaces or voids this one, was accepted by the payer.
    Replaced {
        /// The other claim.
        replaced_by: InsuranceClaimId,
    },
    /// The claim was withdrawn before it was sent.
    Cancelled {
        /// Why the claim was withdrawn.
        reason: Personal<Reason>,
    },
}
