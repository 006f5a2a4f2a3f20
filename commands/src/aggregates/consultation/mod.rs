//! Consultations: beginning them, recording what is found, bringing them to an end.

use chrono::{DateTime, Utc};
use hims_domain::appointment::{self, Appointment};
use hims_domain::consultation::{Consultation, Event, Findings, Started, Status, WorkflowType};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::{LongText, Text};
use hims_domain::{AppointmentId, ConsultationId, PatientId, Personal, UserId, described};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::user::acting;
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Registry, Target, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<StartConsultation>()
        .add::<RecordFindings>()
        .add::<CompleteConsultation>()
        .add::<CancelConsultation>();
}

refusals! {
    OtherPatient = Rule, "other-patient", "the appointment is of another patient";
    NotCheckedIn { status: appointment::Status } = Conflict, "wrong-status", "the appointment is {status}; check the patient in first";
    Closed { status: Status } = Conflict, "wrong-status", "the consultation is {status}, which does not allow it";
    InTheFuture = Rule, "in-the-future", "the time lies in the future";
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the consultation would end before it started";
}

described! {
    /// Begins a consultation, from an appointment or as a walk-in.
    pub struct StartConsultation {
        /// Issued unless given.
        pub id: Option<ConsultationId>,
        /// The appointment that leads to it; a walk-in unless given.
        pub appointment_id: Option<AppointmentId>,
        /// Who is seen.
        pub patient_id: PatientId,
        /// Who sees them; the caller unless given.
        pub provider_id: Option<UserId>,
        /// What kind it is; `standard` unless told.
        #[serde(default = "standard_type")]
        pub consultation_type: Text<50>,
        /// Whether the steps are fixed or follow the findings; `standard` unless told.
        #[serde(default = "standard_workflow")]
        pub workflow_type: WorkflowType,
        /// Why the patient came, in their words.
        pub chief_complaint: Option<Personal<LongText>>,
    }

    /// Records what was found and concluded.
    pub struct RecordFindings {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// What changes; what is left out stays, null empties.
        #[serde(flatten)]
        pub findings: Patch<Findings>,
    }

    /// Ends a consultation, and with it the appointment that led to it.
    pub struct CompleteConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// When it ended; now unless given.
        pub completed_at: Option<DateTime<Utc>>,
    }

    /// Breaks a consultation off.
    pub struct CancelConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Why.
        pub reason: Personal<LongText>,
    }
}

fn standard_type() -> Text<50> {
    "standard".into()
}

fn standard_workflow() -> WorkflowType {
    WorkflowType::Standard
}

fn in_progress(state: Option<&Consultation>) -> Result<&Consultation, Refused> {
    let consultation = existing(state)?;
    match consultation.status {
        Status::InProgress => Ok(consultation),
        status => refuse(Refusal::Closed { status }),
    }
}

impl Command for StartConsultation {
    const NAME: &'static str = "start-consultation";
    const PERMISSION: Permission = Permission::Create(Create::Consultations);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Consultation>, _: &Found) -> Reads {
        Reads::nothing()
            .stream::<Patient>(self.patient_id)
            .maybe::<User>(self.provider_id)
            .maybe::<Appointment>(self.appointment_id)
    }

    fn decide(self, _: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        let provider_id = acting(ctx, self.provider_id, "/provider_id")?;
        let decision = Decision::event(Event::Started(Started {
            patient_id: self.patient_id,
            provider_id,
            appointment_id: self.appointment_id,
            consultation_type: self.consultation_type,
            workflow_type: self.workflow_type,
            chief_complaint: self.chief_complaint,
            started_at: ctx.now,
        }));
        let Some(id) = self.appointment_id else { return Ok(decision) };
        let appointment = ctx.named::<Appointment>(id, "/appointment_id")?;
        if appointment.patient_id != self.patient_id {
            return refuse(Refusal::OtherPatient);
        }
        let decision = decision.take(scopes::APPOINTMENT_CONSULTATION, id.to_string());
        match appointment.status {
            appointment::Status::CheckedIn => Ok(decision.also::<Appointment>(id, appointment::Event::Started)),
            appointment::Status::InProgress => Ok(decision),
            status => refuse(Refusal::NotCheckedIn { status }),
        }
    }
}

impl Command for RecordFindings {
    const NAME: &'static str = "record-findings";
    const PERMISSION: Permission = Permission::Update(Update::TreatmentPlans);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn decide(self, state: Option<&Consultation>, _: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = in_progress(state)?;
        let findings = self.findings.apply(&consultation.findings)?;
        if findings == consultation.findings {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::FindingsRecorded(Box::new(findings))))
    }
}

impl Command for CompleteConsultation {
    const NAME: &'static str = "complete-consultation";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationStatus);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn reads(&self, state: Option<&Consultation>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Appointment>(state.and_then(|it| it.appointment_id))
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        if existing(state)?.status == Status::Completed {
            return Ok(Decision::nothing());
        }
        let consultation = in_progress(state)?;
        let completed_at = self.completed_at.unwrap_or(ctx.now);
        if completed_at > ctx.now {
            return refuse(Refusal::InTheFuture);
        }
        if completed_at < consultation.started_at {
            return refuse(Refusal::EndsBeforeItStarts);
        }
        let minutes = (completed_at - consultation.started_at).num_minutes();
        let total_duration_minutes = i32::try_from(minutes).unwrap_or(i32::MAX);
        let decision = Decision::event(Event::Completed { completed_at, total_duration_minutes });
        match consultation.appointment_id.and_then(|id| Some((id, ctx.found.get::<Appointment>(id)?))) {
            Some((id, it)) if it.status == appointment::Status::InProgress => {
                Ok(decision.also::<Appointment>(id, appointment::Event::Completed))
            }
            _ => Ok(decision),
        }
    }
}

impl Command for CancelConsultation {
    const NAME: &'static str = "cancel-consultation";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationStatus);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn decide(self, state: Option<&Consultation>, _: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        if existing(state)?.status == Status::Cancelled {
            return Ok(Decision::nothing());
        }
        // The appointment may lead to another consultation.
        let appointment = in_progress(state)?.appointment_id.map(|it| it.to_string());
        let cancelled = Decision::event(Event::Cancelled { reason: self.reason });
        Ok(cancelled.exchange(scopes::APPOINTMENT_CONSULTATION, appointment, None))
    }
}

#[cfg(test)]
mod tests;
