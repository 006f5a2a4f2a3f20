//! Insurance policies: adding, changing and verifying policies, ending and cancelling policies.

mod coverage;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use hims_domain::insurance_policy::{Coverage, Event, InsurancePolicy, Status, Verification, VerificationMethod};
use hims_domain::patient::Patient;
use hims_domain::payer::Payer;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{Reason, Text};
use hims_domain::{InsurancePolicyId, PatientId, Personal, derived, described};
use uuid::Uuid;

use super::payer::active_payer;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Patch, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) use coverage::in_force;

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddInsurancePolicy>()
        .add::<ChangeInsurancePolicy>()
        .add::<VerifyInsurancePolicy>()
        .add::<EndInsurancePolicy>()
        .add::<CancelInsurancePolicy>()
        .add::<MarkInsurancePolicyEnteredInError>();
}

refusals! {
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the last day of the coverage lies before its first day";
    SubscriberMissing = Rule, "subscriber-missing",
        "the patient is not the subscriber; give subscriber_name and subscriber_birth_date";
    EndsEarlier = Rule, "out-of-range",
        "the coverage ends earlier already; change-insurance-policy makes it longer, and it must be verified again then";
}

described! {
    /// Adds an insurance policy of a patient, as a draft: the policy counts once it is verified. Patients may add
    /// policies of their own.
    pub struct AddInsurancePolicy {
        /// The id of the new policy; issued by the server if left out.
        pub id: Option<InsurancePolicyId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// What the policy says.
        #[serde(flatten)]
        pub coverage: Coverage,
    }

    /// Changes what a policy says. If the payer, the member, the relationship to the subscriber or the dates change,
    /// the policy becomes a draft, which must be verified again.
    pub struct ChangeInsurancePolicy {
        /// Which policy.
        pub insurance_policy_id: InsurancePolicyId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Coverage>,
    }

    /// Records that a policy was verified. The policy is active from then on; a patient has at most one active policy
    /// of each priority on a day.
    pub struct VerifyInsurancePolicy {
        /// Which policy.
        pub insurance_policy_id: InsurancePolicyId,
        /// How the policy was verified.
        pub method: VerificationMethod,
        /// What the payer answered, such as the number of the call.
        pub reference: Option<Text<50>>,
    }

    /// Records the last day of a coverage, such as the day on which an employment ended.
    pub struct EndInsurancePolicy {
        /// Which policy.
        pub insurance_policy_id: InsurancePolicyId,
        /// The last day of the coverage.
        pub effective_to: NaiveDate,
    }
}

steps! {
    InsurancePolicy by insurance_policy_id: InsurancePolicyId, "Which policy.";

    /// Cancels an active policy: it pays for nothing any more. A policy that ends on a day is ended instead, with
    /// `end-insurance-policy`.
    CancelInsurancePolicy = "cancel-insurance-policy" needs Update::InsurancePolicies
        with {
            /// Why the policy is cancelled.
            reason: Personal<Reason>,
        }
        moves status from [Status::Active] to [Status::Cancelled] by Event::Cancelled { reason };

    /// Marks a policy that was recorded by mistake, such as that of another patient.
    MarkInsurancePolicyEnteredInError = "mark-insurance-policy-entered-in-error" needs Update::InsurancePolicies
        with {
            /// What was wrong.
            reason: Personal<Reason>,
        }
        moves status from [Status::Draft | Status::Active | Status::Cancelled] to [Status::EnteredInError]
        by Event::MarkedEnteredInError { reason };
}

/// The day up to which an open-ended coverage is booked.
const FOREVER: NaiveDate = match NaiveDate::from_ymd_opt(9999, 12, 31) {
    Some(day) => day,
    None => NaiveDate::MAX,
};

/// The resource that a policy books for its days: the place of a priority among the policies of a patient.
fn place(patient_id: PatientId, priority: i32) -> Uuid {
    derived("coverage", &[&patient_id.to_string(), &priority.to_string()])
}

/// The beginning of a day. The days of policies have no time zone, so that all of them are compared in one.
fn beginning(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

impl Claims for InsurancePolicy {
    /// An active policy books its priority from the first day to the day after the last. Policies are found by their
    /// patient, except for those that were entered in error.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status != Status::EnteredInError {
            held.share(scopes::POLICY_PATIENT, self.patient_id.to_string());
        }
        if self.status == Status::Active {
            let after = self.coverage.effective_to.and_then(|last| last.succ_opt()).unwrap_or(FOREVER).min(FOREVER);
            held.book_span(
                place(self.patient_id, self.coverage.priority),
                beginning(self.coverage.effective_from),
                beginning(after),
            )
            .or_refuse(coverage::OVERLAP, "an active policy of the patient has this priority at an overlapping time");
        }
    }
}

/// The state of a policy that may still be changed: a draft, or an active policy.
fn changeable(state: Option<&InsurancePolicy>) -> Result<&InsurancePolicy, Refused> {
    let policy = existing(state)?;
    match policy.status {
        Status::Draft | Status::Active => Ok(policy),
        status @ (Status::Cancelled | Status::EnteredInError) => Err(Refused::wrong_status::<InsurancePolicy>(status)),
    }
}

