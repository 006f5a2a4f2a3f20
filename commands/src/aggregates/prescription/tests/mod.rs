use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use hims_domain::medication_list::{self, MedicationList, entry_of, list_of};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::prescription::{Reservation, Reversed, Withdrawal};
use hims_domain::user::User;
use hims_domain::{MedicationLotId, PrescriptionItemId, medication};
use hims_testing::sample_with;
use rust_decimal::dec;
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{LOTS_OF_MEDICATION, MEDICATION_ENTRY, PRESCRIPTION_NUMBER};
use crate::testing::samples::{
    CONSULTATION, DOCTOR, LATER_LOT, LOT, MEDICATION, OTHER_MEDICATION, OTHER_PATIENT, PATIENT, PRESCRIPTION,
    added_medication, ask, created, received, received_with, registered, said, with,
};
use crate::testing::world::somebody;
use crate::testing::{ASKING, Given, Then, at, given, now, of, takes};
use crate::{Caller, consultation};

mod against;
mod alerts;
mod compared;
mod dispensing;
mod list;
mod merged;
mod ready;
mod refills;
mod reversing;
mod stock;
mod units;
mod unsent;

const ITEM: PrescriptionItemId = PrescriptionItemId(Uuid::from_u128(20));
const OTHER_ITEM: PrescriptionItemId = PrescriptionItemId(Uuid::from_u128(21));

/// An order of ten tablets of metformin.
fn order() -> Value {
    json!({"medication_id": MEDICATION, "quantity": "10", "quantity_unit": "tablet"})
}

fn write(changes: Value) -> WritePrescription {
    ask(with(json!({"patient_id": PATIENT, "items": [order()]}), changes))
}

fn write_order(changes: Value) -> WritePrescription {
    write(json!({"items": [with(order(), changes)]}))
}

fn written_with(items: impl IntoIterator<Item = (PrescriptionItemId, Value)>) -> Event {
    Event::Written(Written {
        number: PrescriptionNumber::issue(1),
        consultation_id: None,
        patient_id: PATIENT,
        provider_id: DOCTOR,
        priority: Priority::Normal,
        notes: None,
        items: items.into_iter().map(|(id, order)| Item { id, order: ask(order) }).collect(),
        alerts: Vec::new(),
    })
}

fn written() -> Event {
    written_with([(ITEM, order())])
}

/// The events of a prescription that is ready to be fetched, with changes to the order of its only item.
fn ready(changes: Value) -> [Event; 3] {
    [written_with([(ITEM, with(order(), changes))]), Event::SentToPharmacy, marked_ready([])]
}

fn marked_ready(reserved: impl IntoIterator<Item = Reservation>) -> Event {
    Event::MarkedReady { reserved: reserved.into_iter().collect(), collect_by: now() + TimeDelta::days(14) }
}

fn kept(item_id: PrescriptionItemId, lot_id: MedicationLotId, quantity: Decimal) -> Reservation {
    Reservation { item_id, lot_id, quantity }
}

/// The event by which a lot records that a quantity is kept for an item, and what is kept altogether.
fn reserved(item_id: PrescriptionItemId, quantity: Decimal, reserved_after: Decimal) -> medication_lot::Event {
    let (prescription_id, on_hand_after) = (PRESCRIPTION, dec!(20));
    medication_lot::Event::Reserved { prescription_id, item_id, quantity, on_hand_after, reserved_after }
}

/// The event by which a lot of twenty tablets records that a quantity is no longer kept for an item.
fn released(item_id: PrescriptionItemId, quantity: Decimal, reserved_after: Decimal) -> medication_lot::Event {
    let (prescription_id, on_hand_after) = (PRESCRIPTION, dec!(20));
    medication_lot::Event::ReservationReleased { prescription_id, item_id, quantity, on_hand_after, reserved_after }
}

