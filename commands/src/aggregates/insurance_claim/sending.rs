//! Sending claims, and what payers answer before they decide (X12 277CA).

use chrono::{Days, NaiveDate};
use hims_domain::insurance_claim::{Event, Frequency, InsuranceClaim, Line, Status};
use hims_domain::insurance_policy::InsurancePolicy;
use hims_domain::payer::Payer;
use hims_domain::permission::Update;
use hims_domain::values::{Reason, Text};
use hims_domain::{InsuranceClaimId, Personal, described};
use uuid::Uuid;

use super::{Refusal, record, wrong_status};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Records that a draft was sent to the payer.
    pub struct SubmitInsuranceClaim {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// Why the claim is sent later than the payer takes claims, unless it was said when the claim was made.
        pub late_reason: Option<Personal<Reason>>,
    }

    /// Records that the payer has taken a claim for adjudication. A claim that replaces or voids another takes effect:
    /// the other is cancelled.
    pub struct AcceptInsuranceClaim {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// The number of the claim with the payer.
        pub payer_claim_number: Option<Text<50>>,
    }

    /// Records that the payer has not taken a claim. Correct what is wrong, and make a new claim.
    pub struct RejectInsuranceClaim {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// The codes of the payer, such as `A3:116`; one to ten.
        pub codes: Vec<Text<20>>,
        /// What the payer said.
        pub reason: Option<Personal<Reason>>,
    }

    /// Withdraws a draft. A claim that was sent is withdrawn with a claim of frequency 8.
    pub struct CancelInsuranceClaim {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// Why the claim is withdrawn.
        pub reason: Personal<Reason>,
    }
}

/// Whether a claim must be sent within the days in which its payer takes claims. A claim that corrects another, or that
/// follows on the answer of another payer, need not, since the other claim was in time.
pub(super) fn has_a_deadline<'a>(frequency: Frequency, mut lines: impl Iterator<Item = &'a Line>) -> bool {
    frequency == Frequency::Original && lines.all(|it| it.prior.is_empty())
}

/// Refuses a claim for services of a day for which the payer takes no claims any more.
pub(super) fn check_in_time(payer: &Payer, service_date: NaiveDate, ctx: &Context<'_>) -> Result<(), Refused> {
    let days = payer.details.timely_filing_days.and_then(|days| u64::try_from(days).ok());
    match days.and_then(|days| service_date.checked_add_days(Days::new(days))) {
        Some(last_day) if ctx.today() > last_day => refuse(Refusal::PastTimelyFiling { last_day }),
        _ => Ok(()),
    }
}

/// Looks up the policy of a claim, and the payer of the policy.
fn reads_payer(reads: Reads, claim: &InsuranceClaim, found: &Found) -> Reads {
    let payer_id = found.get::<InsurancePolicy>(claim.insurance_policy_id).map(|it| it.coverage.payer_id);
    reads.stream::<InsurancePolicy>(claim.insurance_policy_id).maybe::<Payer>(payer_id)
}

impl Command for SubmitInsuranceClaim {
    const NAME: &'static str = "submit-insurance-claim";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status == Status::Draft
    }

    fn reads(&self, state: Option<&InsuranceClaim>, found: &Found) -> Reads {
        state.map_or_else(Reads::nothing, |claim| reads_payer(Reads::nothing(), claim, found))
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        match claim.status {
            Status::Submitted => return Ok(Decision::nothing()),
            Status::Draft => {}
            _ => return Err(wrong_status(claim)),
        }
        let policy = ctx.named::<InsurancePolicy>(claim.insurance_policy_id, "/insurance_claim_id")?;
        if !policy.is_in_force_on(claim.service_date) {
            return refuse(Refusal::NotCovered { day: claim.service_date });
        }
        let says_why = claim.is_late_for_a_reason || self.late_reason.is_some();
        if !says_why && has_a_deadline(claim.frequency, claim.lines.iter().map(|it| &it.line)) {
            let payer = ctx.named::<Payer>(policy.coverage.payer_id, "/insurance_claim_id")?;
            check_in_time(payer, claim.service_date, ctx)?;
        }
        Ok(Decision::event(Event::Submitted {
            submitted_at: ctx.now,
            submitted_by: ctx.caller.user_id(),
            late_reason: self.late_reason,
        }))
    }
}

impl Command for AcceptInsuranceClaim {
    const NAME: &'static str = "accept-insurance-claim";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status == Status::Submitted
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state).maybe::<InsuranceClaim>(state.and_then(|it| it.original_claim_id))
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        let is_known = |number: &Text<50>| claim.payer_claim_number.as_ref() == Some(number);
        match claim.status {
            Status::Accepted if self.payer_claim_number.as_ref().is_none_or(is_known) => {
                return Ok(Decision::nothing());
            }
            Status::Submitted => {}
            _ => return Err(wrong_status(claim)),
        }
        let mut decision = Decision::event(Event::Accepted { payer_claim_number: self.payer_claim_number });
        let Some(original_id) = claim.original_claim_id else { return Ok(decision) };
        let original = ctx.named::<InsuranceClaim>(original_id, "/insurance_claim_id")?;
        let mut closed: Vec<Uuid> = Vec::new();
        if original.status.is_with_payer() {
            closed.push(original_id.into());
            decision = decision.also::<InsuranceClaim>(original_id, Event::Replaced { replaced_by: ctx.id.into() });
        }
        closed.extend((claim.frequency == Frequency::Void).then_some(ctx.id));
        record::close(decision, claim, ctx, closed)
    }
}

impl Command for RejectInsuranceClaim {
    const NAME: &'static str = "reject-insurance-claim";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status == Status::Submitted
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        if !(1..=10).contains(&self.codes.len()) {
            return Err(Refused::field("invalid-fields", "/codes", "give one to ten codes of the payer"));
        }
        match claim.status {
            Status::Rejected => return Ok(Decision::nothing()),
            Status::Submitted => {}
            _ => return Err(wrong_status(claim)),
        }
        let decision = Decision::event(Event::Rejected { codes: self.codes, reason: self.reason });
        record::close(decision, claim, ctx, [ctx.id])
    }
}

impl Command for CancelInsuranceClaim {
    const NAME: &'static str = "cancel-insurance-claim";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status == Status::Draft
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        match claim.status {
            Status::Cancelled => return Ok(Decision::nothing()),
            Status::Draft => {}
            _ => return Err(wrong_status(claim)),
        }
        let decision = Decision::event(Event::Cancelled { reason: self.reason });
        record::close(decision, claim, ctx, [ctx.id])
    }
}
