use hims_domain::DiagnosisId;
use hims_domain::consultation::{ClinicalStatus, DiagnosisChanged, DiagnosisRecorded, Rank, VerificationStatus};

use super::*;
use crate::machinery::scopes::DIAGNOSIS;
use crate::testing::Then;

const FIRST: DiagnosisId = DiagnosisId(Uuid::from_u128(0x71));
const SECOND: DiagnosisId = DiagnosisId(Uuid::from_u128(0x72));

fn bronchitis(changes: Value) -> Value {
    let diagnosis = json!({"consultation_id": CONSULTATION, "diagnosis_id": FIRST, "code": "J20.9",
                           "description": "Acute bronchitis", "diagnosis_type": "final"});
    with(diagnosis, changes)
}

fn asthma(changes: Value) -> Value {
    with(bronchitis(json!({"diagnosis_id": SECOND, "code": "j45909", "description": "Asthma"})), changes)
}

fn diagnose(diagnosis: Value) -> RecordDiagnosis {
    ask(diagnosis)
}

fn change(id: DiagnosisId, changes: Value) -> ChangeDiagnosis {
    ask(with(json!({"consultation_id": CONSULTATION, "diagnosis_id": id}), changes))
}

/// A consultation in which diagnoses were made, one after the other.
fn with_diagnoses(diagnoses: impl IntoIterator<Item = Value>) -> Vec<Event> {
    let mut events = vec![started(None)];
    for diagnosis in diagnoses {
        let event = given(events.clone()).when(diagnose(diagnosis)).then_event();
        events.push(event);
    }
    events
}

fn recorded_event(then: Then<Consultation>) -> DiagnosisRecorded {
    match then.then_event() {
        Event::DiagnosisRecorded(it) => *it,
        other => panic!("{other:?}"),
    }
}

fn changed_event(then: Then<Consultation>) -> DiagnosisChanged {
    match then.then_event() {
        Event::DiagnosisChanged(it) => *it,
        other => panic!("{other:?}"),
    }
}

fn over(mut events: Vec<Event>) -> Vec<Event> {
    events.push(completed("2026-11-23T10:00:00Z", 0));
    events
}

#[test]
fn a_diagnosis_is_provisional_active_and_next_in_rank() {
    let then = given([started(None)]).when(diagnose(bronchitis(json!({}))));
    let it = recorded_event(then.then_claims([takes(DIAGNOSIS, FIRST)]));
    assert_eq!((it.diagnosed_by, it.rank, it.moved), (UserId(ASKING), 1, vec![]));
    assert_eq!(it.diagnosis.verification_status, VerificationStatus::Provisional);
    assert_eq!(it.diagnosis.clinical_status, Some(ClinicalStatus::Active));
    assert_eq!(it.diagnosis.code_system.as_str(), "http://hl7.org/fhir/sid/icd-10-cm");
    let known = || given(with_diagnoses([bronchitis(json!({}))]));
    let second = recorded_event(known().when(diagnose(asthma(json!({})))));
    assert_eq!((second.rank, second.diagnosis.code.as_str()), (2, "J45.909"));
    // The ranks of another type are its own.
    assert_eq!(recorded_event(known().when(diagnose(asthma(json!({"diagnosis_type": "working"}))))).rank, 1);
}

#[test]
fn a_consultation_has_at_most_a_hundred_diagnoses() {
    let nth =
        |nth: u128| bronchitis(json!({"diagnosis_id": Uuid::from_u128(1000 + nth), "code": format!("J{nth:02}")}));
    let most = with_diagnoses((0..99).map(nth));
    assert!(given(most.clone()).when(diagnose(bronchitis(json!({})))).is_accepted());
    given(with_diagnoses((0..100).map(nth)))
        .when(diagnose(bronchitis(json!({}))))
        .then_refused(Refusal::TooManyDiagnoses);
}

