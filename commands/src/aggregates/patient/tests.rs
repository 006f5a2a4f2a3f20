use hims_domain::patient::Allergy;
use hims_domain::user::User;
use hims_domain::{AllergyId, Personal, Subject};
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{PATIENT_BIRTH_DATE, PATIENT_IDENTIFIER, PATIENT_MRN, PATIENT_NAME, PATIENT_SSN};
use crate::testing::samples::{
    DOCTOR, OTHER_PATIENT, PATIENT, ann, ask, created, registered, registered_as, said, with,
};
use crate::testing::world::user;
use crate::testing::{ASKING, Given, at, given, id, shares, takes, unshares};

const ALLERGY: AllergyId = AllergyId(Uuid::from_u128(40));

fn register(changes: Value) -> RegisterPatient {
    ask(with(ann(), changes))
}

fn change(changes: Value) -> ChangePatientDemographics {
    ask(with(json!({"patient_id": PATIENT}), changes))
}

fn changed(changes: Value) -> Event {
    Event::DemographicsChanged(ask(with(ann(), changes)))
}

fn identifier(value: &str) -> Value {
    json!({"system": "urn:other", "value": value})
}

fn add_identifier() -> AddPatientIdentifier {
    ask(with(identifier("A-1"), json!({"patient_id": PATIENT})))
}

fn penicillin() -> Value {
    json!({"allergen_type": "drug", "allergen_name": "Penicillin", "severity": "severe"})
}

fn record_allergy(changes: Value) -> RecordAllergy {
    ask(with(with(penicillin(), json!({"patient_id": PATIENT, "allergy_id": ALLERGY})), changes))
}

/// The allergy as it is recorded, reported by the caller.
fn allergy(changes: Value) -> Allergy {
    ask(with(with(penicillin(), json!({"reported_by": ASKING})), changes))
}

fn allergy_recorded() -> Event {
    Event::AllergyRecorded { allergy_id: ALLERGY, allergy: allergy(json!({})) }
}

fn change_allergy(changes: Value) -> ChangeAllergy {
    ask(with(json!({"patient_id": PATIENT, "allergy_id": ALLERGY}), changes))
}

fn retire_allergy() -> RetireAllergy {
    RetireAllergy { patient_id: PATIENT, allergy_id: ALLERGY, reason: said("a rash of another cause") }
}

fn allergy_retired() -> Event {
    Event::AllergyRetired { allergy_id: ALLERGY, reason: said("a rash of another cause") }
}

/// The registration as it reads once the patient's subject key is destroyed.
fn erased() -> Event {
    let gone = json!({"$erased": true});
    Event::Registered {
        mrn: Personal::Erased,
        demographics: ask(json!({"first_name": gone, "last_name": gone, "date_of_birth": gone, "gender": "female"})),
        identifiers: Vec::new(),
    }
}

/// No patient yet, and another registered patient who was born on the same day.
fn beside(demographics: Value) -> Given<Patient> {
    given([]).and::<Patient>(OTHER_PATIENT, [registered_as(demographics)]).owner(
        PATIENT_BIRTH_DATE,
        "1980-05-17",
        OTHER_PATIENT,
    )
}

#[test]
fn registering_issues_a_record_number() {
    let then = given([]).when(register(json!({"ssn": "123123456", "identifiers": [identifier("A-1")]})));
    let [Event::Registered { mrn, demographics, identifiers }] = &then.events()[..] else { panic!("registered") };
    let mrn = mrn.known().unwrap().clone();
    assert!(mrn.0.starts_with("MRN-") && mrn.0.len() == 15, "{mrn}");
    assert_eq!(**demographics, ask::<Demographics>(with(ann(), json!({"ssn": "123-12-3456"}))));
    assert_eq!(*identifiers, [ask::<Identifier>(identifier("A-1"))]);
    then.then_claims([
        takes(PATIENT_MRN, mrn),
        takes(PATIENT_IDENTIFIER, scopes::key(&["urn:other", "A-1"])),
        shares(PATIENT_NAME, "ann bell"),
        shares(PATIENT_BIRTH_DATE, "1980-05-17"),
        shares(PATIENT_SSN, "123-12-3456"),
    ]);
}

#[test]
fn an_identifier_that_is_told_twice_is_taken_once() {
    let then = given([]).when(register(json!({"identifiers": [identifier("A-1"), identifier("A-1")]})));
    let [Event::Registered { mrn, identifiers, .. }] = &then.events()[..] else { panic!("registered") };
    assert_eq!(*identifiers, [ask::<Identifier>(identifier("A-1"))]);
    let mrn = mrn.known().unwrap().clone();
    then.then_claims([
        takes(PATIENT_MRN, mrn),
        takes(PATIENT_IDENTIFIER, scopes::key(&["urn:other", "A-1"])),
        shares(PATIENT_NAME, "ann bell"),
        shares(PATIENT_BIRTH_DATE, "1980-05-17"),
    ]);
}

