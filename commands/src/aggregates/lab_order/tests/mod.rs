mod progress;
mod specimens;

use hims_domain::consultation;
use hims_domain::lab_order::{Addition, Details, ItemStatus, NewItem, Placed, Priority};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::values::LabOrderNumber;
use hims_domain::{DiagnosisId, lab_test};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::Permission;
use crate::machinery::scopes::{DIAGNOSIS, LAB_ORDER_ITEM, LAB_ORDER_NUMBER, LAB_PENDING};
use crate::testing::samples::{
    CONSULTATION, DOCTOR, LAB_ORDER, LAB_TEST, OTHER_LAB_TEST, OTHER_PATIENT, PATIENT, ask, created, registered, said,
    with,
};
use crate::testing::world::somebody;
use crate::testing::{Given, Then, given, id, shares, takes, unshares};
use crate::{Caller, user};

const DIAGNOSED: DiagnosisId = DiagnosisId(Uuid::from_u128(0x71));
const FIRST: LabOrderItemId = LabOrderItemId(Uuid::from_u128(0x91));
const SECOND: LabOrderItemId = LabOrderItemId(Uuid::from_u128(0x92));

/// The event that defines a test which needs serum.
fn defined() -> lab_test::Event {
    sample::<LabTest>("defined")
}

/// A hospital with a patient and two tests, and the past events of an order.
fn laboratory(events: impl IntoIterator<Item = Event>) -> Given<LabOrder> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<LabTest>(LAB_TEST, [defined()])
        .and::<LabTest>(OTHER_LAB_TEST, [defined()])
}

fn place(changes: Value) -> PlaceLabOrder {
    ask(with(json!({"patient_id": PATIENT, "items": [{"lab_test_id": LAB_TEST}]}), changes))
}

/// Two tests were ordered.
fn placed() -> Event {
    let item = |id, lab_test_id| NewItem { id, lab_test_id, diagnosis_ids: Vec::new(), notes: None };
    Event::Placed(Box::new(Placed {
        number: LabOrderNumber::issue(7),
        patient_id: PATIENT,
        provider_id: DOCTOR,
        details: ask(json!({})),
        is_unsolicited: false,
        items: vec![item(FIRST, LAB_TEST), item(SECOND, OTHER_LAB_TEST)],
    }))
}

fn pending(lab_test_id: LabTestId) -> String {
    pending_key(PATIENT, lab_test_id)
}

fn add(reason: Addition, changes: Value) -> AddLabOrderItem {
    ask(with(json!({"lab_order_id": LAB_ORDER, "lab_test_id": LAB_TEST, "reason": reason}), changes))
}

