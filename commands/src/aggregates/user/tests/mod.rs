mod acting;
mod passkeys;
mod passwords;
mod rights;
mod second_factor;
mod service;

use chrono::TimeDelta;
use hims_domain::PatientId;
use hims_domain::patient::Patient;
use hims_domain::role::Role;
use hims_domain::session::{self, Session};
use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{SESSION_TOKEN, USER_EMAIL, USER_PATIENT, USER_SESSIONS, USERS_WITH_ROLE};
use crate::testing::samples::{
    DEPARTMENT, DOCTOR, OTHER_DEPARTMENT, OTHER_DOCTOR, OTHER_PATIENT, PATIENT, ask, created, created_with, defined,
    opened, registered, with,
};
use crate::testing::world::{somebody, user};
use crate::testing::{Given, HASH, given, now, of, releases, shares, takes, unshares};
use crate::{Password, role_id};

const TOKEN: &str = "0123abcd";
const SESSION: Uuid = Uuid::from_u128(50);
const OTHER_SESSION: Uuid = Uuid::from_u128(51);
const OVER: Uuid = Uuid::from_u128(52);

fn create(changes: Value) -> CreateUser {
    let body = json!({
        "email": "Rosa@Example.org", "first_name": "Rosa", "last_name": "Diaz", "role_id": role_id("doctor"),
    });
    ask(with(body, changes))
}

fn change_profile(changes: Value) -> ChangeUserProfile {
    ask(with(json!({"user_id": DOCTOR}), changes))
}

fn change_role(primary: &str, additional: &[&str]) -> ChangeUserRole {
    let additional: Vec<_> = additional.iter().map(|it| role_id(it)).collect();
    change_roles(json!({"role_id": role_id(primary), "additional_role_ids": additional}))
}

fn change_roles(changes: Value) -> ChangeUserRole {
    ask(with(json!({"user_id": DOCTOR}), changes))
}

fn role_changed(primary: &str, additional: &[&str]) -> Event {
    let additional_role_ids = additional.iter().map(|it| role_id(it)).collect();
    Event::RoleChanged { role_id: role_id(primary), additional_role_ids }
}

fn move_to(department_id: Option<DepartmentId>) -> ChangeUserDepartment {
    ask(json!({"user_id": DOCTOR, "department_id": department_id}))
}

fn deactivate() -> DeactivateUser {
    DeactivateUser { user_id: DOCTOR }
}

fn reactivate() -> ReactivateUser {
    ReactivateUser { user_id: DOCTOR }
}

fn change_password(new: &str) -> ChangePassword {
    ChangePassword {
        user_id: DOCTOR,
        current_password: Password::new("correct horse battery"),
        new_password: NewPassword::new(new),
    }
}

fn reset_password() -> ResetPassword {
    ResetPassword { user_id: DOCTOR, new_password: NewPassword::new("staple horse battery") }
}

fn password_changed(must_change_password: bool) -> Event {
    Event::PasswordChanged { password_hash: HASH.to_owned().into(), must_change_password }
}

fn link(patient_id: PatientId) -> LinkUserToPatient {
    LinkUserToPatient { user_id: DOCTOR, patient_id }
}

fn unlink() -> UnlinkUserFromPatient {
    UnlinkUserFromPatient { user_id: DOCTOR }
}

fn administrator() -> Event {
    created_with(json!({"role_id": role_id("administrator")}))
}

fn with_roles(mut given: Given<User>) -> Given<User> {
    for name in ["doctor", "nurse", "administrator", "receptionist"] {
        given = given.and::<Role>(role_id(name), [defined(name)]);
    }
    given
}

fn given_user(events: impl IntoIterator<Item = Event>) -> Given<User> {
    with_roles(given(events))
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Department>(OTHER_DEPARTMENT, [opened(), hims_domain::department::Event::Closed])
        .and::<Patient>(PATIENT, [registered()])
        .and::<Patient>(OTHER_PATIENT, [registered()])
}

fn session(then: impl IntoIterator<Item = session::Event>) -> Vec<session::Event> {
    let started = session::Event::Started {
        user_id: DOCTOR,
        token_hash: TOKEN.to_owned().into(),
        idle_expires_at: now() + TimeDelta::minutes(30),
        absolute_expires_at: now() + TimeDelta::hours(12),
        identity_confirmed_until: now() + TimeDelta::minutes(10),
        auth_method: session::AuthMethod::Password,
        scopes: None,
    };
    std::iter::once(started).chain(then).collect()
}

fn ended(reason: EndReason) -> session::Event {
    session::Event::Ended { reason }
}

/// Adds two open sessions of the doctor and one that has ended.
fn with_sessions(given: Given<User>) -> Given<User> {
    given
        .owner(USER_SESSIONS, DOCTOR, SESSION)
        .owner(USER_SESSIONS, DOCTOR, OTHER_SESSION)
        .owner(USER_SESSIONS, DOCTOR, OVER)
        .and::<Session>(SESSION, session([]))
        .and::<Session>(OTHER_SESSION, session([]))
        .and::<Session>(OVER, session([ended(EndReason::Logout)]))
}