#[test]
fn a_patient_is_the_subject_of_their_own_record() {
    let patient = hims_domain::fold::<Patient>(&[registered()]).unwrap();
    assert_eq!(hims_domain::Aggregate::subject(&patient, PATIENT.0), Some(Subject::Patient(PATIENT.0)));
}

#[test]
fn nobody_is_born_in_the_future_or_more_than_150_years_ago() {
    for born in ["2026-11-25", "1876-11-22"] {
        let born = json!({"date_of_birth": born});
        given([]).when(register(born.clone())).then_field("implausible-birth-date", "/date_of_birth");
        given([registered()]).when(change(born)).then_field("implausible-birth-date", "/date_of_birth");
    }
    for born in ["2026-11-23", "1876-11-23"] {
        assert!(given([]).when(register(json!({"date_of_birth": born}))).is_accepted(), "{born}");
    }
}

#[test]
fn somebody_with_a_similar_name_and_the_same_birthday_may_be_the_same() {
    for (first, last) in [("Ann", "Bell"), ("Anne", "Bell"), ("ANN", "BELL"), ("Bell", "Ann"), ("Ann", "Belll")] {
        beside(with(ann(), json!({"first_name": first, "last_name": last})))
            .when(register(json!({})))
            .then_candidates([OTHER_PATIENT]);
    }
}

#[test]
fn somebody_with_another_name_is_somebody_else() {
    let command = register(json!({}));
    assert!(beside(with(ann(), json!({"first_name": "Boris", "last_name": "Okafor"}))).when(command).is_accepted());
}

#[test]
fn somebody_with_the_same_social_security_number_may_be_the_same() {
    given([])
        .and::<Patient>(
            OTHER_PATIENT,
            [registered_as(json!({
                "first_name": "Boris", "last_name": "Okafor", "date_of_birth": "1950-01-01", "gender": "male",
            }))],
        )
        .owner(PATIENT_SSN, "123-12-3456", OTHER_PATIENT)
        .when(register(json!({"ssn": "123-12-3456"})))
        .then_candidates([OTHER_PATIENT]);
}

#[test]
fn who_is_a_candidate_twice_is_named_once() {
    beside(ann())
        .owner(PATIENT_SSN, "123-12-3456", OTHER_PATIENT)
        .when(register(json!({"ssn": "123-12-3456"})))
        .then_candidates([OTHER_PATIENT]);
}

#[test]
fn a_possible_duplicate_is_told_as_such() {
    beside(ann()).when(register(json!({}))).then_code("possible-duplicate");
}

#[test]
fn who_was_erased_is_nobodys_duplicate() {
    let command = register(json!({}));
    let then = given([])
        .and::<Patient>(OTHER_PATIENT, [erased()])
        .owner(PATIENT_BIRTH_DATE, "1980-05-17", OTHER_PATIENT)
        .when(command);
    assert!(then.is_accepted());
}

#[test]
fn a_confirmed_namesake_is_registered() {
    let then = beside(ann()).when(register(json!({"confirm_not_duplicate": true})));
    assert!(matches!(then.then_event(), Event::Registered { .. }));
}

#[test]
fn what_identifies_a_patient_keeps_its_rule() {
    for (field, value) in [("email", "nowhere"), ("phone_primary", "12"), ("ssn", "12"), ("first_name", " ")] {
        given([]).when(register(json!({ field: value }))).then_field("invalid-fields", &format!("/{field}"));
        given([registered()]).when(change(json!({ field: value }))).then_field("invalid-fields", &format!("/{field}"));
    }
}

#[test]
fn another_address_moves_no_key() {
    given([registered()])
        .when(change(json!({"city": "Springfield"})))
        .then([changed(json!({"city": "Springfield"}))])
        .then_claims([]);
}

#[test]
fn another_birthday_and_number_are_found_instead_of_the_old_ones() {
    given([registered_as(with(ann(), json!({"ssn": "123-12-3456"})))])
        .when(change(json!({"date_of_birth": "1981-05-17", "ssn": "123-65-4321"})))
        .then([changed(json!({"date_of_birth": "1981-05-17", "ssn": "123-65-4321"}))])
        .then_claims([
            unshares(PATIENT_BIRTH_DATE, "1980-05-17"),
            shares(PATIENT_BIRTH_DATE, "1981-05-17"),
            unshares(PATIENT_SSN, "123-12-3456"),
            shares(PATIENT_SSN, "123-65-4321"),
        ]);
}

#[test]
fn null_empties_a_field_that_may_be_empty() {
    let known = with(ann(), json!({"ssn": "123-12-3456"}));
    given([registered_as(known)])
        .when(change(json!({"ssn": null})))
        .then([changed(json!({}))])
        .then_claims([unshares(PATIENT_SSN, "123-12-3456")]);
    given([registered()]).when(change(json!({"gender": null}))).then_code("invalid-fields");
}