fn today() -> NaiveDate {
    now().date_naive()
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better without ampersands")]
fn dispense(items: Value) -> DispensePrescription {
    ask(json!({"prescription_id": PRESCRIPTION, "items": items}))
}

fn dispense_all() -> DispensePrescription {
    dispense(json!(null))
}

fn dispense_item(changes: Value) -> DispensePrescription {
    dispense(json!([with(json!({"item_id": ITEM}), changes)]))
}

fn from_lot(item_id: PrescriptionItemId, lot_id: MedicationLotId, quantity: Decimal) -> Dispensing {
    Dispensing { item_id, lot_id: Some(lot_id), quantity, dispensed_after: quantity, dispensed_on: today() }
}

/// A quantity from a lot, with which all ten tablets of an item are dispensed.
fn the_rest(item_id: PrescriptionItemId, lot_id: MedicationLotId, quantity: Decimal) -> Dispensing {
    Dispensing { item_id, lot_id: Some(lot_id), quantity, dispensed_after: dec!(10), dispensed_on: today() }
}

fn dispensed(dispensed: impl IntoIterator<Item = Dispensing>, completes: bool) -> Event {
    Event::Dispensed {
        patient_id: PATIENT,
        dispensed: dispensed.into_iter().collect(),
        alerts: Vec::new(),
        overrides: Vec::new(),
        completes,
        reserved: Vec::new(),
    }
}

/// The event by which a lot records that a quantity was dispensed for an item, and what is left.
fn taken(item_id: PrescriptionItemId, quantity: Decimal, on_hand_after: Decimal) -> medication_lot::Event {
    let (prescription_id, reserved_after) = (PRESCRIPTION, Decimal::ZERO);
    medication_lot::Event::Dispensed { prescription_id, item_id, quantity, on_hand_after, reserved_after }
}

fn cancel() -> CancelPrescription {
    CancelPrescription { prescription_id: PRESCRIPTION, reason: said("allergic") }
}

fn cancelled() -> Event {
    Event::Cancelled { reason: said("allergic") }
}

fn send() -> SendPrescriptionToPharmacy {
    SendPrescriptionToPharmacy { prescription_id: PRESCRIPTION }
}

fn mark_ready() -> MarkPrescriptionReady {
    MarkPrescriptionReady { prescription_id: PRESCRIPTION }
}

fn dispense_elsewhere() -> RecordExternalDispensing {
    RecordExternalDispensing { prescription_id: PRESCRIPTION, override_reason: None }
}

fn dispensed_elsewhere(quantity: Decimal) -> Event {
    dispensed(
        [Dispensing { item_id: ITEM, lot_id: None, quantity, dispensed_after: dec!(10), dispensed_on: today() }],
        true,
    )
}

/// The event by which a product has a unit from now on.
fn introduced(unit: &str) -> medication::Event {
    medication::Event::UnitIntroduced { unit: unit.into() }
}

/// The past events of a prescription, in a hospital with Ann, a doctor, a product in use and a product out of use.
fn given_prescription(events: impl IntoIterator<Item = Event>) -> Given<Prescription> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<Medication>(MEDICATION, [added_medication(), introduced("tablet")])
        .and::<Medication>(OTHER_MEDICATION, [added_medication(), medication::Event::Deactivated])
}

/// The past events of a prescription, as the pharmacy meets it: of Ann, and of a product in use.
fn at_the_counter(events: impl IntoIterator<Item = Event>) -> Given<Prescription> {
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<Medication>(MEDICATION, [added_medication(), introduced("tablet")])
}

/// Adds lots of metformin.
fn with_lots<const N: usize>(
    given: Given<Prescription>,
    lots: [(MedicationLotId, Vec<medication_lot::Event>); N],
) -> Given<Prescription> {
    lots.into_iter().fold(given, |given, (id, events)| {
        given.owner(LOTS_OF_MEDICATION, MEDICATION, id).and::<MedicationLot>(id, events)
    })
}

/// A prescription of ten tablets that is ready to be fetched, and one lot with its past events.
fn dispensing_from(lot: impl IntoIterator<Item = medication_lot::Event>) -> Given<Prescription> {
    with_lots(at_the_counter(ready(json!({}))), [(LOT, lot.into_iter().collect())])
}

/// The events that lead a prescription to a status.
fn until(status: Status) -> Vec<Event> {
    match status {
        Status::Pending => vec![written()],
        Status::SentToPharmacy => vec![written(), Event::SentToPharmacy],
        Status::Ready => ready(json!({})).to_vec(),
        Status::Dispensed => vec![written(), dispensed_elsewhere(dec!(10))],
        Status::Cancelled => vec![written(), cancelled()],
    }
}

const EVERY: [Status; 5] =
    [Status::Pending, Status::SentToPharmacy, Status::Ready, Status::Dispensed, Status::Cancelled];

/// Asserts for every status that the command records the event (`from`), records nothing (`to`), or is refused.
fn goes<C: Command<Aggregate = Prescription>>(command: &C, from: &[Status], to: Status, event: &Event) {
    for status in EVERY {
        let then = given(until(status)).when(command.clone());
        if from.contains(&status) {
            then.then([event.clone()]).then_claims([]).then_nothing_else();
        } else if status == to {
            then.then_nothing();
        } else {
            then.then_refused(Refused::wrong_status::<Prescription>(status));
        }
    }
}

