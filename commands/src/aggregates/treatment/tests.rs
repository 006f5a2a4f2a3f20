use hims_domain::ConsultationId;
use hims_domain::consultation;
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::machinery::scopes::DIAGNOSIS;
use crate::testing::samples::{
    CONSULTATION, DOCTOR, OTHER_PATIENT, PATIENT, ask, created, created_with, defined, said, with,
};
use crate::testing::world::somebody;
use crate::testing::{Given, given, now};
use crate::{Caller, role_id, user::Refusal as NotTheirs};

const TREATMENT: TreatmentId = TreatmentId(Uuid::from_u128(0x90));
const DIAGNOSED: DiagnosisId = DiagnosisId(Uuid::from_u128(0x71));
const EARLIER: ConsultationId = ConsultationId(Uuid::from_u128(0x91));

fn order(changes: Value) -> Value {
    let order = json!({"consultation_id": CONSULTATION, "treatment_type": "therapy", "description": "Physiotherapy"});
    with(order, changes)
}

fn planned() -> Event {
    Event::Planned(Box::new(Planned { patient_id: PATIENT, order: ask(order(json!({}))) }))
}

/// A consultation of a patient, as it began.
fn began(patient_id: PatientId) -> consultation::Event {
    match sample::<Consultation>("started") {
        consultation::Event::Started(it) => consultation::Event::Started(consultation::Started { patient_id, ..it }),
        other => panic!("{other:?} does not begin a consultation"),
    }
}

/// The consultation in which treatments are planned, and an earlier one of another patient with a diagnosis.
fn given_consultation(then: impl IntoIterator<Item = consultation::Event>) -> Given<Treatment> {
    let diagnosed = sample::<Consultation>("diagnosis_recorded");
    given([])
        .and::<Consultation>(CONSULTATION, std::iter::once(began(PATIENT)).chain(then))
        .and::<Consultation>(EARLIER, [began(OTHER_PATIENT), diagnosed])
        .and::<User>(DOCTOR, [created()])
}

fn plan(changes: Value) -> PlanTreatment {
    ask(order(changes))
}

#[test]
fn a_treatment_is_planned_in_a_consultation() {
    given_consultation([]).when(plan(json!({}))).then([planned()]).then_nothing_else();
}

#[test]
fn nobody_plans_a_treatment_for_themselves() {
    let as_patient = Caller { patient_id: Some(PATIENT), ..somebody("doctor") };
    given_consultation([]).by(as_patient).when(plan(json!({}))).then_refused(NotTheirs::TreatsThemselves);
}

#[test]
fn what_a_treatment_names_must_exist() {
    let nothing = Uuid::from_u128(0xdead);
    for field in ["consultation_id", "diagnosis_id", "performed_by"] {
        let asked = plan(json!({ field: nothing }));
        given_consultation([]).when(asked).then_field("unknown-reference", &format!("/{field}"));
    }
}

#[test]
fn a_diagnosis_of_another_consultation_may_be_treated_but_not_of_another_patient() {
    let diagnosed = || json!({"diagnosis_id": DIAGNOSED});
    let of = |patient_id| {
        let earlier = [began(patient_id), sample::<Consultation>("diagnosis_recorded")];
        given_consultation([]).and::<Consultation>(EARLIER, earlier).owner(DIAGNOSIS, DIAGNOSED, EARLIER)
    };
    assert!(of(PATIENT).when(plan(diagnosed())).is_accepted());
    of(OTHER_PATIENT).when(plan(diagnosed())).then_refused(Refusal::OtherDiagnosis);
    let in_error = json!({"diagnosis": {"verification_status": "entered_in_error", "clinical_status": null}});
    let in_error = [began(PATIENT), sample_with::<Consultation>("diagnosis_recorded", in_error)];
    let given = given_consultation([]).and::<Consultation>(EARLIER, in_error).owner(DIAGNOSIS, DIAGNOSED, EARLIER);
    given.when(plan(diagnosed())).then_refused(Refusal::DiagnosisInError);
}

#[test]
fn who_carries_a_treatment_out_is_active_and_not_the_patient() {
    use hims_domain::user::Event::{Deactivated, LinkedToPatient};
    let by_doctor = || plan(json!({"performed_by": DOCTOR}));
    let left = || given_consultation([]).and::<User>(DOCTOR, [created(), Deactivated]);
    assert!(given_consultation([]).when(by_doctor()).is_accepted());
    left().by(somebody("doctor")).when(by_doctor()).then_refused(NotTheirs::NotActing);
    // An import tells who treated the patient once.
    assert!(left().by(Caller::system("import")).when(by_doctor()).is_accepted());
    let patient = [created(), LinkedToPatient { patient_id: PATIENT }];
    let treated = given_consultation([]).and::<User>(DOCTOR, patient);
    treated.by(somebody("doctor")).when(by_doctor()).then_refused(NotTheirs::TreatsThemselves);
}