impl Command for AddInsurancePolicy {
    const NAME: &'static str = "add-insurance-policy";
    const PERMISSION: Permission = Permission::Create(Create::InsurancePolicies);
    const REVERSED_BY: Option<&'static str> = Some(MarkInsurancePolicyEnteredInError::NAME);
    type Aggregate = InsurancePolicy;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn is_own(&self, _: Option<&InsurancePolicy>, caller: &Caller) -> bool {
        caller.may(Permission::Update(Update::OwnProfile)) && caller.is_patient(self.patient_id)
    }

    fn reads(&self, _: Option<&InsurancePolicy>, _: &Found) -> Reads {
        Reads::nothing().stream::<Patient>(self.patient_id).stream::<Payer>(self.coverage.payer_id)
    }

    fn decide(self, _: Option<&InsurancePolicy>, ctx: &Context<'_>) -> Result<Decision<InsurancePolicy>, Refused> {
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        active_payer(ctx, self.coverage.payer_id)?;
        coverage::check(&self.coverage, ctx)?;
        let (patient_id, coverage) = (self.patient_id, Box::new(self.coverage));
        Ok(Decision::event(Event::Added { patient_id, coverage }))
    }
}

impl Command for ChangeInsurancePolicy {
    const NAME: &'static str = "change-insurance-policy";
    const PERMISSION: Permission = Permission::Update(Update::InsurancePolicies);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = InsurancePolicy;

    fn target(&self) -> Target {
        Target::existing(self.insurance_policy_id)
    }

    fn follows_on(state: &InsurancePolicy) -> bool {
        matches!(state.status, Status::Draft | Status::Active)
    }

    fn reads(&self, state: Option<&InsurancePolicy>, _: &Found) -> Reads {
        let Some(policy) = state else { return Reads::nothing() };
        let after = self.changes.clone().apply(&policy.coverage).ok();
        coverage::reads_others(policy.patient_id).maybe::<Payer>(after.map(|it| it.payer_id))
    }

    fn decide(self, state: Option<&InsurancePolicy>, ctx: &Context<'_>) -> Result<Decision<InsurancePolicy>, Refused> {
        let policy = changeable(state)?;
        let before = &policy.coverage;
        let after = self.changes.apply(before)?;
        if after == *before {
            return Ok(Decision::nothing());
        }
        if after.payer_id != before.payer_id {
            active_payer(ctx, after.payer_id)?;
        }
        coverage::check(&after, ctx)?;
        let resets_verification = before.must_be_verified_again_as(&after);
        if policy.status == Status::Active && !resets_verification {
            coverage::check_no_other(policy.patient_id, &after, ctx)?;
        }
        Ok(Decision::event(Event::Changed { coverage: Box::new(after), resets_verification }))
    }
}

impl Command for VerifyInsurancePolicy {
    const NAME: &'static str = "verify-insurance-policy";
    const PERMISSION: Permission = Permission::Update(Update::InsurancePolicies);
    type Aggregate = InsurancePolicy;

    fn target(&self) -> Target {
        Target::existing(self.insurance_policy_id)
    }

    fn follows_on(state: &InsurancePolicy) -> bool {
        matches!(state.status, Status::Draft | Status::Active)
    }

    fn reads(&self, state: Option<&InsurancePolicy>, _: &Found) -> Reads {
        let Some(policy) = state else { return Reads::nothing() };
        coverage::reads_others(policy.patient_id).stream::<Payer>(policy.coverage.payer_id)
    }

    fn decide(self, state: Option<&InsurancePolicy>, ctx: &Context<'_>) -> Result<Decision<InsurancePolicy>, Refused> {
        let policy = changeable(state)?;
        let verification = Verification { method: self.method, reference: self.reference };
        if policy.verification.as_ref() == Some(&verification) {
            return Ok(Decision::nothing());
        }
        active_payer(ctx, policy.coverage.payer_id)?;
        coverage::check_no_other(policy.patient_id, &policy.coverage, ctx)?;
        Ok(Decision::event(Event::Verified(verification)))
    }
}

impl Command for EndInsurancePolicy {
    const NAME: &'static str = "end-insurance-policy";
    const PERMISSION: Permission = Permission::Update(Update::InsurancePolicies);
    const REVERSED_BY: Option<&'static str> = Some(ChangeInsurancePolicy::NAME);
    type Aggregate = InsurancePolicy;

    fn target(&self) -> Target {
        Target::existing(self.insurance_policy_id)
    }

    fn follows_on(state: &InsurancePolicy) -> bool {
        matches!(state.status, Status::Draft | Status::Active)
    }

    fn decide(self, state: Option<&InsurancePolicy>, _: &Context<'_>) -> Result<Decision<InsurancePolicy>, Refused> {
        let coverage = &changeable(state)?.coverage;
        if coverage.effective_to == Some(self.effective_to) {
            return Ok(Decision::nothing());
        }
        if self.effective_to < coverage.effective_from {
            return refuse(Refusal::EndsBeforeItStarts);
        }
        if coverage.effective_to.is_some_and(|last| last < self.effective_to) {
            return refuse(Refusal::EndsEarlier);
        }
        Ok(Decision::event(Event::Ended { effective_to: self.effective_to }))
    }
}

#[cfg(test)]
mod tests;