#[test]
fn a_rank_that_is_taken_moves_the_others_down() {
    let third = Uuid::from_u128(0x73);
    let both = with_diagnoses([bronchitis(json!({})), asthma(json!({}))]);
    let new = bronchitis(json!({"diagnosis_id": third, "code": "R05.1", "rank": 1}));
    let it = recorded_event(given(both.clone()).when(diagnose(new)));
    let places = [Rank { diagnosis_id: FIRST, rank: 2 }, Rank { diagnosis_id: SECOND, rank: 3 }];
    assert_eq!((it.rank, it.moved), (1, places.to_vec()));
    let too_far = bronchitis(json!({"diagnosis_id": third, "code": "R05.1", "rank": 4}));
    given(both.clone()).when(diagnose(too_far)).then_field("out-of-range", "/rank");
    // The second becomes the first.
    let it = changed_event(given(both).when(change(SECOND, json!({"rank": 1}))));
    assert_eq!((it.rank, it.moved), (1, vec![Rank { diagnosis_id: FIRST, rank: 2 }]));
}

#[test]
fn only_those_without_a_gap_to_the_new_rank_move_down() {
    let third = Uuid::from_u128(0x73);
    let of_third = bronchitis(json!({"diagnosis_id": third, "code": "R05.1"}));
    let mut three = with_diagnoses([bronchitis(json!({})), asthma(json!({})), of_third]);
    let wrong = change(SECOND, json!({"verification_status": "entered_in_error"}));
    three.push(given(three.clone()).when(wrong).then_event());
    let fourth = bronchitis(json!({"diagnosis_id": Uuid::from_u128(0x74), "code": "R06.2", "rank": 1}));
    let it = recorded_event(given(three).when(diagnose(fourth)));
    assert_eq!((it.rank, it.moved), (1, vec![Rank { diagnosis_id: FIRST, rank: 2 }]));
}

#[test]
fn the_same_diagnosis_of_one_type_counts_once() {
    let known = with_diagnoses([bronchitis(json!({}))]);
    let again = || bronchitis(json!({"diagnosis_id": SECOND, "code": "j209"}));
    given(known.clone()).when(diagnose(again())).then_code("duplicate-diagnosis");
    given(known.clone()).when(diagnose(again())).then_candidates([FIRST]);
    given(known.clone()).when(diagnose(bronchitis(json!({})))).then_refused(Refused::exists());
    let working = with(again(), json!({"diagnosis_type": "working"}));
    assert!(given(known.clone()).when(diagnose(working)).is_accepted());
    // What was refuted may turn out to be right.
    let refuted = given(known.clone()).when(change(FIRST, json!({"verification_status": "refuted"}))).then_event();
    let events = known.into_iter().chain([refuted]).collect::<Vec<_>>();
    let right = given(events.clone()).when(diagnose(again())).then_event();
    let events: Vec<_> = events.into_iter().chain([right]).collect();
    given(events).when(change(FIRST, json!({"verification_status": "confirmed"}))).then_code("duplicate-diagnosis");
}

#[test]
fn what_is_said_of_a_condition_fits_together() {
    let refused = |changes, code, field| {
        given([started(None)]).when(diagnose(bronchitis(changes))).then_field(code, field);
    };
    let ended = json!({"abatement_date": "2026-11-20"});
    refused(ended.clone(), "inconsistent-status", "/clinical_status");
    refused(json!({"verification_status": "entered_in_error"}), "inconsistent-status", "/verification_status");
    refused(json!({"onset_date": "2026-11-24"}), "in-the-future", "/onset_date");
    let before_onset = json!({"clinical_status": "resolved", "onset_date": "2026-11-21"});
    refused(with(ended.clone(), before_onset), "ends-before-it-starts", "/abatement_date");
    refused(json!({"code": "bronchitis"}), "malformed-code", "/code");
    let resolved = with(ended, json!({"clinical_status": "resolved", "onset_date": "2026-11-01"}));
    assert!(given([started(None)]).when(diagnose(bronchitis(resolved))).is_accepted());
}

