use hims_domain::appointment::Appointment;
use hims_domain::consultation::Consultation;
use hims_domain::patient::{Allergy, Confidentiality};
use hims_domain::{AllergyId, AppointmentId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::aggregates::appointment::ScheduleAppointment;
use crate::aggregates::consultation::StartConsultation;
use crate::aggregates::patient::{
    AddPatientIdentifier, ChangeAllergy, ChangePatientDemographics, MarkRecordConfidentiality, RecordAllergy,
    RegisterPatient, RetireAllergy,
};
use crate::testing::samples::{DOCTOR, OTHER_PATIENT, PATIENT, ann, ask, registered, said, with};
use crate::testing::world::{World, refused, somebody, user};
use crate::testing::{Given, at, given, id};
use crate::{Caller, scopes};

const THIRD: PatientId = PatientId(Uuid::from_u128(0x21));
const ALLERGY: AllergyId = AllergyId(Uuid::from_u128(40));
const MRN: &str = "MRN-00000000018";
const OTHER_MRN: &str = "MRN-00000000026";

fn with_mrn(mrn: &str) -> Event {
    let Event::Registered { demographics, identifiers, .. } = registered() else { panic!("registered") };
    Event::Registered { mrn: ask(json!(mrn)), demographics, identifiers }
}

fn merged(duplicate_id: PatientId, brought: impl IntoIterator<Item = PatientId>) -> Event {
    Event::DuplicateMerged { duplicate_id, brought: brought.into_iter().collect(), reason: said("the same person") }
}

fn merged_into(patient_id: PatientId) -> Event {
    Event::MergedInto { patient_id, reason: said("the same person") }
}

fn merge(changes: Value) -> MergePatients {
    let command = json!({"patient_id": PATIENT, "duplicate_id": OTHER_PATIENT, "mrn": MRN, "duplicate_mrn": OTHER_MRN,
                         "reason": "the same person"});
    ask(with(command, changes))
}

fn unmerge() -> UnmergePatients {
    ask(json!({"patient_id": PATIENT, "duplicate_id": OTHER_PATIENT, "reason": "twins"}))
}

/// A patient with these further events, and another patient with further events of their own.
fn two(survivor: impl IntoIterator<Item = Event>, duplicate: impl IntoIterator<Item = Event>) -> Given<Patient> {
    let duplicate = [with_mrn(OTHER_MRN)].into_iter().chain(duplicate);
    given([with_mrn(MRN)].into_iter().chain(survivor)).and::<Patient>(OTHER_PATIENT, duplicate)
}

fn penicillin() -> Event {
    let allergy: Allergy = ask(json!({"allergen_type": "drug", "allergen_name": "Penicillin"}));
    Event::AllergyRecorded { allergy_id: ALLERGY, allergy }
}

#[test]
fn each_of_two_records_says_that_they_are_of_one_person() {
    two([], [merged(THIRD, [])])
        .when(merge(json!({})))
        .then([merged(OTHER_PATIENT, [THIRD])])
        .then_also::<Patient>(OTHER_PATIENT, [merged_into(PATIENT)])
        .then_claims([]);
}

#[test]
fn both_record_numbers_are_typed_again() {
    two([], []).when(merge(json!({"mrn": OTHER_MRN}))).then_field("mrn-mismatch", "/mrn");
    let exchanged = merge(json!({"mrn": OTHER_MRN, "duplicate_mrn": MRN}));
    two([], []).when(exchanged).then_fields("mrn-mismatch", &["/mrn", "/duplicate_mrn"]);
    let typed = json!({"mrn": " mrn-00000000018", "duplicate_mrn": "Mrn-00000000026 "});
    assert!(two([], []).when(merge(typed)).is_accepted());
}

#[test]
fn the_same_merge_again_is_quiet() {
    two([merged(OTHER_PATIENT, [])], [merged_into(PATIENT)]).when(merge(json!({}))).then_nothing();
    let wrong = merge(json!({"duplicate_mrn": MRN}));
    two([merged(OTHER_PATIENT, [])], [merged_into(PATIENT)]).when(wrong).then_code("mrn-mismatch");
}

#[test]
fn records_are_not_merged_in_a_circle() {
    let itself = merge(json!({"duplicate_id": PATIENT, "duplicate_mrn": MRN}));
    two([], []).when(itself).then_refused(Refusal::InACircle);
    two([merged_into(OTHER_PATIENT)], [merged(PATIENT, [])]).when(merge(json!({}))).then_refused(Refusal::InACircle);
    let over_a_third = two([merged_into(THIRD)], [merged(THIRD, [PATIENT])]);
    let third = [with_mrn("MRN-00000000034"), merged(PATIENT, []), merged_into(OTHER_PATIENT)];
    over_a_third.and::<Patient>(THIRD, third).when(merge(json!({}))).then_refused(Refusal::InACircle);
}

#[test]
fn a_record_that_was_merged_into_another_is_neither_merged_again_nor_merged_into() {
    let third = || [with_mrn("MRN-00000000034")];
    let gone = two([], [merged_into(THIRD)]).and::<Patient>(THIRD, third()).when(merge(json!({})));
    assert_eq!(gone.code(), Some("merged"));
    gone.then_candidates([THIRD]);
    let into_a_duplicate = two([merged_into(THIRD)], []).and::<Patient>(THIRD, third()).when(merge(json!({})));
    assert_eq!(into_a_duplicate.code(), Some("merged"));
    into_a_duplicate.then_candidates([THIRD]);
}

#[test]
fn a_reversed_merge_leaves_the_two_records_as_they_were() {
    let before = || [with_mrn(MRN), penicillin()];
    let history = [before().to_vec(), vec![merged(OTHER_PATIENT, [THIRD])]].concat();
    let then = given(history.clone())
        .and::<Patient>(OTHER_PATIENT, [with_mrn(OTHER_MRN), merged(THIRD, []), merged_into(PATIENT)])
        .when(unmerge());
    let reason = said("twins");
    let [reversed] = then.events().try_into().unwrap();
    let reversal =
        Event::DuplicateUnmerged { duplicate_id: OTHER_PATIENT, taken_along: [THIRD].into(), reason: reason.clone() };
    assert_eq!(reversed, reversal);
    then.then_also::<Patient>(OTHER_PATIENT, [Event::Unmerged { patient_id: PATIENT, reason }]).then_claims([]);
    let after = [history, vec![reversed]].concat();
    assert_eq!(hims_domain::fold::<Patient>(&after), hims_domain::fold::<Patient>(&before()));
}

#[test]
fn what_is_not_merged_is_not_unmerged() {
    two([], []).when(unmerge()).then_nothing();
    given([with_mrn(MRN)]).when(unmerge()).then_field("unknown-reference", "/duplicate_id");
    let along = two([merged(THIRD, [OTHER_PATIENT])], [merged_into(THIRD)]).when(unmerge());
    assert_eq!(along.code(), Some("merged-into-another"));
    along.then_candidates([THIRD]);
    let survivor_gone = two([merged(OTHER_PATIENT, []), merged_into(THIRD)], [merged_into(PATIENT)]);
    survivor_gone.when(unmerge()).then_code("merged");
}

#[test]
fn commands_about_a_duplicate_are_refused() {
    let duplicate = || given([with_mrn(MRN), penicillin(), merged_into(OTHER_PATIENT)]);
    let of = |changes: Value| with(json!({"patient_id": PATIENT}), changes);
    let allergy = || of(json!({"allergy_id": ALLERGY, "severity": "mild"}));
    for then in [
        duplicate().when(ask::<ChangePatientDemographics>(of(json!({"city": "Springfield"})))),
        duplicate().when(ask::<AddPatientIdentifier>(of(json!({"system": "urn:other", "value": "A-1"})))),
        duplicate().when(ask::<RecordAllergy>(of(json!({"allergen_type": "food", "allergen_name": "Peanut"})))),
        duplicate().when(ask::<ChangeAllergy>(allergy())),
        duplicate().when(ask::<RetireAllergy>(of(json!({"allergy_id": ALLERGY, "reason": "tested"})))),
    ] {
        assert_eq!(then.code(), Some("merged"));
        then.then_candidates([OTHER_PATIENT]);
    }
}

#[test]
fn an_allergy_of_a_duplicate_is_changed_and_retired_through_the_survivor() {
    let both = || two([merged(OTHER_PATIENT, [])], [penicillin(), merged_into(PATIENT)]);
    let of = |changes: Value| with(json!({"patient_id": PATIENT, "allergy_id": ALLERGY}), changes);
    let changed = both().when(ask::<ChangeAllergy>(of(json!({"severity": "severe"}))));
    assert_eq!(changed.events(), []);
    let events = changed.events_of::<Patient>(OTHER_PATIENT);
    assert!(matches!(&events[..], [Event::AllergyChanged { allergy_id: ALLERGY, .. }]), "{events:?}");
    let retired = Event::AllergyRetired { allergy_id: ALLERGY, reason: said("tested") };
    both()
        .when(ask::<RetireAllergy>(of(json!({"reason": "tested"}))))
        .then([])
        .then_also::<Patient>(OTHER_PATIENT, [retired]);
}

#[test]
fn an_allergy_of_a_duplicate_is_a_candidate_when_it_is_recorded_again() {
    let again: RecordAllergy =
        ask(json!({"patient_id": PATIENT, "allergen_type": "drug", "allergen_name": "penicillin"}));
    two([merged(OTHER_PATIENT, [])], [penicillin(), merged_into(PATIENT)]).when(again).then_candidates([ALLERGY]);
}

#[test]
fn nobody_treats_themselves_under_another_record() {
    let command: RecordAllergy =
        ask(json!({"patient_id": PATIENT, "allergen_type": "food", "allergen_name": "Peanut"}));
    let linked_to_the_duplicate = Caller { patient_id: Some(OTHER_PATIENT), ..somebody("doctor") };
    two([merged(OTHER_PATIENT, [])], [merged_into(PATIENT)])
        .by(linked_to_the_duplicate)
        .when(command)
        .then_code("treating-oneself");
}

#[test]
fn the_identifier_of_a_duplicate_is_known_of_the_survivor() {
    let identifier = json!({"system": "urn:other", "value": "A-1"});
    let added = Event::IdentifierAdded { place: 0, identifier: ask(identifier.clone()) };
    two([merged(OTHER_PATIENT, [])], [added, merged_into(PATIENT)])
        .when(ask::<AddPatientIdentifier>(with(identifier, json!({"patient_id": PATIENT}))))
        .then_nothing();
}

#[test]
fn the_duplicates_of_a_patient_are_no_candidates_when_the_patient_changes() {
    let renamed: ChangePatientDemographics = ask(json!({"patient_id": PATIENT, "first_name": "Anna Clara"}));
    let born = |given: Given<Patient>| given.owner(scopes::PATIENT_BIRTH_DATE, "1980-05-17", OTHER_PATIENT);
    let namesake = || Event::DemographicsChanged(ask(with(ann(), json!({"first_name": "Anna Klara"}))));
    born(two([], [namesake()])).when(renamed.clone()).then_candidates([OTHER_PATIENT]);
    let known = born(two([merged(OTHER_PATIENT, [])], [namesake(), merged_into(PATIENT)]));
    assert!(known.when(renamed).is_accepted());
}

#[test]
fn an_appointment_of_a_duplicate_leads_to_a_consultation_of_the_survivor() {
    let appointment: AppointmentId = id(9);
    let mine = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "appointment_id": appointment});
    let booked = json!({"patient_id": OTHER_PATIENT});
    let given = |survivor: Vec<Event>| {
        given::<Consultation>([])
            .by(Caller::system("test"))
            .and::<Patient>(PATIENT, survivor)
            .and::<hims_domain::user::User>(DOCTOR, [crate::testing::samples::created()])
            .and::<Appointment>(
                appointment,
                [
                    hims_testing::sample_with::<Appointment>("scheduled", booked.clone()),
                    hims_testing::sample::<Appointment>("checked_in"),
                ],
            )
    };
    let start = || ask::<StartConsultation>(mine.clone());
    given(vec![with_mrn(MRN)]).when(start()).then_code("other-patient");
    assert!(given(vec![with_mrn(MRN), merged(OTHER_PATIENT, [])]).when(start()).is_accepted());
}

