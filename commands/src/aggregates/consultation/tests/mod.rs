mod diagnoses;
mod signing;
mod steps;
mod symptoms;

use hims_domain::appointment::{Priority, Scheduled};
use hims_domain::role::Role;
use hims_domain::user::User;
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{APPOINTMENT_CONSULTATION, OPEN_CONSULTATIONS};
use crate::role_id;
use crate::testing::samples::{
    APPOINTMENT, CONSULTATION, DOCTOR, OTHER_DOCTOR, OTHER_PATIENT, PATIENT, ask, created, created_with, defined,
    registered, said, slot, with,
};
use crate::testing::world::{somebody, user};
use crate::testing::{ASKING, Claimed, Given, at, given, id, now, releases, shares, takes, unshares};
use crate::{Caller, user::Refusal as NotTheirs};

fn start(changes: Value) -> StartConsultation {
    ask(with(json!({"patient_id": PATIENT, "provider_id": DOCTOR, "chief_complaint": "cough"}), changes))
}

fn started(appointment_id: Option<AppointmentId>) -> Event {
    Event::Started(Started {
        patient_id: PATIENT,
        provider_id: DOCTOR,
        appointment_id,
        consultation_type: "standard".into(),
        workflow_type: WorkflowType::Standard,
        chief_complaint: Some(said("cough")),
        started_at: now(),
        steps: Vec::new(),
    })
}

fn record(findings: Value) -> RecordFindings {
    ask(with(json!({"consultation_id": CONSULTATION}), findings))
}

fn recorded(findings: Value) -> Event {
    Event::FindingsRecorded(ask(findings))
}

fn complete(completed_at: Option<&str>) -> CompleteConsultation {
    CompleteConsultation { consultation_id: CONSULTATION, completed_at: completed_at.map(at) }
}

fn completed(completed_at: &str, total_duration_minutes: i32) -> Event {
    Event::Completed { completed_at: at(completed_at), total_duration_minutes }
}

fn cancel() -> CancelConsultation {
    CancelConsultation { consultation_id: CONSULTATION, reason: said("fire alarm") }
}

fn cancelled() -> Event {
    Event::Cancelled { reason: said("fire alarm") }
}

/// Ann's appointment, with the events that followed its scheduling.
fn appointment(then: impl IntoIterator<Item = appointment::Event>) -> Vec<appointment::Event> {
    let scheduled = appointment::Event::Scheduled(Scheduled {
        patient_id: PATIENT,
        provider_id: DOCTOR,
        department_id: None,
        room_id: None,
        appointment_type: "follow_up".into(),
        slot: slot("2026-11-23T10:00:00Z", 30),
        time_zone: "UTC".into(),
        priority: Priority::Normal,
        reason_for_visit: None,
        special_instructions: None,
        insurance_verified: false,
        outside_hours: false,
        series: None,
    });
    std::iter::once(scheduled).chain(then).collect()
}

/// The patient has an open consultation.
fn opens() -> Claimed {
    shares(OPEN_CONSULTATIONS, PATIENT)
}

fn checked_in() -> appointment::Event {
    appointment::Event::CheckedIn { other_day_reason: None }
}

fn given_consultation(events: impl IntoIterator<Item = Event>) -> Given<Consultation> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<Patient>(OTHER_PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
        .and::<Role>(role_id("nurse"), [defined("nurse")])
}

#[test]
fn a_walk_in_needs_no_appointment() {
    given_consultation([]).when(start(json!({}))).then([started(None)]).then_claims([opens()]).then_nothing_else();
}

#[test]
fn a_consultation_starts_the_appointment_that_led_to_it() {
    given_consultation([])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in()]))
        .when(start(json!({"appointment_id": APPOINTMENT})))
        .then([started(Some(APPOINTMENT))])
        .then_also::<Appointment>(APPOINTMENT, [appointment::Event::Started])
        .then_claims([opens(), takes(APPOINTMENT_CONSULTATION, APPOINTMENT)]);
}