#[test]
fn a_prescription_takes_the_number_that_is_issued() {
    let then = given_prescription([]).when(write(json!({"items": [order(), order()]})));
    let [Event::Written(it)] = &then.events()[..] else { panic!("written") };
    assert!(it.number.0.starts_with("RX-"));
    assert_eq!((it.patient_id, it.provider_id, it.priority), (PATIENT, UserId(ASKING), Priority::Normal));
    assert_eq!(it.items.len(), 2);
    assert_ne!(it.items[0].id, it.items[1].id);
    assert_eq!(it.items[0].order, ask(order()));
    let number = it.number.clone();
    let entry = |nth: usize| of(list_of(PATIENT), takes(MEDICATION_ENTRY, entry_of(it.items[nth].id)));
    let entries = [entry(0), entry(1)];
    then.then_claims([takes(PRESCRIPTION_NUMBER, number)].into_iter().chain(entries));
}

#[test]
fn a_prescription_has_1_to_50_items() {
    given_prescription([]).when(write(json!({"items": []}))).then_field("no-items", "/items");
    given_prescription([]).when(write(json!({"items": vec![order(); 51]}))).then_field("no-items", "/items");
    assert!(given_prescription([]).when(write(json!({"items": vec![order(); 50]}))).is_accepted());
}

#[test]
fn what_is_out_of_use_is_not_prescribed() {
    given_prescription([])
        .when(write_order(json!({"medication_id": OTHER_MEDICATION})))
        .then_field("inactive-medication", "/items/0/medication_id");
}

#[test]
fn quantities_and_days_are_plausible() {
    for (field, values) in [
        ("quantity", [json!("0"), json!("-1"), json!("0.0001"), json!("1000001")]),
        ("dose_quantity", [json!("0"), json!("-1"), json!("0.0001"), json!("1000001")]),
        ("duration_days", [json!(0), json!(-1), json!(3651), json!(i32::MAX)]),
    ] {
        for value in values {
            given_prescription([])
                .when(write_order(json!({ field: value })))
                .then_field("out-of-range", &format!("/items/0/{field}"));
        }
    }
    let most = json!({"quantity": "1000000", "dose_quantity": "0.001", "duration_days": 3650});
    assert!(given_prescription([]).when(write_order(most)).is_accepted());
}

#[test]
fn for_whom_by_whom_and_what_must_exist() {
    let nobody = "00000000-0000-0000-0000-00000000dead";
    for field in ["patient_id", "provider_id", "consultation_id"] {
        given_prescription([])
            .when(write(json!({ field: nobody })))
            .then_field("unknown-reference", &format!("/{field}"));
    }
    given_prescription([])
        .when(write_order(json!({"medication_id": nobody})))
        .then_field("unknown-reference", "/items/0/medication_id");
}

#[test]
fn the_consultation_is_of_the_same_patient() {
    let started = |patient_id: PatientId| [sample_with::<Consultation>("started", json!({ "patient_id": patient_id }))];
    let write = || write(json!({"consultation_id": CONSULTATION}));
    let given = |patient| given_prescription([]).and::<Consultation>(CONSULTATION, started(patient));
    assert!(given(PATIENT).when(write()).is_accepted());
    given(OTHER_PATIENT).when(write()).then_refused(consultation::Refusal::NotOfThePatient);
}

#[test]
fn nothing_is_prescribed_in_a_cancelled_consultation() {
    let cancelled =
        [sample_with::<Consultation>("started", json!({})), sample_with::<Consultation>("cancelled", json!({}))];
    given_prescription([])
        .and::<Consultation>(CONSULTATION, cancelled)
        .when(write(json!({"consultation_id": CONSULTATION})))
        .then_refused(consultation::Refusal::CancelledConsultation);
}

#[test]
fn a_part_of_the_system_names_who_prescribes() {
    given_prescription([])
        .by(crate::Caller::system("import"))
        .when(write(json!({})))
        .then_field("who-did-it", "/provider_id");
}

#[test]
fn only_what_is_pending_is_sent() {
    goes(&send(), &[Status::Pending], Status::SentToPharmacy, &Event::SentToPharmacy);
}

#[test]
fn only_what_is_open_is_cancelled() {
    goes(&cancel(), &[Status::Pending, Status::SentToPharmacy, Status::Ready], Status::Cancelled, &cancelled());
}

#[test]
fn only_what_is_open_is_dispensed_elsewhere() {
    let open = [Status::Pending, Status::SentToPharmacy, Status::Ready];
    goes(&dispense_elsewhere(), &open, Status::Dispensed, &dispensed_elsewhere(dec!(10)));
}

#[test]
fn elsewhere_only_what_is_outstanding_is_dispensed() {
    let partly = ready(json!({})).into_iter().chain([dispensed([from_lot(ITEM, LOT, dec!(4))], false)]);
    given(partly).when(dispense_elsewhere()).then([dispensed_elsewhere(dec!(6))]);
}
