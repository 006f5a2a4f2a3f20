use hims_domain::consultation::Consultation;
use hims_domain::legal_hold::LegalHold;
use hims_domain::session::{self, EndReason, Session};
use hims_domain::{patient, user};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{
    ERASURES_OF_PERSON, HOLDS_OF_PERSON, OPEN_CONSULTATIONS, PATIENT_MRN, USER_EMAIL, USER_PATIENT, USER_SESSIONS,
    USERS_WITH_ROLE,
};
use crate::role_id;
use crate::testing::samples::{
    CONSULTATION, DOCTOR, OTHER_DOCTOR, OTHER_PATIENT, PATIENT, ask, created, created_with, registered, with,
};
use crate::testing::{ASKING, Given, given, shares, unshares};

const ERASURE: ErasureId = ErasureId(Uuid::from_u128(0xe0));
const LOGIN: UserId = UserId(Uuid::from_u128(0xe1));
const SESSION: Uuid = Uuid::from_u128(0xe2);
const HOLD: Uuid = Uuid::from_u128(0xe3);

fn erase_patient() -> ErasePatient {
    ask(json!({"patient_id": PATIENT, "ground": "requested", "reason": "asked for it"}))
}

fn erase_user(user_id: UserId) -> EraseUser {
    ask(json!({"user_id": user_id, "ground": "retention_ended", "reason": "left long ago"}))
}

fn confirm() -> ConfirmErasure {
    ConfirmErasure { erasure_id: ERASURE }
}

/// The event with which another doctor asked for an erasure, of the patient unless told.
fn asked_for(changes: Value) -> Event {
    sample_with::<Erasure>("requested", with(json!({"requested_by": OTHER_DOCTOR}), changes))
}

fn asked_for_user() -> Event {
    asked_for(json!({"patient_id": null, "user_id": DOCTOR}))
}

fn people(given: Given<Erasure>) -> Given<Erasure> {
    given.and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, [created()])
}

fn held(given: Given<Erasure>, person: Uuid) -> Given<Erasure> {
    given.and::<LegalHold>(HOLD, [sample::<LegalHold>("placed")]).owner(HOLDS_OF_PERSON, person, HOLD)
}

#[test]
fn an_erasure_is_asked_for_once_and_not_for_oneself() {
    people(given([])).when(erase_patient()).then_claims([shares(ERASURES_OF_PERSON, PATIENT)]);
    people(given([])).when(erase_user(DOCTOR)).then_claims([shares(ERASURES_OF_PERSON, DOCTOR)]);
    let asked =
        |whom: Uuid, event| people(given([])).and::<Erasure>(ERASURE, [event]).owner(ERASURES_OF_PERSON, whom, ERASURE);
    asked(PATIENT.0, asked_for(json!({}))).when(erase_patient()).then_candidates([ERASURE]);
    asked(DOCTOR.0, asked_for_user()).when(erase_user(DOCTOR)).then_candidates([ERASURE]);
    people(given([])).by(Caller::system("import")).when(erase_patient()).then_refused(Refusal::NoUser);
    let oneself = given([]).and::<User>(ASKING, [created()]);
    oneself.when(erase_user(UserId(ASKING))).then_refused(Refusal::Oneself);
}

#[test]
fn who_is_erased_or_held_is_not_erased() {
    let erased = given([]).and::<Patient>(PATIENT, [registered(), sample::<Patient>("erased")]);
    erased.when(erase_patient()).then_code("erased");
    let erased = given([]).and::<User>(DOCTOR, [created(), sample::<User>("erased")]);
    erased.when(erase_user(DOCTOR)).then_refused(Refusal::UserErased);
    held(people(given([])), PATIENT.0).when(erase_patient()).then_code("legal-hold");
    held(people(given([])), DOCTOR.0).when(erase_user(DOCTOR)).then_code("legal-hold");
    // A hold that was placed after the erasure was asked for counts as well.
    held(people(given([asked_for(json!({}))])), PATIENT.0).when(confirm()).then_candidates([HOLD]);
    held(people(given([asked_for_user()])), DOCTOR.0).when(confirm()).then_candidates([HOLD]);
}

