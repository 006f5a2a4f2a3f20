use chrono::TimeDelta;
use hims_domain::user;
use serde_json::json;

use super::*;
use crate::access::one_time::recovery_code_hash;
use crate::machinery::scopes::{SESSION_TOKEN, USER_SESSIONS};
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, created_with, defined};
use crate::testing::world::{somebody, user};
use crate::testing::{Given, given, id, now, of, releases, shares, takes, unshares};

const SESSION: SessionId = SessionId(uuid::Uuid::from_u128(50));
const OTHER_SESSION: SessionId = SessionId(uuid::Uuid::from_u128(51));

fn minutes(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

fn opening() -> Opening {
    Opening {
        id: SESSION,
        user_id: DOCTOR,
        token_hash: "0123abcd".to_owned(),
        idle_expires_at: minutes(30),
        absolute_expires_at: minutes(720),
        identity_confirmed_until: minutes(10),
    }
}

fn start() -> StartSession {
    StartSession { opening: opening(), compared_with: "$argon2id$one".to_owned(), code: None }
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
        identity_confirmed_until: minutes(10),
        auth_method: AuthMethod::Password,
        scopes: None,
    }
}

/// A session that began in this way.
fn started_by(auth_method: AuthMethod) -> Event {
    Event::Started {
        user_id: DOCTOR,
        token_hash: "0123abcd".to_owned().into(),
        idle_expires_at: minutes(30),
        absolute_expires_at: minutes(720),
        identity_confirmed_until: minutes(10),
        auth_method,
        scopes: None,
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

/// The events of a user who has a second factor: the secret of RFC 6238, appendix B, and one recovery code.
fn with_factor() -> Vec<user::Event> {
    vec![
        created_with(json!({"password_hash": "$argon2id$one"})),
        user::Event::SecondFactorEnrolled {
            second_factor_secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned().into(),
        },
        user::Event::SecondFactorConfirmed {
            used_step: 0,
            recovery_code_hashes: vec![recovery_code_hash(&OneTimeCode::new("recovery")).into()],
        },
    ]
}

/// A login at second 59, with a code or without one.
fn start_with(code: Option<&str>, before: Vec<user::Event>) -> crate::testing::Then<Session> {
    let given = given([]).and::<User>(DOCTOR, before).at(DateTime::from_timestamp(59, 0).unwrap());
    given.when(StartSession { code: code.map(OneTimeCode::new), ..start() })
}

#[test]
fn a_code_is_used_up_with_the_beginning_of_the_session() {
    start_with(Some("287082"), with_factor())
        .then([started(30, 720)])
        .then_also::<User>(DOCTOR, [user::Event::CodeUsed { used_step: 1 }]);
    let recovery_code_hash = recovery_code_hash(&OneTimeCode::new("recovery")).into();
    start_with(Some("recovery"), with_factor())
        .then([started(30, 720)])
        .then_also::<User>(DOCTOR, [user::Event::RecoveryCodeUsed { recovery_code_hash, left: 0, session_id: None }]);
}

#[test]
fn without_a_right_code_no_session_begins() {
    for code in [None, Some("287083"), Some("recovered")] {
        start_with(code, with_factor()).then_refused(Refusal::WrongCode);
    }
    for (code, used) in [
        ("287082", user::Event::CodeUsed { used_step: 1 }),
        (
            "recovery",
            user::Event::RecoveryCodeUsed {
                recovery_code_hash: recovery_code_hash(&OneTimeCode::new("recovery")).into(),
                left: 0,
                session_id: None,
            },
        ),
    ] {
        let before = with_factor().into_iter().chain([used]).collect();
        start_with(Some(code), before).then_refused(Refusal::WrongCode);
    }
}

#[test]
fn a_second_factor_that_is_not_confirmed_asks_for_no_code() {
    start_with(None, with_factor().into_iter().take(2).collect()).then([started(30, 720)]).then_nothing_else();
}

/// A user with a passkey of which this is known.
fn with_passkey(known: &str) -> Vec<user::Event> {
    let added = user::Event::PasskeyAdded {
        passkey_id: id(0xb1),
        name: Personal::Known("Telephone".into()),
        credential_id: "key".to_owned().into(),
        credential: known.to_owned().into(),
        added_at: now(),
    };
    vec![created_with(json!({"password_hash": "$argon2id$one"})), added]
}

/// A use of the passkey, of which `counted 1` was known, and `counted 2` from now on.
fn used_passkey() -> UsedPasskey {
    UsedPasskey {
        passkey_id: id(0xb1),
        compared_with: "counted 1".to_owned().into(),
        credential: Some("counted 2".to_owned().into()),
    }
}

fn start_with_passkey() -> StartPasskeySession {
    StartPasskeySession { opening: opening(), used: used_passkey() }
}

#[test]
fn a_passkey_is_used_with_what_it_is_used_for_and_only_as_it_was_when_it_was_checked() {
    let used = || user::Event::PasskeyUsed {
        passkey_id: id(0xb1),
        credential: Some("counted 2".to_owned().into()),
        used_at: now(),
    };
    given([])
        .and::<User>(DOCTOR, with_passkey("counted 1"))
        .when(start_with_passkey())
        .then([started_by(AuthMethod::Passkey)])
        .then_also::<User>(DOCTOR, [used()]);
    let confirm = || ConfirmIdentityByPasskey {
        session_id: SESSION,
        used: used_passkey(),
        identity_confirmed_until: minutes(40),
    };
    given([started(30, 720)])
        .and::<User>(DOCTOR, with_passkey("counted 1"))
        .when(confirm())
        .then([Event::IdentityConfirmed { identity_confirmed_until: minutes(40) }])
        .then_also::<User>(DOCTOR, [used()]);
    let removed = user::Event::PasskeyRemoved { passkey_id: id(0xb1) };
    for last in [vec![used()], vec![removed], vec![user::Event::Deactivated]] {
        let user = || with_passkey("counted 1").into_iter().chain(last.clone()).collect::<Vec<_>>();
        given([]).and::<User>(DOCTOR, user()).when(start_with_passkey()).then_refused(Refusal::Changed);
        given([started(30, 720)]).and::<User>(DOCTOR, user()).when(confirm()).then_refused(Refusal::Changed);
    }
    given([started(30, 720), ended(EndReason::Revoked)])
        .and::<User>(DOCTOR, with_passkey("counted 1"))
        .when(confirm())
        .then_refused(Refusal::Over);
}

fn revoke() -> RevokeSession {
    RevokeSession { session_id: SESSION }
}

/// A started session of a doctor.
fn given_session() -> Given<Session> {
    let roles = ["doctor", "nurse", "administrator"];
    let given = given([started(30, 720)]).and::<User>(DOCTOR, [created_with(json!({}))]);
    roles
        .into_iter()
        .fold(given, |given, name| given.and::<hims_domain::role::Role>(crate::role_id(name), [defined(name)]))
}

#[test]
fn users_revoke_their_own_sessions_and_administrators_those_of_others() {
    let (own, other) = (user(DOCTOR, "doctor"), user(OTHER_DOCTOR, "doctor"));
    let session = hims_domain::fold::<Session>(&[started(30, 720)]);
    assert!(revoke().is_own(session.as_ref(), &own) && !revoke().is_own(session.as_ref(), &other));
    assert!(!revoke().is_own(None, &own), "there is no such session");
    for caller in [own, somebody("administrator")] {
        given_session()
            .by(caller)
            .when(revoke())
            .then([ended(EndReason::Revoked)])
            .then_claims([unshares(USER_SESSIONS, DOCTOR), releases(SESSION_TOKEN, "0123abcd")]);
    }
    given([started(30, 720), ended(EndReason::Logout)]).by(user(DOCTOR, "doctor")).when(revoke()).then_nothing();
}

#[test]
fn nobody_revokes_the_session_of_somebody_whose_roles_allow_more() {
    let mut clerk = somebody("nurse");
    std::sync::Arc::make_mut(&mut clerk.permissions).update.insert(Update::Users.into());
    given_session().by(clerk).when(revoke()).then_refused(Refused::from(crate::user::Refusal::NotAbove));
}

fn confirm_identity(code: Option<&str>) -> ConfirmIdentity {
    ConfirmIdentity {
        session_id: SESSION,
        compared_with: "$argon2id$one".into(),
        code: code.map(OneTimeCode::new),
        identity_confirmed_until: minutes(40),
    }
}

#[test]
fn whoever_proves_again_who_they_are_uses_up_the_code() {
    let confirmed = || Event::IdentityConfirmed { identity_confirmed_until: minutes(40) };
    let without = [created_with(json!({"password_hash": "$argon2id$one"}))];
    let given_session = |user: Vec<user::Event>| given([started(30, 720)]).and::<User>(DOCTOR, user);
    given_session(without.to_vec()).when(confirm_identity(None)).then([confirmed()]).then_nothing_else();
    let at_59 = |user| given_session(user).at(DateTime::from_timestamp(59, 0).unwrap());
    at_59(with_factor())
        .when(confirm_identity(Some("287082")))
        .then([confirmed()])
        .then_also::<User>(DOCTOR, [user::Event::CodeUsed { used_step: 1 }]);
    for code in [None, Some("287083")] {
        at_59(with_factor()).when(confirm_identity(code)).then_refused(Refusal::WrongCode);
    }
}

#[test]
fn nobody_proves_anything_in_a_session_that_is_over_or_with_a_former_password() {
    let user = || [created_with(json!({"password_hash": "$argon2id$two"}))];
    given([started(30, 720)]).and::<User>(DOCTOR, user()).when(confirm_identity(None)).then_refused(Refusal::Changed);
    given([started(30, 720), ended(EndReason::Revoked)])
        .and::<User>(DOCTOR, user())
        .when(confirm_identity(None))
        .then_refused(Refusal::Over);
}
