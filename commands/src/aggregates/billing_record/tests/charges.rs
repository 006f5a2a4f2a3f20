use hims_domain::department::Department;
use hims_domain::medication::Medication;
use hims_domain::prescription::{self, Prescription};
use hims_domain::price::{Price, price_id};
use hims_domain::treatment::{self, Treatment};
use hims_domain::user::User;
use hims_domain::values::coding::{CONSULTATION_TYPES, RXNORM};
use hims_domain::{BillingItemId, PrescriptionItemId, TreatmentId, derived};
use hims_testing::{fields, sample_with};
use rust_decimal::dec;

use super::*;
use crate::billing_record::{
    ChargeConsultation, ChargeDispensing, ChargeTreatment, ChargedQuantity, RevokeDispensingCharges,
};
use crate::testing::samples::{
    DEPARTMENT, DOCTOR, MEDICATION, PRESCRIPTION, added_medication, created_with, opened as cardiology,
};

const TREATMENT: TreatmentId = TreatmentId(Uuid::from_u128(0x90));
const ITEM: PrescriptionItemId = PrescriptionItemId(Uuid::from_u128(0x14));
/// The prescription's consultation, and the events that complete it.
const KIND: &str = "standard";

/// The consultation of the doctor in New York, which began on the evening of 22 November there.
fn late_visit() -> [consultation::Event; 1] {
    let started = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "appointment_id": null,
                         "consultation_type": KIND, "started_at": "2026-11-23T03:00:00Z"});
    [sample_with::<Consultation>("started", started)]
}

/// What a charge looks up besides its source.
fn given_places<A: hims_domain::Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created_with(json!({ "department_id": DEPARTMENT }))])
        .and::<Department>(DEPARTMENT, [cardiology()])
}

/// The price of the kind of consultation.
fn listed(price: &str) -> hims_domain::price::Event {
    let version = json!({"effective_from": "2026-01-01", "effective_to": null, "unit_price": price, "tax_rate": 0,
                         "description": "Consultation"});
    sample_with::<Price>("set", json!({"code_system": CONSULTATION_TYPES, "code": KIND, "version": version}))
}

fn charge_consultation() -> ChargeConsultation {
    ChargeConsultation { consultation_id: CONSULTATION }
}

/// The id of the line of the consultation, and of the record that begins with it.
fn ids() -> (BillingItemId, Uuid) {
    let line = derived("charge", &["consultation", &CONSULTATION.to_string(), ""]);
    (line.into(), derived("billing record", &[&line.to_string()]))
}

