//! What is prescribed and dispensed, compared with the rest of the prescription and with the medication list.

use hims_domain::alert::{Alert, Kind, Other, Severity};
use hims_domain::interaction_profile::{self, InteractionProfile, LOCAL, profile_of};
use hims_domain::interaction_source::{InteractionSource, sources};
use hims_domain::values::Text;
use hims_domain::{MedicationEntryId, MedicationId};
use hims_testing::sample;

use super::*;

const WARFARIN: MedicationId = MedicationId(Uuid::from_u128(0x31));
const NAPROXEN: MedicationId = MedicationId(Uuid::from_u128(0x32));
const BOTH: MedicationId = MedicationId(Uuid::from_u128(0x33));
const UNKNOWN: MedicationId = MedicationId(Uuid::from_u128(0x34));
const ENTRY: MedicationEntryId = MedicationEntryId(Uuid::from_u128(0x35));
const REASON: &str = "no other drug helps";

fn product(name: &str, ingredients: &[&str]) -> [medication::Event; 2] {
    let details = json!({"name": name, "ingredients": ingredients});
    [medication::Event::Added(ask(details)), introduced("tablet")]
}

fn of(medication_id: MedicationId) -> Value {
    with(order(), json!({"medication_id": medication_id}))
}

/// What the source says about warfarin (11289) and naproxen (7258).
fn thesaurus(severity: &str) -> interaction_profile::Event {
    let pair = json!({"severity": severity, "is_conditional": false, "rule_count": 1, "advice": []});
    interaction_profile::Event::Replaced(ask(json!({
        "source": "ANSM", "version": "2020-10", "language": "fr", "ingredient": "11289", "texts": [],
        "pairs": {"7258": pair},
    })))
}

/// The products, and what a source says of the pair.
fn stocked(given: Given<Prescription>, severity: &str) -> Given<Prescription> {
    let ingredient: Text<20> = "11289".into();
    given
        .and::<Medication>(WARFARIN, product("Warfarin 5 mg", &["11289"]))
        .and::<Medication>(NAPROXEN, product("Naproxen 250 mg", &["7258"]))
        .and::<Medication>(BOTH, product("Both in one", &["11289", "7258"]))
        .and::<Medication>(UNKNOWN, product("Nobody knows", &[]))
        .and::<InteractionSource>(sources(), [sample::<InteractionSource>("loaded")])
        .and::<InteractionProfile>(profile_of("ANSM", &ingredient), [thesaurus(severity)])
}

/// A doctor who writes for Ann, with the source that says of warfarin and naproxen what is given.
fn doctor(severity: &str) -> Given<Prescription> {
    stocked(given_prescription([]).by(somebody("doctor")), severity)
}

/// Ann takes something that was told of.
fn takes_already(given: Given<Prescription>, taken: Value) -> Given<Prescription> {
    let mut added = json!({"patient_id": PATIENT, "entry_id": ENTRY, "source": "external"});
    added["taken"] = taken;
    let added: medication_list::Event = ask(json!({ "added": added }));
    given.and::<MedicationList>(list_of(PATIENT), [added])
}

fn write_all(orders: impl IntoIterator<Item = Value>) -> WritePrescription {
    write(json!({"items": orders.into_iter().collect::<Vec<_>>()}))
}

#[track_caller]
fn alerts(then: Then<Prescription>) -> Vec<Alert> {
    let Event::Written(written) = then.then_event() else { panic!("written") };
    written.alerts
}

fn brief(alerts: &[Alert]) -> Vec<(Kind, Severity)> {
    alerts.iter().map(|it| (it.kind, it.severity)).collect()
}