#[test]
fn a_user_takes_their_address_in_lower_case() {
    given_user([])
        .when(create(json!({})))
        .then([created()])
        .then_claims([takes(USER_EMAIL, "rosa@example.org"), shares(USERS_WITH_ROLE, role_id("doctor"))]);
}

#[test]
fn a_user_is_found_by_each_of_their_roles() {
    let roles = json!({"additional_role_ids": [role_id("nurse"), role_id("doctor")]});
    given_user([]).when(create(roles)).then_claims([
        takes(USER_EMAIL, "rosa@example.org"),
        shares(USERS_WITH_ROLE, role_id("doctor")),
        shares(USERS_WITH_ROLE, role_id("nurse")),
    ]);
}

#[test]
fn roles_and_department_must_exist() {
    let nobody = "00000000-0000-0000-0000-00000000dead";
    for (field, value) in
        [("role_id", json!(nobody)), ("additional_role_ids", json!([nobody])), ("department_id", json!(nobody))]
    {
        given_user([]).when(create(json!({ field: value }))).then_field("unknown-reference", &format!("/{field}"));
    }
}

#[test]
fn a_closed_department_takes_no_staff() {
    given_user([])
        .when(create(json!({"department_id": OTHER_DEPARTMENT})))
        .then_refused(crate::department::Refusal::Closed);
    given_user([created()]).when(move_to(Some(OTHER_DEPARTMENT))).then_refused(crate::department::Refusal::Closed);
}

#[test]
fn an_address_keeps_its_rule() {
    given_user([]).when(create(json!({"email": "nowhere"}))).then_field("invalid-fields", "/email");
}

#[test]
fn a_user_is_reached_otherwise() {
    let profile = ask(json!({"first_name": "Rosa", "last_name": "Diaz", "phone": "+15554153084"}));
    given_user([created()])
        .when(change_profile(json!({"phone": "+15554153084"})))
        .then([Event::ProfileChanged(profile)])
        .then_claims([]);
}

#[test]
fn one_name_is_enough() {
    for name in ["first_name", "last_name"] {
        assert!(given_user([]).when(create(json!({ name: null }))).is_accepted(), "{name}");
        assert!(given_user([created()]).when(change_profile(json!({ name: null }))).is_accepted(), "{name}");
        given_user([]).when(create(json!({ name: "..." }))).then_field("invalid-fields", &format!("/{name}"));
    }
    let nameless = json!({"first_name": null, "last_name": null});
    given_user([]).when(create(nameless.clone())).then_field("no-name", "/last_name");
    given_user([created()]).when(change_profile(nameless)).then_field("no-name", "/last_name");
}

#[test]
fn the_same_profile_again_is_quiet() {
    given_user([created()]).when(change_profile(json!({"first_name": "Rosa"}))).then_nothing();
}

#[test]
fn everybody_may_change_their_own_profile_and_password_only() {
    let (rosa, other) = (user(DOCTOR, "doctor"), user(OTHER_DOCTOR, "doctor"));
    assert!(
        change_profile(json!({})).is_own(None, &rosa) && change_password("staple horse battery").is_own(None, &rosa)
    );
    assert!(
        !change_profile(json!({})).is_own(None, &other)
            && !change_password("staple horse battery").is_own(None, &other)
    );
    assert!(!reset_password().is_own(None, &rosa));
}

#[test]
fn other_roles_are_found_instead_of_the_old_ones() {
    given_user([created()])
        .when(change_role("nurse", &["administrator"]))
        .then([role_changed("nurse", &["administrator"])])
        .then_claims([
            unshares(USERS_WITH_ROLE, role_id("doctor")),
            shares(USERS_WITH_ROLE, role_id("nurse")),
            shares(USERS_WITH_ROLE, role_id("administrator")),
        ]);
}

#[test]
fn a_role_that_stays_in_another_place_moves_no_key() {
    given_user([created(), role_changed("doctor", &["nurse"])])
        .when(change_role("nurse", &["doctor"]))
        .then([role_changed("nurse", &["doctor"])])
        .then_claims([]);
}

#[test]
fn roles_that_are_not_named_stay() {
    let both = || given_user([created(), role_changed("doctor", &["nurse"])]);
    both()
        .when(change_roles(json!({"role_id": role_id("administrator")})))
        .then([role_changed("administrator", &["nurse"])]);
    both().when(change_roles(json!({"additional_role_ids": []}))).then([role_changed("doctor", &[])]);
    both().when(change_roles(json!({}))).then_nothing();
}

#[test]
fn a_department_that_is_not_named_stays() {
    given_user([created_with(json!({"department_id": DEPARTMENT}))])
        .when(ask::<ChangeUserDepartment>(json!({"user_id": DOCTOR})))
        .then_nothing();
}

#[test]
fn the_same_roles_again_are_quiet() {
    given_user([created()]).when(change_role("doctor", &[])).then_nothing();
}

