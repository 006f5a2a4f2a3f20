use super::*;
use crate::user::Refusal as NotTheirs;

fn sign() -> SignConsultation {
    SignConsultation { consultation_id: CONSULTATION }
}

fn signed() -> Event {
    Event::Signed { signed_by: DOCTOR, signed_at: now() }
}

fn amend(findings: &Value) -> AmendConsultation {
    ask(json!({"consultation_id": CONSULTATION, "reason": "a word was missing", "findings": findings}))
}

fn over(then: impl IntoIterator<Item = Event>) -> Given<Consultation> {
    let events = [started(None), completed("2026-11-23T10:00:00Z", 0)];
    given(events.into_iter().chain(then)).by(user(DOCTOR, "doctor"))
}

#[test]
fn the_provider_signs_what_is_completed() {
    over([]).when(sign()).then([signed()]);
    over([signed()]).when(sign()).then_nothing();
    given([started(None)]).by(user(DOCTOR, "doctor")).when(sign()).then_refused(Refusal::NotCompleted);
    over([]).by(user(OTHER_DOCTOR, "doctor")).when(sign()).then_refused(Refusal::OtherProvider);
    over([]).by(Caller::system("import")).when(sign()).then_refused(Refusal::OtherProvider);
}

#[test]
fn an_amendment_keeps_what_was_and_ends_the_signature() {
    let then = over([signed()]).when(amend(&json!({"plan": "rest and tea"})));
    let Event::Amended(it) = then.then_event() else { panic!("amended") };
    assert_eq!((it.number, &it.before.plan), (1, &None));
    assert_eq!(it.findings.plan, Some(said("rest and tea")));
    assert_eq!(it.findings.chief_complaint, it.before.chief_complaint);
    let amended = || Event::Amended(it.clone());
    over([signed(), amended()]).when(sign()).then([signed()]);
    let again = over([signed(), amended(), signed()]).when(amend(&json!({"plan": null})));
    let Event::Amended(second) = again.then_event() else { panic!("amended") };
    assert_eq!((second.number, second.before.plan), (2, Some(said("rest and tea"))));
}

#[test]
fn only_what_is_completed_is_amended_and_only_if_something_changes() {
    let plan = || amend(&json!({"plan": "rest"}));
    given([started(None)]).when(plan()).then_refused(Refusal::NotCompleted);
    given([started(None), cancelled()]).when(plan()).then_code("wrong-status");
    over([signed()]).when(amend(&json!({"chief_complaint": "cough"}))).then_nothing();
    over([]).when(amend(&json!({"plan": ""}))).then_field("invalid-fields", "/findings/plan");
}

#[test]
fn nobody_signs_or_amends_their_own_consultation() {
    let by_patient = || over([]).by(Caller { patient_id: Some(PATIENT), ..user(DOCTOR, "doctor") });
    by_patient().when(sign()).then_refused(NotTheirs::TreatsThemselves);
    by_patient().when(amend(&json!({"plan": "rest"}))).then_refused(NotTheirs::TreatsThemselves);
}
