//! What people are told of claims.

use hims_domain::InsuranceClaimId;
use hims_domain::insurance_claim::{InsuranceClaim, Status};
use hims_domain::notification::NotificationType;
use hims_domain::values::Text;
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells the user who sent a claim that the payer has denied it, as long as the claim is denied.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfDeniedClaim {
    pub(crate) insurance_claim_id: InsuranceClaimId,
    /// The position of the event with which the claim was denied. It may be denied again after an appeal.
    pub(crate) position: i64,
}

impl Telling for TellOfDeniedClaim {
    const NAME: &'static str = "tell-of-denied-claim";

    fn occasion(&self) -> String {
        format!("claim {} denied {}", self.insurance_claim_id, self.position)
    }

    fn reads(&self, _: &Found) -> Reads {
        Reads::nothing().stream::<InsuranceClaim>(self.insurance_claim_id)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let claim = found.get::<InsuranceClaim>(self.insurance_claim_id).filter(|it| it.status == Status::Denied)?;
        let codes = claim.figures().denial_codes;
        let codes: Vec<_> = codes.iter().map(Text::as_str).collect();
        let why = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
        let message = format!("The payer has denied claim {}{why}.", claim.number.0);
        let path = format!("/insurance-claims/{}", self.insurance_claim_id);
        let notice = Notice::of(NotificationType::ClaimDenied, &self.occasion(), "A claim was denied", &message)
            .about(claim.patient_id)
            .leading_to(&path, "Show the claim");
        Some(notice.to_user(claim.submitted_by?))
    }
}
