use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::DEPARTMENT_CODE;
use crate::testing::samples::{DEPARTMENT, DOCTOR, OTHER_DEPARTMENT, ask, cardiology, created, opened, with};
use crate::testing::{Given, given, id, releases, takes};

fn open(changes: Value) -> OpenDepartment {
    ask(with(cardiology(), changes))
}

fn change(changes: Value) -> ChangeDepartment {
    ask(with(json!({"department_id": DEPARTMENT}), changes))
}

fn close() -> CloseDepartment {
    CloseDepartment { department_id: DEPARTMENT }
}

fn a_department() -> Given<Department> {
    given([opened()])
}

/// Cardiology is opened as a part of another department.
fn part_of(parent: DepartmentId) -> Event {
    Event::Opened(ask(with(cardiology(), json!({"parent_id": parent}))))
}

#[test]
fn a_department_takes_its_code_in_upper_case() {
    given([]).when(open(json!({}))).then([opened()]).then_claims([takes(DEPARTMENT_CODE, "CARD")]);
}

#[test]
fn a_department_may_have_a_parent_and_a_head() {
    let command = open(json!({"parent_id": OTHER_DEPARTMENT, "head_user_id": DOCTOR}));
    let event = Event::Opened(command.details.clone());
    given([])
        .and::<Department>(OTHER_DEPARTMENT, [opened()])
        .and::<User>(DOCTOR, [created()])
        .when(command)
        .then([event]);
}

#[test]
fn parent_and_head_must_exist() {
    given([]).when(open(json!({"parent_id": id::<DepartmentId>(77)}))).then_field("unknown-reference", "/parent_id");
    given([]).when(open(json!({"head_user_id": DOCTOR}))).then_field("unknown-reference", "/head_user_id");
}

#[test]
fn a_time_zone_is_one_of_the_iana_database() {
    given([]).when(open(json!({"time_zone": "Middle/Earth"}))).then_field("unknown-time-zone", "/time_zone");
}

#[test]
fn a_phone_number_keeps_its_rule() {
    given([]).when(open(json!({"phone": "call me"}))).then_field("invalid-fields", "/phone");
}

#[test]
fn another_name_leaves_the_code_alone() {
    let details = ask(with(cardiology(), json!({"name": "Heart"})));
    a_department().when(change(json!({"name": "Heart"}))).then([Event::Changed(details)]).then_claims([]);
}

#[test]
fn another_code_is_exchanged_for_the_old_one() {
    let details = ask(with(cardiology(), json!({"code": "heart"})));
    a_department()
        .when(change(json!({"code": "heart"})))
        .then([Event::Changed(details)])
        .then_claims([releases(DEPARTMENT_CODE, "CARD"), takes(DEPARTMENT_CODE, "HEART")]);
}

#[test]
fn a_code_in_other_letters_is_the_same_code() {
    let details = ask(with(cardiology(), json!({"code": "CARD"})));
    a_department().when(change(json!({"code": "CARD"}))).then([Event::Changed(details)]).then_claims([]);
}

#[test]
fn changing_nothing_is_quiet() {
    a_department().when(change(json!({"name": "Cardiology"}))).then_nothing();
    a_department().when(change(json!({}))).then_nothing();
}

#[test]
fn a_department_keeps_its_name() {
    a_department().when(change(json!({"name": null}))).then_code("invalid-fields");
}

#[test]
fn a_department_is_no_part_of_itself() {
    a_department().when(change(json!({"parent_id": DEPARTMENT}))).then_refused(Refusal::OwnParent);
    let command = open(json!({"id": DEPARTMENT, "parent_id": DEPARTMENT}));
    given([]).when(command).then_refused(Refusal::OwnParent);
}

#[test]
fn a_department_is_no_part_of_its_own_parts() {
    let (part, part_of_part) = (OTHER_DEPARTMENT, id::<DepartmentId>(60));
    a_department()
        .and::<Department>(part, [part_of(DEPARTMENT)])
        .and::<Department>(part_of_part, [part_of(part)])
        .when(change(json!({"parent_id": part_of_part})))
        .then_refused(Refusal::OwnParent);
}

#[test]
fn closing_a_department_keeps_its_code() {
    a_department().when(close()).then([Event::Closed]).then_claims([]);
}

#[test]
fn closing_twice_is_quiet() {
    given([opened(), Event::Closed]).when(close()).then_nothing();
}

#[test]
fn a_closed_department_is_opened_again() {
    let reopen = || ReopenDepartment { department_id: DEPARTMENT };
    given([opened(), Event::Closed]).when(reopen()).then([Event::Reopened]).then_claims([]);
    given([opened()]).when(reopen()).then_nothing();
    given([opened(), Event::Closed, Event::Reopened]).when(close()).then([Event::Closed]);
}
