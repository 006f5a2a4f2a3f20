//! Lots on the move.

use hims_domain::medication_lot::ReturnTo;
use hims_domain::prescription::{self, Dispensing, Prescription};
use hims_testing::sample_with;

use super::*;
use crate::testing::samples::{LATER_LOT, OTHER_ROOM, PATIENT, PRESCRIPTION, received_with};
use crate::testing::{ISSUED, of};

fn transfer(quantity: &str) -> TransferMedicationLot {
    ask(json!({"medication_lot_id": LOT, "to_location_id": OTHER_ROOM, "quantity": quantity}))
}

fn out(change: Decimal, on_hand_after: Decimal, to_lot_id: MedicationLotId) -> Event {
    let performed_by = Some(UserId(ASKING));
    Event::TransferredOut { change, on_hand_after, to_lot_id, to_location_id: OTHER_ROOM, performed_by }
}

fn key_there() -> String {
    scopes::key(&[&MEDICATION.to_string(), &OTHER_ROOM.to_string(), "L-1"])
}

/// A lot of twenty tablets, and another room.
fn two_rooms(events: impl IntoIterator<Item = Event>) -> Given<MedicationLot> {
    given(events).and::<Room>(OTHER_ROOM, [added_room()])
}

/// Another lot of the same number in the other room.
fn with_there(lot: Event) -> Given<MedicationLot> {
    two_rooms([received()]).owner(LOT_NUMBER, key_there(), LATER_LOT).and::<MedicationLot>(LATER_LOT, [lot])
}

#[test]
fn a_part_of_a_lot_begins_a_lot_at_another_place() {
    let then =
        two_rooms([received_with(json!({"supplier_id": SUPPLIER, "delivery_note": "D-76"}))]).when(transfer("5"));
    let Event::TransferredOut { change, on_hand_after, to_lot_id, .. } = then.events()[0] else { panic!("out") };
    assert_eq!((change, on_hand_after), (dec!(-5), dec!(15)));
    let there = then.events_of::<MedicationLot>(to_lot_id);
    let Event::TransferredIn { receipt, on_hand_after, from_lot_id, from_location_id, .. } = &there[0] else {
        panic!("in")
    };
    assert_eq!((receipt.location_id, receipt.quantity, *on_hand_after), (OTHER_ROOM, dec!(5), dec!(5)));
    assert_eq!((*from_lot_id, *from_location_id), (LOT, ROOM));
    assert_eq!((receipt.supplier_id, &receipt.delivery_note), (Some(SUPPLIER), &None));
    let folded = hims_domain::fold::<MedicationLot>(&there).unwrap();
    assert_eq!(
        (folded.expiry_date, folded.unit.as_str(), folded.quantity_on_hand),
        (receipt.expiry_date, "tablet", dec!(5))
    );
    assert_ne!(to_lot_id.0, ISSUED);
    then.then_claims([
        of(to_lot_id, takes(LOT_NUMBER, key_there())),
        of(to_lot_id, shares(LOTS_OF_MEDICATION, MEDICATION)),
    ]);
}

#[test]
fn a_transfer_meets_the_same_lot_at_its_destination() {
    let there = || received_with(json!({"location_id": OTHER_ROOM, "quantity": "7"}));
    let then = with_there(there()).when(transfer("5")).then([out(dec!(-5), dec!(15), LATER_LOT)]);
    let [Event::TransferredIn { on_hand_after, .. }] = then.events_of::<MedicationLot>(LATER_LOT)[..] else {
        panic!("in")
    };
    assert_eq!(on_hand_after, dec!(12));
    for other in [json!({"expiry_date": "2026-12-30"}), json!({"unit": "capsule"})] {
        let there = received_with(with(json!({"location_id": OTHER_ROOM}), other));
        with_there(there).when(transfer("5")).then_refused(Refusal::OtherLot);
    }
    let full = received_with(json!({"location_id": OTHER_ROOM, "quantity": "999999999"}));
    with_there(full).when(transfer("5")).then_field("out-of-range", "/quantity");
}

