//! The lines of a claim: what is billed, and what the payer has said of it.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::adjustment::{Adjustment, Group, lowering, patients};
use crate::values::{Money, Text};
use crate::{BillingItemId, ClaimPaymentId, InsuranceClaimId, described};

/// What an earlier payer, such as the primary insurer, paid for a line and did not pay (coordination of benefits).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The claim that the earlier payer adjudicated.
    pub insurance_claim_id: InsuranceClaimId,
    /// What the payer paid for the line.
    pub paid: Money,
    /// What the payer did not pay, and why not.
    pub adjustments: Vec<Adjustment>,
}

/// A line of a claim: one line of the invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The number of the line in the claim, from 1.
    pub line: i32,
    /// The line of the billing record.
    pub item_id: BillingItemId,
    /// The day of the service.
    pub service_date: NaiveDate,
    /// The code system (URI) of `code`.
    pub code_system: Text<100>,
    /// The code of the service.
    pub code: Text<20>,
    /// What is billed for the line: its amount after discount and with tax.
    pub charge: Money,
    /// The diagnoses for which the service was done, by their places in the claim's list of diagnoses, from 1.
    pub diagnosis_pointers: Vec<i32>,
    /// What earlier payers paid and did not pay.
    pub prior: Vec<Prior>,
}

impl Line {
    /// What is asked of the payer: the charge, less what earlier payers paid and what no payer owes any more.
    pub fn asked(&self) -> Decimal {
        let earlier: Decimal = self.prior.iter().map(|it| it.paid.number() + lowering(&it.adjustments)).sum();
        (self.charge.number() - earlier).max(Decimal::ZERO)
    }
}

described! {
    /// What a payer says of one line of a claim (X12 835 `SVC`).
    pub struct LinePayment {
        /// The number of the line in the claim, from 1.
        pub line: i32,
        /// What the payer pays for the line; 0 if nothing.
        pub paid: Money,
        /// What the payer does not pay, and why not; none if left out. The charge of the line is what is paid and all
        /// adjustments together.
        #[serde(default)]
        pub adjustments: Vec<Adjustment>,
    }
}

impl LinePayment {
    /// What is paid and adjusted together, which must be the charge of the line.
    pub fn total(&self) -> Decimal {
        self.paid.number() + self.adjustments.iter().map(|it| it.amount.number()).sum::<Decimal>()
    }
}

/// What a payer has said of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjudicated {
    /// The adjudication.
    pub payment_id: ClaimPaymentId,
    /// What the payer pays for the line.
    pub paid: Money,
    /// What the payer does not pay, and why not.
    pub adjustments: Vec<Adjustment>,
    /// Whether the payer denied the claim as a whole.
    pub is_of_denied_claim: bool,
}

impl Adjudicated {
    /// How much the line lowers what is owed without being paid.
    pub fn lowering(&self) -> Decimal {
        lowering(&self.adjustments)
    }

    /// What the patient bears.
    pub fn patients(&self) -> Decimal {
        patients(&self.adjustments)
    }

    /// Whether the payer refuses the line: nothing is paid, and unless the claim was denied as a whole, not because the
    /// patient or another payer bears it all.
    pub fn is_denial(&self) -> bool {
        self.paid.number().is_zero() && (self.is_of_denied_claim || !self.lowering().is_zero())
    }

    /// Why the payer refuses the line; nothing if the payer does not.
    pub(super) fn denial_codes(&self) -> impl Iterator<Item = Text<20>> {
        let is_why = |it: &&Adjustment| it.lowers_the_due() || it.group == Group::PatientResponsibility;
        self.adjustments.iter().filter(|_| self.is_denial()).filter(is_why).map(Adjustment::code)
    }
}

/// A line of a claim, and what the payer has said of it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineSoFar {
    /// The line.
    pub line: Line,
    /// What the payer said and has not taken back; `None` while the line is open.
    pub adjudicated: Option<Adjudicated>,
    /// What the payer said, while an appeal against it is undecided. The line is open then.
    pub appealed: Option<Adjudicated>,
}

impl LineSoFar {
    pub(super) fn new(line: &Line) -> Self {
        Self { line: line.clone(), adjudicated: None, appealed: None }
    }

    /// Whether the payer still has to say what is paid. A line for which nothing is charged is never open.
    pub fn is_open(&self) -> bool {
        self.adjudicated.is_none() && !self.line.charge.number().is_zero()
    }
}
