use super::*;

/// Takes back everything, or the given items.
#[expect(clippy::needless_pass_by_value, reason = "tests read better without ampersands")]
fn reverse(items: Value) -> ReverseDispensing {
    ask(json!({"prescription_id": PRESCRIPTION, "items": items, "reason": "not fetched"}))
}

fn reverse_all() -> ReverseDispensing {
    reverse(json!(null))
}

fn reverse_item(changes: Value) -> ReverseDispensing {
    reverse(json!([with(json!({"item_id": ITEM}), changes)]))
}

fn back(lot_id: MedicationLotId, quantity: Decimal, quantity_dispensed: Decimal) -> Reversed {
    Reversed { item_id: ITEM, lot_id: Some(lot_id), quantity, quantity_dispensed }
}

fn reversed(reversed: impl IntoIterator<Item = Reversed>, status: Status) -> Event {
    Event::DispensingReversed { reversed: reversed.into_iter().collect(), status, reason: said("not fetched") }
}

/// The event by which a lot of twenty records that a quantity was dispensed.
fn taken_of_20(quantity: Decimal) -> medication_lot::Event {
    taken(ITEM, quantity, dec!(20) - quantity)
}

/// The event by which a lot records that a quantity was put back.
fn put_back(quantity: Decimal, on_hand_after: Decimal) -> medication_lot::Event {
    let (prescription_id, item_id) = (PRESCRIPTION, ITEM);
    medication_lot::Event::DispensingReversed { prescription_id, item_id, quantity, on_hand_after }
}

/// A prescription of ten tablets of which some were dispensed from one lot, and then the rest from another.
fn given_from_two_lots() -> Given<Prescription> {
    let dispensings =
        [dispensed([from_lot(ITEM, LOT, dec!(4))], false), dispensed([the_rest(ITEM, LATER_LOT, dec!(6))], true)];
    given(ready(json!({})).into_iter().chain(dispensings))
        .and::<MedicationLot>(LOT, [received(), taken_of_20(dec!(4))])
        .and::<MedicationLot>(LATER_LOT, [received(), taken_of_20(dec!(6))])
}

#[test]
fn everything_goes_back_into_the_lots_it_came_from() {
    given_from_two_lots()
        .when(reverse_all())
        .then([reversed([back(LATER_LOT, dec!(6), dec!(0)), back(LOT, dec!(4), dec!(0))], Status::SentToPharmacy)])
        .then_also::<MedicationLot>(LOT, [put_back(dec!(4), dec!(20))])
        .then_also::<MedicationLot>(LATER_LOT, [put_back(dec!(6), dec!(20))])
        .then_claims([]);
}

#[test]
fn what_was_dispensed_last_goes_back_first() {
    given_from_two_lots()
        .when(reverse_item(json!({"quantity": "7"})))
        .then([reversed([back(LATER_LOT, dec!(6), dec!(3)), back(LOT, dec!(1), dec!(3))], Status::SentToPharmacy)])
        .then_also::<MedicationLot>(LOT, [put_back(dec!(1), dec!(17))])
        .then_also::<MedicationLot>(LATER_LOT, [put_back(dec!(6), dec!(20))]);
}

#[test]
fn a_named_lot_gets_back_what_was_taken_from_it() {
    given_from_two_lots()
        .when(reverse_item(json!({"lot_id": LOT})))
        .then([reversed([back(LOT, dec!(4), dec!(6))], Status::SentToPharmacy)])
        .then_also::<MedicationLot>(LATER_LOT, []);
    given_from_two_lots()
        .when(reverse_item(json!({"lot_id": LOT, "quantity": "4.001"})))
        .then_field("too-much", "/items/0/quantity");
}

#[test]
fn no_more_is_taken_back_than_was_dispensed() {
    let twice = || reverse(json!([{"item_id": ITEM, "quantity": "6"}, {"item_id": ITEM, "quantity": "5"}]));
    given_from_two_lots().when(twice()).then_field("too-much", "/items/1/quantity");
    for quantity in ["0", "-1", "0.0001"] {
        given_from_two_lots()
            .when(reverse_item(json!({ "quantity": quantity })))
            .then_field("out-of-range", "/items/0/quantity");
    }
    given_from_two_lots().when(reverse(json!([]))).then_field("no-items", "/items");
    given_from_two_lots()
        .when(reverse_item(json!({"item_id": OTHER_ITEM})))
        .then_field("no-such-item", "/items/0/item_id");
}

