//! Consultations: starting consultations, recording findings, completing and cancelling consultations.

mod diagnoses;
mod signing;
mod steps;
mod symptoms;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::appointment::{self, Appointment};
use hims_domain::consultation::{
    Consultation, Event, Findings, Started, Status, StepSoFar, StepStatus, StepType, WorkflowType,
};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{LongText, Reason, Text};
use hims_domain::{AppointmentId, ConsultationId, PatientId, Personal, UserId, described};
use uuid::Uuid;

pub use diagnoses::{ChangeDiagnosis, RecordDiagnosis};
pub use signing::{AmendConsultation, SignConsultation};
pub use steps::{AddConsultationStep, CompleteConsultationStep, SkipConsultationStep, StartConsultationStep};
use steps::{check_none_open, first_steps};
pub use symptoms::{RecordSymptom, RetractSymptom};

use crate::aggregates::patient::records_of;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::user::{acting, reads_named};
use crate::{
    Claims, Command, Context, Decision, Found, Held, Kind, Patch, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<StartConsultation>()
        .add::<RecordFindings>()
        .add::<CompleteConsultation>()
        .add::<CancelConsultation>()
        .add::<UndoConsultationStart>()
        .add::<AddConsultationStep>()
        .add::<StartConsultationStep>()
        .add::<CompleteConsultationStep>()
        .add::<SkipConsultationStep>()
        .add::<RecordSymptom>()
        .add::<RetractSymptom>()
        .add::<RecordDiagnosis>()
        .add::<ChangeDiagnosis>()
        .add::<SignConsultation>()
        .add::<AmendConsultation>();
}

refusals! {
    OtherPatient = Rule, "other-patient", "the appointment belongs to another patient";
    NotCheckedIn { status: appointment::Status } = Conflict, "wrong-status",
        "the appointment is {status}; check the patient in first";
    NotOfThePatient = Rule, "other-patient", "the consultation belongs to another patient";
    CancelledConsultation = Conflict, "consultation-cancelled",
        "the consultation was cancelled; name another consultation, or none";
    TookPlace = Conflict, "took-place",
        "something was found or done, so the consultation took place; complete it, or cancel it with a reason";
    SignedConsultation = Conflict, "signed",
        "the consultation is signed, so nothing new may name it; its provider may amend what was recorded";
    FixedWorkflow = Conflict, "fixed-workflow", "the steps of a consultation with a standard workflow are fixed";
    TooManySteps = Conflict, "too-many-steps", "a consultation has at most 100 steps";
    NoSuchStep = Rule, "no-such-step", "the consultation has no step with this id";
    StepIsOver { status: StepStatus } = Conflict, "wrong-status", "the step is {status}, and nothing follows";
    OpenSteps { steps: String } = Conflict, "open-steps",
        "complete or skip the open steps first (see candidates): {steps}";
    NoSuchSymptom = Rule, "no-such-symptom", "the consultation has no symptom with this id";
    TooManyDiagnoses = Conflict, "too-many-diagnoses", "a consultation has at most 100 diagnoses";
    NoSuchDiagnosis = Rule, "no-such-diagnosis", "the consultation has no diagnosis with this id";
    DiagnosisInError = Conflict, "wrong-status", "the diagnosis was entered in error, and nothing follows";
    DuplicateDiagnosis = Conflict, "duplicate-diagnosis",
        "the consultation has a diagnosis of this type with this code (see candidates); change that one";
    OtherProvider = Forbidden, "other-provider", "only the provider of the consultation can sign it";
    NotCompleted = Conflict, "not-completed", "complete the consultation first; until then record-findings changes it";
    InTheFuture = Rule, "in-the-future", "the time of completion lies in the future";
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the time of completion lies before the time of the start";
}

