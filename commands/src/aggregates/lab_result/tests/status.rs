//! How far a result is: from the first values to the last correction, and what becomes of the order.

use hims_domain::lab_result::Status;
use hims_domain::{Personal, fold};
use hims_event_store::Actor;

use super::*;
use crate::Caller;
use crate::testing::samples::said;
use crate::testing::world::{somebody, user};
use crate::testing::{ASKING, ISSUED, at, now};

#[test]
fn a_result_is_of_an_item_of_an_order_and_the_order_follows() {
    let then = given_result([], [placed(), collected()]).by(user(DOCTOR, "lab_technician")).when(record(json!({})));
    let order = fold::<LabOrder>(&[placed(), collected()]).unwrap();
    let then = then.then_also::<LabOrder>(ORDER, [order.resulted(ITEM, ISSUED.into(), true)]);
    let events = then.events();
    let it = recorded(&events);
    assert_eq!((it.patient_id, it.lab_test_id, it.test_code.as_str()), (PATIENT, TEST, "51990-0"));
    assert_eq!((it.specimen_id, it.taken_at), (Some(SPECIMEN), at("2026-11-23T09:00:00Z")));
    assert_eq!((it.performed_by, it.performed_at), (Some(DOCTOR), now()));
    assert_eq!(it.result_status, ResultStatus::Final);
    assert_eq!(events.len(), 1, "nothing is critical");
}

#[test]
fn without_a_specimen_the_time_is_that_of_the_test() {
    let earlier = json!({"performed_at": "2026-11-23T07:00:00Z"});
    let events = given_result([], [placed()]).when(record(earlier)).events();
    assert_eq!(recorded(&events).taken_at, at("2026-11-23T07:00:00Z"));
    let ahead = record(json!({"performed_at": "2026-11-23T10:00:01Z"}));
    given_result([], [placed()]).when(ahead).then_field("in-the-future", "/performed_at");
}

#[test]
fn nothing_is_tested_before_its_specimen_was_taken_nor_reported_without_a_value() {
    let taken = || given_result([], [placed(), collected()]).by(user(DOCTOR, "lab_technician"));
    let too_early = || record(json!({"performed_at": "2026-11-23T08:59:59Z"}));
    taken().when(too_early()).then_field("out-of-range", "/performed_at");
    assert!(taken().when(record(json!({"performed_at": "2026-11-23T09:00:00Z"}))).is_accepted());
    let empty = || record(json!({"status": "P", "components": []}));
    taken().when(empty()).then_field("missing-component", "/components");
    // An import tells what another laboratory has reported.
    for command in [too_early(), empty()] {
        let imported = given_result([], [placed(), collected()]).by(Caller::system("import")).when(command);
        assert!(imported.is_accepted());
    }
}

#[test]
fn an_import_may_not_know_who_performed_the_test() {
    let imported = given_result([], [placed()]).by(Caller::system("import")).when(record(json!({})));
    assert_eq!(recorded(&imported.events()).performed_by, None);
}

#[test]
fn a_specimen_is_of_the_item_and_was_not_rejected() {
    let other = record(json!({"specimen_id": Uuid::from_u128(0xdead)}));
    given_result([], [placed(), collected()]).when(other).then_refused(Refusal::NoSuchSpecimen);
    for specimen in [json!(SPECIMEN), json!(null)] {
        let named = record(json!({"specimen_id": specimen}));
        given_result([], [placed(), collected(), rejected()]).when(named).then_refused(Refusal::SpecimenRejected);
    }
    let again = json!({"specimen_id": Uuid::from_u128(0xa2), "collected_at": "2026-11-23T09:30:00Z"});
    let again = sample_with::<LabOrder>("specimen_collected", again);
    let events = given_result([], [placed(), collected(), rejected(), again]).when(record(json!({}))).events();
    assert_eq!(recorded(&events).taken_at, at("2026-11-23T09:30:00Z"));
}

#[test]
fn an_item_has_one_result() {
    let second = given_result([], resulted(false)).when(record(json!({})));
    second.then_candidates([RESULT]);
    given_result([], resulted(true)).when(record(json!({}))).then_code("already-resulted");
    let cancelled = sample_with::<LabOrder>("item_cancelled", json!({"item_id": ITEM}));
    given_result([], [placed(), cancelled]).when(record(json!({}))).then_refused(Refusal::ItemCancelled);
    let unknown = record(json!({"item_id": Uuid::from_u128(0xdead)}));
    given_result([], [placed()]).when(unknown).then_refused(Refusal::NoSuchItem);
}

