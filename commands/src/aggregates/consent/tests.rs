use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::CONSENTS;
use crate::testing::samples::{DOCTOR, OTHER_PATIENT, PATIENT, ask, created, registered, with};
use crate::testing::{ASKING, Given, given, shares, unshares};

const CONSENT: ConsentId = ConsentId(Uuid::from_u128(0xc0));

fn record(changes: Value) -> RecordConsent {
    ask(with(json!({"patient_id": PATIENT, "scope": "treatment", "provision": "deny", "user_id": DOCTOR}), changes))
}

fn known() -> Given<Consent> {
    given([]).and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, [created()])
}

#[test]
fn a_consent_is_recorded_once_for_each_matter_of_a_person() {
    let denied = || matter(PATIENT, Scope::Treatment, Some(DOCTOR));
    known().when(record(json!({}))).then_claims([shares(CONSENTS, denied())]);
    let said = sample_with::<Consent>("recorded", json!({"patient_id": PATIENT, "user_id": DOCTOR}));
    let before = known().and::<Consent>(CONSENT, [said.clone()]).owner(CONSENTS, denied(), CONSENT);
    before.when(record(json!({}))).then_candidates([CONSENT]);
    // Also when it was said under a record that was merged since.
    let merged = sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": OTHER_PATIENT, "brought": []}));
    let into = sample_with::<Patient>("merged_into", json!({"patient_id": PATIENT}));
    let before = given([])
        .and::<Patient>(PATIENT, [registered(), merged])
        .and::<Patient>(OTHER_PATIENT, [registered(), into])
        .and::<User>(DOCTOR, [created()])
        .and::<Consent>(CONSENT, [said.clone()])
        .owner(CONSENTS, matter(OTHER_PATIENT, Scope::Treatment, Some(DOCTOR)), CONSENT);
    before.when(record(json!({}))).then_code("recorded-already");
    let withdraw = || ask::<WithdrawConsent>(json!({"consent_id": CONSENT}));
    let withdrawn = given([said.clone()]).when(withdraw());
    withdrawn.then([Event::Withdrawn { reason: None }]).then_claims([unshares(CONSENTS, denied())]);
    given([said, sample::<Consent>("withdrawn")]).when(withdraw()).then_nothing();
    let of_oneself = sample_with::<Consent>("recorded", json!({"user_id": ASKING}));
    given([of_oneself]).when(withdraw()).then_refused(Refusal::Denied);
}

#[test]
fn only_a_denial_of_the_treatment_names_somebody() {
    for changes in [json!({"user_id": null}), json!({"provision": "permit"})] {
        known().when(record(changes)).then_refused(Refusal::NamesNobody);
    }
    for scope in ["research", "directory"] {
        known().when(record(json!({"scope": scope}))).then_refused(Refusal::NamesSomebody);
        assert!(known().when(record(json!({"scope": scope, "user_id": null}))).is_accepted());
    }
}