#[test]
fn an_appointment_may_have_been_started_before() {
    given_consultation([])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in(), appointment::Event::Started]))
        .when(start(json!({"appointment_id": APPOINTMENT})))
        .then([started(Some(APPOINTMENT))])
        .then_claims([opens(), takes(APPOINTMENT_CONSULTATION, APPOINTMENT)])
        .then_nothing_else();
}

#[test]
fn the_patient_is_checked_in_first() {
    use appointment::{Event, Status};
    for (then, status) in [
        (vec![], Status::Scheduled),
        (vec![Event::Confirmed], Status::Confirmed),
        (vec![Event::Cancelled { reason: said("ill") }], Status::Cancelled),
        (vec![Event::MarkedNoShow], Status::NoShow),
        (vec![checked_in(), Event::Started, Event::Completed], Status::Completed),
    ] {
        given_consultation([])
            .and::<Appointment>(APPOINTMENT, appointment(then))
            .when(start(json!({"appointment_id": APPOINTMENT})))
            .then_refused(Refusal::NotCheckedIn { status });
    }
}

#[test]
fn the_appointment_is_of_the_same_patient() {
    given_consultation([])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in()]))
        .when(start(json!({"appointment_id": APPOINTMENT, "patient_id": OTHER_PATIENT})))
        .then_refused(Refusal::OtherPatient);
}

#[test]
fn who_sees_the_patient_is_the_caller_unless_given() {
    let then = given_consultation([]).when(start(json!({"provider_id": null})));
    let Event::Started(it) = then.then_event() else { panic!("started") };
    assert_eq!(it.provider_id, UserId(ASKING));
}

#[test]
fn a_part_of_the_system_names_who_sees_the_patient() {
    given_consultation([])
        .by(crate::Caller::system("import"))
        .when(start(json!({"provider_id": null})))
        .then_field("who-did-it", "/provider_id");
}

#[test]
fn only_who_may_see_patients_is_named() {
    let named = |by: Caller| {
        given_consultation([])
            .and::<User>(DOCTOR, [created_with(json!({"role_id": role_id("nurse")}))])
            .by(by)
            .when(start(json!({})))
    };
    named(somebody("doctor")).then_field("not-entitled", "/provider_id");
    // An import tells what was done elsewhere, by whoever had the right to do it there and then.
    named(Caller::system("import")).then([started(None)]);
}

#[test]
fn nobody_who_is_inactive_is_named() {
    let left = || given_consultation([]).and::<User>(DOCTOR, [created(), hims_domain::user::Event::Deactivated]);
    left().by(somebody("doctor")).when(start(json!({}))).then_refused(NotTheirs::NotActing);
    left().by(Caller::system("import")).when(start(json!({}))).then([started(None)]);
}

#[test]
fn nobody_treats_themselves() {
    let as_patient = |patient_id| Caller { patient_id: Some(patient_id), ..user(OTHER_DOCTOR, "doctor") };
    let linked = |patient_id| [created(), hims_domain::user::Event::LinkedToPatient { patient_id }];
    let oneself = json!({"provider_id": null});
    given_consultation([])
        .by(as_patient(PATIENT))
        .when(start(oneself.clone()))
        .then_refused(NotTheirs::TreatsThemselves);
    // Naming a colleague does not help, nor does being named by a colleague.
    given_consultation([]).by(as_patient(PATIENT)).when(start(json!({}))).then_refused(NotTheirs::TreatsThemselves);
    given_consultation([])
        .and::<User>(DOCTOR, linked(PATIENT))
        .by(somebody("doctor"))
        .when(start(json!({})))
        .then_refused(NotTheirs::TreatsThemselves);
    given([started(None)])
        .by(as_patient(PATIENT))
        .when(record(json!({"plan": "rest"})))
        .then_refused(NotTheirs::TreatsThemselves);
    given([started(None)]).by(as_patient(PATIENT)).when(complete(None)).then_refused(NotTheirs::TreatsThemselves);
    // Staff are patients too: they treat everybody else.
    assert!(given_consultation([]).by(as_patient(OTHER_PATIENT)).when(start(oneself)).is_accepted());
    assert!(
        given_consultation([])
            .and::<User>(DOCTOR, linked(OTHER_PATIENT))
            .by(somebody("doctor"))
            .when(start(json!({})))
            .is_accepted()
    );
}