described! {
    /// Starts a consultation, from an appointment or as a walk-in. If the provider has an open consultation with the
    /// patient already, the command is refused as `already-open` with its id, unless the caller confirms.
    pub struct StartConsultation {
        /// The id of the new consultation; issued by the server if left out.
        pub id: Option<ConsultationId>,
        /// The appointment that leads to the consultation; a walk-in if left out.
        pub appointment_id: Option<AppointmentId>,
        /// The patient who is seen.
        pub patient_id: PatientId,
        /// The provider who sees the patient; the caller if left out.
        pub provider_id: Option<UserId>,
        /// The kind of consultation; `standard` if left out.
        #[serde(default = "standard_type")]
        pub consultation_type: Text<50>,
        /// Whether the steps are fixed or follow the findings; `standard` if left out.
        #[serde(default = "standard_workflow")]
        pub workflow_type: WorkflowType,
        /// Why the patient came, in the patient's words.
        pub chief_complaint: Option<Personal<LongText>>,
        /// The steps in their order, at most 20; none if left out. Only an adaptive workflow gets further steps.
        #[serde(default)]
        pub steps: Vec<StepType>,
        /// Confirms that the provider sees the patient in another consultation beside the open one.
        #[serde(default)]
        pub confirm_another: bool,
    }

    /// Records the findings and conclusions of a consultation. In `review_of_systems` and `physical_examination`, an
    /// entry that is left out stays too, and null removes an entry.
    pub struct RecordFindings {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub findings: Patch<Findings>,
    }

    /// Completes a consultation and the appointment that led to it.
    pub struct CompleteConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// When the consultation ended; now if left out.
        pub completed_at: Option<DateTime<Utc>>,
    }

    /// Undoes a start that was a mistake, while no findings are recorded. The consultation is cancelled, and the
    /// patient of its appointment is checked in and waits.
    pub struct UndoConsultationStart {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Why the start is undone.
        pub reason: Personal<Reason>,
    }
}

steps! {
    Consultation by consultation_id: ConsultationId, "Which consultation.";

    /// Cancels a consultation that is in progress. Its appointment may then lead to another consultation.
    CancelConsultation = "cancel-consultation" needs Update::ConsultationStatus
        with {
            /// Why the consultation is cancelled.
            reason: Personal<Reason>,
        }
        moves status from [Status::InProgress] to [Status::Cancelled] by Event::Cancelled { reason };
}

impl Claims for Consultation {
    /// An appointment leads to at most one consultation. A cancelled consultation does not count. Open consultations
    /// are found by their patient, and each consultation by its diagnoses. No two parts have the same id.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status == Status::InProgress {
            held.share(scopes::OPEN_CONSULTATIONS, self.patient_id.to_string());
        }
        if self.status != Status::Cancelled {
            held.take_if(scopes::APPOINTMENT_CONSULTATION, self.appointment_id.map(|it| it.to_string()));
        }
        let steps = self.steps.iter().map(|it| it.step.id.to_string());
        let symptoms = self.symptoms.keys().map(ToString::to_string);
        for part in steps.chain(symptoms) {
            held.take(scopes::CONSULTATION_PART, part);
        }
        for diagnosis in self.diagnoses.keys() {
            held.take(scopes::DIAGNOSIS, diagnosis.to_string());
        }
    }
}

fn standard_type() -> Text<50> {
    "standard".into()
}

fn standard_workflow() -> WorkflowType {
    WorkflowType::Standard
}

/// Checks the consultation that a request names as the occasion of something else, such as a measurement: the
/// consultation must be of the same patient, by any of the patient's records, and must not have been cancelled.
pub(crate) fn check_occasion(ctx: &Context<'_>, id: ConsultationId, patient_id: PatientId) -> Result<(), Refused> {
    let consultation = ctx.named::<Consultation>(id, "/consultation_id")?;
    match consultation.status {
        _ if !records_of(patient_id, ctx.found).contains(&consultation.patient_id) => refuse(Refusal::NotOfThePatient),
        Status::Cancelled => refuse(Refusal::CancelledConsultation),
        Status::InProgress | Status::Completed => check_unsigned(consultation).map(drop),
    }
}

/// Whether something was found or done in a consultation. The chief complaint and the planned steps are part of the
/// start.
fn took_place(consultation: &Consultation) -> bool {
    let findings = Findings { chief_complaint: None, ..consultation.findings.clone() };
    let has_begun = |step: &StepSoFar| step.status != StepStatus::Pending;
    findings != Findings::default()
        || !consultation.symptoms.is_empty()
        || !consultation.diagnoses.is_empty()
        || consultation.steps.iter().any(has_begun)
}

/// Refuses what would be new in a consultation that is signed.
fn check_unsigned(consultation: &Consultation) -> Result<&Consultation, Refused> {
    if consultation.is_signed { refuse(Refusal::SignedConsultation) } else { Ok(consultation) }
}

/// A consultation that was not broken off.
fn not_cancelled(consultation: &Consultation) -> Result<&Consultation, Refused> {
    match consultation.status {
        status @ Status::Cancelled => Err(Refused::wrong_status::<Consultation>(status)),
        Status::InProgress | Status::Completed => Ok(consultation),
    }
}

/// A consultation to which something new may be added: neither broken off nor signed.
fn unsigned(state: Option<&Consultation>) -> Result<&Consultation, Refused> {
    check_unsigned(not_cancelled(existing(state)?)?)
}

