use chrono::TimeDelta;
use hims_domain::user;
use serde_json::json;

use super::*;
use crate::machinery::scopes::{SESSION_TOKEN, USER_SESSIONS};
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, created_with};
use crate::testing::world::user;
use crate::testing::{Given, given, id, now, of, releases, shares, takes, unshares};

const SESSION: SessionId = SessionId(uuid::Uuid::from_u128(50));
const OTHER_SESSION: SessionId = SessionId(uuid::Uuid::from_u128(51));

fn minutes(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

fn start() -> StartSession {
    StartSession {
        id: SESSION,
        user_id: DOCTOR,
        compared_with: "$argon2id$one".into(),
        token_hash: "0123abcd".into(),
        idle_expires_at: minutes(30),
        absolute_expires_at: minutes(720),
    }
}

/// No session yet, and a user whose password hash is the compared one.
fn given_user() -> Given<Session> {
    given([]).and::<User>(DOCTOR, [created_with(json!({"password_hash": "$argon2id$one"}))])
}

/// A started session that ends after `idle` minutes unless it is used, and after `absolute` minutes in any case.
fn started(idle: i64, absolute: i64) -> Event {
    started_with("0123abcd", idle, absolute)
}

fn started_with(token_hash: &str, idle: i64, absolute: i64) -> Event {
    Event::Started {
        user_id: DOCTOR,
        token_hash: token_hash.to_owned().into(),
        idle_expires_at: minutes(idle),
        absolute_expires_at: minutes(absolute),
    }
}

fn renew(minutes_from_now: i64) -> RenewSession {
    RenewSession { session_id: SESSION, idle_expires_at: minutes(minutes_from_now) }
}

fn end(ending: Ending) -> EndSession {
    EndSession { session_id: SESSION, ending }
}

fn ended(reason: EndReason) -> Event {
    Event::Ended { reason }
}

#[test]
fn a_session_takes_its_token_and_is_found_by_its_user() {
    given_user()
        .when(start())
        .then([started(30, 720)])
        .then_claims([takes(SESSION_TOKEN, "0123abcd"), shares(USER_SESSIONS, DOCTOR)])
        .then_nothing_else();
}

#[test]
fn a_login_leaves_open_sessions_alone() {
    given_user()
        .owner(USER_SESSIONS, DOCTOR, OTHER_SESSION)
        .and::<Session>(OTHER_SESSION, [started(1, 2)])
        .when(start())
        .then([started(30, 720)])
        .then_nothing_else();
}

#[test]
fn a_login_ends_sessions_that_ran_out() {
    let earlier = |idle, absolute| started_with("dcba3210", idle, absolute);
    for (ran_out, reason) in [(earlier(0, 2), EndReason::Idle), (earlier(-2, 0), EndReason::Expired)] {
        given_user()
            .owner(USER_SESSIONS, DOCTOR, OTHER_SESSION)
            .and::<Session>(OTHER_SESSION, [ran_out])
            .when(start())
            .then_also::<Session>(OTHER_SESSION, [ended(reason)])
            .then_claims([
                takes(SESSION_TOKEN, "0123abcd"),
                shares(USER_SESSIONS, DOCTOR),
                of(OTHER_SESSION, unshares(USER_SESSIONS, DOCTOR)),
                of(OTHER_SESSION, releases(SESSION_TOKEN, "dcba3210")),
            ]);
    }
}

#[test]
fn a_session_that_is_used_lasts_longer() {
    given([started(1, 720)]).when(renew(31)).then([Event::Renewed { idle_expires_at: minutes(31) }]).then_claims([]);
}

#[test]
fn a_session_never_lasts_shorter() {
    given([started(30, 720)]).when(renew(30)).then_nothing();
    given([started(30, 720)]).when(renew(10)).then_nothing();
}

#[test]
fn what_is_over_stays_over() {
    given([started(0, 720)]).when(renew(30)).then_nothing();
    given([started(30, 0)]).when(renew(31)).then_nothing();
    given([started(30, 720), ended(EndReason::Logout)]).when(renew(31)).then_nothing();
}

#[test]
fn a_session_ends_and_is_no_longer_found() {
    for (ending, reason) in
        [(Ending::Logout, EndReason::Logout), (Ending::Idle, EndReason::Idle), (Ending::Expired, EndReason::Expired)]
    {
        given([started(30, 720)])
            .when(end(ending))
            .then([ended(reason)])
            .then_claims([unshares(USER_SESSIONS, DOCTOR), releases(SESSION_TOKEN, "0123abcd")]);
    }
}

#[test]
fn ending_twice_is_quiet() {
    given([started(30, 720), ended(EndReason::Revoked)]).when(end(Ending::Logout)).then_nothing();
}

#[test]
fn there_is_nothing_to_end_about_no_session() {
    given_user().when(end(Ending::Logout)).then_refused(Refused::missing("session"));
    given_user().when(renew(30)).then_refused(Refused::missing("session"));
}

#[test]
fn everybody_may_use_and_end_their_own_session_only() {
    let own = Caller { session_id: Some(SESSION.0), ..user(DOCTOR, "doctor") };
    let other = Caller { session_id: Some(id(77)), ..user(OTHER_DOCTOR, "doctor") };
    assert!(renew(1).is_own(None, &own) && end(Ending::Logout).is_own(None, &own));
    assert!(!renew(1).is_own(None, &other) && !end(Ending::Logout).is_own(None, &other));
}

#[test]
fn a_user_who_was_changed_meanwhile_logs_in_again() {
    let changed = |hash: &str| user::Event::PasswordChanged {
        password_hash: hash.to_owned().into(),
        must_change_password: false,
    };
    for event in [user::Event::Deactivated, changed("$argon2id$two")] {
        given([])
            .and::<User>(DOCTOR, [created_with(json!({"password_hash": "$argon2id$one"})), event])
            .when(start())
            .then_refused(Refusal::Changed);
    }
}