#[test]
fn two_items_that_interact_need_a_reason_each() {
    let refused = doctor("major").when(write_all([of(WARFARIN), of(NAPROXEN)])).into_refused();
    let errors: Vec<_> = refused.errors.iter().map(|it| (it.pointer.as_str(), it.message.as_str())).collect();
    let message = |one, other| format!("{one} and {other} interact: major, according to ANSM 2020-10");
    let (first, second) = (message("Warfarin 5 mg", "Naproxen 250 mg"), message("Naproxen 250 mg", "Warfarin 5 mg"));
    assert_eq!(errors, [("/items/0", first.as_str()), ("/items/1", second.as_str())]);
    assert_eq!(refused.code, "needs-override");
    let reasoned = |id| with(of(id), json!({ "override_reason": REASON }));
    let refused = doctor("major").when(write_all([reasoned(WARFARIN), of(NAPROXEN)])).into_refused();
    let answered = refused.errors.iter().map(|it| it.message.ends_with("; the item has an override_reason"));
    assert_eq!(answered.collect::<Vec<_>>(), [true, false], "{refused:?}");
    let alerts = alerts(doctor("major").when(write_all([reasoned(WARFARIN), reasoned(NAPROXEN)])));
    assert_eq!(brief(&alerts), [(Kind::Interaction, Severity::Major); 2]);
    assert!(alerts.iter().all(|it| it.is_overridden && it.source == Some("ANSM".into())));
    assert_eq!(
        alerts[0].ingredient.as_ref().zip(alerts[0].other_ingredient.as_ref()),
        Some((&"11289".into(), &"7258".into()))
    );
}

#[test]
fn a_lesser_interaction_is_kept_and_needs_no_reason() {
    for (severity, kept) in [("moderate", Severity::Moderate), ("minor", Severity::Minor)] {
        let alerts = alerts(doctor(severity).when(write_all([of(WARFARIN), of(NAPROXEN)])));
        assert_eq!(brief(&alerts), [(Kind::Interaction, kept); 2]);
        assert!(alerts.iter().all(|it| !it.is_overridden));
    }
}

#[test]
fn a_product_that_combines_both_is_silent_by_itself() {
    assert_eq!(alerts(doctor("contraindicated").when(write_all([of(BOTH)]))), []);
}

#[test]
fn what_the_patient_takes_already_counts() {
    let takes = |ingredients: Value| {
        takes_already(
            doctor("contraindicated"),
            json!({"medication_name": "Blood thinner", "ingredients": ingredients}),
        )
    };
    let refused = takes(json!(["11289"])).when(write_all([of(NAPROXEN)])).into_refused();
    assert_eq!((refused.code, refused.candidates), ("needs-override", vec![ENTRY.0]));
    assert!(!refused.errors[0].message.contains("Blood thinner"), "what the list has in words is personal");
    assert_eq!(alerts(takes(json!(["4603"])).when(write_all([of(NAPROXEN)]))), []);
}

#[test]
fn an_ingredient_that_is_taken_twice_is_moderate() {
    let same = alerts(doctor("minor").when(write_all([of(WARFARIN), of(WARFARIN)])));
    assert_eq!(brief(&same), [(Kind::Duplicate, Severity::Moderate); 2]);
    let given = takes_already(doctor("minor"), json!({"medication_id": WARFARIN, "ingredients": ["11289"]}));
    let taken = alerts(given.when(write_all([of(WARFARIN)])));
    assert_eq!(brief(&taken), [(Kind::Duplicate, Severity::Moderate)]);
    assert_eq!(taken[0].other, Some(Other::MedicationEntry(ENTRY)));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let given = takes_already(doctor("major"), json!({"medication_name": "Herbs"}));
    let alerts = alerts(given.when(write_all([of(UNKNOWN)])));
    let unknown = (Kind::NotCheckable, Severity::Information);
    assert_eq!(brief(&alerts), [unknown; 2]);
    assert_eq!((alerts[0].other, alerts[1].other), (None, Some(Other::MedicationEntry(ENTRY))));
    assert_eq!((alerts[0].item_id.is_some(), alerts[1].item_id), (true, None));
}

#[test]
fn without_a_source_every_prescription_says_so() {
    let given =
        given_prescription([]).by(somebody("doctor")).and::<Medication>(WARFARIN, product("Warfarin 5 mg", &["11289"]));
    let alerts = alerts(given.when(write_all([of(WARFARIN)])));
    assert_eq!(brief(&alerts), [(Kind::NotCheckable, Severity::Information)]);
    assert_eq!((alerts[0].item_id, alerts[0].other), (None, None));
}

#[test]
fn the_hospital_may_silence_a_pair_or_raise_it() {
    let ingredient: Text<20> = "11289".into();
    let decided = |severity: &str| -> interaction_profile::Event {
        let decided = json!({"severity": severity, "advice": {}});
        ask(json!({"pair_set": {"ingredient": "11289", "other": "7258", "decided": decided}}))
    };
    let local = |thesaurus, severity| {
        doctor(thesaurus).and::<InteractionProfile>(profile_of(LOCAL, &ingredient), [decided(severity)])
    };
    let both = || write_all([of(WARFARIN), of(NAPROXEN)]);
    assert_eq!(alerts(local("contraindicated", "none").when(both())), []);
    let refused = local("minor", "contraindicated").when(both()).into_refused();
    assert_eq!((refused.code, refused.errors.len()), ("needs-override", 2));
    assert!(refused.errors[0].message.ends_with("contraindicated, according to local"), "{refused:?}");
}

