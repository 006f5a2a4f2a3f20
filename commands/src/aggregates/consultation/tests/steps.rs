use hims_domain::ConsultationStepId;
use hims_domain::consultation::{Step, StepAdded, StepCompleted, StepPlace, StepStarted, StepType};

use super::*;
use crate::machinery::scopes::CONSULTATION_PART;

const FIRST: ConsultationStepId = ConsultationStepId(Uuid::from_u128(0x51));
const SECOND: ConsultationStepId = ConsultationStepId(Uuid::from_u128(0x52));
const NEW: ConsultationStepId = ConsultationStepId(Uuid::from_u128(0x53));

/// A consultation with two steps.
fn with_steps(workflow_type: WorkflowType) -> Event {
    let step = |id, step_type| Step { id, step_type, title: None };
    let steps = vec![step(FIRST, StepType::Triage), step(SECOND, StepType::Examination)];
    let Event::Started(it) = started(None) else { panic!("started") };
    Event::Started(Started { workflow_type, steps, ..it })
}

fn given_steps(then: impl IntoIterator<Item = Event>) -> Given<Consultation> {
    given(std::iter::once(with_steps(WorkflowType::Adaptive)).chain(then))
}

fn add(after: Option<ConsultationStepId>) -> AddConsultationStep {
    ask(json!({"consultation_id": CONSULTATION, "step_id": NEW, "step_type": "vitals", "after": after}))
}

fn start_step(step_id: ConsultationStepId) -> StartConsultationStep {
    StartConsultationStep { consultation_id: CONSULTATION, step_id }
}

fn complete_step(step_id: ConsultationStepId) -> CompleteConsultationStep {
    CompleteConsultationStep { consultation_id: CONSULTATION, step_id, data: None }
}

fn skip_step(step_id: ConsultationStepId) -> SkipConsultationStep {
    SkipConsultationStep { consultation_id: CONSULTATION, step_id, reason: said("in a hurry") }
}

fn step_started(step_id: ConsultationStepId) -> Event {
    Event::StepStarted(StepStarted { step_id, started_at: now(), performed_by: Some(UserId(ASKING)) })
}

fn step_completed(step_id: ConsultationStepId) -> Event {
    let performed_by = Some(UserId(ASKING));
    Event::StepCompleted(StepCompleted { step_id, completed_at: now(), performed_by, data: None })
}

fn step_skipped(step_id: ConsultationStepId) -> Event {
    Event::StepSkipped { step_id, reason: said("in a hurry") }
}

fn added(step_number: i32, moved: &[StepPlace]) -> Event {
    let step = Step { id: NEW, step_type: StepType::Vitals, title: None };
    Event::StepAdded(StepAdded { patient_id: PATIENT, step, step_number, moved: moved.to_vec() })
}

#[test]
fn a_consultation_starts_with_the_steps_that_are_named() {
    let then = given_consultation([]).when(start(json!({"steps": ["triage", "vitals", "triage"]})));
    let Event::Started(it) = then.then_event() else { panic!("started") };
    let types: Vec<StepType> = it.steps.iter().map(|it| it.step_type).collect();
    assert_eq!(types, [StepType::Triage, StepType::Vitals, StepType::Triage]);
    let ids: std::collections::BTreeSet<_> = it.steps.iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 3);
    let many = json!({"steps": vec!["triage"; 21]});
    given_consultation([]).when(start(many)).then_field("out-of-range", "/steps");
}

#[test]
fn a_new_step_moves_those_after_it() {
    let takes_id = || takes(CONSULTATION_PART, NEW);
    given_steps([]).when(add(None)).then([added(3, &[])]).then_claims([takes_id()]);
    let moved = [StepPlace { step_id: SECOND, step_number: 3 }];
    given_steps([]).when(add(Some(FIRST))).then([added(2, &moved)]).then_claims([takes_id()]);
    // The next step is numbered after the one that was added.
    let after_both = [StepPlace { step_id: NEW, step_number: 3 }, StepPlace { step_id: SECOND, step_number: 4 }];
    let another = Uuid::from_u128(0x54);
    let again = json!({"consultation_id": CONSULTATION, "step_id": another, "step_type": "plan", "after": FIRST});
    let then = given_steps([added(2, &moved)]).when(ask::<AddConsultationStep>(again));
    let Event::StepAdded(it) = then.then_event() else { panic!("added") };
    assert_eq!((it.step_number, it.moved), (2, after_both.to_vec()));
}

