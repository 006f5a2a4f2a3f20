use hims_domain::{DepartmentId, department};
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::ROOM_NUMBER;
use crate::testing::samples::{
    DEPARTMENT, OTHER_DEPARTMENT, ROOM, added_room, ask, opened, room_101, suspended_room, with,
};
use crate::testing::{Given, given, releases, takes};

fn add(changes: Value) -> AddRoom {
    ask(with(room_101(), changes))
}

fn change(changes: Value) -> ChangeRoom {
    ask(with(json!({"room_id": ROOM}), changes))
}

fn suspend() -> SuspendRoom {
    SuspendRoom { room_id: ROOM, reason: "painted".into() }
}

fn reactivate() -> ReactivateRoom {
    ReactivateRoom { room_id: ROOM }
}

/// The past events of a room, in a hospital with an open and a closed department.
fn given_room(events: impl IntoIterator<Item = Event>) -> Given<Room> {
    given(events)
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Department>(OTHER_DEPARTMENT, [opened(), department::Event::Closed])
}

fn number(department: DepartmentId, number: &str) -> String {
    scopes::key(&[&department.to_string(), number])
}

#[test]
fn a_room_takes_its_number_in_its_department() {
    given_room([])
        .when(add(json!({})))
        .then([added_room()])
        .then_claims([takes(ROOM_NUMBER, number(DEPARTMENT, "101A"))]);
}

#[test]
fn a_room_takes_one_patient_unless_told() {
    let Event::Added(details) = given_room([]).when(add(json!({}))).then_event() else { panic!("added") };
    assert_eq!(details.capacity, 1);
}

#[test]
fn a_room_takes_1_to_1000_patients() {
    for capacity in [0, -1, 1001] {
        given_room([]).when(add(json!({"capacity": capacity}))).then_field("out-of-range", "/capacity");
    }
    for capacity in [1, 1000] {
        assert!(given_room([]).when(add(json!({"capacity": capacity}))).is_accepted(), "{capacity}");
    }
}

#[test]
fn a_closed_department_takes_no_new_rooms() {
    let elsewhere = json!({"department_id": OTHER_DEPARTMENT});
    given_room([]).when(add(elsewhere.clone())).then_refused(crate::department::Refusal::Closed);
    given_room([added_room()]).when(change(elsewhere)).then_refused(crate::department::Refusal::Closed);
}

#[test]
fn the_department_must_exist() {
    given([]).when(add(json!({}))).then_field("unknown-reference", "/department_id");
}

#[test]
fn another_number_is_exchanged_for_the_old_one() {
    let details = ask(with(room_101(), json!({"room_number": "102"})));
    given_room([added_room()]).when(change(json!({"room_number": "102"}))).then([Event::Changed(details)]).then_claims(
        [releases(ROOM_NUMBER, number(DEPARTMENT, "101A")), takes(ROOM_NUMBER, number(DEPARTMENT, "102"))],
    );
}

#[test]
fn another_name_leaves_the_number_alone() {
    let details = ask(with(room_101(), json!({"name": "Blue room"})));
    given_room([added_room()])
        .when(change(json!({"name": "Blue room"})))
        .then([Event::Changed(details)])
        .then_claims([]);
}

#[test]
fn changing_nothing_is_quiet() {
    given_room([added_room()]).when(change(json!({"room_type": "exam"}))).then_nothing();
}

#[test]
fn a_room_is_taken_out_of_use_and_back() {
    given([added_room()]).when(suspend()).then([suspended_room()]).then_claims([]);
    given([added_room(), suspended_room()]).when(reactivate()).then([Event::Reactivated]).then_claims([]);
}

#[test]
fn suspending_and_reactivating_twice_is_quiet() {
    given([added_room(), suspended_room()]).when(suspend()).then_nothing();
    given([added_room()]).when(reactivate()).then_nothing();
}
