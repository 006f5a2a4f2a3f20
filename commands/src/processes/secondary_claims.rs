use crate::insurance_claim::DraftSecondaryClaim;
use crate::{Failure, Happened, Process, Reaction};

/// Makes a draft of a claim on the next payer, once a payer has decided and leaves something to the patient.
pub(super) struct SecondaryClaims;

impl Process for SecondaryClaims {
    const NAME: &'static str = "secondary-claims";
    const ON: &'static [&'static str] = &["insurance_claim.payment_recorded", "insurance_claim.denial_upheld"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let insurance_claim_id = happened.stream_id.into();
        Ok(vec![Reaction::command(DraftSecondaryClaim { insurance_claim_id })])
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::insurance_claim::InsuranceClaim;
    use hims_domain::{DomainEvent, InsuranceClaimId};
    use hims_testing::sample;

    use super::*;
    use crate::testing::now;
    use crate::testing::samples::CLAIM;

    #[tokio::test]
    async fn an_adjudication_is_followed_by_the_draft_of_the_next_claim() {
        let event = DomainEvent::InsuranceClaim(sample::<InsuranceClaim>("payment_recorded"));
        let happened = Happened { position: 7, user_id: None, stream_id: CLAIM.0, recorded_at: now(), occurred_at: now(), event };
        let reactions = SecondaryClaims.react(&happened).await.unwrap();
        let given: Vec<InsuranceClaimId> = reactions
            .iter()
            .filter_map(|it| it.given::<DraftSecondaryClaim>())
            .map(|it| it.insurance_claim_id)
            .collect();
        assert_eq!((reactions.len(), given), (1, vec![CLAIM]));
    }
}
