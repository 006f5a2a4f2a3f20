use chrono::DateTime;
use hims_domain::values::Reason;

use super::*;
use crate::OneTimeCode;
use crate::access::one_time::{MOST_WRONG_CODES, recovery_code_hash};

/// The secret of RFC 6238, appendix B: the code of step 1, which is that of second 59, is 287082.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const CODE: &str = "287082";

fn enrolled() -> Event {
    Event::SecondFactorEnrolled { second_factor_secret: SECRET.to_owned().into() }
}

fn hash(code: &str) -> Personal<String> {
    recovery_code_hash(&OneTimeCode::new(code)).into()
}

fn confirmed(used_step: u64) -> Event {
    Event::SecondFactorConfirmed { used_step, recovery_code_hashes: vec![hash("one"), hash("two")] }
}

fn enrol() -> EnrolSecondFactor {
    EnrolSecondFactor {
        user_id: DOCTOR,
        current_password: Password::new("correct horse battery"),
        second_factor_secret: SECRET.to_owned().into(),
    }
}

fn confirm(code: &str) -> ConfirmSecondFactor {
    let recovery_code_hashes = vec![hash("one"), hash("two")];
    ConfirmSecondFactor { user_id: DOCTOR, code: OneTimeCode::new(code), recovery_code_hashes }
}

fn remove(code: Option<&str>) -> RemoveSecondFactor {
    RemoveSecondFactor { user_id: DOCTOR, reason: reason(), code: code.map(OneTimeCode::new) }
}

fn reason() -> Personal<Reason> {
    Personal::Known("lost the telephone".into())
}

fn removed() -> Event {
    Event::SecondFactorRemoved { reason: reason() }
}

/// A user with these events at second 59, as seen by the user.
fn at_59(events: impl IntoIterator<Item = Event>) -> Given<User> {
    let caller = Caller { session_id: Some(SESSION), ..user(DOCTOR, "doctor") };
    with_sessions(given_user(events)).by(caller).at(DateTime::from_timestamp(59, 0).unwrap())
}

#[test]
fn a_second_factor_is_enrolled_with_the_password() {
    at_59([created()]).when(enrol()).then([enrolled()]);
    at_59([created(), enrolled()]).when(enrol()).then([enrolled()]);
    at_59([created()]).but_the_password_is_wrong().when(enrol()).then_refused(Refusal::WrongPassword);
    at_59([created(), enrolled(), confirmed(0)]).when(enrol()).then_refused(Refusal::HasSecondFactor);
}

#[test]
fn a_first_code_confirms_the_second_factor_and_ends_the_other_sessions() {
    at_59([created(), enrolled()])
        .when(confirm(CODE))
        .then([confirmed(1)])
        .then_also::<Session>(SESSION, [])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
    at_59([created(), enrolled()]).when(confirm("287083")).then_refused(Refusal::WrongCode);
    at_59([created()]).when(confirm(CODE)).then_refused(Refusal::NotEnrolled);
    at_59([created(), enrolled(), confirmed(0)]).when(confirm(CODE)).then_refused(Refusal::HasSecondFactor);
}

#[test]
fn wrong_codes_are_counted_until_a_right_one() {
    let refuse = || RefuseCode { user_id: DOCTOR };
    let refused = |wrong_codes| Event::CodeRefused { wrong_codes };
    let before = || vec![created(), enrolled(), confirmed(0)];
    given_user(before()).when(refuse()).then([refused(1)]);
    given_user(before().into_iter().chain([refused(1)])).when(refuse()).then([refused(2)]);
    for right in [
        Event::CodeUsed { used_step: 1 },
        Event::RecoveryCodeUsed { recovery_code_hash: hash("one"), left: 1, session_id: None },
    ] {
        given_user(before().into_iter().chain([refused(7), right])).when(refuse()).then([refused(1)]);
    }
    given_user(before().into_iter().chain([refused(MOST_WRONG_CODES)])).when(refuse()).then_nothing();
    given_user([created(), enrolled()]).when(refuse()).then_nothing();
}

#[test]
fn a_recovery_code_is_gone_once_it_is_used() {
    let used = Event::RecoveryCodeUsed { recovery_code_hash: hash("one"), left: 1, session_id: None };
    let state = hims_domain::fold::<User>(&[created(), enrolled(), confirmed(0), used]).unwrap();
    assert_eq!(state.confirmed_factor().unwrap().recovery_code_hashes, [hash("two")]);
}

#[test]
fn users_take_their_second_factor_away_with_a_code_only() {
    let before = || [created(), enrolled(), confirmed(0)];
    for code in [CODE, "two"] {
        at_59(before())
            .when(remove(Some(code)))
            .then([removed()])
            .then_also::<Session>(SESSION, [])
            .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
    }
    at_59(before()).when(remove(None)).then_refused(Refusal::CodeMissing);
    at_59(before()).when(remove(Some("287083"))).then_refused(Refusal::WrongCode);
    let administrator = user(DOCTOR, "administrator");
    at_59(before()).by(administrator).when(remove(None)).then_refused(Refusal::CodeMissing);
    at_59([created(), enrolled()]).when(remove(None)).then([removed()]);
    at_59([created()]).when(remove(None)).then_nothing();
    assert!(remove(None).is_own(None, &user(DOCTOR, "doctor")));
    assert!(!remove(None).is_own(None, &user(OTHER_DOCTOR, "doctor")));
}

#[test]
fn who_logged_in_with_the_last_recovery_code_needs_no_other_one_in_that_session() {
    let used = |session| {
        let session_id = Some(hims_domain::SessionId(session));
        let one = Event::RecoveryCodeUsed { recovery_code_hash: hash("one"), left: 1, session_id };
        let two = Event::RecoveryCodeUsed { recovery_code_hash: hash("two"), left: 0, session_id };
        [created(), enrolled(), confirmed(0), one, two]
    };
    at_59(used(SESSION)).when(remove(None)).then([removed()]);
    at_59(used(OTHER_SESSION)).when(remove(None)).then_refused(Refusal::CodeMissing);
    // A new second factor begins anew.
    let renewed = used(SESSION).into_iter().chain([removed(), enrolled(), confirmed(0)]);
    at_59(renewed).when(remove(None)).then_refused(Refusal::CodeMissing);
}

#[test]
fn an_administrator_takes_a_lost_second_factor_away_and_ends_every_session() {
    let state = || with_sessions(given_user([created(), enrolled(), confirmed(0)]));
    state()
        .by(somebody("administrator"))
        .when(remove(None))
        .then([removed()])
        .then_also::<Session>(SESSION, [ended(EndReason::Revoked)])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
    let mut clerk = somebody("nurse");
    std::sync::Arc::make_mut(&mut clerk.permissions).update.insert(hims_domain::permission::Update::Users.into());
    state().by(clerk).when(remove(None)).then_refused(Refusal::NotAbove);
}
