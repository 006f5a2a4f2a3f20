//! Objecting to what payers have decided.

use chrono::NaiveDate;
use hims_domain::billing_record::BillingRecord;
use hims_domain::insurance_claim::{Event, InsuranceClaim, Status};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{InsuranceClaimId, Personal, described};

use super::creating::{claims_of, reads_claims};
use super::{other_is_open, record, wrong_status};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

described! {
    /// Objects to what a payer has decided. The lines that the payer refused are asked for again, and their adjustments
    /// count no more. A line that was paid too little stays as it is until the payer takes the payment back.
    pub struct AppealInsuranceClaim {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// The level of the appeal, from 1 to 5; the one after the last level if left out.
        pub level: Option<i32>,
        /// The day by which the payer must have the appeal.
        pub deadline: Option<NaiveDate>,
        /// Why the hospital objects.
        pub reason: Personal<Reason>,
    }

    /// Records that a payer stands by what it has decided, in spite of an appeal.
    pub struct UpholdDenial {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
    }
}

/// The levels of appeals.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=5;

impl Command for AppealInsuranceClaim {
    const NAME: &'static str = "appeal-insurance-claim";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    const REVERSED_BY: Option<&'static str> = Some(UpholdDenial::NAME);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        matches!(state.status, Status::Paid | Status::PartiallyPaid | Status::Denied)
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        let Some(claim) = state else { return Reads::nothing() };
        reads_claims(Reads::nothing(), claim.billing_record_id).stream::<BillingRecord>(claim.billing_record_id)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        if self.level.is_some_and(|level| !LEVELS.contains(&level)) {
            return Err(Refused::field("out-of-range", "/level", "give a level of 1 to 5"));
        }
        match claim.status {
            Status::Appealed if self.level.is_none() || self.level == claim.appeal_level => {
                return Ok(Decision::nothing());
            }
            Status::Paid | Status::PartiallyPaid | Status::Denied => {}
            _ => return Err(wrong_status(claim)),
        }
        if self.deadline.is_some_and(|day| day < ctx.today()) {
            return Err(Refused::field("in-the-past", "/deadline", "give a day that is not over"));
        }
        let is_other = |it: &InsuranceClaim| it.is_open() && it.insurance_policy_id == claim.insurance_policy_id;
        let mut others = claims_of(claim.billing_record_id, ctx.found).filter(|(id, _)| ctx.id != id.0);
        if let Some((other, _)) = others.find(|(_, it)| is_other(it)) {
            return Err(other_is_open(other.into()));
        }
        let level = self.level.unwrap_or_else(|| claim.appeal_level.map_or(1, |it| (it + 1).min(*LEVELS.end())));
        let after = claim.appealed();
        let (deadline, reason, figures) = (self.deadline, self.reason, after.figures());
        let decision = Decision::event(Event::Appealed { level, deadline, reason, figures });
        record::tell_if_changed(decision, ctx, claim, &after)
    }
}

impl Command for UpholdDenial {
    const NAME: &'static str = "uphold-denial";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    const REVERSED_BY: Option<&'static str> = Some(AppealInsuranceClaim::NAME);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status == Status::Appealed
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        match claim.status {
            Status::Denied if claim.appeal_level.is_some() => return Ok(Decision::nothing()),
            Status::Appealed => {}
            _ => return Err(wrong_status(claim)),
        }
        let after = claim.upheld();
        let decision = Decision::event(Event::DenialUpheld { figures: after.figures() });
        record::tell_if_changed(decision, ctx, claim, &after)
    }
}
