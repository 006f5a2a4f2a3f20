//! Claims on the next payer, for what an earlier payer left to the patient.

use hims_domain::billing_record::BillingRecord;
use hims_domain::insurance_claim::{Created, Event, Frequency, InsuranceClaim, Status};
use hims_domain::values::ClaimNumber;
use hims_domain::{BillingRecordId, InsuranceClaimId, InsurancePolicyId, derived, described};
use uuid::Uuid;

use super::creating::{billed, claims_of, lines, reads_claims, reads_policies};
use super::record;
use crate::aggregates::insurance_policy::in_force;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

described! {
    /// Makes a draft of a claim on the payer whose policy comes next, once a claim is adjudicated in full and leaves
    /// something to the patient. Does nothing if no policy comes next, or if there was a claim by it for the billing
    /// record before. The process `secondary-claims` gives the command.
    pub struct DraftSecondaryClaim {
        /// The claim that was adjudicated.
        pub insurance_claim_id: InsuranceClaimId,
    }
}

/// The id of the draft: one for each billing record and policy.
fn draft_id(record_id: BillingRecordId, policy_id: InsurancePolicyId) -> Uuid {
    derived("secondary_claim", &[&record_id.to_string(), &policy_id.to_string()])
}

impl Command for DraftSecondaryClaim {
    const NAME: &'static str = "draft-secondary-claim";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn reads(&self, state: Option<&InsuranceClaim>, found: &Found) -> Reads {
        let Some(claim) = state else { return Reads::nothing() };
        let reads = Reads::nothing().stream::<BillingRecord>(claim.billing_record_id);
        let reads = reads_claims(reads, claim.billing_record_id);
        match found.get::<BillingRecord>(claim.billing_record_id) {
            Some(record) => reads_policies(reads, record, found),
            None => reads,
        }
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        let is_decided = matches!(claim.status, Status::Paid | Status::Denied);
        if !is_decided || claim.patient_responsibility().is_zero() {
            return Ok(Decision::nothing());
        }
        let record_id = claim.billing_record_id;
        let record = record::record_of(claim, ctx)?;
        let policies = in_force(record.patient_id, claim.service_date, ctx.found);
        let next = policies.into_iter().find(|(_, it)| it.coverage.priority > claim.priority);
        let Some((insurance_policy_id, policy)) = next.filter(|_| record.is_billed()) else {
            return Ok(Decision::nothing());
        };
        if claims_of(record_id, ctx.found).any(|(_, it)| it.insurance_policy_id == insurance_policy_id) {
            return Ok(Decision::nothing());
        }
        let priority = policy.coverage.priority;
        let lines = lines(record_id, record, priority, claim.diagnoses.len(), ctx.found);
        let created = Created {
            number: ClaimNumber::issue(ctx.draw()),
            patient_id: claim.patient_id,
            billing_record_id: record_id,
            insurance_policy_id,
            priority,
            claim_type: claim.claim_type,
            frequency: Frequency::Original,
            original_claim_id: None,
            service_date: claim.service_date,
            diagnoses: claim.diagnoses.clone(),
            billed_amount: billed(&lines),
            lines,
            late_reason: None,
        };
        let id = draft_id(record_id, insurance_policy_id);
        let told = record::begun(record, id, &created);
        let decision = Decision::nothing().begin::<InsuranceClaim>(id, Event::Created(Box::new(created)));
        Ok(decision.also::<BillingRecord>(record_id, told))
    }
}
