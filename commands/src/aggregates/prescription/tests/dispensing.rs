use super::*;

#[test]
fn dispensing_takes_everything_from_stock() {
    dispensing_from([received()])
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LOT, [taken(ITEM, dec!(10), dec!(10))])
        .then_claims([]);
}

#[test]
fn what_was_sent_need_not_be_ready() {
    let given = at_the_counter([written(), Event::SentToPharmacy]);
    assert!(with_lots(given, [(LOT, vec![received()])]).when(dispense_all()).is_accepted());
}

#[test]
fn only_what_the_pharmacy_has_is_dispensed() {
    for status in [Status::Pending, Status::Dispensed, Status::Cancelled] {
        with_lots(at_the_counter(until(status)), [(LOT, vec![received()])])
            .when(dispense_all())
            .then_refused(Refused::wrong_status::<Prescription>(status));
    }
}

#[test]
fn what_expires_first_is_given_first() {
    let few = json!({"quantity": "4", "expiry_date": "2026-12-01"});
    with_lots(at_the_counter(ready(json!({}))), [(LATER_LOT, vec![received()]), (LOT, vec![received_with(few)])])
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(4)), the_rest(ITEM, LATER_LOT, dec!(6))], true)])
        .then_also::<MedicationLot>(LOT, [taken(ITEM, dec!(4), dec!(0))])
        .then_also::<MedicationLot>(LATER_LOT, [taken(ITEM, dec!(6), dec!(14))]);
}

#[test]
fn of_two_lots_that_expire_together_the_older_id_goes_first() {
    with_lots(at_the_counter(ready(json!({}))), [(LATER_LOT, vec![received()]), (LOT, vec![received()])])
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LATER_LOT, []);
}