#[test]
fn only_what_is_free_and_may_be_dispensed_is_moved() {
    two_rooms([received()]).when(transfer("20.001")).then_field("insufficient-stock", "/quantity");
    two_rooms([received(), reserved(dec!(16))]).when(transfer("5")).then_field("insufficient-stock", "/quantity");
    for held in [quarantined(), recalled()] {
        two_rooms([received(), held]).when(transfer("5")).then_refused(Refusal::NotDispensable);
    }
    let over = at("2027-01-01T00:00:00Z");
    two_rooms([received()]).at(over).when(transfer("5")).then_refused(Refusal::NotDispensable);
    let here = TransferMedicationLot { to_location_id: ROOM, ..transfer("5") };
    two_rooms([received()]).and::<Room>(ROOM, [added_room()]).when(here).then_field("same-place", "/to_location_id");
    given([received()]).when(transfer("5")).then_field("unknown-reference", "/to_location_id");
}

fn give_back(to: &str, quantity: &str, changes: Value) -> ReturnMedicationLot {
    ask(with(json!({"medication_lot_id": LOT, "to": to, "quantity": quantity}), changes))
}

fn returned(to: ReturnTo, change: Decimal, on_hand_after: Decimal, prescription_id: Option<PrescriptionId>) -> Event {
    let (supplier_id, performed_by) = (None, Some(UserId(ASKING)));
    Event::Returned { to, change, on_hand_after, supplier_id, prescription_id, performed_by }
}

#[test]
fn whatever_may_not_be_dispensed_goes_back_to_the_supplier_only() {
    let back = || returned(ReturnTo::Supplier, dec!(-20), dec!(0), None);
    for before in [vec![received()], vec![received(), quarantined()], vec![received(), recalled()]] {
        given(before).when(give_back("supplier", "20", json!({}))).then([back()]);
    }
    let named = received_with(json!({"supplier_id": SUPPLIER}));
    let performed_by = Some(UserId(ASKING));
    given([named]).when(give_back("supplier", "20", json!({}))).then([Event::Returned {
        to: ReturnTo::Supplier,
        change: dec!(-20),
        on_hand_after: dec!(0),
        supplier_id: Some(SUPPLIER),
        prescription_id: None,
        performed_by,
    }]);
    given([received(), reserved(dec!(1))])
        .when(give_back("supplier", "20", json!({})))
        .then_field("insufficient-stock", "/quantity");
    for held in [quarantined(), recalled()] {
        given([received(), held]).when(give_back("stock", "1", json!({}))).then_refused(Refusal::NotDispensable);
    }
    given([received()]).when(give_back("stock", "1", json!({}))).then([returned(
        ReturnTo::Stock,
        dec!(1),
        dec!(21),
        None,
    )]);
}

#[test]
fn no_more_comes_back_from_a_patient_than_was_dispensed() {
    let part = Dispensing {
        item_id: id(0x14),
        lot_id: Some(LOT),
        quantity: dec!(4),
        dispensed_after: dec!(4),
        dispensed_on: now().date_naive(),
    };
    let given_out = prescription::Event::Dispensed {
        patient_id: PATIENT,
        dispensed: vec![part],
        alerts: Vec::new(),
        overrides: Vec::new(),
        completes: false,
        reserved: Vec::new(),
    };
    let written = || sample_with::<Prescription>("written", json!({"patient_id": PATIENT}));
    let of_patient = || json!({"prescription_id": PRESCRIPTION});
    let lot = |more: Vec<Event>| {
        let events = [received(), dispensed(dec!(4))].into_iter().chain(more);
        given(events).and::<Prescription>(PRESCRIPTION, [written(), given_out.clone()])
    };
    let back = |change, on_hand_after| returned(ReturnTo::Stock, change, on_hand_after, Some(PRESCRIPTION));
    lot(Vec::new()).when(give_back("stock", "3", of_patient())).then([back(dec!(3), dec!(19))]);
    let again = lot(vec![back(dec!(3), dec!(19))]).when(give_back("stock", "2", of_patient()));
    again.then_refused(Refusal::NotGiven { given: dec!(1), unit: "tablet".into() });
    lot(Vec::new()).when(give_back("supplier", "1", of_patient())).then_field("not-to-supplier", "/prescription_id");
    given([received()]).when(give_back("stock", "1", of_patient())).then_field("unknown-reference", "/prescription_id");
}