#[test]
fn a_completed_consultation_begins_a_record_with_its_price_on_the_day_of_the_visit() {
    let (line, record) = ids();
    let price = price_id("standard", CONSULTATION_TYPES, KIND);
    let events = given_places::<Consultation>(late_visit())
        .and::<Price>(price, [listed("120")])
        .when(charge_consultation())
        .events_of::<BillingRecord>(record);
    let opened_on = "2026-11-22".parse().unwrap();
    assert_eq!(
        events[0],
        Event::Opened(Opened {
            patient_id: PATIENT,
            consultation_id: Some(CONSULTATION),
            opened_on,
            currency: Currency::default(),
        })
    );
    match &events[1..] {
        [Event::ItemAdded(it)] => {
            assert_eq!((it.item_id, it.item.service_date), (line, opened_on), "the day in New York");
            assert_eq!(it.charge.amount(), dec!(120));
            assert_eq!(it.item.source_id, Some(CONSULTATION.0.into()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_price_the_line_waits_and_is_never_lost() {
    let events =
        given_places::<Consultation>(late_visit()).when(charge_consultation()).events_of::<BillingRecord>(ids().1);
    let record = fold::<BillingRecord>(&events).unwrap();
    assert_eq!((record.lines.len(), record.lines[0].priced.clone()), (1, None));
}

#[test]
fn what_was_charged_is_not_charged_again() {
    let (line, _) = ids();
    let source = scopes::key(&["consultation", &CONSULTATION.to_string(), ""]);
    for (scope, key) in [(scopes::BILLING_PART, line.to_string()), (scopes::BILLING_SOURCE, source)] {
        given_places::<Consultation>(late_visit()).owner(scope, key, BILL).when(charge_consultation()).then_nothing();
    }
}

#[test]
fn a_line_joins_the_record_of_the_consultation_that_has_no_invoice() {
    let known = History::new().then(add("10", json!({})));
    let events = given_places::<Consultation>(late_visit())
        .owner(scopes::PENDING_BILLING, CONSULTATION, BILL)
        .and::<BillingRecord>(BILL, known.0.clone())
        .when(charge_consultation())
        .events_of::<BillingRecord>(BILL);
    match &events[..] {
        [Event::ItemAdded(it)] => assert_eq!((it.line_number, it.after.total_amount), (2, dec!(10.00))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_treatment_is_charged_by_its_code_or_else_by_its_kind() {
    for (is_coded, code) in [(true, "34431008"), (false, "therapy")] {
        let mut order = json!({"patient_id": PATIENT, "order": {"consultation_id": CONSULTATION}});
        if !is_coded {
            order["order"]["code"] = Value::Null;
            order["order"]["code_system"] = Value::Null;
        }
        let planned = sample_with::<Treatment>("planned", order);
        let done = given_places::<Treatment>([planned, treatment::Event::Completed { outcome: None }])
            .and::<Consultation>(CONSULTATION, late_visit())
            .when(ChargeTreatment { treatment_id: TREATMENT, completed_at: at("2026-11-24T15:00:00Z") });
        let line = derived("charge", &["treatment", &TREATMENT.to_string(), ""]);
        let events = done.events_of::<BillingRecord>(derived("billing record", &[&line.to_string()]));
        match &events[1] {
            Event::ItemAdded(it) => assert_eq!(it.item.code.as_str(), code),
            other => panic!("{other:?}"),
        }
    }
}

/// The prescription of 10 tablets of metformin, dispensed in part from a lot.
fn dispensed(quantity: &str) -> Vec<prescription::Event> {
    let item = fields::<Prescription>("written")["items"][0].clone();
    let order = json!({"medication_id": MEDICATION, "quantity": "10"});
    let item = hims_testing::patched(item, json!({"id": ITEM, "order": order}));
    let written = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "consultation_id": null, "items": [item]});
    let given = json!({
        "item_id": ITEM, "lot_id": id::<Uuid>(0xd), "quantity": quantity, "dispensed_after": quantity,
        "dispensed_on": "2026-11-23",
    });
    let given = json!({"dispensed": [given], "overrides": [], "completes": false});
    vec![sample_with::<Prescription>("written", written), sample_with::<Prescription>("dispensed", given)]
}

fn given_prescription(quantity: &str) -> Given<Prescription> {
    given_places::<Prescription>(dispensed(quantity)).and::<Medication>(MEDICATION, [added_medication()])
}

fn of_item(quantity: Decimal) -> Vec<ChargedQuantity> {
    vec![ChargedQuantity { item_id: ITEM, quantity }]
}

/// The record with the charge for a dispensing of 6 tablets.
fn charged() -> (Uuid, Vec<Event>) {
    let charge = ChargeDispensing {
        prescription_id: PRESCRIPTION,
        occasion: "71".into(),
        dispensed: of_item(dec!(6)),
        dispensed_at: at("2026-11-23T15:00:00Z"),
    };
    let line = derived("charge", &["dispensing", &ITEM.to_string(), "71"]);
    let record = derived("billing record", &[&line.to_string()]);
    (record, given_prescription("6").when(charge).events_of::<BillingRecord>(record))
}

#[test]
fn what_was_dispensed_without_a_consultation_is_charged_on_the_record_of_the_day() {
    let (_, events) = charged();
    let record = fold::<BillingRecord>(&events).unwrap();
    assert_eq!((record.consultation_id, record.opened_on.to_string().as_str()), (None, "2026-11-23"));
    let item = &record.lines[0].item;
    assert_eq!((item.code_system.as_str(), item.code.as_str(), item.quantity), (RXNORM, "861007", dec!(6)));
}

/// What revoking the charges makes of the record, with this quantity left of the 6 tablets.
fn revoked(events: &[Event], left: Decimal) -> crate::testing::Then<Prescription> {
    let (record, _) = charged();
    let key = scopes::key(&["dispensing", &ITEM.to_string()]);
    given_prescription("6")
        .owner(scopes::CHARGED_SOURCE, key, record)
        .and::<BillingRecord>(record, events.to_vec())
        .when(RevokeDispensingCharges { prescription_id: PRESCRIPTION, left: of_item(left) })
}

#[test]
fn what_was_taken_back_is_charged_no_more() {
    let (id, events) = charged();
    match &revoked(&events, dec!(2)).events_of::<BillingRecord>(id)[..] {
        [Event::ItemChanged(it)] => assert_eq!(it.item.quantity, dec!(2)),
        other => panic!("{other:?}"),
    }
    match &revoked(&events, dec!(0)).events_of::<BillingRecord>(id)[..] {
        [Event::ItemRemoved { .. }] => {}
        other => panic!("{other:?}"),
    }
    revoked(&events, dec!(6)).then_nothing();
}

#[test]
fn what_is_in_an_invoice_must_be_adjusted_by_a_person() {
    let (_, events) = charged();
    let line = fold::<BillingRecord>(&events).unwrap().lines[0].id;
    let price = json!({"billing_record_id": BILL, "item_id": line, "unit_price": "1"});
    let billed = History(events).then(ask::<ChangeBillingItem>(price)).then(issue());
    revoked(&billed.0, dec!(0)).then_refused(Refusal::ChargedAlready);
}