#[test]
fn somebody_else_confirms_or_declines() {
    let decline = || ask::<DeclineErasure>(json!({"erasure_id": ERASURE, "reason": "must be kept"}));
    let own = || asked_for(json!({"requested_by": ASKING}));
    people(given([own()])).when(confirm()).then_refused(Refusal::SecondPerson);
    assert!(people(given([own()])).when(decline()).is_accepted(), "whoever asked takes it back");
    let of_oneself = asked_for(json!({"patient_id": null, "user_id": ASKING}));
    given([of_oneself]).and::<User>(ASKING, [created()]).when(confirm()).then_refused(Refusal::Oneself);
    let decided = |event: &str| people(given([asked_for(json!({})), sample::<Erasure>(event)]));
    decided("confirmed").when(confirm()).then_nothing();
    decided("declined").when(decline()).then_nothing();
    decided("declined").when(confirm()).then_refused(Refusal::Decided { status: Status::Declined });
    decided("confirmed").when(decline()).then_refused(Refusal::Decided { status: Status::Confirmed });
    let declined = people(given([asked_for(json!({}))])).when(decline());
    declined.then_claims([unshares(ERASURES_OF_PERSON, PATIENT)]);
    people(given([asked_for(json!({}))])).by(Caller::system("import")).when(confirm()).then_refused(Refusal::NoUser);
}

#[test]
fn a_patient_is_erased_with_all_records_and_the_login_of_the_portal() {
    let login = created_with(json!({"role_id": role_id("patient")}));
    let linked = user::Event::LinkedToPatient { patient_id: PATIENT };
    let merged = sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": OTHER_PATIENT, "brought": []}));
    let into = sample_with::<Patient>("merged_into", json!({"patient_id": PATIENT}));
    let started = sample_with::<Session>("started", json!({"user_id": LOGIN}));
    let confirmed = given([asked_for(json!({}))])
        .and::<Patient>(PATIENT, [registered(), merged])
        .and::<Patient>(OTHER_PATIENT, [registered(), into])
        .and::<User>(LOGIN, [login, linked.clone()])
        .and::<Session>(SESSION, [started])
        .owner(USER_PATIENT, PATIENT, LOGIN)
        .owner(USER_SESSIONS, LOGIN, SESSION)
        .when(confirm());
    assert_eq!(confirmed.erased(), [PATIENT.0, OTHER_PATIENT.0, LOGIN.0]);
    assert!(
        confirmed.gives_back(PATIENT_MRN) && confirmed.gives_back(USER_EMAIL),
        "claims of personal values are given back"
    );
    let erased = patient::Event::Erased { erasure_id: ERASURE };
    confirmed
        .then([Event::Confirmed])
        .then_also::<Patient>(PATIENT, [erased.clone()])
        .then_also::<Patient>(OTHER_PATIENT, [erased])
        .then_also::<User>(LOGIN, [user::Event::Erased { erasure_id: ERASURE }])
        .then_also::<Session>(SESSION, [session::Event::Ended { reason: EndReason::Revoked }]);
    // Who also works here stays.
    let confirmed = people(given([asked_for(json!({}))]))
        .and::<User>(LOGIN, [created(), linked])
        .owner(USER_PATIENT, PATIENT, LOGIN)
        .when(confirm());
    assert_eq!(confirmed.erased(), [PATIENT.0]);
    confirmed.then_also::<User>(LOGIN, [user::Event::UnlinkedFromPatient]);
}

#[test]
fn nobody_is_erased_while_treated_or_as_the_last_administrator() {
    let treated = people(given([asked_for(json!({}))]))
        .and::<Consultation>(CONSULTATION, [sample::<Consultation>("started")])
        .owner(OPEN_CONSULTATIONS, PATIENT, CONSULTATION);
    treated.when(confirm()).then_candidates([CONSULTATION]);
    let last = given([asked_for_user()])
        .and::<User>(DOCTOR, [created_with(json!({"role_id": role_id("administrator")}))])
        .owner(USERS_WITH_ROLE, role_id("administrator"), DOCTOR);
    last.when(confirm()).then_code("last-administrator");
    people(given([asked_for_user()]))
        .when(confirm())
        .then([Event::Confirmed])
        .then_also::<User>(DOCTOR, [user::Event::Erased { erasure_id: ERASURE }]);
    let erased = given([asked_for_user()]).and::<User>(DOCTOR, [created(), sample::<User>("erased")]);
    erased.when(confirm()).then_refused(Refusal::UserErased);
}
