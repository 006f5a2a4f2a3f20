use hims_domain::role::Role;
use hims_testing::sample_with;
use serde_json::{Value, json};

use super::*;
use crate::machinery::context::new_id;
use crate::role_id;
use crate::testing::samples::{DOCTOR, created_with, defined};
use crate::testing::world::somebody;
use crate::testing::{Given, HASH, given, now};

const REQUEST: Uuid = Uuid::from_u128(0xa1);

/// The resets of a doctor, who was created with these changes.
fn resets(before: impl IntoIterator<Item = Event>, changes: Value) -> Given<PasswordReset> {
    let roles = [("doctor", [defined("doctor")])];
    let given = given::<PasswordReset>(before).and::<User>(DOCTOR, [created_with(changes)]);
    roles.into_iter().fold(given, |given, (name, events)| given.and::<Role>(role_id(name), events))
}

fn requested_before(minutes: i64) -> Event {
    let expires_at = now() - TimeDelta::minutes(minutes) + USABLE_FOR;
    sample_with::<PasswordReset>("requested", json!({"request_id": REQUEST, "expires_at": expires_at}))
}

/// The event of a request at the time of all tests.
fn requested(user_id: Option<UserId>, withheld: Option<Withheld>) -> Event {
    Event::Requested { request_id: new_id(now(), 42, 1), user_id, expires_at: now() + USABLE_FOR, withheld }
}

fn asked(user_id: Option<UserId>) -> AskForPasswordReset {
    AskForPasswordReset { stream_id: PasswordReset::stream_of(DOCTOR), user_id }
}

#[test]
fn a_request_is_one_event_whoever_has_the_address() {
    let with_password = || json!({ "password_hash": HASH });
    resets([], with_password()).when(asked(Some(DOCTOR))).then([requested(Some(DOCTOR), None)]);
    resets([], with_password()).when(asked(None)).then([requested(None, Some(Withheld::Unknown))]);
    resets([], json!({})).when(asked(Some(DOCTOR))).then([requested(Some(DOCTOR), Some(Withheld::NoPassword))]);
}

#[test]
fn a_second_request_within_five_minutes_sends_no_second_email() {
    let after = |minutes, withheld| {
        let resets = resets([requested_before(minutes)], json!({ "password_hash": HASH }));
        resets.when(asked(Some(DOCTOR))).then([requested(Some(DOCTOR), withheld)]);
    };
    after(4, Some(Withheld::Recent));
    after(5, None);
}

#[test]
fn an_administrator_sends_a_link_also_to_a_user_without_a_password() {
    let start = || StartPasswordReset { user_id: DOCTOR };
    resets([requested_before(1)], json!({}))
        .by(somebody("administrator"))
        .when(start())
        .then([requested(Some(DOCTOR), None)]);
    given::<PasswordReset>([]).when(start()).then_field("unknown-reference", "/user_id");
    let nurse = somebody("nurse");
    resets([], json!({})).by(nurse).when(start()).then_refused(super::super::user::Refusal::NotAbove);
}

#[test]
fn what_became_of_an_email_is_recorded_once() {
    let settled = |outcome| SettlePasswordReset { stream_id: REQUEST, request_id: REQUEST, outcome };
    let event = |outcome| Event::Settled { request_id: REQUEST, outcome };
    given([requested_before(0)]).when(settled(Outcome::Sent)).then([event(Outcome::Sent)]);
    given([requested_before(0), event(Outcome::Sent)]).when(settled(Outcome::Sent)).then_nothing();
}

#[test]
fn a_request_that_is_withheld_leaves_an_earlier_link_usable() {
    let later = Event::Requested {
        request_id: Uuid::from_u128(0xa2),
        user_id: Some(DOCTOR),
        expires_at: now() + USABLE_FOR,
        withheld: Some(Withheld::Recent),
    };
    let settled = Event::Settled { request_id: Uuid::from_u128(0xa2), outcome: Outcome::Withheld };
    let state = hims_domain::fold::<PasswordReset>(&[requested_before(1), later, settled]).unwrap();
    assert!(state.is_open(REQUEST, now()) && !state.is_open(Uuid::from_u128(0xa2), now()));
    assert!(!state.is_open(REQUEST, now() + USABLE_FOR), "after half an hour it is too late");
}