#[test]
fn a_step_is_added_once_and_after_a_known_one() {
    given_steps([]).when(add(Some(NEW))).then_refused(Refusal::NoSuchStep);
    given_steps([added(3, &[])]).when(add(None)).then_refused(Refused::exists());
}

#[test]
fn a_consultation_has_at_most_a_hundred_steps() {
    let Event::Started(it) = with_steps(WorkflowType::Adaptive) else { panic!("started") };
    let with = |steps: u128| {
        let step = |nth| Step { id: id(nth), step_type: StepType::Vitals, title: None };
        given([Event::Started(Started { steps: (1000..1000 + steps).map(step).collect(), ..it.clone() })])
    };
    assert!(with(99).when(add(None)).is_accepted());
    with(100).when(add(None)).then_refused(Refusal::TooManySteps);
}

#[test]
fn a_standard_workflow_keeps_its_steps() {
    given([with_steps(WorkflowType::Standard)]).when(add(None)).then_refused(Refusal::FixedWorkflow);
}

#[test]
fn steps_are_done_in_any_order() {
    given_steps([]).when(start_step(SECOND)).then([step_started(SECOND)]);
    given_steps([step_started(SECOND)]).when(complete_step(SECOND)).then([step_completed(SECOND)]);
    given_steps([]).when(complete_step(FIRST)).then([step_completed(FIRST)]);
    given_steps([step_started(FIRST)]).when(skip_step(FIRST)).then([step_skipped(FIRST)]);
    given_steps([]).when(skip_step(FIRST)).then([step_skipped(FIRST)]);
}

#[test]
fn a_step_that_was_just_taken_is_quiet() {
    given_steps([step_started(FIRST)]).when(start_step(FIRST)).then_nothing();
    given_steps([step_completed(FIRST)]).when(complete_step(FIRST)).then_nothing();
    given_steps([step_skipped(FIRST)]).when(skip_step(FIRST)).then_nothing();
}

#[test]
fn a_step_that_is_over_stays_as_it_is() {
    given_steps([step_completed(FIRST)]).when(start_step(FIRST)).then_code("wrong-status");
    given_steps([step_completed(FIRST)]).when(skip_step(FIRST)).then_code("wrong-status");
    given_steps([step_skipped(FIRST)]).when(start_step(FIRST)).then_code("wrong-status");
    given_steps([step_skipped(FIRST)]).when(complete_step(FIRST)).then_code("wrong-status");
    given_steps([]).when(start_step(NEW)).then_refused(Refusal::NoSuchStep);
}

#[test]
fn steps_belong_to_a_consultation_that_is_in_progress() {
    let over = || given_steps([step_skipped(FIRST), completed("2026-11-23T10:00:00Z", 0)]);
    over().when(add(None)).then_code("wrong-status");
    over().when(start_step(SECOND)).then_code("wrong-status");
}

#[test]
fn a_consultation_with_open_steps_is_not_completed() {
    let open = || given_steps([step_completed(FIRST)]);
    open().when(complete(None)).then_code("open-steps");
    open().when(complete(None)).then_candidates([SECOND]);
    open().when(complete(None)).then_says("complete or skip the open steps first (see candidates): examination");
    let done = given_steps([step_completed(FIRST), step_skipped(SECOND)]);
    assert!(done.when(complete(None)).is_accepted());
}

#[test]
fn a_step_collects_a_bounded_amount() {
    let text = |length: usize| "x".repeat(length).as_str().into();
    let collects = |length: usize| CompleteConsultationStep {
        data: Some(Personal::Known(["a", "b"].map(|key| (key.to_owned(), text(length))).into())),
        ..complete_step(FIRST)
    };
    given_steps([]).when(collects(16 * 1024)).then_field("out-of-range", "/data");
    assert!(given_steps([]).when(collects(10_000)).is_accepted());
}

#[test]
fn nobody_does_the_steps_of_their_own_consultation() {
    let by_patient = || given_steps([]).by(Caller { patient_id: Some(PATIENT), ..somebody("nurse") });
    by_patient().when(add(None)).then_refused(NotTheirs::TreatsThemselves);
    by_patient().when(start_step(FIRST)).then_refused(NotTheirs::TreatsThemselves);
    by_patient().when(complete_step(FIRST)).then_refused(NotTheirs::TreatsThemselves);
    by_patient().when(skip_step(FIRST)).then_refused(NotTheirs::TreatsThemselves);
}
