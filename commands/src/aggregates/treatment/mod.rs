//! Treatments: planning treatments in a consultation, and following them afterwards.

use hims_domain::consultation::Consultation;
use hims_domain::permission::{Create, Update};
use hims_domain::treatment::{Event, Order, Planned, Status, Treatment};
use hims_domain::values::{LongText, Reason};
use hims_domain::{DiagnosisId, PatientId, Personal, TreatmentId, described};

use super::consultation::check_occasion;
use super::patient::{reads_person, records_of};
use super::user::{acting, reads_named};
use crate::machinery::coding::coded;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<PlanTreatment>()
        .add::<StartTreatment>()
        .add::<HoldTreatment>()
        .add::<ResumeTreatment>()
        .add::<CompleteTreatment>()
        .add::<StopTreatment>()
        .add::<MarkTreatmentNotDone>()
        .add::<MarkTreatmentEnteredInError>();
}

refusals! {
    DiagnosisInError = Rule, "diagnosis-in-error", "the diagnosis was entered in error; name another, or none";
    OtherDiagnosis = Rule, "other-patient", "the diagnosis is of another patient";
}

described! {
    /// Plans a treatment in a consultation.
    pub struct PlanTreatment {
        /// The id of the new treatment; issued by the server if left out.
        pub id: Option<TreatmentId>,
        /// What is to be done.
        #[serde(flatten)]
        pub order: Order,
    }
}

steps! {
    Treatment by treatment_id: TreatmentId, "Which treatment.";

    /// Starts a treatment that was planned.
    StartTreatment = "start-treatment" needs Update::TreatmentPlans
        moves status from [Status::Planned] to [Status::InProgress] by Event::Started;

    /// Interrupts a treatment.
    HoldTreatment = "hold-treatment" needs Update::TreatmentPlans
        moves status from [Status::InProgress] to [Status::OnHold] by Event::Held,
        undone by ResumeTreatment;

    /// Goes on with a treatment after an interruption.
    ResumeTreatment = "resume-treatment" needs Update::TreatmentPlans
        moves status from [Status::OnHold] to [Status::InProgress] by Event::Resumed,
        undone by HoldTreatment;

    /// Completes a treatment.
    CompleteTreatment = "complete-treatment" needs Update::TreatmentPlans
        with {
            /// What came of the treatment.
            outcome: Option<Personal<LongText>>,
        }
        moves status from [Status::Planned | Status::InProgress] to [Status::Completed]
        by Event::Completed { outcome };

    /// Breaks a treatment off.
    StopTreatment = "stop-treatment" needs Update::TreatmentPlans
        with {
            /// Why the treatment is broken off.
            reason: Personal<Reason>,
        }
        moves status from [Status::InProgress | Status::OnHold] to [Status::Stopped] by Event::Stopped { reason };

    /// Gives a treatment up that has not begun.
    MarkTreatmentNotDone = "mark-treatment-not-done" needs Update::TreatmentPlans
        with {
            /// Why the treatment is given up.
            reason: Personal<Reason>,
        }
        moves status from [Status::Planned] to [Status::NotDone] by Event::MarkedNotDone { reason };

    /// Marks the record of a treatment as wrong.
    MarkTreatmentEnteredInError = "mark-treatment-entered-in-error" needs Update::TreatmentPlans
        with {
            /// Why the record is wrong.
            reason: Personal<Reason>,
        }
        moves status from [_] to [Status::EnteredInError] by Event::MarkedEnteredInError { reason };
}

impl Claims for Treatment {}

/// The permission of whoever is named as carrying a treatment out: to work on the steps of a consultation, since those
/// who carry treatments out are nurses as well as doctors, who alone plan them.
const CARRIES_OUT: Permission = Permission::Update(Update::ConsultationSteps);

/// Checks that a diagnosis which a request names exists and is of the patient, by any of the patient's records.
pub(crate) fn check_diagnosis(
    id: DiagnosisId,
    field: &str,
    patient_id: PatientId,
    ctx: &Context<'_>,
) -> Result<(), Refused> {
    match ctx.found.owners::<Consultation>(scopes::DIAGNOSIS, id.to_string()).next() {
        Some((_, it)) if it.diagnoses.get(&id).is_some_and(|diagnosis| !diagnosis.counts()) => {
            refuse(Refusal::DiagnosisInError)
        }
        Some((_, it)) if records_of(patient_id, ctx.found).contains(&it.patient_id) => Ok(()),
        Some(_) => refuse(Refusal::OtherDiagnosis),
        None => Err(Refused::field("unknown-reference", field, "there is no diagnosis with this id")),
    }
}

impl Command for PlanTreatment {
    const NAME: &'static str = "plan-treatment";
    const PERMISSION: Permission = Permission::Create(Create::Treatments);
    const REVERSED_BY: Option<&'static str> = Some(MarkTreatmentEnteredInError::NAME);
    type Aggregate = Treatment;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Treatment>, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<Consultation>(self.order.consultation_id);
        let reads = reads_named(reads, self.order.performed_by, found);
        let reads = match found.get::<Consultation>(self.order.consultation_id) {
            Some(it) => reads_person(reads, it.patient_id, found),
            None => reads,
        };
        match self.order.diagnosis_id {
            Some(id) => reads.owners::<Consultation>(scopes::DIAGNOSIS, id.to_string()),
            None => reads,
        }
    }

    fn decide(mut self, _: Option<&Treatment>, ctx: &Context<'_>) -> Result<Decision<Treatment>, Refused> {
        let id = self.order.consultation_id;
        let patient_id = ctx.named::<Consultation>(id, "/consultation_id")?.patient_id;
        check_occasion(ctx, id, patient_id)?;
        if let Some(id) = self.order.diagnosis_id {
            check_diagnosis(id, "/diagnosis_id", patient_id, ctx)?;
        }
        if let performer @ Some(_) = self.order.performed_by {
            acting(ctx, performer, "/performed_by", patient_id, CARRIES_OUT)?;
        }
        self.order.code = coded(self.order.code_system.as_ref(), self.order.code)?;
        Ok(Decision::event(Event::Planned(Box::new(Planned { patient_id, order: self.order }))))
    }
}

#[cfg(test)]
mod tests;
