//! Signing a consultation, and amending its findings afterwards.

use hims_domain::consultation::{Amended, Consultation, Event, Findings, Status};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{ConsultationId, Personal, described};

use super::{Refusal, not_cancelled};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Patch, Permission, Refused, Target, refuse};

described! {
    /// Signs a completed consultation as it is. Only its provider can sign.
    pub struct SignConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
    }

    /// Amends the findings of a completed consultation. The amendment ends the signature, so the provider signs anew.
    pub struct AmendConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Why the findings are amended.
        pub reason: Personal<Reason>,
        /// The fields to change; a field that is left out stays, null empties a field.
        pub findings: Patch<Findings>,
    }
}

impl Command for SignConsultation {
    const NAME: &'static str = "sign-consultation";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationStatus);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::Completed && !state.is_signed
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = not_cancelled(existing(state)?)?;
        let signed_by = match ctx.caller.user_id() {
            Some(user) if user == consultation.provider_id => user,
            _ => return refuse(Refusal::OtherProvider),
        };
        if consultation.status != Status::Completed {
            return refuse(Refusal::NotCompleted);
        }
        if consultation.is_signed {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Signed { signed_by, signed_at: ctx.now }))
    }
}

impl Command for AmendConsultation {
    const NAME: &'static str = "amend-consultation";
    const PERMISSION: Permission = Permission::Update(Update::TreatmentPlans);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::Completed
    }

    fn decide(self, state: Option<&Consultation>, _: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = not_cancelled(existing(state)?)?;
        if consultation.status != Status::Completed {
            return refuse(Refusal::NotCompleted);
        }
        let at = hims_domain::Pointer::Field(&hims_domain::Pointer::Root, "findings");
        let findings = self.findings.apply_at(&consultation.findings, &at)?;
        if findings == consultation.findings {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Amended(Box::new(Amended {
            patient_id: consultation.patient_id,
            number: consultation.amendments + 1,
            reason: self.reason,
            before: consultation.findings.clone(),
            findings,
        }))))
    }
}