/// Three registered patients, of whom the second was merged into the first, and the first into the third.
async fn one_into_another() -> World {
    let world = World::new();
    let mut numbers = Vec::new();
    for (nth, patient) in (0..).zip([PATIENT, OTHER_PATIENT, THIRD]) {
        let born = json!({"id": patient, "date_of_birth": format!("198{nth}-05-17"), "last_name": format!("Bell {nth}"),
                          "identifiers": [{"system": "urn:other", "value": format!("A-{nth}")}]});
        world.done(ask::<RegisterPatient>(with(ann(), born))).await;
        numbers.push(world.state::<Patient>(patient).await.mrn.clone());
    }
    let merging = |into: PatientId, duplicate: PatientId, mrns: [&Personal<Mrn>; 2]| {
        let [mrn, duplicate_mrn] = mrns.map(|it| it.known().unwrap().0.clone());
        let command = json!({"patient_id": into, "duplicate_id": duplicate, "mrn": mrn, "duplicate_mrn": duplicate_mrn,
                             "reason": "the same person"});
        ask::<MergePatients>(command)
    };
    world.done(merging(PATIENT, OTHER_PATIENT, [&numbers[0], &numbers[1]])).await;
    world.done(merging(THIRD, PATIENT, [&numbers[2], &numbers[0]])).await;
    world
}

