//! Allergies of the patient to what is prescribed and dispensed.

use hims_domain::alert::{Alert, Kind, Other, Severity as Weight};
use hims_domain::patient::{self, Allergy, Severity};
use hims_domain::prescription::Override;
use hims_domain::{AllergyId, values::OverrideReason};

use super::*;

const ALLERGY: AllergyId = AllergyId(Uuid::from_u128(40));
const LATER_ALLERGY: AllergyId = AllergyId(Uuid::from_u128(41));
const REASON: &str = "no other drug helps";

/// An allergy to metformin becomes known.
fn known(allergy_id: AllergyId, changes: Value) -> patient::Event {
    let allergy: Allergy = ask(with(json!({"allergen_type": "drug", "allergen_name": "METFORMIN"}), changes));
    patient::Event::AllergyRecorded { allergy_id, allergy }
}

fn retired(allergy_id: AllergyId) -> patient::Event {
    patient::Event::AllergyRetired { allergy_id, reason: said("tested") }
}

fn reason(text: &str) -> Personal<OverrideReason> {
    Personal::Known(text.into())
}

/// An allergy that speaks against the only item, and that somebody overrode.
fn overridden(item_id: PrescriptionItemId, allergy_id: AllergyId, severity: Option<Severity>) -> Alert {
    let is_dangerous = severity > Some(Severity::Moderate);
    Alert {
        item_id: Some(item_id),
        kind: Kind::Allergy,
        severity: if is_dangerous { Weight::Contraindicated } else { Weight::Major },
        other: Some(Other::Allergy(allergy_id)),
        ingredient: None,
        other_ingredient: None,
        allergy_severity: severity,
        source: None,
        source_version: None,
        is_overridden: true,
    }
}

/// The alerts about allergies among all alerts.
fn of_allergies(alerts: &[Alert]) -> Vec<Alert> {
    alerts.iter().filter(|it| it.kind == Kind::Allergy).cloned().collect()
}

/// The errors about allergies, which are answered beside what could not be compared: each with its place.
#[track_caller]
fn asked_about(then: Then<Prescription>) -> Vec<String> {
    let refused = then.into_refused();
    assert_eq!(refused.code, "needs-override", "{refused:?}");
    let of_allergies = refused.errors.into_iter().filter(|it| it.code == Some("allergy"));
    of_allergies.map(|it| it.pointer).collect()
}

/// A doctor writes for Ann, who has allergies.
fn with_allergies(events: impl IntoIterator<Item = patient::Event>) -> Given<Prescription> {
    let events: Vec<_> = [registered()].into_iter().chain(events).collect();
    given_prescription([]).by(somebody("doctor")).and::<Patient>(PATIENT, events)
}

/// A prescription of which the prescriber overrode the first allergy, with Ann's allergies of today.
fn overridden_before(events: impl IntoIterator<Item = patient::Event>) -> Given<Prescription> {
    let mut written = written();
    let Event::Written(it) = &mut written else { panic!("written") };
    it.alerts.push(overridden(ITEM, ALLERGY, Some(Severity::Moderate)));
    it.items[0].order.override_reason = Some(reason(REASON));
    let events: Vec<_> = [registered()].into_iter().chain(events).collect();
    let given = at_the_counter([written, Event::SentToPharmacy]).and::<Patient>(PATIENT, events);
    with_lots(given, [(LOT, vec![received()])]).by(somebody("pharmacist"))
}

#[test]
fn an_item_against_an_allergy_needs_a_reason() {
    let allergic = || with_allergies([known(ALLERGY, json!({}))]);
    assert_eq!(asked_about(allergic().when(write(json!({})))), ["/items/0"]);
    allergic().when(write(json!({}))).then_candidates([ALLERGY]);
    allergic()
        .when(write_order(json!({"override_reason": "because"})))
        .then_field("invalid-fields", "/items/0/override_reason");
    let then = allergic().when(write_order(json!({ "override_reason": REASON })));
    let Event::Written(written) = then.then_event() else { panic!("written") };
    assert_eq!(of_allergies(&written.alerts), [overridden(written.items[0].id, ALLERGY, None)]);
    assert_eq!(written.items[0].order.override_reason, Some(reason(REASON)));
}

#[test]
fn each_allergy_against_each_item_is_an_alert() {
    let by_name = known(ALLERGY, json!({}));
    let by_concept = known(LATER_ALLERGY, json!({"allergen_name": "biguanides", "rxnorm_code": "861007"}));
    let then = with_allergies([by_name, by_concept]).when(write(json!({"items": [order(), order()]})));
    assert_eq!(asked_about(then), ["/items/0", "/items/0", "/items/1", "/items/1"]);
}

#[test]
fn only_active_allergies_to_the_drug_speak_against_it() {
    for events in [
        vec![known(ALLERGY, json!({"allergen_name": "penicillin"}))],
        vec![known(ALLERGY, json!({"allergen_type": "food"}))],
        vec![known(ALLERGY, json!({})), retired(ALLERGY)],
    ] {
        assert!(with_allergies(events).when(write(json!({}))).is_accepted());
    }
}

#[test]
fn an_alert_names_the_product_and_never_the_allergen() {
    let in_words = known(ALLERGY, json!({"allergen_name": "terrible metformin reaction", "rxnorm_code": "861007"}));
    let then = with_allergies([in_words]).when(write(json!({})));
    let refused = then.into_refused();
    let messages: Vec<_> = refused.errors.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Metformin 500 mg has no ingredients in the catalogue, so it could not be compared",
            "the patient has a recorded allergy to Metformin 500 mg; choose another, or give override_reason",
            "no source of drug interactions is loaded, so interactions could not be compared; have one imported",
        ]
    );
}

