use std::collections::BTreeSet;

use hims_domain::UserId;
use hims_domain::notification::{self, Notification};
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::notification::Tell;
use crate::testing::samples::{DOCTOR, PATIENT, ask, created, defined, registered, with};
use crate::testing::{ASKING, Claimed, Given, given, now, unbooks};
use crate::{role_id, scopes};

const ACCESS: EmergencyAccessId = EmergencyAccessId(Uuid::from_u128(0xea));

fn request(changes: Value) -> RequestEmergencyAccess {
    ask(with(json!({"patient_id": PATIENT, "reason": "collapsed in the corridor"}), changes))
}

fn review(finding: Finding) -> ReviewEmergencyAccess {
    ReviewEmergencyAccess { emergency_access_id: ACCESS, finding, note: None }
}

#[test]
fn an_access_lasts_an_hour_unless_told() {
    for (minutes, lasts) in [(json!({}), 60), (json!({"minutes": 15}), 15)] {
        let event = given([]).and::<Patient>(PATIENT, [registered()]).when(request(minutes)).then_event();
        let Event::Granted { patient_id, user_id, granted_at, ends_at, .. } = event else { panic!("{event:?}") };
        assert_eq!((patient_id, user_id.0, granted_at), (PATIENT, ASKING, now()));
        assert_eq!(ends_at - granted_at, TimeDelta::minutes(lasts));
    }
    let by_system = given([]).by(Caller::system("import")).and::<Patient>(PATIENT, [registered()]);
    by_system.when(request(json!({}))).then_refused(Refusal::NoUser);
    for minutes in [0, 241] {
        let given = given([]).and::<Patient>(PATIENT, [registered()]);
        given.when(request(json!({"minutes": minutes}))).then_refused(Refusal::Minutes);
    }
}

#[test]
fn whoever_took_the_access_gives_it_back_and_somebody_else_reviews_it() {
    let end = || EndEmergencyAccess { emergency_access_id: ACCESS };
    let own = || {
        let ends_at = now() + TimeDelta::minutes(30);
        sample_with::<EmergencyAccess>("granted", json!({"user_id": ASKING, "ends_at": ends_at}))
    };
    let of_another = || sample::<EmergencyAccess>("granted");
    given([own()]).when(end()).then([Event::Ended { ended_at: now() }]);
    given([own()]).when(review(Finding::Justified)).then_refused(Refusal::OwnAccess);
    let reviewed = |finding| Event::Reviewed { finding, note: None, reviewed_at: now() };
    given([of_another()]).when(review(Finding::NotJustified)).then([reviewed(Finding::NotJustified)]);
    let again = |finding| given([of_another(), reviewed(Finding::Justified)]).when(review(finding));
    again(Finding::Justified).then([]);
    again(Finding::NotJustified).then_refused(Refusal::Reviewed { review: Review::Justified });
}

#[test]
fn very_restricted_records_open_to_two_people_together() {
    let marked = sample_with::<Patient>("confidentiality_marked", json!({"confidentiality": "V"}));
    let asked = given([]).and::<Patient>(PATIENT, [registered(), marked]).when(request(json!({"minutes": 15})));
    let Event::Asked { user_id, asked_at, minutes, .. } = asked.then_event() else { panic!("no second person") };
    assert_eq!((user_id.0, asked_at, minutes), (ASKING, now(), 15));
    let second = || SecondEmergencyAccess { emergency_access_id: ACCESS };
    let of_another = || sample_with::<EmergencyAccess>("asked", json!({"asked_at": now(), "minutes": 15}));
    let Event::Seconded { seconded_by, granted_at, ends_at } = given([of_another()]).when(second()).then_event() else {
        panic!("not allowed")
    };
    assert_eq!((seconded_by.0, granted_at, ends_at - granted_at), (ASKING, now(), TimeDelta::minutes(15)));
    let own = || sample_with::<EmergencyAccess>("asked", json!({"user_id": ASKING, "asked_at": now()}));
    let end = EndEmergencyAccess { emergency_access_id: ACCESS };
    given([own()]).when(end).then([Event::Ended { ended_at: now() }]);
    given([own(), Event::Ended { ended_at: now() }]).when(second()).then_refused(Refusal::NotAwaited);
    given([own()]).when(second()).then_refused(Refusal::OwnSecond);
    let long_ago = json!({"asked_at": now() - TimeDelta::minutes(61)});
    given([sample_with::<EmergencyAccess>("asked", long_ago)]).when(second()).then_refused(Refusal::AskedLongAgo);
    given([sample::<EmergencyAccess>("granted")]).when(second()).then_refused(Refusal::NotAwaited);
    given([of_another()]).by(Caller::system("import")).when(second()).then_refused(Refusal::NoUser);
    given([of_another()]).when(review(Finding::Justified)).then_refused(Refusal::Waits);
    // Whoever allowed the access does not review it.
    let seconded = |by| Event::Seconded { seconded_by: by, granted_at, ends_at };
    given([of_another(), seconded(seconded_by)]).when(review(Finding::Justified)).then_refused(Refusal::OwnAccess);
    let by_the_doctor = given([of_another(), seconded(DOCTOR)]).when(review(Finding::Justified));
    by_the_doctor.then([Event::Reviewed { finding: Finding::Justified, note: None, reviewed_at: now() }]);
}