/// Refuses a second open consultation of a patient with the same provider.
fn check_no_other(ctx: &Context<'_>, patient_id: PatientId, provider_id: UserId) -> Result<(), Refused> {
    let records = records_of(patient_id, ctx.found).into_iter();
    let open = records.flat_map(|it| ctx.found.owners::<Consultation>(scopes::OPEN_CONSULTATIONS, it.to_string()));
    let candidates: Vec<Uuid> = open.filter(|(_, it)| it.provider_id == provider_id).map(|(id, _)| id).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let detail = "the provider has an open consultation with the patient (see candidates); continue with it, or repeat \
                  with confirm_another if the patient is seen in another consultation beside it";
    Err(Refused { candidates, ..Refused::new(Kind::Conflict, "already-open", detail) })
}

fn in_progress(state: Option<&Consultation>) -> Result<&Consultation, Refused> {
    let consultation = existing(state)?;
    match consultation.status {
        Status::InProgress => Ok(consultation),
        status => Err(Refused::wrong_status::<Consultation>(status)),
    }
}

impl Command for StartConsultation {
    const NAME: &'static str = "start-consultation";
    const PERMISSION: Permission = Permission::Create(Create::Consultations);
    const REVERSED_BY: Option<&'static str> = Some(UndoConsultationStart::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Consultation>, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<Patient>(self.patient_id).maybe::<Appointment>(self.appointment_id);
        let reads = reads_named(reads, self.provider_id, found);
        let records = if self.confirm_another { BTreeSet::new() } else { records_of(self.patient_id, found) };
        let key = scopes::OPEN_CONSULTATIONS;
        records.into_iter().fold(reads, |reads, it| reads.candidates::<Consultation>(key, it.to_string()))
    }

    fn decide(self, _: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        let provider_id = acting(ctx, self.provider_id, "/provider_id", self.patient_id, Self::PERMISSION)?;
        check_no_other(ctx, self.patient_id, provider_id)?;
        let decision = Decision::event(Event::Started(Started {
            patient_id: self.patient_id,
            provider_id,
            appointment_id: self.appointment_id,
            consultation_type: self.consultation_type,
            workflow_type: self.workflow_type,
            chief_complaint: self.chief_complaint,
            started_at: ctx.now,
            steps: first_steps(self.steps, ctx)?,
        }));
        let Some(id) = self.appointment_id else { return Ok(decision) };
        let appointment = ctx.named::<Appointment>(id, "/appointment_id")?;
        if !records_of(self.patient_id, ctx.found).contains(&appointment.patient_id) {
            return refuse(Refusal::OtherPatient);
        }
        match appointment.status {
            appointment::Status::CheckedIn => Ok(decision.also::<Appointment>(id, appointment::Event::Started)),
            appointment::Status::InProgress => Ok(decision),
            status => refuse(Refusal::NotCheckedIn { status }),
        }
    }
}

impl Command for UndoConsultationStart {
    const NAME: &'static str = "undo-consultation-start";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationStatus);
    const REVERSED_BY: Option<&'static str> = Some(StartConsultation::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::InProgress && !took_place(state)
    }

    fn reads(&self, state: Option<&Consultation>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Appointment>(state.and_then(|it| it.appointment_id))
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        if existing(state)?.status == Status::Cancelled {
            return Ok(Decision::nothing());
        }
        let consultation = in_progress(state)?;
        if took_place(consultation) {
            return refuse(Refusal::TookPlace);
        }
        let undone = appointment::Event::StartUndone { reason: self.reason.clone() };
        let decision = Decision::event(Event::StartUndone { reason: self.reason });
        match consultation.appointment_id.and_then(|id| Some((id, ctx.found.get::<Appointment>(id)?))) {
            Some((id, appointment)) if appointment.status == appointment::Status::InProgress => {
                Ok(decision.also::<Appointment>(id, undone))
            }
            _ => Ok(decision),
        }
    }
}

impl Command for RecordFindings {
    const NAME: &'static str = "record-findings";
    const PERMISSION: Permission = Permission::Update(Update::TreatmentPlans);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        matches!(state.status, Status::InProgress)
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

    fn follows_on(state: &Consultation) -> bool {
        matches!(state.status, Status::InProgress)
    }

    fn reads(&self, state: Option<&Consultation>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Appointment>(state.and_then(|it| it.appointment_id))
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        if existing(state)?.status == Status::Completed {
            return Ok(Decision::nothing());
        }
        let consultation = in_progress(state)?;
        check_none_open(consultation)?;
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
            Some((id, appointment)) if appointment.status == appointment::Status::InProgress => {
                Ok(decision.also::<Appointment>(id, appointment::Event::Completed))
            }
            _ => Ok(decision),
        }
    }
}

#[cfg(test)]
mod tests;