#[test]
fn an_import_is_not_compared() {
    let given = stocked(given_prescription([]), "contraindicated");
    assert_eq!(alerts(given.when(write_all([of(WARFARIN), of(NAPROXEN)]))), []);
}

#[test]
fn the_pharmacy_looks_at_the_list_of_then() {
    let written = written_with([(ITEM, of(NAPROXEN))]);
    let entry = json!({"entry_id": entry_of(ITEM), "item_id": ITEM, "status": "intended",
                       "taken": {"medication_id": NAPROXEN, "ingredients": ["7258"]}});
    let prescribed: medication_list::Event = ask(json!({"prescribed": {
        "patient_id": PATIENT, "prescription_id": PRESCRIPTION, "entries": [entry],
    }}));
    let since: medication_list::Event = ask(json!({"added": {
        "patient_id": PATIENT, "entry_id": ENTRY, "source": "external",
        "taken": {"medication_id": WARFARIN, "ingredients": ["11289"]},
    }}));
    let lot = received_with(json!({"medication_id": NAPROXEN}));
    let counter = |list: Vec<medication_list::Event>| {
        let given = given([written.clone(), Event::SentToPharmacy]).and::<Patient>(PATIENT, [registered()]);
        let given = given.owner(LOTS_OF_MEDICATION, NAPROXEN, LOT).and::<MedicationLot>(LOT, [lot.clone()]);
        let given = stocked(given, "major").and::<MedicationList>(list_of(PATIENT), list);
        given.by(somebody("pharmacist"))
    };
    // What stands on the list because of the prescription itself says nothing new.
    let then = counter(vec![prescribed.clone()]).when(dispense_all());
    let Event::Dispensed { alerts, .. } = then.events().remove(0) else { panic!("dispensed") };
    assert_eq!(alerts, []);
    counter(vec![prescribed.clone(), since.clone()]).when(dispense_all()).then_candidates([ENTRY]);
    let command = dispense_item(json!({ "override_reason": REASON }));
    let then = counter(vec![prescribed, since]).when(command);
    let Event::Dispensed { alerts, overrides, .. } = then.events().remove(0) else { panic!("dispensed") };
    assert_eq!((brief(&alerts), overrides.len()), (vec![(Kind::Interaction, Severity::Major)], 1));
    assert_eq!(alerts[0].other, Some(Other::MedicationEntry(ENTRY)));
}

#[test]
fn what_the_prescriber_overrode_is_not_asked_again_and_a_worse_word_is() {
    let known = |severity: &str| {
        let reasoned = |id| with(of(id), json!({ "override_reason": REASON }));
        let then = doctor(severity).when(write_all([reasoned(WARFARIN), reasoned(NAPROXEN)]));
        let Event::Written(written) = then.events().remove(0) else { panic!("written") };
        let entries = then.events_of::<MedicationList>(list_of(PATIENT));
        let id = written.items[0].id;
        (written, entries, id)
    };
    let dispensed = |then: &str, now: &str| {
        let (written, entries, item_id) = known(then);
        let lot = received_with(json!({"medication_id": WARFARIN}));
        let given = given([Event::Written(written), Event::SentToPharmacy]).and::<Patient>(PATIENT, [registered()]);
        let given = given.owner(LOTS_OF_MEDICATION, WARFARIN, LOT).and::<MedicationLot>(LOT, [lot]);
        let entries = entries.into_iter().map(|it| match it {
            medication_list::Event::Prescribed { patient_id, entries, .. } => {
                medication_list::Event::Prescribed { patient_id, prescription_id: PRESCRIPTION, entries }
            }
            other => other,
        });
        let given = stocked(given, now).and::<MedicationList>(list_of(PATIENT), entries);
        given.by(somebody("pharmacist")).when(dispense(json!([{ "item_id": item_id }])))
    };
    assert!(dispensed("major", "major").is_accepted());
    assert!(dispensed("contraindicated", "major").is_accepted());
    assert_eq!(dispensed("major", "contraindicated").code(), Some("needs-override"));
}
