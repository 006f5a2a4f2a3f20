//! Allergies in the other records of a person, of whom several records were merged.

use hims_domain::patient;
use hims_domain::{AllergyId, PatientId};

use super::*;

const ALLERGY: AllergyId = AllergyId(Uuid::from_u128(40));
const THIRD: PatientId = PatientId(Uuid::from_u128(0x21));

fn allergic() -> patient::Event {
    let allergy = ask(json!({"allergen_type": "drug", "allergen_name": "metformin"}));
    patient::Event::AllergyRecorded { allergy_id: ALLERGY, allergy }
}

fn merged(duplicate_id: PatientId, brought: &[PatientId]) -> patient::Event {
    let brought = brought.iter().copied().collect();
    patient::Event::DuplicateMerged { duplicate_id, brought, reason: said("the same person") }
}

fn merged_into(patient_id: PatientId) -> patient::Event {
    patient::Event::MergedInto { patient_id, reason: said("the same person") }
}

#[test]
fn an_allergy_on_the_loser_stops_a_prescription_on_the_survivor() {
    let before = || given_prescription([]).by(somebody("doctor"));
    let loser = [registered(), allergic(), merged_into(PATIENT)];
    let then = before()
        .and::<Patient>(PATIENT, [registered(), merged(OTHER_PATIENT, &[])])
        .and::<Patient>(OTHER_PATIENT, loser)
        .when(write(json!({})));
    assert_eq!(then.code(), Some("needs-override"));
    then.then_candidates([ALLERGY]);
    // A record that was merged into the loser before is looked at, too.
    before()
        .and::<Patient>(PATIENT, [registered(), merged(OTHER_PATIENT, &[THIRD])])
        .and::<Patient>(OTHER_PATIENT, [registered(), merged(THIRD, &[]), merged_into(PATIENT)])
        .and::<Patient>(THIRD, [registered(), allergic(), merged_into(OTHER_PATIENT)])
        .when(write(json!({})))
        .then_candidates([ALLERGY]);
}

#[test]
fn nothing_is_prescribed_for_a_duplicate() {
    given_prescription([])
        .by(somebody("doctor"))
        .and::<Patient>(PATIENT, [registered(), merged_into(OTHER_PATIENT)])
        .and::<Patient>(OTHER_PATIENT, [registered(), merged(PATIENT, &[])])
        .when(write(json!({})))
        .then_code("merged");
}

#[test]
fn what_was_prescribed_for_a_duplicate_is_dispensed_with_a_look_at_the_allergies_of_the_survivor() {
    let at_the_counter = |survivor: Vec<patient::Event>| {
        let given = at_the_counter([written(), Event::SentToPharmacy])
            .and::<Patient>(PATIENT, [registered(), merged_into(OTHER_PATIENT)])
            .and::<Patient>(OTHER_PATIENT, [vec![registered(), merged(PATIENT, &[])], survivor].concat());
        with_lots(given, [(LOT, vec![received()])]).by(somebody("pharmacist"))
    };
    assert!(at_the_counter(vec![]).when(dispense_all()).is_accepted());
    at_the_counter(vec![allergic()]).when(dispense_all()).then_code("needs-override");
}
