use hims_domain::PasskeyId;

use super::*;
use crate::machinery::scopes::USER_PASSKEY;

fn id(number: u128) -> PasskeyId {
    Uuid::from_u128(number).into()
}

fn added(number: u128) -> Event {
    Event::PasskeyAdded {
        passkey_id: id(number),
        name: Personal::Known("Telephone".into()),
        credential_id: format!("key {number}").into(),
        credential: "{}".to_owned().into(),
        added_at: now(),
    }
}

fn add(number: u128) -> AddPasskey {
    AddPasskey {
        user_id: DOCTOR,
        passkey_id: id(number),
        name: Personal::Known("Telephone".into()),
        credential_id: format!("key {number}").into(),
        credential: "{}".to_owned().into(),
    }
}

fn remove(passkey_id: Option<PasskeyId>) -> RemovePasskey {
    RemovePasskey { user_id: DOCTOR, passkey_id }
}

/// A user with these events, as seen by the user.
fn own(events: impl IntoIterator<Item = Event>) -> Given<User> {
    with_sessions(given_user(events)).by(Caller { session_id: Some(SESSION), ..user(DOCTOR, "doctor") })
}

#[test]
fn the_first_passkey_ends_the_sessions_that_began_with_a_password_alone() {
    own([created()])
        .when(add(1))
        .then([added(1)])
        .then_also::<Session>(SESSION, [])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
    own([created(), added(1)]).when(add(2)).then([added(2)]).then_nothing_else();
    let confirmed = [
        Event::SecondFactorEnrolled { second_factor_secret: "GEZDGNBVGY3TQOJQ".to_owned().into() },
        Event::SecondFactorConfirmed { used_step: 1, recovery_code_hashes: Vec::new() },
    ];
    own([created()].into_iter().chain(confirmed)).when(add(1)).then([added(1)]).then_nothing_else();
}

#[test]
fn a_key_is_one_users_and_is_free_again_when_the_passkey_is_taken_away() {
    own([created(), added(1)]).when(add(2)).then([added(2)]).then_claims([takes(USER_PASSKEY, "key 2")]);
    own([created(), added(1)]).when(add(1)).then_refused(Refusal::HasPasskey);
    own([created(), added(1), added(2)])
        .when(remove(Some(id(1))))
        .then([Event::PasskeyRemoved { passkey_id: id(1) }])
        .then_also::<Session>(SESSION, [])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)])
        .then_claims([
            releases(USER_PASSKEY, "key 1"),
            of(OTHER_SESSION, unshares(USER_SESSIONS, DOCTOR)),
            of(OTHER_SESSION, releases(SESSION_TOKEN, TOKEN)),
        ]);
}

#[test]
fn a_user_has_ten_passkeys_at_most_and_a_program_none() {
    let ten = || std::iter::once(created()).chain((1..=10).map(added));
    own(ten()).when(add(11)).then_refused(Refusal::TooManyPasskeys);
    let removed = Event::PasskeyRemoved { passkey_id: id(1) };
    own(ten().chain([removed])).when(add(11)).then([added(11)]);
    let scopes = hims_domain::role::Permissions::default();
    own([created(), Event::ScopesSet { scopes }]).when(add(1)).then_refused(Refusal::IsService);
}

#[test]
fn an_administrator_takes_all_passkeys_away_and_all_sessions() {
    let removed = |number| Event::PasskeyRemoved { passkey_id: id(number) };
    let others = || with_sessions(given_user([created(), added(1), added(2)]));
    others()
        .by(somebody("administrator"))
        .when(remove(None))
        .then([removed(1), removed(2)])
        .then_also::<Session>(SESSION, [ended(EndReason::Revoked)])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
    others().by(somebody("nurse")).when(remove(None)).then_refused(Refusal::NotAbove);
    others().by(somebody("administrator")).when(remove(Some(id(3)))).then_nothing();
    given_user([created()]).by(somebody("administrator")).when(remove(None)).then_nothing();
}

#[test]
fn what_is_known_of_a_key_changes_with_its_use_and_goes_with_the_user() {
    let used = |credential: Option<&str>| Event::PasskeyUsed {
        passkey_id: id(1),
        credential: credential.map(|it| it.to_owned().into()),
        used_at: now() + TimeDelta::minutes(1),
    };
    let known = |last: Event| {
        let state = hims_domain::fold::<User>(&[created(), added(1), added(2), last]).unwrap();
        state.passkeys.iter().map(|it| (it.credential.known().cloned(), it.used_at.is_some())).collect::<Vec<_>>()
    };
    let unused = || (Some("{}".to_owned()), false);
    assert_eq!(known(used(None)), [(Some("{}".to_owned()), true), unused()]);
    assert_eq!(known(used(Some("counted"))), [(Some("counted".to_owned()), true), unused()]);
    assert!(known(Event::Erased { erasure_id: Uuid::from_u128(9).into() }).is_empty());
}