#[tokio::test]
async fn whoever_names_a_duplicate_is_told_the_record_that_survives() {
    let world = one_into_another().await;
    let visit = json!({"patient_id": OTHER_PATIENT, "provider_id": DOCTOR, "appointment_type": "follow_up",
                       "starts_at": at("2026-12-01T10:00:00Z"), "duration_minutes": 30});
    let told = refused(world.execute(ask::<ScheduleAppointment>(visit)).await);
    assert_eq!((told.code, told.candidates), ("merged", vec![THIRD.0]));
    let change = json!({"patient_id": OTHER_PATIENT, "city": "Springfield"});
    let told = refused(world.execute(ask::<ChangePatientDemographics>(change)).await);
    assert_eq!((told.code, told.candidates), ("merged", vec![THIRD.0]));
    // The identifier and the name of a duplicate find the survivor.
    let same = json!({"identifiers": [{"system": "urn:other", "value": "A-1"}], "date_of_birth": "1999-01-01"});
    let told = refused(world.execute(ask::<RegisterPatient>(with(ann(), same))).await);
    assert_eq!((told.code, told.candidates), ("already-taken", vec![THIRD.0]));
    let namesake = json!({"last_name": "Bell 1", "date_of_birth": "1981-05-17"});
    let told = refused(world.execute(ask::<RegisterPatient>(with(ann(), namesake))).await);
    assert_eq!((told.code, told.candidates), ("possible-duplicate", vec![THIRD.0]));
}