#[test]
fn a_second_open_consultation_with_the_provider_is_asked_back() {
    let seen_by = |provider_id| {
        let Event::Started(it) = started(None) else { panic!("started") };
        given_consultation([])
            .owner(OPEN_CONSULTATIONS, PATIENT, CONSULTATION)
            .and::<Consultation>(CONSULTATION, [Event::Started(Started { provider_id, ..it })])
    };
    seen_by(DOCTOR).when(start(json!({}))).then_code("already-open");
    seen_by(DOCTOR).when(start(json!({}))).then_candidates([CONSULTATION]);
    assert!(seen_by(DOCTOR).when(start(json!({"confirm_another": true}))).is_accepted());
    // Several doctors may see a patient at the same time.
    assert!(seen_by(OTHER_DOCTOR).when(start(json!({}))).is_accepted());
}

#[test]
fn a_consultation_is_open_until_it_ends() {
    let of_appointment = || [started(Some(APPOINTMENT))];
    let closes = || unshares(OPEN_CONSULTATIONS, PATIENT);
    given(of_appointment()).when(complete(None)).then_claims([closes()]);
    given(of_appointment()).when(cancel()).then_claims([closes(), releases(APPOINTMENT_CONSULTATION, APPOINTMENT)]);
}

#[test]
fn who_is_seen_and_why_must_exist() {
    let nobody = "00000000-0000-0000-0000-00000000dead";
    for field in ["patient_id", "provider_id", "appointment_id"] {
        given_consultation([])
            .when(start(with(json!({}), json!({ field: nobody }))))
            .then_field("unknown-reference", &format!("/{field}"));
    }
}

#[test]
fn findings_keep_what_is_left_out() {
    given([started(None)])
        .when(record(json!({"assessment": "bronchitis", "review_of_systems": {"lungs": "wheezing"}})))
        .then([recorded(json!({
            "chief_complaint": "cough", "assessment": "bronchitis", "review_of_systems": {"lungs": "wheezing"},
        }))]);
}

#[test]
fn null_empties_a_finding() {
    given([started(None)]).when(record(json!({"chief_complaint": null}))).then([recorded(json!({}))]);
}

#[test]
fn a_finding_of_one_part_keeps_those_of_the_others() {
    let examined = |parts: Value| recorded(json!({"chief_complaint": "cough", "physical_examination": parts}));
    let both = || [started(None), examined(json!({"heart": "regular", "lungs": "wheezing"}))];
    given(both())
        .when(record(json!({"physical_examination": {"lungs": "clear"}})))
        .then([examined(json!({"heart": "regular", "lungs": "clear"}))]);
    given(both())
        .when(record(json!({"physical_examination": {"lungs": null, "skin": "dry"}})))
        .then([examined(json!({"heart": "regular", "skin": "dry"}))]);
    given(both()).when(record(json!({"physical_examination": null}))).then([recorded(json!({
        "chief_complaint": "cough",
    }))]);
    given([started(None)])
        .when(record(json!({"physical_examination": {"lungs": null, "skin": "dry"}})))
        .then([examined(json!({"skin": "dry"}))]);
}

#[test]
fn the_same_findings_again_are_quiet() {
    given([started(None)]).when(record(json!({"chief_complaint": "cough"}))).then_nothing();
    given([started(None), recorded(json!({"plan": "rest"}))]).when(record(json!({"plan": "rest"}))).then_nothing();
}

#[test]
fn a_finding_keeps_its_rule() {
    given([started(None)]).when(record(json!({"plan": ""}))).then_field("invalid-fields", "/plan");
}

