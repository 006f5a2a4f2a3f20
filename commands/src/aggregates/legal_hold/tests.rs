use hims_domain::user;
use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::HOLDS_OF_PERSON;
use crate::testing::given;
use crate::testing::samples::{DOCTOR, PATIENT, ask, created, registered, with};
use crate::testing::{shares, unshares};

fn place(changes: Value) -> PlaceLegalHold {
    ask(with(json!({"reason": "the patient sues the hospital"}), changes))
}

#[test]
fn a_hold_is_found_by_its_person_until_it_is_released() {
    let placed = given([]).and::<Patient>(PATIENT, [registered()]).when(place(json!({"patient_id": PATIENT})));
    placed.then_claims([shares(HOLDS_OF_PERSON, PATIENT)]);
    let placed = given([]).and::<User>(DOCTOR, [created()]).when(place(json!({"user_id": DOCTOR})));
    placed.then_claims([shares(HOLDS_OF_PERSON, DOCTOR)]);
    let release = || ask::<ReleaseLegalHold>(json!({"legal_hold_id": Uuid::from_u128(1), "reason": "settled"}));
    let released = sample::<LegalHold>("released");
    let held = given([sample::<LegalHold>("placed")]).when(release());
    held.then([released.clone()]).then_claims([unshares(HOLDS_OF_PERSON, PATIENT)]);
    given([sample::<LegalHold>("placed"), released]).when(release()).then_nothing();
}

#[test]
fn a_hold_is_on_one_person_who_is_not_erased() {
    given([]).when(place(json!({}))).then_refused(Refusal::Whom);
    let both = place(json!({"patient_id": PATIENT, "user_id": DOCTOR}));
    given([])
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .when(both)
        .then_refused(Refusal::Whom);
    let erased = [registered(), sample::<Patient>("erased")];
    given([]).and::<Patient>(PATIENT, erased).when(place(json!({"patient_id": PATIENT}))).then_code("erased");
    let erased: [user::Event; 2] = [created(), sample::<User>("erased")];
    given([]).and::<User>(DOCTOR, erased).when(place(json!({"user_id": DOCTOR}))).then_refused(Refusal::UserErased);
}
