//! One answer names every line of a request that is wrong, with its place and code.

use super::*;

/// Items of one prescription, each wrong in another way but for the first.
const ITEMS: [PrescriptionItemId; 4] = [ITEM, OTHER_ITEM, PrescriptionItemId(Uuid::from_u128(22)), EXPIRED];
const EXPIRED: PrescriptionItemId = PrescriptionItemId(Uuid::from_u128(23));

/// A prescription that the pharmacy has, of which the second item was stopped, of the third of which there is too
/// little, and the fourth of which is past its last day.
fn at_fault() -> Given<Prescription> {
    let orders = [json!({}), json!({}), json!({"quantity": "15"}), json!({"valid_until": "2026-11-22"})];
    let written = written_with(ITEMS.into_iter().zip(orders.map(|it| with(order(), it))));
    let prescribed = |item_id: &PrescriptionItemId| medication_list::Prescribed {
        entry_id: entry_of(*item_id),
        item_id: *item_id,
        taken: ask(json!({"medication_id": MEDICATION})),
        status: medication_list::Status::Intended,
    };
    let listed = medication_list::Event::Prescribed {
        patient_id: PATIENT,
        prescription_id: PRESCRIPTION,
        entries: ITEMS.iter().map(prescribed).collect(),
    };
    let held = medication_list::Event::Held { entry_id: entry_of(OTHER_ITEM), reason: said("surgery") };
    with_lots(at_the_counter([written, Event::SentToPharmacy]), [(LOT, vec![received()])])
        .and::<MedicationList>(list_of(PATIENT), [listed, held])
        .by(somebody("pharmacist"))
}

/// The code and the pointer of each error of a refusal, with its message.
fn errors(then: Then<Prescription>) -> Vec<(&'static str, String, String)> {
    let refused = then.into_refused();
    assert_eq!(Some(refused.code), refused.errors[0].code, "{refused:?}");
    refused.errors.into_iter().map(|it| (it.code.expect("a code"), it.pointer, it.message)).collect()
}

const CODES: [&str; 3] = ["medication-stopped", "insufficient-stock", "prescription-expired"];

#[test]
fn a_request_without_items_is_told_the_items_that_are_wrong_by_their_ids() {
    for then in [at_fault().when(mark_ready()), at_fault().when(dispense_all())] {
        let errors = errors(then);
        assert_eq!(errors.iter().map(|it| it.0).collect::<Vec<_>>(), CODES);
        for ((_, at, message), item_id) in errors.iter().zip(&ITEMS[1..]) {
            assert_eq!(at, "/prescription_id");
            assert!(message.starts_with(&format!("item {item_id}: the ")), "{message}");
        }
    }
}

#[test]
fn a_request_with_items_is_told_the_places_of_those_that_are_wrong() {
    let unknown = PrescriptionItemId(Uuid::from_u128(29));
    let items = json!([
        {"item_id": EXPIRED}, {"item_id": ITEM, "quantity": "11"}, {"item_id": OTHER_ITEM}, {"item_id": unknown},
        {"item_id": ITEM, "lot_id": LATER_LOT}, {"item_id": ITEMS[2], "quantity": "15"}, {"item_id": ITEM},
        {"item_id": ITEM},
    ]);
    let expected = [
        ("prescription-expired", "/items/0"),
        ("too-much", "/items/1/quantity"),
        ("medication-stopped", "/items/2"),
        ("no-such-item", "/items/3/item_id"),
        ("no-such-lot", "/items/4/lot_id"),
        // After fifteen of twenty, the first item lacks some.
        ("insufficient-stock", "/items/6"),
        ("insufficient-stock", "/items/7"),
    ];
    let errors = errors(at_fault().when(dispense(items)));
    assert_eq!(errors.iter().map(|it| (it.0, it.1.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn every_medication_out_of_use_is_named() {
    let out_of_use = || with(order(), json!({"medication_id": OTHER_MEDICATION}));
    let errors = errors(given_prescription([]).when(write(json!({"items": [out_of_use(), order(), out_of_use()]}))));
    let expected = [0, 2].map(|nth| ("inactive-medication", format!("/items/{nth}/medication_id")));
    assert_eq!(errors.into_iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(), expected);
}

#[test]
fn every_item_that_cannot_be_taken_back_is_named() {
    let part = [from_lot(ITEM, LOT, dec!(4))];
    let events = ready(json!({})).into_iter().chain([dispensed(part, false)]);
    let items = json!([{"item_id": OTHER_ITEM}, {"item_id": ITEM, "quantity": "5"}, {"item_id": ITEM}]);
    let back: ReverseDispensing =
        ask(json!({"prescription_id": PRESCRIPTION, "items": items, "reason": "not fetched"}));
    let lot = vec![received(), taken(ITEM, dec!(4), dec!(16))];
    let errors = errors(with_lots(at_the_counter(events), [(LOT, lot)]).when(back));
    let expected = [("no-such-item", "/items/0/item_id"), ("too-much", "/items/1/quantity")];
    assert_eq!(errors.iter().map(|it| (it.0, it.1.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!(errors[1].2, "only 4 of the item were dispensed there and can be taken back");
}

#[test]
fn a_refill_of_all_items_names_those_that_it_is_too_early_for() {
    let order = with(order(), json!({"refills_allowed": 1, "days_supply": 10}));
    let both = written_with([(ITEM, order.clone()), (OTHER_ITEM, order)]);
    let given_out = dispensed([from_lot(ITEM, LOT, dec!(10)), from_lot(OTHER_ITEM, LOT, dec!(10))], true);
    let refill: RefillPrescription = ask(json!({"prescription_id": PRESCRIPTION}));
    let errors = errors(at_the_counter([both, Event::SentToPharmacy, given_out]).when(refill));
    for ((code, at, message), item_id) in errors.iter().zip([ITEM, OTHER_ITEM]) {
        assert_eq!((*code, at.as_str()), ("too-early", "/prescription_id"));
        assert!(message.starts_with(&format!("item {item_id}: ")), "{message}");
    }
    assert_eq!(errors.len(), 2);
}
