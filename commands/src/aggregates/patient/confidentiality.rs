//! To whom a patient's record is open.

use hims_domain::patient::{Confidentiality, Event, Patient};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{PatientId, Personal, described};

use super::{Refusal, not_erased};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Decides to whom a patient's record is open: `N` to all whose roles read such records, `R` (restricted) to those who
    /// treat the patient, and in an emergency; `V` (very restricted) likewise, but in an emergency to two people together
    /// only. All records of the person are marked. A lower mark opens the record, so that somebody gives it whose roles
    /// read no charts, such as a privacy officer.
    pub struct MarkRecordConfidentiality {
        /// Which patient.
        pub patient_id: PatientId,
        /// To whom the record is open.
        pub confidentiality: Confidentiality,
        /// Why.
        pub reason: Personal<Reason>,
    }
}

impl Command for MarkRecordConfidentiality {
    const NAME: &'static str = "mark-record-confidentiality";
    const PERMISSION: Permission = Permission::Update(Update::Confidentiality);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        let duplicates = state.into_iter().flat_map(|it| it.duplicates.iter().copied());
        duplicates.fold(Reads::nothing(), Reads::stream::<Patient>)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let Self { patient_id: _, confidentiality, reason } = self;
        let duplicates = patient.duplicates.iter().filter_map(|id| Some((*id, ctx.found.get::<Patient>(*id)?)));
        let duplicates: Vec<_> = duplicates.collect();
        let is_marked = |it: &Patient| it.confidentiality == confidentiality;
        if is_marked(patient) && duplicates.iter().all(|(_, it)| is_marked(it)) {
            return Ok(Decision::nothing());
        }
        let is_lowered = |it: &Patient| it.confidentiality > confidentiality;
        if ctx.caller.reads_charts() && (is_lowered(patient) || duplicates.iter().any(|(_, it)| is_lowered(it))) {
            return refuse(Refusal::OpensToOneself);
        }
        let marked = || Event::ConfidentialityMarked { confidentiality, reason: reason.clone() };
        let begun = Decision::event(marked());
        Ok(duplicates.into_iter().fold(begun, |decision, (id, _)| decision.also::<Patient>(id, marked())))
    }
}