#[tokio::test]
async fn merges_are_reversed_in_their_order() {
    let world = one_into_another().await;
    assert_eq!(world.state::<Patient>(THIRD).await.duplicates, [PATIENT, OTHER_PATIENT].into());
    let told = refused(world.execute(unmerge()).await);
    assert_eq!((told.code, told.candidates), ("merged", vec![THIRD.0]));
    let first: UnmergePatients = ask(json!({"patient_id": THIRD, "duplicate_id": PATIENT, "reason": "twins"}));
    world.done(first).await;
    assert_eq!(world.state::<Patient>(THIRD).await.duplicates, BTreeSet::new());
    assert_eq!(world.state::<Patient>(PATIENT).await.duplicates, [OTHER_PATIENT].into());
    world.done(unmerge()).await;
    assert_eq!(world.state::<Patient>(OTHER_PATIENT).await.merged_into, None);
}

#[test]
fn records_are_marked_together_and_merged_only_if_marked_alike() {
    let marked =
        |confidentiality| Event::ConfidentialityMarked { confidentiality, reason: said("is known to the public") };
    let restricted = || marked(Confidentiality::Restricted);
    let mark = |confidentiality: &str| {
        ask::<MarkRecordConfidentiality>(json!({"patient_id": PATIENT, "confidentiality": confidentiality,
                                                "reason": "is known to the public"}))
    };
    two([restricted()], []).when(merge(json!({}))).then_code("confidentiality-differs");
    assert!(two([restricted()], [restricted()]).when(merge(json!({}))).is_accepted());
    let one_person = || two([merged(OTHER_PATIENT, [])], [merged_into(PATIENT)]);
    let both = one_person().when(mark("R"));
    both.then([restricted()]).then_also::<Patient>(OTHER_PATIENT, [restricted()]);
    one_person().when(mark("N")).then_nothing();
}

#[test]
fn nobody_who_reads_charts_lowers_a_mark() {
    let marked =
        |confidentiality| Event::ConfidentialityMarked { confidentiality, reason: said("is known to the public") };
    let mark = |confidentiality: &str| {
        ask::<MarkRecordConfidentiality>(json!({"patient_id": PATIENT, "confidentiality": confidentiality,
                                                "reason": "is known to the public"}))
    };
    let by =
        |role: &str, before: Confidentiality, to: &str| two([marked(before)], []).by(user(DOCTOR, role)).when(mark(to));
    by("administrator", Confidentiality::VeryRestricted, "R").then_code("privacy-officer-needed");
    by("administrator", Confidentiality::Restricted, "N").then_code("privacy-officer-needed");
    assert!(by("administrator", Confidentiality::Restricted, "V").is_accepted());
    assert!(by("privacy_officer", Confidentiality::VeryRestricted, "N").is_accepted());
    // A duplicate whose mark is higher counts as well.
    let one_of_two = two([merged(OTHER_PATIENT, [])], [marked(Confidentiality::VeryRestricted), merged_into(PATIENT)]);
    one_of_two.by(user(DOCTOR, "administrator")).when(mark("R")).then_code("privacy-officer-needed");
}