#[test]
fn preliminary_values_become_final_as_they_are_or_with_others() {
    let partial = events_of(preliminary("4.1"));
    let alone = || given_result(partial.clone(), resulted(false));
    alone().when(finalise(None)).then_field("missing-component", "/components");
    let then = alone().when(finalise(Some(all_values("4.2"))));
    let order = fold::<LabOrder>(&resulted(false)).unwrap();
    let then = then.then_also::<LabOrder>(ORDER, [order.resulted(ITEM, RESULT, true)]);
    match then.then_event() {
        Event::Finalised { revision: Some(it), .. } => {
            assert_eq!((it.number, it.components.len()), (2, 3));
        }
        other => panic!("{other:?}"),
    }
    let whole = events_of(record(json!({"status": "P"})));
    let then = given_result(whole.clone(), resulted(false)).when(finalise(None));
    then.then([Event::Finalised { patient_id: PATIENT, revision: None }]);
    let same = given_result(whole, resulted(false)).when(finalise(Some(all_values("4.1"))));
    same.then([Event::Finalised { patient_id: PATIENT, revision: None }]);
}

#[test]
fn a_command_looks_up_only_what_it_needs() {
    let whole = events_of(record(json!({"status": "P"})));
    // Preliminary values that become final as they are need no patient, and a correction needs no order.
    let without_patient = given(whole.clone()).and::<LabOrder>(ORDER, resulted(false));
    let then = without_patient.and::<LabTest>(TEST, [sample::<LabTest>("defined")]).when(finalise(None));
    then.then([Event::Finalised { patient_id: PATIENT, revision: None }]);
    let is_final = Event::Finalised { patient_id: PATIENT, revision: None };
    let without_order = given(whole.into_iter().chain([is_final])).and::<Patient>(PATIENT, [registered()]);
    let then = without_order.and::<LabTest>(TEST, [sample::<LabTest>("defined")]).when(correct(all_values("4.3")));
    assert_eq!(then.events().len(), 1);
}

#[test]
fn a_specimen_that_is_rejected_after_a_partial_result_yields_no_final_one() {
    let [placed, collected, resulted] = resulted(false);
    let of_order = [placed, collected, resulted, rejected()];
    let partial = events_of(preliminary("4.1"));
    let then = given_result(partial.clone(), of_order.clone()).when(finalise(Some(all_values("4.1"))));
    then.then_refused(Refusal::SpecimenRejected);
    let withdrawn = given_result(partial, of_order.clone()).when(withdraw("wrong_specimen"));
    let order = fold::<LabOrder>(&of_order).unwrap();
    withdrawn.then_also::<LabOrder>(ORDER, [order.reopened(ITEM)]);
}

#[test]
fn a_correction_is_another_revision_and_ends_the_review() {
    let reviewed = || {
        let reviewed = Event::Reviewed { reviewed_by: DOCTOR, comment: None };
        events_of(record(json!({}))).into_iter().chain([reviewed])
    };
    let events = given_result(reviewed(), resulted(true)).when(correct(all_values("4.3"))).events();
    let all: Vec<_> = reviewed().chain(events).collect();
    let result = fold::<LabResult>(&all).unwrap();
    assert_eq!((result.result_status, result.revision.number), (ResultStatus::Corrected, 2));
    assert_eq!(result.status(), Status::Completed);
    let again = given_result(all, resulted(true)).when(correct(all_values("4.3")));
    again.then_nothing();
    given_result(reviewed(), resulted(true)).when(correct(all_values("4.1"))).then_nothing();
}

#[test]
fn a_wrong_result_opens_the_item_again_and_a_test_that_cannot_be_done_ends_it() {
    let order = |events: &[lab_order::Event]| fold::<LabOrder>(events).unwrap();
    let wrong = given_result(events_of(record(json!({}))), resulted(true)).when(withdraw("wrong_patient"));
    let wrong = wrong.then_also::<LabOrder>(ORDER, [order(&resulted(true)).reopened(ITEM)]);
    wrong.then([Event::Withdrawn {
        result_status: ResultStatus::Wrong,
        reason_code: WithdrawalCode::WrongPatient,
        reason: None,
    }]);
    let impossible = given_result(events_of(preliminary("4.1")), resulted(false)).when(withdraw("cannot_be_done"));
    impossible.then_also::<LabOrder>(ORDER, [order(&resulted(false)).item_cancelled(ITEM, None)]);
}