#[test]
fn the_last_administrator_stays_one() {
    given_user([administrator()])
        .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR)
        .when(change_role("doctor", &[]))
        .then_refused(Refusal::LastAdministrator);
    with_sessions(given_user([administrator()]))
        .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR)
        .and::<User>(DOCTOR, [administrator()])
        .when(deactivate())
        .then_refused(Refusal::LastAdministrator);
}

#[test]
fn an_inactive_administrator_does_not_count() {
    given_user([administrator()])
        .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR)
        .owner(USERS_WITH_ROLE, role_id("administrator"), OTHER_DOCTOR)
        .and::<User>(OTHER_DOCTOR, [administrator(), Event::Deactivated])
        .when(change_role("doctor", &[]))
        .then_refused(Refusal::LastAdministrator);
}

#[test]
fn one_of_two_administrators_may_go() {
    let two = || {
        given_user([administrator()])
            .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR)
            .owner(USERS_WITH_ROLE, role_id("administrator"), OTHER_DOCTOR)
            .and::<User>(DOCTOR, [administrator()])
            .and::<User>(OTHER_DOCTOR, [administrator()])
    };
    two().when(change_role("doctor", &[])).then([role_changed("doctor", &[])]);
    two().when(deactivate()).then([Event::Deactivated]);
}

#[test]
fn an_administrator_may_take_more_roles() {
    given_user([administrator()])
        .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR)
        .when(change_role("doctor", &["administrator"]))
        .then([role_changed("doctor", &["administrator"])])
        .then_claims([shares(USERS_WITH_ROLE, role_id("doctor"))]);
}

#[test]
fn a_user_moves_and_belongs_nowhere() {
    given_user([created()])
        .when(move_to(Some(DEPARTMENT)))
        .then([Event::DepartmentChanged { department_id: Some(DEPARTMENT) }]);
    given_user([created_with(json!({"department_id": DEPARTMENT}))])
        .when(move_to(None))
        .then([Event::DepartmentChanged { department_id: None }]);
}

#[test]
fn moving_to_the_same_department_is_quiet() {
    given_user([created_with(json!({"department_id": OTHER_DEPARTMENT}))])
        .when(move_to(Some(OTHER_DEPARTMENT)))
        .then_nothing();
    given_user([created()]).when(move_to(None)).then_nothing();
}

#[test]
fn who_goes_loses_every_session() {
    with_sessions(given_user([created()]))
        .when(deactivate())
        .then([Event::Deactivated])
        .then_also::<Session>(SESSION, [ended(EndReason::Revoked)])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)])
        .then_also::<Session>(OVER, [])
        .then_claims([
            of(SESSION, unshares(USER_SESSIONS, DOCTOR)),
            of(SESSION, releases(SESSION_TOKEN, TOKEN)),
            of(OTHER_SESSION, unshares(USER_SESSIONS, DOCTOR)),
            of(OTHER_SESSION, releases(SESSION_TOKEN, TOKEN)),
        ]);
}

#[test]
fn who_comes_back_has_access_again() {
    given_user([created(), Event::Deactivated]).when(reactivate()).then([Event::Reactivated]).then_claims([]);
}

#[test]
fn deactivating_and_reactivating_twice_is_quiet() {
    given_user([created(), Event::Deactivated]).when(deactivate()).then_nothing();
    given_user([created()]).when(reactivate()).then_nothing();
    given_user([created(), sample::<User>("erased")]).when(reactivate()).then_refused(Refusal::Erased);
}

#[test]
fn a_login_becomes_a_patients() {
    given_user([created()])
        .when(link(PATIENT))
        .then([Event::LinkedToPatient { patient_id: PATIENT }])
        .then_claims([takes(USER_PATIENT, PATIENT)]);
}

#[test]
fn linking_twice_is_quiet() {
    given_user([created(), Event::LinkedToPatient { patient_id: PATIENT }]).when(link(PATIENT)).then_nothing();
}

#[test]
fn a_login_is_one_patients() {
    given_user([created(), Event::LinkedToPatient { patient_id: PATIENT }])
        .when(link(OTHER_PATIENT))
        .then_refused(Refusal::LinkedAlready);
}

#[test]
fn a_login_is_nobodys_again() {
    given_user([created(), Event::LinkedToPatient { patient_id: PATIENT }])
        .when(unlink())
        .then([Event::UnlinkedFromPatient])
        .then_claims([releases(USER_PATIENT, PATIENT)]);
    given_user([created(), Event::LinkedToPatient { patient_id: PATIENT }, Event::UnlinkedFromPatient])
        .when(link(OTHER_PATIENT))
        .then([Event::LinkedToPatient { patient_id: OTHER_PATIENT }]);
    given_user([created()]).when(unlink()).then_nothing();
}

#[test]
fn the_patient_must_exist() {
    given([created()]).when(link(PATIENT)).then_field("unknown-reference", "/patient_id");
}