#[test]
fn a_named_lot_is_taken_though_another_expires_first() {
    let soon = received_with(json!({"expiry_date": "2026-12-01"}));
    with_lots(at_the_counter(ready(json!({}))), [(LOT, vec![soon]), (LATER_LOT, vec![received()])])
        .when(dispense_item(json!({"lot_id": LATER_LOT})))
        .then([dispensed([from_lot(ITEM, LATER_LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LOT, []);
}

#[test]
fn a_named_lot_is_not_filled_up_from_another() {
    let few = received_with(json!({"quantity": "4"}));
    with_lots(at_the_counter(ready(json!({}))), [(LOT, vec![few]), (LATER_LOT, vec![received()])])
        .when(dispense_item(json!({"lot_id": LOT})))
        .then_field("insufficient-stock", "/items/0");
}

#[test]
fn a_named_lot_is_one_of_the_medication() {
    dispensing_from([received()])
        .when(dispense_item(json!({"lot_id": LATER_LOT})))
        .then_field("no-such-lot", "/items/0/lot_id");
}

#[test]
fn a_part_leaves_the_rest_outstanding() {
    dispensing_from([received()])
        .when(dispense_item(json!({"quantity": "4"})))
        .then([dispensed([from_lot(ITEM, LOT, dec!(4))], false)]);
    let rest = ready(json!({})).into_iter().chain([dispensed([from_lot(ITEM, LOT, dec!(4))], false)]);
    with_lots(at_the_counter(rest), [(LOT, vec![received(), taken(ITEM, dec!(4), dec!(16))])])
        .when(dispense_all())
        .then([dispensed([the_rest(ITEM, LOT, dec!(6))], true)]);
}

#[test]
fn no_more_than_is_outstanding_is_given() {
    let more = || dispense_item(json!({"quantity": "10.001"}));
    dispensing_from([received()]).when(more()).then_field("too-much", "/items/0/quantity");
    let more = "only 10 of the item are outstanding";
    dispensing_from([received()]).when(dispense_item(json!({"quantity": "11"}))).then_error("/items/0/quantity", more);
    let in_two_parts = dispense(json!([{"item_id": ITEM, "quantity": "6"}, {"item_id": ITEM, "quantity": "6"}]));
    dispensing_from([received()])
        .when(in_two_parts)
        .then_error("/items/1/quantity", "only 4 of the item are outstanding");
}

#[test]
fn an_empty_list_of_items_gives_out_nothing() {
    dispensing_from([received()]).when(dispense(json!([]))).then_field("no-items", "/items");
}

#[test]
fn more_than_nothing_is_given() {
    for quantity in ["0", "-1", "0.0001"] {
        dispensing_from([received()])
            .when(dispense_item(json!({ "quantity": quantity })))
            .then_field("out-of-range", "/items/0/quantity");
    }
}

#[test]
fn one_item_may_come_from_two_named_lots() {
    let command = dispense(json!([
        {"item_id": ITEM, "quantity": "4", "lot_id": LOT}, {"item_id": ITEM, "lot_id": LATER_LOT},
    ]));
    with_lots(at_the_counter(ready(json!({}))), [(LOT, vec![received()]), (LATER_LOT, vec![received()])])
        .when(command)
        .then([dispensed([from_lot(ITEM, LOT, dec!(4)), the_rest(ITEM, LATER_LOT, dec!(6))], true)]);
}

#[test]
fn an_item_that_was_given_out_is_not_given_again() {
    let twice = dispense(json!([{"item_id": ITEM}, {"item_id": ITEM}]));
    dispensing_from([received()]).when(twice).then_field("nothing-outstanding", "/items/1");
}

#[test]
fn only_what_was_ordered_is_given() {
    dispensing_from([received()])
        .when(dispense(json!([{"item_id": OTHER_ITEM}])))
        .then_field("no-such-item", "/items/0/item_id");
}

#[test]
fn two_items_share_what_is_in_stock() {
    let both = [written_with([(ITEM, order()), (OTHER_ITEM, order())]), Event::SentToPharmacy];
    with_lots(at_the_counter(both.clone()), [(LOT, vec![received()])])
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(10)), from_lot(OTHER_ITEM, LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LOT, [taken(ITEM, dec!(10), dec!(10)), taken(OTHER_ITEM, dec!(10), dec!(0))]);
    with_lots(at_the_counter(both), [(LOT, vec![received_with(json!({"quantity": "19"}))])])
        .when(dispense_all())
        .then_field("insufficient-stock", "/prescription_id");
}

#[test]
fn nothing_is_given_when_there_is_too_little() {
    dispensing_from([received_with(json!({"quantity": "9.999"}))])
        .when(dispense_all())
        .then_field("insufficient-stock", "/prescription_id");
    at_the_counter(ready(json!({}))).when(dispense_all()).then_field("insufficient-stock", "/prescription_id");
}

#[test]
fn what_must_not_be_dispensed_is_passed_over_and_refused_by_name() {
    use medication_lot::Event::{Quarantined, Recalled};
    for lot in [
        vec![received_with(json!({"expiry_date": "2026-11-22"}))],
        vec![received(), Quarantined { reason: "warm".into() }],
        vec![received(), Recalled { reason: "impure".into() }],
        vec![received(), taken(ITEM, dec!(20), dec!(0))],
    ] {
        let with_another =
            || with_lots(at_the_counter(ready(json!({}))), [(LOT, lot.clone()), (LATER_LOT, vec![received()])]);
        with_another().when(dispense_all()).then([dispensed([from_lot(ITEM, LATER_LOT, dec!(10))], true)]);
        with_another().when(dispense_item(json!({"lot_id": LOT}))).then_field("lot-not-dispensable", "/items/0/lot_id");
        dispensing_from(lot).when(dispense_all()).then_field("insufficient-stock", "/prescription_id");
    }
}

#[test]
fn a_lot_may_be_dispensed_on_its_last_day() {
    let last_day = || dispensing_from([received_with(json!({"expiry_date": "2026-11-23"}))]);
    assert!(last_day().when(dispense_all()).is_accepted());
    let next_day: DateTime<Utc> = at("2026-11-24T00:00:00Z");
    last_day().at(next_day).when(dispense_all()).then_field("insufficient-stock", "/prescription_id");
    // In New York it is still the last day, so the lot may be dispensed there.
    let in_new_york = Caller { time_zone: chrono_tz::America::New_York, ..somebody("pharmacist") };
    assert!(last_day().at(next_day).by(in_new_york).when(dispense_all()).is_accepted());
}

#[test]
fn tablets_are_not_counted_in_millilitres() {
    let millilitres = || received_with(json!({"unit": "ml"}));
    dispensing_from([millilitres()]).when(dispense_item(json!({"lot_id": LOT}))).then_error(
        "/items/0",
        "the stock is counted in mL, and the item is ordered in tablet; order it in the unit of the stock",
    );
    dispensing_from([millilitres()]).when(dispense_all()).then_field("other-unit", "/prescription_id");
    // With a few tablets in stock it is the tablets that are missing.
    let few = received_with(json!({"quantity": "4"}));
    let both = [(LOT, vec![millilitres()]), (LATER_LOT, vec![few])];
    with_lots(at_the_counter(ready(json!({}))), both)
        .when(dispense_all())
        .then_field("insufficient-stock", "/prescription_id");
}

#[test]
fn an_order_in_other_words_is_dispensed_from_stock() {
    for (ordered, stocked) in [("Tablets", "tablet"), ("tab", "TABLETS"), ("tablet(s)", "Tab.")] {
        let prescription = at_the_counter(ready(json!({"quantity_unit": ordered})));
        let lot = received_with(json!({"unit": stocked}));
        assert!(with_lots(prescription, [(LOT, vec![lot])]).when(dispense_all()).is_accepted(), "{ordered}");
    }
}

#[test]
fn an_item_is_dispensed_on_its_last_day_but_not_after() {
    let valid_until = |day| with_lots(at_the_counter(ready(json!({"valid_until": day}))), [(LOT, vec![received()])]);
    assert!(valid_until("2026-11-23").when(dispense_all()).is_accepted());
    valid_until("2026-11-22").when(dispense_all()).then_field("prescription-expired", "/prescription_id");
}

#[test]
fn a_prescription_without_anything_outstanding_has_nothing_to_give() {
    let done = [written(), Event::SentToPharmacy, dispensed([from_lot(ITEM, LOT, dec!(10))], false)];
    let then = |command| -> Then<Prescription> {
        with_lots(at_the_counter(done.clone()), [(LOT, vec![received()])]).when(command)
    };
    then(dispense_all()).then_refused(Refusal::NothingOutstanding);
    then(dispense_item(json!({}))).then_field("nothing-outstanding", "/items/0");
}