/// What each command does with a result in each state: an event, nothing, or the code of the refusal.
#[test]
fn each_step_leads_from_its_statuses_only() {
    let first = |it: Event| vec![it];
    let preliminary = events_of(record(json!({"status": "P"})));
    let final_ = events_of(record(json!({})));
    let then = |events: &[Event], event: Event| [events, &first(event)].concat();
    let withdrawn = |result_status, reason_code| Event::Withdrawn { result_status, reason_code, reason: None };
    let corrected = given_result(final_.clone(), resulted(true)).when(correct(all_values("4.4"))).then_event();
    let states = [
        ("P", preliminary.clone()),
        ("F", final_.clone()),
        ("C", then(&final_, corrected)),
        ("reviewed", then(&final_, Event::Reviewed { reviewed_by: DOCTOR, comment: None })),
        ("X", then(&preliminary, withdrawn(ResultStatus::CannotBeDone, WithdrawalCode::CannotBeDone))),
        ("W", then(&final_, withdrawn(ResultStatus::Wrong, WithdrawalCode::WrongSpecimen))),
    ];
    let expected = [
        // finalise, correct, cannot be done, wrong patient, review, acknowledge
        ("P", ["done", "wrong-status", "done", "done", "not-final", "wrong-status"]),
        ("F", ["nothing", "done", "wrong-status", "done", "done", "wrong-status"]),
        ("C", ["wrong-status", "done", "wrong-status", "done", "done", "wrong-status"]),
        ("reviewed", ["nothing", "done", "wrong-status", "done", "nothing", "wrong-status"]),
        ("X", ["wrong-status", "wrong-status", "nothing", "wrong-status", "wrong-status", "wrong-status"]),
        ("W", ["wrong-status", "wrong-status", "wrong-status", "nothing", "wrong-status", "wrong-status"]),
    ];
    for ((name, events), (of, codes)) in states.into_iter().zip(expected) {
        assert_eq!(name, of);
        let given = || {
            let is_final = name != "P" && name != "X";
            given_result(events.clone(), resulted(is_final)).by(user(DOCTOR, "doctor"))
        };
        let outcome = |then: crate::testing::Then<LabResult>| match then.code() {
            Some(code) => code,
            None if then.events().is_empty() => "nothing",
            None => "done",
        };
        let outcomes = [
            outcome(given().when(finalise(None))),
            outcome(given().when(correct(all_values("4.5")))),
            outcome(given().when(withdraw("cannot_be_done"))),
            outcome(given().when(withdraw("wrong_patient"))),
            outcome(given().when(review())),
            outcome(given().when(acknowledge())),
        ];
        assert_eq!(outcomes, codes, "{name}");
    }
}

#[test]
fn a_review_is_by_a_user_and_keeps_what_was_said() {
    let comment = said("Repeat tomorrow");
    let asked = ReviewLabResult { lab_result_id: RESULT, comment: Some(comment.clone()) };
    let by_asking = Caller { actor: Actor::User { id: ASKING }, ..somebody("doctor") };
    given_result(events_of(record(json!({}))), resulted(true))
        .by(by_asking)
        .when(asked)
        .then([Event::Reviewed { reviewed_by: ASKING.into(), comment: Some(comment) }]);
    let system = given_result(events_of(record(json!({}))), resulted(true)).by(Caller::system("import"));
    system.when(review()).then_code("who-did-it");
}

#[test]
fn nothing_is_recorded_about_an_erased_patient() {
    let erased = match registered() {
        patient::Event::Registered { demographics, identifiers, .. } => {
            patient::Event::Registered { mrn: Personal::Erased, demographics, identifiers }
        }
        other => panic!("{other:?}"),
    };
    given_result_of(erased, [], [placed()]).when(record(json!({}))).then_code("erased");
}

#[test]
fn a_result_is_hidden_from_those_who_read_no_orders() {
    let result = hims_domain::fold::<LabResult>(&events_of(record(json!({})))).unwrap();
    for (role, is_hidden) in [("doctor", false), ("lab_technician", false), ("pharmacist", true)] {
        assert_eq!(result.is_hidden_from(&somebody(role)), is_hidden, "{role}");
    }
    assert!(!result.is_hidden_from(&Caller { patient_id: Some(PATIENT), ..somebody("patient") }));
}