#[test]
fn an_import_is_not_asked_for_a_reason() {
    let events = [registered(), known(ALLERGY, json!({}))];
    let then = given_prescription([]).and::<Patient>(PATIENT, events).when(write(json!({})));
    let Event::Written(written) = then.then_event() else { panic!("written") };
    assert_eq!(written.alerts, []);
}

#[test]
fn what_the_prescriber_overrode_needs_no_other_reason() {
    assert!(overridden_before([known(ALLERGY, json!({}))]).when(dispense_all()).is_accepted());
}

#[test]
fn an_allergy_that_was_recorded_since_needs_a_reason_of_the_pharmacy() {
    let later =
        || overridden_before([known(ALLERGY, json!({})), known(LATER_ALLERGY, json!({"rxnorm_code": "861007"}))]);
    assert_eq!(asked_about(later().when(dispense_all())), ["/override_reason"]);
    later().when(dispense_all()).then_candidates([LATER_ALLERGY]);
    assert_eq!(asked_about(later().when(dispense_item(json!({})))), ["/items/0"]);
    let of_all = ask::<DispensePrescription>(json!({"prescription_id": PRESCRIPTION, "override_reason": REASON}));
    for command in [of_all, dispense_item(json!({ "override_reason": REASON }))] {
        let Event::Dispensed { alerts, overrides, .. } = later().when(command).then_event() else {
            panic!("dispensed")
        };
        assert_eq!(of_allergies(&alerts), [overridden(ITEM, LATER_ALLERGY, None)]);
        assert_eq!(overrides, [Override { item_id: ITEM, reason: reason(REASON) }]);
    }
}

#[test]
fn the_pharmacy_gives_its_reason_once() {
    let allergic = [registered(), known(ALLERGY, json!({}))];
    let first = Event::Dispensed {
        patient_id: PATIENT,
        dispensed: vec![from_lot(ITEM, LOT, dec!(4))],
        alerts: vec![overridden(ITEM, ALLERGY, None)],
        overrides: vec![Override { item_id: ITEM, reason: reason(REASON) }],
        completes: false,
        reserved: Vec::new(),
    };
    let given = at_the_counter([written(), Event::SentToPharmacy, first]).and::<Patient>(PATIENT, allergic);
    let then = with_lots(given, [(LOT, vec![received()])]).by(somebody("pharmacist")).when(dispense_all());
    let Event::Dispensed { dispensed, alerts, overrides, .. } = then.then_event() else { panic!("dispensed") };
    assert_eq!(dispensed, [the_rest(ITEM, LOT, dec!(6))]);
    assert_eq!((of_allergies(&alerts), overrides), (vec![], vec![]));
}

#[test]
fn only_what_is_dispensed_needs_a_reason() {
    let two = written_with([(ITEM, order()), (OTHER_ITEM, with(order(), json!({"medication_id": OTHER_MEDICATION})))]);
    let product: medication::Event = medication::Event::Added(ask(json!({"name": "Codeine"})));
    let codeine = known(ALLERGY, json!({"allergen_name": "codeine"}));
    let given = at_the_counter([two, Event::SentToPharmacy])
        .and::<Medication>(OTHER_MEDICATION, [product])
        .and::<Patient>(PATIENT, [registered(), codeine]);
    let given = with_lots(given, [(LOT, vec![received()])]).by(somebody("pharmacist"));
    assert!(given.when(dispense_item(json!({}))).is_accepted());
}

#[test]
fn an_allergy_that_has_become_more_severe_is_asked_about_again() {
    let now = |severity| overridden_before([known(ALLERGY, json!({ "severity": severity }))]);
    for severity in [json!("severe"), json!("life_threatening")] {
        assert_eq!(asked_about(now(severity).when(dispense_all())), ["/override_reason"]);
    }
    for severity in [json!("moderate"), json!("mild"), json!(null)] {
        assert!(now(severity.clone()).when(dispense_all()).is_accepted(), "{severity}");
    }
    let again = dispense_item(json!({"quantity": "4", "override_reason": REASON}));
    let then = now(json!("severe")).when(again);
    let [Event::Dispensed { alerts, .. }] = &then.events()[..] else { panic!("dispensed") };
    assert_eq!(of_allergies(alerts), [overridden(ITEM, ALLERGY, Some(Severity::Severe))]);
}

#[test]
fn another_pharmacy_looks_at_allergies_as_well() {
    let elsewhere =
        |changes: Value| -> RecordExternalDispensing { ask(with(json!({"prescription_id": PRESCRIPTION}), changes)) };
    let later =
        || overridden_before([known(ALLERGY, json!({})), known(LATER_ALLERGY, json!({}))]).by(somebody("pharmacist"));
    assert_eq!(asked_about(later().when(elsewhere(json!({})))), ["/override_reason"]);
    later().when(elsewhere(json!({}))).then_candidates([LATER_ALLERGY]);
    later().when(elsewhere(json!({"override_reason": ".........."}))).then_field("invalid-fields", "/override_reason");
    let then = later().when(elsewhere(json!({ "override_reason": REASON })));
    let Event::Dispensed { alerts, overrides, completes: true, .. } = then.then_event() else { panic!("dispensed") };
    assert_eq!(of_allergies(&alerts), [overridden(ITEM, LATER_ALLERGY, None)]);
    assert_eq!(overrides, [Override { item_id: ITEM, reason: reason(REASON) }]);
    let imported = overridden_before([known(LATER_ALLERGY, json!({}))]).by(Caller::system("import"));
    assert!(imported.when(elsewhere(json!({}))).is_accepted(), "an import is not asked");
}