#[test]
fn what_was_entered_in_error_has_no_clinical_status_and_stays_so() {
    let known = with_diagnoses([bronchitis(json!({}))]);
    let wrong = json!({"verification_status": "entered_in_error"});
    let it = changed_event(given(known.clone()).when(change(FIRST, wrong.clone())));
    assert_eq!(it.diagnosis.clinical_status, None);
    let said = with(wrong.clone(), json!({"clinical_status": "active"}));
    given(known.clone()).when(change(FIRST, said)).then_field("inconsistent-status", "/clinical_status");
    let events: Vec<_> = known.into_iter().chain([Event::DiagnosisChanged(Box::new(it))]).collect();
    given(events.clone()).when(change(FIRST, wrong)).then_nothing();
    given(events.clone())
        .when(change(FIRST, json!({"verification_status": "confirmed"})))
        .then_refused(Refusal::DiagnosisInError);
    // The rank that it gave up is free.
    assert_eq!(recorded_event(given(events).when(diagnose(asthma(json!({}))))).rank, 1);
}

#[test]
fn a_change_keeps_what_is_left_out_and_is_quiet_without_a_difference() {
    let known = with_diagnoses([bronchitis(json!({"notes": "no fever"}))]);
    let it = changed_event(given(known.clone()).when(change(FIRST, json!({"verification_status": "confirmed"}))));
    assert_eq!(it.diagnosis.notes, Some(said("no fever")));
    assert_eq!((it.rank, it.amends.is_some()), (1, false));
    given(known.clone()).when(change(FIRST, json!({"description": "Acute bronchitis", "rank": 1}))).then_nothing();
    given(known).when(change(SECOND, json!({"notes": "x"}))).then_refused(Refusal::NoSuchDiagnosis);
}

#[test]
fn a_diagnosis_of_another_type_is_the_last_of_its_type() {
    let working = asthma(json!({"diagnosis_type": "working"}));
    let known = with_diagnoses([bronchitis(json!({})), working]);
    let it = changed_event(given(known).when(change(SECOND, json!({"diagnosis_type": "final"}))));
    assert_eq!((it.rank, it.moved), (2, vec![]));
}

#[test]
fn once_the_consultation_is_over_all_but_the_course_is_an_amendment() {
    let known = || over(with_diagnoses([bronchitis(json!({}))]));
    let resolved = json!({"clinical_status": "resolved", "abatement_date": "2026-11-23"});
    assert_eq!(changed_event(given(known()).when(change(FIRST, resolved))).amends, None);
    let confirmed = json!({"verification_status": "confirmed"});
    given(known()).when(change(FIRST, confirmed.clone())).then_field("reason-required", "/reason");
    let reasoned = with(confirmed, json!({"reason": "the culture came back"}));
    let it = changed_event(given(known()).when(change(FIRST, reasoned.clone())));
    assert_eq!(it.amends.map(|it| (it.number, it.before.rank)), Some((1, 1)));
    // The amendment ends the signature.
    let signed = Event::Signed { signed_by: DOCTOR, signed_at: now() };
    let events: Vec<_> = known().into_iter().chain([signed]).collect();
    let amended = given(events.clone()).when(change(FIRST, reasoned)).then_event();
    let unsigned: Vec<_> = events.clone().into_iter().chain([amended]).collect();
    given(events).when(diagnose(asthma(json!({})))).then_code("signed");
    assert!(given(unsigned).when(diagnose(asthma(json!({})))).is_accepted());
}

#[test]
fn in_a_consultation_that_was_broken_off_only_mistakes_are_marked() {
    let mut events = with_diagnoses([bronchitis(json!({}))]);
    events.push(cancelled());
    let wrong = json!({"verification_status": "entered_in_error"});
    assert!(given(events.clone()).when(change(FIRST, wrong)).is_accepted());
    given(events).when(change(FIRST, json!({"notes": "x"}))).then_code("wrong-status");
}

#[test]
fn nobody_diagnoses_themselves() {
    let by_patient = |events: Vec<Event>| given(events).by(Caller { patient_id: Some(PATIENT), ..somebody("doctor") });
    let known = with_diagnoses([bronchitis(json!({}))]);
    by_patient(known.clone()).when(diagnose(asthma(json!({})))).then_refused(NotTheirs::TreatsThemselves);
    by_patient(known).when(change(FIRST, json!({"notes": "x"}))).then_refused(NotTheirs::TreatsThemselves);
}
