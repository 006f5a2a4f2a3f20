//! The steps of a consultation: adding, starting, completing and skipping steps.

use hims_domain::consultation::{
    Consultation, Event, Status, Step, StepAdded, StepCompleted, StepData, StepPlace, StepSoFar, StepStarted,
    StepStatus, StepType, WorkflowType,
};
use hims_domain::permission::Update;
use hims_domain::values::{Reason, Text};
use hims_domain::{ConsultationId, ConsultationStepId, Personal, described};

use super::{Refusal, in_progress};
use crate::{Command, Context, Decision, Permission, Refused, Target, refuse};

/// The largest number of steps of a consultation.
const MOST_STEPS: usize = 100;
/// The largest number of steps with which a consultation starts.
const MOST_FIRST_STEPS: usize = 20;
/// How many bytes the data of a step have at most: keys and texts together.
const MOST_DATA_BYTES: usize = 32 * 1024;

described! {
    /// Adds a step to a consultation with an adaptive workflow.
    pub struct AddConsultationStep {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// The id of the new step; issued by the server if left out.
        pub step_id: Option<ConsultationStepId>,
        /// What the step is about.
        pub step_type: StepType,
        /// What the step is called, if its type does not say it.
        pub title: Option<Text<200>>,
        /// The step after which the new step comes; the last one if left out.
        pub after: Option<ConsultationStepId>,
    }

    /// Starts a step that is pending. Steps may be done in any order.
    pub struct StartConsultationStep {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Which step.
        pub step_id: ConsultationStepId,
    }

    /// Completes a step that is pending or in progress.
    pub struct CompleteConsultationStep {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Which step.
        pub step_id: ConsultationStepId,
        /// What the step collected: an entry for each thing that was asked or done, 32 KiB in all.
        pub data: Option<Personal<StepData>>,
    }

    /// Leaves out a step that is pending or in progress.
    pub struct SkipConsultationStep {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Which step.
        pub step_id: ConsultationStepId,
        /// Why the step is left out.
        pub reason: Personal<Reason>,
    }
}

/// The steps with which a consultation starts.
pub(super) fn first_steps(types: Vec<StepType>, ctx: &Context<'_>) -> Result<Vec<Step>, Refused> {
    if types.len() > MOST_FIRST_STEPS {
        return Err(Refused::field("out-of-range", "/steps", format!("give at most {MOST_FIRST_STEPS} steps")));
    }
    let numbered = types.into_iter().zip(1..);
    Ok(numbered.map(|(step_type, nth)| Step { id: ctx.new_id(nth).into(), step_type, title: None }).collect())
}

/// Refuses to complete a consultation while steps are open.
pub(super) fn check_none_open(consultation: &Consultation) -> Result<(), Refused> {
    let open: Vec<&Step> = consultation.steps.iter().filter(|it| it.is_open()).map(|it| &it.step).collect();
    if open.is_empty() {
        return Ok(());
    }
    let types: Vec<&str> = open.iter().map(|it| it.step_type.as_str()).collect();
    let steps = types.join(", ");
    let candidates = open.iter().map(|it| it.id.0).collect();
    Err(Refused { candidates, ..Refusal::OpenSteps { steps }.into() })
}

/// A step of a consultation that is in progress.
fn step_of(state: Option<&Consultation>, id: ConsultationStepId) -> Result<StepStatus, Refused> {
    let consultation = in_progress(state)?;
    match consultation.steps.iter().find(|it| it.step.id == id) {
        Some(step) => Ok(step.status),
        None => refuse(Refusal::NoSuchStep),
    }
}

/// The steps from a number on, each a place further down.
fn moved_down(steps: &[StepSoFar], place: usize) -> Vec<StepPlace> {
    let following = steps.iter().zip(2..).skip(place);
    following.map(|(it, step_number)| StepPlace { step_id: it.step.id, step_number }).collect()
}

impl Command for AddConsultationStep {
    const NAME: &'static str = "add-consultation-step";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationSteps);
    const REVERSED_BY: Option<&'static str> = Some(SkipConsultationStep::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::InProgress
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = in_progress(state)?;
        if consultation.workflow_type == WorkflowType::Standard {
            return refuse(Refusal::FixedWorkflow);
        }
        let steps = &consultation.steps;
        let id = ctx.part_id(self.step_id, |id| steps.iter().any(|it| it.step.id == id))?;
        if steps.len() >= MOST_STEPS {
            return refuse(Refusal::TooManySteps);
        }
        let place = match self.after {
            None => steps.len(),
            Some(after) => match steps.iter().position(|it| it.step.id == after) {
                Some(before) => before + 1,
                None => return refuse(Refusal::NoSuchStep),
            },
        };
        Ok(Decision::event(Event::StepAdded(StepAdded {
            patient_id: consultation.patient_id,
            step: Step { id, step_type: self.step_type, title: self.title },
            step_number: i32::try_from(place + 1).unwrap_or(i32::MAX),
            moved: moved_down(steps, place),
        })))
    }
}

impl Command for StartConsultationStep {
    const NAME: &'static str = "start-consultation-step";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationSteps);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::InProgress
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let (step_id, performed_by) = (self.step_id, ctx.caller.user_id());
        match step_of(state, step_id)? {
            StepStatus::InProgress => Ok(Decision::nothing()),
            StepStatus::Pending => {
                Ok(Decision::event(Event::StepStarted(StepStarted { step_id, started_at: ctx.now, performed_by })))
            }
            status @ (StepStatus::Completed | StepStatus::Skipped) => refuse(Refusal::StepIsOver { status }),
        }
    }
}

impl Command for CompleteConsultationStep {
    const NAME: &'static str = "complete-consultation-step";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationSteps);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::InProgress
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let size = |data: &StepData| data.iter().map(|(key, text)| key.len() + text.0.len()).sum::<usize>();
        if self.data.as_ref().and_then(Personal::known).is_some_and(|data| size(data) > MOST_DATA_BYTES) {
            return Err(Refused::field("out-of-range", "/data", "give at most 32 KiB of data"));
        }
        let (step_id, performed_by) = (self.step_id, ctx.caller.user_id());
        match step_of(state, step_id)? {
            StepStatus::Completed => Ok(Decision::nothing()),
            StepStatus::Pending | StepStatus::InProgress => Ok(Decision::event(Event::StepCompleted(StepCompleted {
                step_id,
                completed_at: ctx.now,
                performed_by,
                data: self.data,
            }))),
            status @ StepStatus::Skipped => refuse(Refusal::StepIsOver { status }),
        }
    }
}

impl Command for SkipConsultationStep {
    const NAME: &'static str = "skip-consultation-step";
    const PERMISSION: Permission = Permission::Update(Update::ConsultationSteps);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        state.status == Status::InProgress
    }

    fn decide(self, state: Option<&Consultation>, _: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        match step_of(state, self.step_id)? {
            StepStatus::Skipped => Ok(Decision::nothing()),
            StepStatus::Pending | StepStatus::InProgress => {
                Ok(Decision::event(Event::StepSkipped { step_id: self.step_id, reason: self.reason }))
            }
            status @ StepStatus::Completed => refuse(Refusal::StepIsOver { status }),
        }
    }
}
