use hims_domain::role::Event;
use serde_json::json;

use super::*;
use crate::machinery::scopes::ROLE_NAME;
use crate::testing::samples::{ask, defined};
use crate::testing::world::somebody;
use crate::testing::{given, id, takes};
use crate::{role_id, system_roles};

fn midwife() -> Definition {
    ask(json!({"name": "midwife", "display_name": "Midwife", "permissions": {"create": ["vital_signs"]}}))
}

fn define() -> DefineRole {
    DefineRole { id: None, definition: midwife() }
}

/// The permissions of nurses, with other words for reading.
fn nurse_who_reads(words: &[&str]) -> Permissions {
    let Event::Defined { definition, .. } = defined("nurse") else { panic!("defined") };
    Permissions { read: nurse_reading(words).read, ..definition.permissions }
}

fn allow(what: &str) -> ChangeRolePermissions {
    ChangeRolePermissions { role_id: role_id("nurse"), permissions: ask(json!({"read": [what]})) }
}

#[test]
fn a_role_takes_its_name() {
    given([])
        .by(somebody("administrator"))
        .when(define())
        .then([Event::Defined { definition: midwife(), is_system_role: false }])
        .then_claims([takes(ROLE_NAME, "midwife")]);
}

#[test]
fn what_the_system_defines_came_with_the_system() {
    given([]).when(define()).then([Event::Defined { definition: midwife(), is_system_role: true }]);
}

#[test]
fn a_role_may_do_something_else_from_now_on() {
    given([defined("nurse")])
        .when(allow("staff"))
        .then([Event::PermissionsChanged { permissions: nurse_who_reads(&["staff"]) }])
        .then_claims([]);
}

#[test]
fn a_verb_keeps_its_words_unless_it_is_named() {
    let change = |permissions: serde_json::Value| ChangeRolePermissions {
        role_id: role_id("nurse"),
        permissions: ask(permissions),
    };
    given([defined("nurse")]).when(change(json!({}))).then_nothing();
    let none = nurse_who_reads(&[]);
    given([defined("nurse")]).when(change(json!({"read": []}))).then([Event::PermissionsChanged { permissions: none }]);
}

#[test]
fn the_same_permissions_again_are_quiet() {
    given([defined("nurse"), Event::PermissionsChanged { permissions: nurse_who_reads(&["staff"]) }])
        .when(allow("staff"))
        .then_nothing();
}

#[test]
fn a_role_has_a_name() {
    let nameless = DefineRole { definition: Definition { name: "".into(), ..midwife() }, ..define() };
    given([]).when(nameless).then_field("invalid-fields", "/name");
}

#[test]
fn there_is_nothing_to_change_about_no_role() {
    let command = ChangeRolePermissions { role_id: id(77), ..allow("staff") };
    given([]).when(command).then_refused(Refused::missing("role"));
}

#[test]
fn every_role_of_the_beginning_can_be_defined() {
    for (role_id, definition) in system_roles() {
        let event = Event::Defined { definition: definition.clone(), is_system_role: true };
        given([]).when(DefineRole { id: Some(role_id), definition }).then([event]);
    }
}

#[test]
fn administrators_always_decide_on_permissions() {
    let change = |permissions: serde_json::Value| ChangeRolePermissions {
        role_id: role_id("administrator"),
        permissions: ask(permissions),
    };
    given([defined("administrator")])
        .when(change(json!({"read": ["all_data"], "update": ["users"]})))
        .then_refused(Refusal::NobodyLeft);
    let kept = change(json!({"update": ["user_permissions"]}));
    assert!(given([defined("administrator")]).when(kept).is_accepted());
}

#[test]
fn a_permission_is_a_word_of_its_set() {
    for words in ["x,all_data", "All_Data", "all_datas", "vital_signs_and_more", ""] {
        given([defined("nurse")]).when(allow(words)).then_field("invalid-fields", "/permissions/read/0");
        let permissions = ask(json!({"create": [words]}));
        let midwife = DefineRole { id: None, definition: Definition { permissions, ..midwife() } };
        given([]).when(midwife).then_field("invalid-fields", "/permissions/create/0");
    }
}

fn nurse_reading(words: &[&str]) -> Permissions {
    ask(json!({"read": words}))
}

fn offer(words: &[&str]) -> OfferPermissionWords {
    OfferPermissionWords { role_id: role_id("nurse"), words: nurse_reading(words) }
}

/// The nurse role as it is defined by a release that knows only these words.
fn defined_with(words: &[&str]) -> Event {
    let definition = Definition { permissions: nurse_reading(words), ..midwife() };
    Event::Defined { definition, is_system_role: true }
}

#[test]
fn a_release_offers_the_words_that_it_is_the_first_to_know_once() {
    let offered = Event::WordsOffered {
        words: nurse_reading(&["inventory"]),
        permissions: nurse_reading(&["inventory", "staff"]),
    };
    given([defined_with(&["staff"])]).when(offer(&["inventory", "staff"])).then([offered.clone()]);
    given([defined_with(&["staff"]), offered]).when(offer(&["inventory", "staff"])).then_nothing();
}

#[test]
fn a_word_that_an_administrator_took_away_does_not_come_back() {
    let taken_away = Event::PermissionsChanged { permissions: nurse_reading(&[]) };
    given([defined_with(&["staff"]), taken_away.clone()]).when(offer(&["staff"])).then_nothing();
    // A new word is offered, together with the word that was taken away.
    let offered =
        Event::WordsOffered { words: nurse_reading(&["inventory"]), permissions: nurse_reading(&["inventory"]) };
    given([defined_with(&["staff"]), taken_away]).when(offer(&["inventory", "staff"])).then([offered]);
}