#[test]
fn changing_nothing_is_quiet() {
    given([registered()]).when(change(json!({"first_name": " Ann "}))).then_nothing();
}

#[test]
fn patients_may_change_their_own_record_only() {
    let ann = Caller { patient_id: Some(PATIENT), ..user(id(60), "patient") };
    let other = Caller { patient_id: Some(OTHER_PATIENT), ..user(id(61), "patient") };
    let own = change(json!({"city": "Springfield"}));
    assert!(own.is_own(None, &ann) && !own.is_own(None, &other) && !own.is_own(None, &user(DOCTOR, "doctor")));
}

#[test]
fn patients_change_how_they_are_reached_and_not_who_they_are() {
    let ann = || Caller { patient_id: Some(PATIENT), ..user(id(60), "patient") };
    for reached in [json!({"city": "Springfield"}), json!({"phone_primary": "+12125550144"})] {
        assert!(given([registered()]).by(ann()).when(change(reached)).is_accepted());
    }
    for who in [json!({"last_name": "Other"}), json!({"date_of_birth": "1981-01-01"}), json!({"ssn": "123123457"})] {
        given([registered()]).by(ann()).when(change(who)).then_refused(Refusal::NotOwnToChange);
    }
}

#[test]
fn an_identifier_is_taken() {
    given([registered()])
        .when(add_identifier())
        .then([Event::IdentifierAdded { place: 0, identifier: ask(identifier("A-1")) }])
        .then_claims([takes(PATIENT_IDENTIFIER, scopes::key(&["urn:other", "A-1"]))]);
}

#[test]
fn the_same_identifier_again_is_quiet() {
    given([registered(), Event::IdentifierAdded { place: 0, identifier: ask(identifier("A-1")) }])
        .when(add_identifier())
        .then_nothing();
}

#[test]
fn an_allergy_is_recorded_as_reported_by_the_caller() {
    given([registered()])
        .when(record_allergy(json!({})))
        .then([allergy_recorded()])
        .then_claims([takes(scopes::PATIENT_ALLERGY, ALLERGY)]);
}

#[test]
fn an_allergy_gets_an_id_unless_it_has_one() {
    let then = given([registered()]).when(record_allergy(json!({"allergy_id": null})));
    let Event::AllergyRecorded { allergy_id, .. } = then.then_event() else { panic!("recorded") };
    assert_ne!(allergy_id, ALLERGY);
}

#[test]
fn who_reported_an_allergy_must_exist() {
    let reported = || record_allergy(json!({"reported_by": DOCTOR}));
    given([registered()]).when(reported()).then_field("unknown-reference", "/reported_by");
    given([registered()])
        .and::<User>(DOCTOR, [created()])
        .when(reported())
        .then([Event::AllergyRecorded { allergy_id: ALLERGY, allergy: allergy(json!({"reported_by": DOCTOR})) }]);
}

#[test]
fn an_allergy_is_recorded_once() {
    given([registered(), allergy_recorded()]).when(record_allergy(json!({}))).then_refused(Refused::exists());
}

#[test]
fn more_is_known_of_an_allergy() {
    given([registered(), allergy_recorded()]).when(change_allergy(json!({"severity": "life_threatening"}))).then([
        Event::AllergyChanged { allergy_id: ALLERGY, allergy: allergy(json!({"severity": "life_threatening"})) },
    ]);
}

#[test]
fn changing_nothing_about_an_allergy_is_quiet() {
    given([registered(), allergy_recorded()]).when(change_allergy(json!({"severity": "severe"}))).then_nothing();
}

#[test]
fn an_allergy_is_retired() {
    given([registered(), allergy_recorded()]).when(retire_allergy()).then([allergy_retired()]);
}

#[test]
fn what_is_retired_or_unknown_is_no_allergy() {
    for events in [vec![registered()], vec![registered(), allergy_recorded(), allergy_retired()]] {
        given(events.clone()).when(change_allergy(json!({}))).then_refused(Refusal::NoSuchAllergy);
        given(events).when(retire_allergy()).then_refused(Refusal::NoSuchAllergy);
    }
}

#[test]
fn nothing_more_is_written_about_who_was_erased() {
    given([erased()]).when(change(json!({"city": "Springfield"}))).then_refused(Refusal::Erased);
    given([erased()]).when(add_identifier()).then_refused(Refusal::Erased);
    given([erased()]).when(record_allergy(json!({}))).then_refused(Refusal::Erased);
    given([erased(), allergy_recorded()]).when(change_allergy(json!({}))).then_refused(Refusal::Erased);
    given([erased(), allergy_recorded()]).when(retire_allergy()).then_refused(Refusal::Erased);
}

#[test]
fn an_old_registration_does_not_age_out() {
    given([registered()])
        .at(at("2126-11-23T10:00:00Z"))
        .when(add_identifier())
        .then([Event::IdentifierAdded { place: 0, identifier: ask(identifier("A-1")) }]);
}