#[test]
fn what_was_taken_back_is_not_taken_back_again() {
    let history =
        |then: Event| ready(json!({})).into_iter().chain([dispensed([from_lot(ITEM, LOT, dec!(10))], true), then]);
    let lot = || [received(), taken_of_20(dec!(10)), put_back(dec!(10), dec!(20))];
    given(history(reversed([back(LOT, dec!(10), dec!(0))], Status::SentToPharmacy)))
        .and::<MedicationLot>(LOT, lot())
        .when(reverse_all())
        .then_refused(Refusal::NothingDispensed);
    // What was put back can be dispensed again.
    let again = history(reversed([back(LOT, dec!(10), dec!(0))], Status::SentToPharmacy));
    with_lots(at_the_counter(again), [(LOT, lot().to_vec())])
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(10))], true)]);
    given(history(reversed([back(LOT, dec!(3), dec!(7))], Status::SentToPharmacy)))
        .and::<MedicationLot>(LOT, [received(), taken_of_20(dec!(10)), put_back(dec!(3), dec!(13))])
        .when(reverse_all())
        .then([reversed([back(LOT, dec!(7), dec!(0))], Status::SentToPharmacy)])
        .then_also::<MedicationLot>(LOT, [put_back(dec!(7), dec!(20))]);
    given(ready(json!({}))).when(reverse_all()).then_refused(Refusal::NothingDispensed);
}

#[test]
fn what_another_pharmacy_dispensed_changes_no_stock() {
    let elsewhere = || Reversed { item_id: ITEM, lot_id: None, quantity: dec!(10), quantity_dispensed: dec!(0) };
    for (sent, status) in [(vec![], Status::Pending), (vec![Event::SentToPharmacy], Status::SentToPharmacy)] {
        let events = [vec![written()], sent, vec![dispensed_elsewhere(dec!(10))]].concat();
        // A draft that was never sent does not become visible to the pharmacy.
        given(events).when(reverse_all()).then([reversed([elsewhere()], status)]).then_nothing_else();
    }
}

#[test]
fn a_part_of_a_cancelled_prescription_goes_back_and_the_prescription_stays_cancelled() {
    let partly = [dispensed([from_lot(ITEM, LOT, dec!(4))], false), cancelled()];
    given(ready(json!({})).into_iter().chain(partly))
        .and::<MedicationLot>(LOT, [received(), taken_of_20(dec!(4))])
        .when(reverse_all())
        .then([reversed([back(LOT, dec!(4), dec!(0))], Status::Cancelled)])
        .then_also::<MedicationLot>(LOT, [put_back(dec!(4), dec!(20))]);
}

#[test]
fn a_recalled_lot_gets_its_own_back_and_stays_recalled() {
    let recalled = medication_lot::Event::Recalled { reason: "a letter of the maker".into() };
    let lot = [received(), taken_of_20(dec!(20)), recalled, put_back(dec!(20), dec!(20))];
    let state = hims_domain::fold::<MedicationLot>(&lot).unwrap();
    assert_eq!((state.quantity_on_hand, state.status), (dec!(20), medication_lot::Status::Recalled));
    let empty = [received(), taken_of_20(dec!(20)), put_back(dec!(1), dec!(1))];
    let state = hims_domain::fold::<MedicationLot>(&empty).unwrap();
    assert_eq!((state.quantity_on_hand, state.status), (dec!(1), medication_lot::Status::Available));
}

#[test]
fn only_what_is_ready_becomes_not_ready() {
    let undo = UndoPrescriptionReady { prescription_id: PRESCRIPTION, reason: said("a box is missing") };
    let undone = Event::ReadyUndone { reason: said("a box is missing") };
    goes(&undo, &[Status::Ready], Status::SentToPharmacy, &undone);
}

#[test]
fn what_a_patient_brought_back_is_not_taken_back_again() {
    let given_out = ready(json!({})).into_iter().chain([dispensed([from_lot(ITEM, LOT, dec!(10))], true)]);
    let came_back = medication_lot::Event::Returned {
        to: hims_domain::medication_lot::ReturnTo::Stock,
        change: dec!(4),
        on_hand_after: dec!(14),
        supplier_id: None,
        prescription_id: Some(PRESCRIPTION),
        performed_by: None,
    };
    let given = || {
        let lot = vec![received(), taken(ITEM, dec!(10), dec!(10)), came_back.clone()];
        with_lots(at_the_counter(given_out.clone()), [(LOT, lot)])
    };
    given().when(reverse_all()).then_refused(Refusal::CameBack);
    given().when(reverse_item(json!({"quantity": "6.001"}))).then_refused(Refusal::CameBack);
    assert!(given().when(reverse_item(json!({"quantity": "6"}))).is_accepted());
}