#[test]
fn a_doctor_or_a_nurse_carries_a_treatment_out() {
    let named = |role: &str| {
        let performer = created_with(json!({"role_id": role_id(role)}));
        let given = given_consultation([]).and::<User>(DOCTOR, [performer]).and::<Role>(role_id(role), [defined(role)]);
        given.by(somebody("doctor")).when(plan(json!({"performed_by": DOCTOR})))
    };
    assert!(named("doctor").is_accepted() && named("nurse").is_accepted());
    for role in ["receptionist", "pharmacist"] {
        named(role).then_field("not-entitled", "/performed_by");
    }
}

#[test]
fn nothing_is_planned_in_a_consultation_that_is_signed_or_cancelled() {
    use consultation::Event::{Cancelled, Signed};
    let signed = Signed { signed_by: DOCTOR, signed_at: now() };
    given_consultation([signed]).when(plan(json!({}))).then_code("signed");
    let cancelled = Cancelled { reason: said("fire alarm") };
    given_consultation([cancelled]).when(plan(json!({}))).then_code("consultation-cancelled");
}

#[test]
fn a_code_has_the_form_of_its_system() {
    let coded = |code| plan(json!({"code_system": "http://snomed.info/sct", "code": code}));
    given_consultation([]).when(coded("physio")).then_field("malformed-code", "/code");
    assert!(given_consultation([]).when(coded("34431008")).is_accepted());
    given_consultation([]).when(plan(json!({"code": "34431008"}))).then_field("invalid-fields", "/code_system");
}

/// What a treatment does next in each status: the new status, or the status that refuses it.
#[test]
fn each_step_leads_from_its_statuses_only() {
    use Status::{Completed, EnteredInError, InProgress, NotDone, OnHold, Planned as IsPlanned, Stopped};
    let reason = || said("tested");
    let to = |status: Status| -> Vec<Event> {
        match status {
            IsPlanned => vec![],
            InProgress => vec![Event::Started],
            OnHold => vec![Event::Started, Event::Held],
            Completed => vec![Event::Completed { outcome: None }],
            Stopped => vec![Event::Started, Event::Stopped { reason: reason() }],
            NotDone => vec![Event::MarkedNotDone { reason: reason() }],
            EnteredInError => vec![Event::MarkedEnteredInError { reason: reason() }],
        }
    };
    let treatment_id = TREATMENT;
    let all = [IsPlanned, InProgress, OnHold, Completed, Stopped, NotDone, EnteredInError];
    for from in all {
        let in_status = || given(std::iter::once(planned()).chain(to(from)));
        let check = |then: crate::testing::Then<Treatment>, sources: &[Status], goal: Status, event: Event| {
            if from == goal {
                then.then_nothing();
            } else if sources.contains(&from) {
                then.then([event]);
            } else {
                then.then_code("wrong-status");
            }
        };
        check(in_status().when(StartTreatment { treatment_id }), &[IsPlanned], InProgress, Event::Started);
        check(in_status().when(HoldTreatment { treatment_id }), &[InProgress], OnHold, Event::Held);
        if from != InProgress {
            check(in_status().when(ResumeTreatment { treatment_id }), &[OnHold], InProgress, Event::Resumed);
        }
        let complete = CompleteTreatment { treatment_id, outcome: None };
        let completed = Event::Completed { outcome: None };
        check(in_status().when(complete), &[IsPlanned, InProgress], Completed, completed);
        let stop = StopTreatment { treatment_id, reason: reason() };
        let stopped = Event::Stopped { reason: reason() };
        check(in_status().when(stop), &[InProgress, OnHold], Stopped, stopped);
        let give_up = MarkTreatmentNotDone { treatment_id, reason: reason() };
        let given_up = Event::MarkedNotDone { reason: reason() };
        check(in_status().when(give_up), &[IsPlanned], NotDone, given_up);
        let wrong = MarkTreatmentEnteredInError { treatment_id, reason: reason() };
        let marked = Event::MarkedEnteredInError { reason: reason() };
        check(in_status().when(wrong), &all, EnteredInError, marked);
    }
}