#[test]
fn a_consultation_ends_now_unless_told() {
    given([started(None)])
        .at(at("2026-11-23T10:25:59Z"))
        .when(complete(None))
        .then([completed("2026-11-23T10:25:59Z", 25)])
        .then_nothing_else();
    given([started(None)])
        .at(at("2026-11-23T12:00:00Z"))
        .when(complete(Some("2026-11-23T10:10:00Z")))
        .then([completed("2026-11-23T10:10:00Z", 10)]);
}

#[test]
fn with_a_consultation_its_appointment_ends() {
    given([started(Some(APPOINTMENT))])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in(), appointment::Event::Started]))
        .when(complete(None))
        .then([completed("2026-11-23T10:00:00Z", 0)])
        .then_also::<Appointment>(APPOINTMENT, [appointment::Event::Completed]);
}

#[test]
fn an_appointment_that_ended_before_is_left_alone() {
    use appointment::Event::{Completed, Started};
    given([started(Some(APPOINTMENT))])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in(), Started, Completed]))
        .when(complete(None))
        .then([completed("2026-11-23T10:00:00Z", 0)])
        .then_nothing_else();
}

#[test]
fn a_consultation_does_not_end_in_the_future() {
    given([started(None)]).when(complete(Some("2026-11-23T10:00:01Z"))).then_refused(Refusal::InTheFuture);
}

#[test]
fn a_consultation_does_not_end_before_it_starts() {
    given([started(None)]).when(complete(Some("2026-11-23T09:59:59Z"))).then_refused(Refusal::EndsBeforeItStarts);
}

#[test]
fn a_consultation_is_broken_off() {
    given([started(None)]).when(cancel()).then([cancelled()]);
}

#[test]
fn completing_and_cancelling_twice_is_quiet() {
    given([started(None), completed("2026-11-23T10:00:00Z", 0)]).when(complete(None)).then_nothing();
    given([started(None), cancelled()]).when(cancel()).then_nothing();
}

#[test]
fn what_is_over_stays_as_it_is() {
    let over = || [started(None), completed("2026-11-23T10:00:00Z", 0)];
    let broken_off = || [started(None), cancelled()];
    given(over()).when(cancel()).then_refused(Refused::wrong_status::<Consultation>(Status::Completed));
    given(broken_off()).when(complete(None)).then_refused(Refused::wrong_status::<Consultation>(Status::Cancelled));
    let note = || record(json!({"plan": "rest"}));
    given(over()).when(note()).then_refused(Refused::wrong_status::<Consultation>(Status::Completed));
    given(broken_off()).when(note()).then_refused(Refused::wrong_status::<Consultation>(Status::Cancelled));
}

fn undo() -> UndoConsultationStart {
    UndoConsultationStart { consultation_id: CONSULTATION, reason: said("another patient's chart") }
}

#[test]
fn a_start_is_undone_and_the_patient_waits_again() {
    let reason = || said("another patient's chart");
    given([started(Some(APPOINTMENT))])
        .and::<Appointment>(APPOINTMENT, appointment([checked_in(), appointment::Event::Started]))
        .when(undo())
        .then([Event::StartUndone { reason: reason() }])
        .then_also::<Appointment>(APPOINTMENT, [appointment::Event::StartUndone { reason: reason() }])
        .then_claims([unshares(OPEN_CONSULTATIONS, PATIENT), releases(APPOINTMENT_CONSULTATION, APPOINTMENT)]);
    given([started(None)]).when(undo()).then([Event::StartUndone { reason: reason() }]).then_nothing_else();
    given([started(None), Event::StartUndone { reason: reason() }]).when(undo()).then_nothing();
}

#[test]
fn the_start_of_what_took_place_is_not_undone() {
    let found = recorded(json!({"chief_complaint": "cough", "plan": "rest"}));
    given([started(None), found]).when(undo()).then_refused(Refusal::TookPlace);
    given([started(None), recorded(json!({"chief_complaint": "headache"}))])
        .when(undo())
        .then([Event::StartUndone { reason: said("another patient's chart") }]);
    let over = [started(None), completed("2026-11-23T10:10:00Z", 10)];
    given(over).when(undo()).then_refused(Refused::wrong_status::<Consultation>(Status::Completed));
}
