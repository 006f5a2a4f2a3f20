//! The symptoms of a consultation: recording and retracting symptoms.

use hims_domain::consultation::{Consultation, Event, RecordStatus, Symptom, SymptomRecorded};
use hims_domain::permission::Create;
use hims_domain::values::Reason;
use hims_domain::{ConsultationId, Personal, SymptomId, UserId, described};

use super::{Refusal, unsigned};
use crate::machinery::coding::coded;
use crate::machinery::command::existing;
use crate::user::{acting, reads_named};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Records a symptom that the patient has, or was asked about and does not have.
    pub struct RecordSymptom {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// The id of the new symptom; issued by the server if left out.
        pub symptom_id: Option<SymptomId>,
        /// The symptom.
        #[serde(flatten)]
        pub symptom: Symptom,
        /// The user who asked for the symptom; the caller if left out.
        pub recorded_by: Option<UserId>,
    }

    /// Marks a symptom as entered in error. This ends the signature of the consultation.
    pub struct RetractSymptom {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Which symptom.
        pub symptom_id: SymptomId,
        /// Why the symptom is wrong.
        pub reason: Personal<Reason>,
    }
}

/// Checks a symptom, and writes its code as the code system does.
fn checked(mut symptom: Symptom, ctx: &Context<'_>) -> Result<Symptom, Refused> {
    symptom.code = coded(symptom.code_system.as_ref(), symptom.code)?;
    if symptom.duration_value.is_some_and(|it| !(1..=1_000_000).contains(&it)) {
        return Err(Refused::field("out-of-range", "/duration_value", "give 1 to 1000000"));
    }
    if symptom.duration_value.is_some() != symptom.duration_unit.is_some() {
        let message = "give duration_value and duration_unit together, or leave both out";
        return Err(Refused::field("inconsistent-duration", "/duration_value", message));
    }
    if symptom.onset_date.as_ref().and_then(Personal::known).is_some_and(|day| *day > ctx.today()) {
        return Err(Refused::field("in-the-future", "/onset_date", "give a day that is not in the future"));
    }
    Ok(symptom)
}

impl Command for RecordSymptom {
    const NAME: &'static str = "record-symptom";
    const PERMISSION: Permission = Permission::Create(Create::Symptoms);
    const REVERSED_BY: Option<&'static str> = Some(RetractSymptom::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn reads(&self, _: Option<&Consultation>, found: &Found) -> Reads {
        reads_named(Reads::nothing(), self.recorded_by, found)
    }

    fn follows_on(state: &Consultation) -> bool {
        unsigned(Some(state)).is_ok()
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = unsigned(state)?;
        let symptom_id = ctx.part_id(self.symptom_id, |id| consultation.symptoms.contains_key(&id))?;
        Ok(Decision::event(Event::SymptomRecorded(Box::new(SymptomRecorded {
            symptom_id,
            patient_id: consultation.patient_id,
            recorded_by: acting(ctx, self.recorded_by, "/recorded_by", consultation.patient_id, Self::PERMISSION)?,
            recorded_at: ctx.now,
            symptom: checked(self.symptom, ctx)?,
        }))))
    }
}

impl Command for RetractSymptom {
    const NAME: &'static str = "retract-symptom";
    const PERMISSION: Permission = Permission::Create(Create::Symptoms);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        !state.symptoms.is_empty()
    }

    fn decide(self, state: Option<&Consultation>, _: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = existing(state)?;
        match consultation.symptoms.get(&self.symptom_id) {
            None => refuse(Refusal::NoSuchSymptom),
            Some(RecordStatus::EnteredInError) => Ok(Decision::nothing()),
            Some(RecordStatus::Recorded) => {
                let (symptom_id, reason) = (self.symptom_id, self.reason);
                Ok(Decision::event(Event::SymptomRetracted { symptom_id, reason }))
            }
        }
    }
}
