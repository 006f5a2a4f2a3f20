use hims_domain::SpecimenId;
use hims_domain::lab_order::{RejectionCode, SpecimenCollected, SpecimenStatus};

use super::*;
use crate::machinery::scopes::{SPECIMEN, SPECIMEN_NUMBER};
use crate::testing::at;

const TUBE: SpecimenId = SpecimenId(Uuid::from_u128(0xa1));

fn collect(changes: Value) -> CollectSpecimen {
    ask(with(json!({"lab_order_id": LAB_ORDER, "specimen_type": "SER"}), changes))
}

/// The events of an order of which one specimen was taken for all tests.
fn collected() -> Vec<Event> {
    let then = by_nurse([placed()]).when(collect(json!({"specimen_id": TUBE})));
    vec![placed(), then.then_event()]
}

fn by_nurse(events: impl IntoIterator<Item = Event>) -> Given<LabOrder> {
    laboratory(events).by(somebody("nurse"))
}

fn of(then: Then<LabOrder>) -> SpecimenCollected {
    match then.then_event() {
        Event::SpecimenCollected(it) => *it,
        other => panic!("{other:?} is no specimen"),
    }
}

fn receive() -> ReceiveSpecimen {
    ReceiveSpecimen { lab_order_id: LAB_ORDER, specimen_id: TUBE }
}

fn reject() -> RejectSpecimen {
    RejectSpecimen {
        lab_order_id: LAB_ORDER,
        specimen_id: TUBE,
        reason_code: RejectionCode::Hemolyzed,
        note: Some(said("red serum")),
    }
}

#[test]
fn a_specimen_is_taken_for_all_tests_and_has_a_number() {
    let then = by_nurse([placed()]).when(collect(json!({"specimen_id": TUBE})));
    let events = then.events();
    let [Event::SpecimenCollected(it)] = events.as_slice() else { panic!("no specimen") };
    assert_eq!(it.item_ids, [FIRST, SECOND].into());
    assert_eq!((it.collected_at, it.collected_by), (at("2026-11-23T10:00:00Z"), somebody("nurse").user_id()));
    then.then_claims([takes(SPECIMEN, TUBE), takes(SPECIMEN_NUMBER, &it.number.0)]);
}

#[test]
fn day_and_time_are_those_of_the_clock_on_the_wall() {
    let nurse = Caller { time_zone: chrono_tz::America::New_York, ..somebody("nurse") };
    let then = laboratory([placed()]).by(nurse).when(collect(json!({"collected_at": "2026-11-23T04:30:15.5Z"})));
    let it = of(then);
    assert_eq!(
        (it.collection_date.to_string(), it.collection_time.to_string()),
        ("2026-11-22".into(), "23:30:15".into())
    );
}

#[test]
fn a_specimen_is_not_taken_in_the_future_and_has_a_volume() {
    let with = |changes: Value| by_nurse([placed()]).when(collect(changes));
    with(json!({"collected_at": "2026-11-23T10:00:01Z"})).then_field("in-the-future", "/collected_at");
    for volume in ["0", "-1", "20001"] {
        with(json!({ "volume_ml": volume })).then_field("out-of-range", "/volume_ml");
    }
    assert!(with(json!({"volume_ml": "4.5"})).is_accepted());
}

#[test]
fn a_specimen_is_taken_for_the_tests_that_are_named() {
    let it = of(by_nurse([placed()]).when(collect(json!({"item_ids": [SECOND]}))));
    assert_eq!(it.item_ids, [SECOND].into());
    by_nurse([placed()]).when(collect(json!({"item_ids": []}))).then_field("no-items", "/item_ids");
    by_nurse([placed()]).when(collect(json!({"item_ids": [TUBE]}))).then_refused(Refusal::NoSuchItem);
    let cancelled = progress::order([placed()]).item_cancelled(FIRST, None);
    by_nurse([placed(), cancelled.clone()]).when(collect(json!({"item_ids": [FIRST]}))).then_code("wrong-status");
    let it = of(by_nurse([placed(), cancelled]).when(collect(json!({}))));
    assert_eq!(it.item_ids, [SECOND].into(), "a cancelled test needs no specimen");
}

#[test]
fn a_test_that_has_a_specimen_gets_another_only_if_it_is_named() {
    by_nurse(collected()).when(collect(json!({}))).then_refused(Refusal::NothingToCollect);
    assert!(by_nurse(collected()).when(collect(json!({"item_ids": [FIRST]}))).is_accepted());
    by_nurse(collected()).when(collect(json!({"specimen_id": TUBE}))).then_code("already-exists");
}

#[test]
fn a_specimen_is_received_and_may_be_rejected_before_and_after() {
    let then = laboratory(collected()).when(receive());
    let received = [collected(), vec![then.then_event()]].concat();
    laboratory(received.clone()).when(receive()).then_nothing();
    for before in [collected(), received] {
        let then = laboratory(before.clone()).when(reject());
        let rejected = [before, vec![then.then_event()]].concat();
        let order = progress::order(rejected.clone());
        assert_eq!((order.status, order.specimens[&TUBE].status), (Status::Ordered, SpecimenStatus::Rejected));
        laboratory(rejected.clone()).when(reject()).then_nothing();
        laboratory(rejected.clone()).when(receive()).then_code("wrong-status");
        let again = of(by_nurse(rejected).when(collect(json!({}))));
        assert_eq!(again.item_ids, [FIRST, SECOND].into());
    }
    laboratory([placed()]).when(receive()).then_refused(Refusal::NoSuchSpecimen);
    laboratory([placed()]).when(reject()).then_refused(Refusal::NoSuchSpecimen);
}

#[test]
fn numbers_and_ids_of_specimens_are_never_given_back() {
    laboratory(collected()).when(reject()).then_claims([]);
}

#[test]
fn nothing_is_taken_for_an_order_that_is_over() {
    let order = progress::order([placed()]);
    let first = order.resulted(FIRST, id(0xb1), true);
    let second = progress::order([placed(), first.clone()]).resulted(SECOND, id(0xb2), true);
    by_nurse([placed(), first, second]).when(collect(json!({}))).then_code("wrong-status");
}

#[test]
fn an_import_may_not_know_who_took_a_specimen() {
    let then = laboratory([placed()]).by(Caller::system("import")).when(collect(json!({})));
    assert_eq!(of(then).collected_by, None);
}
