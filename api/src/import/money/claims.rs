//! What payers were asked for a bill, and what they answered.

use chrono::{DateTime, Utc};
use hims_commands::insurance_claim::{
    AcceptInsuranceClaim, CreateInsuranceClaim, RecordClaimPayment, SubmitInsuranceClaim,
};
use hims_domain::insurance_claim::{
    ClaimStatusCode, ClaimType, Frequency, InsuranceClaim, LinePayment, PaymentMethod, Status,
};
use hims_domain::values::Text;
use hims_domain::{BillingRecordId, ClaimPaymentId, InsuranceClaimId, InsurancePolicyId};
use rust_decimal::Decimal;

use super::super::reason::Reason;
use super::super::writer::{Stop, Writer};

/// A claim on a payer that another system sent.
pub(in super::super) struct Asked {
    pub(in super::super) id: InsuranceClaimId,
    /// The billing record, which has its invoice.
    pub(in super::super) billing_record_id: BillingRecordId,
    /// The policy by which the payer was to pay.
    pub(in super::super) insurance_policy_id: InsurancePolicyId,
    pub(in super::super) claim_type: ClaimType,
    /// When the claim was sent.
    pub(in super::super) at: DateTime<Utc>,
}

impl Asked {
    /// Makes and sends the claim, as far as that was not done. Answers whether anything was missing.
    ///
    /// # Errors
    /// When the claim with this id asks for something else.
    pub(in super::super) async fn enter(self, writer: &Writer<'_>) -> Result<bool, Stop> {
        let insurance_claim_id = self.id;
        match writer.existing::<InsuranceClaim>(insurance_claim_id.into()).await? {
            None => {
                let making = CreateInsuranceClaim {
                    id: Some(insurance_claim_id),
                    billing_record_id: self.billing_record_id,
                    insurance_policy_id: Some(self.insurance_policy_id),
                    claim_type: self.claim_type,
                    frequency_code: Frequency::Original,
                    original_claim_id: None,
                    late_reason: None,
                };
                writer.execute(making, Some(self.at)).await?;
            }
            Some(it) if it.billing_record_id != self.billing_record_id => return Err(Reason::OtherRecord.into()),
            Some(it) if it.status != Status::Draft => return Ok(false),
            Some(_) => {}
        }
        let sending = SubmitInsuranceClaim { insurance_claim_id, late_reason: None };
        writer.execute(sending, Some(self.at)).await?;
        Ok(true)
    }
}

/// What a payer answered to a claim.
pub(in super::super) struct Answered {
    pub(in super::super) insurance_claim_id: InsuranceClaimId,
    pub(in super::super) payment_id: ClaimPaymentId,
    pub(in super::super) trace_number: Text<50>,
    pub(in super::super) claim_status_code: ClaimStatusCode,
    /// What the payer decided on lines of the claim; none if the payer has only taken the claim.
    pub(in super::super) lines: Vec<LinePayment>,
    /// When the payer answered.
    pub(in super::super) at: DateTime<Utc>,
}

impl Answered {
    /// Records what the payer decided, or, if it has decided nothing, that it took the claim; each as far as that was
    /// not recorded. Answers whether anything was missing. `claim` is the claim as it is in the record.
    pub(in super::super) async fn enter(self, writer: &Writer<'_>, claim: &InsuranceClaim) -> Result<bool, Stop> {
        let insurance_claim_id = self.insurance_claim_id;
        if self.lines.is_empty() {
            let is_sent = claim.status == Status::Submitted;
            if is_sent {
                let taking = AcceptInsuranceClaim { insurance_claim_id, payer_claim_number: None };
                writer.execute(taking, Some(self.at)).await?;
            }
            return Ok(is_sent);
        }
        if claim.payments.iter().any(|it| it.id == self.payment_id) {
            return Ok(false);
        }
        let paid: Decimal = self.lines.iter().map(|it| it.paid.number()).sum();
        let deciding = RecordClaimPayment {
            insurance_claim_id,
            payment_id: Some(self.payment_id),
            trace_number: self.trace_number,
            payment_method: if paid.is_zero() { PaymentMethod::Nothing } else { PaymentMethod::Ach },
            payment_date: self.at.with_timezone(&writer.calendar.zone).date_naive(),
            claim_status_code: self.claim_status_code,
            payer_claim_number: None,
            lines: self.lines,
        };
        writer.execute(deciding, Some(self.at)).await?;
        Ok(true)
    }
}