#[test]
fn nobody_asks_again_as_long_as_a_second_person_may_allow_the_access() {
    let place = |user_id: UserId| derived("emergency-access", &[&PATIENT.to_string(), &user_id.to_string()]);
    let books = |user_id, minutes| Claimed::Book(place(user_id), now(), now() + TimeDelta::minutes(minutes));
    let marked = sample_with::<Patient>("confidentiality_marked", json!({"confidentiality": "V"}));
    let asking = given([]).and::<Patient>(PATIENT, [registered(), marked]).when(request(json!({"minutes": 15})));
    asking.then_claims([books(UserId(ASKING), 60)]);
    let asked = |user_id: UserId, asked_at| {
        let asked = json!({"patient_id": PATIENT, "user_id": user_id, "asked_at": asked_at, "minutes": 15});
        sample_with::<EmergencyAccess>("asked", asked)
    };
    let second = SecondEmergencyAccess { emergency_access_id: ACCESS };
    given([asked(DOCTOR, now())]).when(second).then_claims([unbooks(), books(DOCTOR, 15)]);
    // What nobody allowed had no time, also if it is given back long after it was asked for, and is in nobody's way.
    for asked_at in [now(), now() - TimeDelta::hours(3)] {
        let end = EndEmergencyAccess { emergency_access_id: ACCESS };
        let ended = given([asked(UserId(ASKING), asked_at)]).when(end);
        ended.then([Event::Ended { ended_at: asked_at }]).then_claims([unbooks()]);
    }
}

const OFFICER: UserId = UserId(Uuid::from_u128(71));
const ADMINISTRATOR: UserId = UserId(Uuid::from_u128(72));

/// An access that a doctor took, and what happened to it, in a hospital with a privacy officer and an administrator.
fn given_access(more: impl IntoIterator<Item = Event>) -> Given<Notification> {
    let granted = sample_with::<EmergencyAccess>("granted", json!({"patient_id": PATIENT, "user_id": DOCTOR}));
    let given: Given<Notification> = given([])
        .and::<EmergencyAccess>(ACCESS, [granted].into_iter().chain(more))
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()]);
    [("privacy_officer", OFFICER), ("administrator", ADMINISTRATOR)].into_iter().fold(given, |given, (role, user)| {
        let given = given.and::<Role>(role_id(role), [defined(role)]).and::<User>(user, [created()]);
        given.owner(scopes::USERS_WITH_ROLE, role_id(role), user)
    })
}

/// Who is told of an access of which people were told so many times before; nobody if there is nothing to tell.
fn told(given: Given<Notification>, before: u32) -> BTreeSet<Option<UserId>> {
    let telling = TellOfEmergencyAccess { emergency_access_id: ACCESS, told: before };
    match given.when(Tell(telling)).events().into_iter().next() {
        Some(notification::Event::Created { recipients, .. }) => recipients.iter().map(|it| it.user_id).collect(),
        None => BTreeSet::new(),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn administrators_are_told_of_an_access_from_the_second_time_on_while_nobody_has_reviewed_it() {
    assert_eq!(told(given_access([]), 0), BTreeSet::from([Some(OFFICER)]));
    for before in [1, 2, 30] {
        assert_eq!(told(given_access([]), before), BTreeSet::from([Some(OFFICER), Some(ADMINISTRATOR)]), "{before}");
    }
    let reviewed = Event::Reviewed { finding: Finding::Justified, note: None, reviewed_at: now() };
    for before in [0, 1] {
        assert_eq!(told(given_access([reviewed.clone()]), before), BTreeSet::new(), "{before}");
    }
}