#[test]
fn an_order_has_a_number_and_is_found_by_its_tests() {
    let then = laboratory([]).by(somebody("doctor")).when(place(json!({"priority": "stat", "fasting": true})));
    let events = then.events();
    let [Event::Placed(it)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((it.patient_id, it.details.priority, it.is_unsolicited), (PATIENT, Priority::Stat, false));
    assert_eq!(Some(it.provider_id), somebody("doctor").user_id());
    let item_id = it.items[0].id;
    let claims = [takes(LAB_ORDER_NUMBER, &it.number.0), takes(LAB_ORDER_ITEM, item_id)];
    then.then_claims(claims.into_iter().chain([shares(LAB_PENDING, pending(LAB_TEST))]));
}

#[test]
fn the_priority_is_normal_unless_another_is_named() {
    assert_eq!(ask::<Details>(json!({})).priority, Priority::Normal);
}

#[test]
fn an_order_has_1_to_30_tests() {
    let many = |count: u128| {
        let items: Vec<_> = (1..=count).map(|it| json!({"lab_test_id": Uuid::from_u128(0xf00 + it)})).collect();
        let tests = (1..=count)
            .fold(laboratory([]), |given, it| given.and::<LabTest>(Uuid::from_u128(0xf00 + it), [defined()]));
        tests.by(somebody("doctor")).when(place(json!({ "items": items })))
    };
    assert!(many(30).is_accepted());
    many(31).then_field("no-items", "/items");
    many(0).then_field("no-items", "/items");
}

#[test]
fn what_an_order_names_must_exist_and_be_in_use() {
    let nothing = Uuid::from_u128(0xdead);
    let unknown = |changes: Value, pointer: &str| {
        laboratory([]).when(place(changes)).then_field("unknown-reference", pointer);
    };
    unknown(json!({"patient_id": nothing}), "/patient_id");
    unknown(json!({"consultation_id": nothing}), "/consultation_id");
    unknown(json!({"provider_id": nothing}), "/provider_id");
    unknown(json!({"items": [{"lab_test_id": nothing}]}), "/items/0/lab_test_id");
    let diagnosed = json!({"items": [{"lab_test_id": LAB_TEST, "diagnosis_ids": [nothing]}]});
    unknown(diagnosed, "/items/0/diagnosis_ids/0");
    let retired = laboratory([]).and::<LabTest>(LAB_TEST, [defined(), lab_test::Event::Retired]);
    retired.when(place(json!({}))).then_refused(Refusal::InactiveTest);
}

#[test]
fn a_test_is_ordered_for_diagnoses_of_the_patient() {
    let of = |patient_id: PatientId| {
        let started = sample_with::<Consultation>("started", json!({"patient_id": patient_id}));
        let diagnosed = sample::<Consultation>("diagnosis_recorded");
        let order = json!({"items": [{"lab_test_id": LAB_TEST, "diagnosis_ids": [DIAGNOSED]}]});
        let known = laboratory([]).and::<Consultation>(CONSULTATION, [started, diagnosed]);
        known.owner(DIAGNOSIS, DIAGNOSED, CONSULTATION).by(somebody("doctor")).when(place(order))
    };
    assert!(of(PATIENT).is_accepted());
    of(OTHER_PATIENT).then_code("other-patient");
    let many = json!({"items": [{"lab_test_id": LAB_TEST, "diagnosis_ids": vec![DIAGNOSED; 21]}]});
    laboratory([]).when(place(many)).then_field("invalid-fields", "/items/0/diagnosis_ids");
}

#[test]
fn nothing_is_ordered_in_a_consultation_that_is_cancelled() {
    let started = sample_with::<Consultation>("started", json!({"patient_id": PATIENT}));
    let cancelled = consultation::Event::Cancelled { reason: said("fire alarm") };
    let known = laboratory([]).and::<Consultation>(CONSULTATION, [started, cancelled]);
    known.when(place(json!({"consultation_id": CONSULTATION}))).then_code("consultation-cancelled");
}

#[test]
fn a_time_for_the_specimen_lies_ahead() {
    let at = |time: &str| {
        let order = place(json!({"scheduled_for": time}));
        laboratory([]).by(somebody("doctor")).when(order)
    };
    at("2026-11-23T09:59:59Z").then_field("in-the-past", "/scheduled_for");
    assert!(at("2026-11-24T06:00:00Z").is_accepted());
}

#[test]
fn a_test_that_is_still_to_be_done_is_asked_about() {
    let doctor = || laboratory([]).by(somebody("doctor"));
    let pending = || doctor().owner(LAB_PENDING, pending(LAB_TEST), LAB_ORDER);
    let twice = pending().when(place(json!({})));
    assert_eq!(twice.code(), Some("possible-duplicate"));
    twice.then_candidates([LAB_ORDER]);
    let both = json!({"items": [{"lab_test_id": OTHER_LAB_TEST}, {"lab_test_id": LAB_TEST}]});
    pending().when(place(both)).then_field("possible-duplicate", "/items/1/lab_test_id");
    assert!(pending().when(place(json!({"confirm_not_duplicate": true}))).is_accepted());
    let same = json!({"items": [{"lab_test_id": LAB_TEST}, {"lab_test_id": LAB_TEST}]});
    doctor().when(place(same)).then_field("possible-duplicate", "/items/1/lab_test_id");
}

#[test]
fn a_test_that_is_ordered_in_a_merged_record_is_asked_about() {
    let merged = sample_with::<Patient>("duplicate_merged", json!({"brought": []}));
    let into = sample::<Patient>("merged_into");
    let known = laboratory([])
        .and::<Patient>(PATIENT, [registered(), merged])
        .and::<Patient>(OTHER_PATIENT, [registered(), into])
        .owner(LAB_PENDING, pending_key(OTHER_PATIENT, LAB_TEST), LAB_ORDER);
    known.by(somebody("doctor")).when(place(json!({}))).then_code("possible-duplicate");
}

#[test]
fn an_import_tells_what_was_ordered_and_is_not_asked() {
    let pending = laboratory([]).owner(LAB_PENDING, pending(LAB_TEST), LAB_ORDER).and::<User>(DOCTOR, [created()]);
    let order = place(json!({"provider_id": DOCTOR, "scheduled_for": "2019-05-01T08:00:00Z"}));
    assert!(pending.by(Caller::system("import")).when(order).is_accepted());
}

#[test]
fn nobody_orders_for_themselves_even_what_nobody_ordered() {
    for unsolicited in [false, true] {
        let own = Caller { patient_id: Some(PATIENT), ..somebody("lab_technician") };
        let order = place(json!({"unsolicited": unsolicited}));
        laboratory([]).by(own).when(order).then_refused(user::Refusal::TreatsThemselves);
    }
}

#[test]
fn whoever_records_results_may_order_what_a_result_demands() {
    let results = Some(Permission::Create(hims_domain::permission::Create::LabResults));
    assert_eq!(place(json!({})).or_permission(), None);
    assert_eq!(place(json!({"unsolicited": true})).or_permission(), results);
    assert_eq!(add(Addition::AddOn, json!({})).or_permission(), None);
    assert_eq!(add(Addition::Reflex, json!({})).or_permission(), results);
}

#[test]
fn nothing_is_ordered_for_the_dead_but_results_may_still_come() {
    let died = sample::<Patient>("death_recorded");
    let dead = || laboratory([placed()]).and::<Patient>(PATIENT, [registered(), died.clone()]);
    dead().when(add(Addition::AddOn, json!({}))).then_code("deceased");
    assert!(dead().when(add(Addition::Reflex, json!({}))).is_accepted());
    let new = || laboratory([]).and::<Patient>(PATIENT, [registered(), died.clone()]).by(somebody("doctor"));
    new().when(place(json!({}))).then_code("deceased");
    assert!(new().when(place(json!({"unsolicited": true}))).is_accepted());
}

#[test]
fn a_test_is_added_to_an_order() {
    let then = laboratory([placed()]).when(add(Addition::AddOn, json!({})));
    let Event::ItemAdded(it) = then.then_event() else { panic!("nothing was added") };
    assert_eq!((it.line_number, it.item.lab_test_id, it.specimen_ids), (3, LAB_TEST, vec![]));
    let known = laboratory([placed()]).by(somebody("doctor")).owner(LAB_PENDING, pending(LAB_TEST), LAB_ORDER);
    known.when(add(Addition::AddOn, json!({}))).then_field("possible-duplicate", "/lab_test_id");
}

#[test]
fn an_item_may_bring_an_id_which_no_other_item_has() {
    let items = |ids: [LabOrderItemId; 2]| {
        let item = |(item_id, test)| json!({"item_id": item_id, "lab_test_id": test});
        let items: Vec<_> = ids.into_iter().zip([LAB_TEST, OTHER_LAB_TEST]).map(item).collect();
        laboratory([]).by(somebody("doctor")).when(place(json!({ "items": items })))
    };
    let Event::Placed(it) = items([SECOND, FIRST]).then_event() else { panic!("nothing was ordered") };
    assert_eq!(it.items.iter().map(|it| it.id).collect::<Vec<_>>(), [SECOND, FIRST]);
    items([FIRST, FIRST]).then_field("invalid-fields", "/items/1/item_id");
    laboratory([placed()]).when(add(Addition::AddOn, json!({"item_id": FIRST}))).then_code("already-exists");
}

#[test]
fn a_test_is_cancelled_and_no_longer_pending() {
    let cancel = |item_id| CancelLabOrderItem { lab_order_id: LAB_ORDER, item_id, reason: said("not needed") };
    let then = laboratory([placed()]).when(cancel(FIRST));
    let [event] = then.events().try_into().unwrap();
    then.then_claims([unshares(LAB_PENDING, pending(LAB_TEST))]);
    laboratory([placed(), event]).when(cancel(FIRST)).then_nothing();
    laboratory([placed()]).when(cancel(id(0xdead))).then_refused(Refusal::NoSuchItem);
}

#[test]
fn an_order_is_cancelled_unless_a_test_has_a_final_result() {
    let cancel = || CancelLabOrder { lab_order_id: LAB_ORDER, reason: said("went home") };
    let then = laboratory([placed()]).when(cancel());
    let [event] = then.events().try_into().unwrap();
    let gone = [LAB_TEST, OTHER_LAB_TEST].map(|it| unshares(LAB_PENDING, pending(it)));
    then.then_claims(gone);
    laboratory([placed(), event]).when(cancel()).then_nothing();
    let of = |is_final| progress::order([placed()]).resulted(FIRST, id(0xb1), is_final);
    laboratory([placed(), of(true)]).when(cancel()).then_refused(Refusal::HasFinalResult);
    let one = CancelLabOrderItem { lab_order_id: LAB_ORDER, item_id: FIRST, reason: said("not needed") };
    laboratory([placed(), of(true)]).when(one.clone()).then_refused(Refusal::HasFinalResult);
    assert!(laboratory([placed(), of(false)]).when(cancel()).is_accepted());
    assert!(laboratory([placed(), of(false)]).when(one).is_accepted());
}

#[test]
fn an_order_is_hidden_from_those_who_read_no_orders() {
    let order = progress::order([placed()]);
    for (role, is_hidden) in [("doctor", false), ("nurse", false), ("lab_technician", false), ("pharmacist", true)] {
        assert_eq!(order.is_hidden_from(&somebody(role)), is_hidden, "{role}");
    }
    let patient = |id| Caller { patient_id: Some(id), ..somebody("patient") };
    assert!(!order.is_hidden_from(&patient(PATIENT)));
    assert!(order.is_hidden_from(&patient(OTHER_PATIENT)));
}
