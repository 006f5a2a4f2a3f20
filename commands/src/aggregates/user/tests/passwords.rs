use super::*;

#[test]
fn a_password_that_somebody_else_chose_must_be_changed() {
    let chosen = || create(json!({"password": "correct horse battery"}));
    given_user([])
        .by(somebody("administrator"))
        .when(chosen())
        .then([created_with(json!({"password_hash": HASH, "must_change_password": true}))]);
    given_user([]).when(chosen()).then([created_with(json!({"password_hash": HASH}))]);
}

#[test]
fn a_password_has_12_to_200_characters() {
    for password in ["short", &"long".repeat(51), &" ".repeat(12), &"\u{200b}".repeat(12)] {
        given_user([]).when(create(json!({ "password": password }))).then_field("invalid-fields", "/password");
        given_user([created()]).when(change_password(password)).then_field("invalid-fields", "/new_password");
    }
}

#[test]
fn without_a_hash_nothing_is_changed() {
    let given_user = |events: Vec<Event>| given_user(events).but_nothing_is_hashed();
    given_user(vec![]).when(create(json!({"password": "correct horse battery"}))).then_refused(Refusal::NotHashed);
    given_user(vec![created()]).when(change_password("staple horse battery")).then_refused(Refusal::NotHashed);
    given_user(vec![created()]).when(reset_password()).then_refused(Refusal::NotHashed);
}

#[test]
fn another_password_ends_the_other_sessions() {
    let caller = Caller { session_id: Some(SESSION), ..user(DOCTOR, "doctor") };
    with_sessions(given_user([created()]))
        .by(caller)
        .when(change_password("staple horse battery"))
        .then([password_changed(false)])
        .then_also::<Session>(SESSION, [])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::PasswordChange)])
        .then_claims([
            of(OTHER_SESSION, unshares(USER_SESSIONS, DOCTOR)),
            of(OTHER_SESSION, releases(SESSION_TOKEN, TOKEN)),
        ]);
}

#[test]
fn only_who_knows_the_password_changes_it() {
    given_user([created()])
        .but_the_password_is_wrong()
        .when(change_password("staple horse battery"))
        .then_refused(Refusal::WrongPassword);
}

#[test]
fn the_same_password_is_no_other() {
    given_user([created()]).when(change_password("correct horse battery")).then_refused(Refusal::SamePassword);
}

#[test]
fn a_password_is_compared_with_the_hash_of_now() {
    let hashed = hims_domain::fold::<User>(&[created(), password_changed(false)]);
    let command = change_password("staple horse battery");
    assert_eq!(command.passwords(hashed.as_ref()).compare.map(|(_, hash)| hash), Some(HASH));
    let never_had_one = hims_domain::fold::<User>(&[created()]);
    assert!(command.passwords(never_had_one.as_ref()).compare.is_none());
}

#[test]
fn a_password_that_is_reset_must_be_changed_and_ends_every_session() {
    with_sessions(given_user([created()]))
        .when(reset_password())
        .then([password_changed(true)])
        .then_also::<Session>(SESSION, [ended(EndReason::PasswordChange)])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::PasswordChange)]);
}
