//! What is ready to be fetched is kept for the patient.

use super::*;

fn undo() -> UndoPrescriptionReady {
    UndoPrescriptionReady { prescription_id: PRESCRIPTION, reason: said("a box is missing") }
}

fn withdraw() -> WithdrawUncollected {
    WithdrawUncollected { prescription_id: PRESCRIPTION }
}

fn sent() -> [Event; 2] {
    [written(), Event::SentToPharmacy]
}

/// A prescription of which ten tablets are kept, and the lot with its past events.
fn kept_ready() -> Given<Prescription> {
    let ready = [written(), Event::SentToPharmacy, marked_ready([kept(ITEM, LOT, dec!(10))])];
    with_lots(at_the_counter(ready), [(LOT, vec![received(), reserved(ITEM, dec!(10), dec!(10))])])
}

#[test]
fn what_is_ready_is_kept_of_the_lots_that_expire_first() {
    let few = json!({"quantity": "4", "expiry_date": "2026-12-01"});
    let of_few = medication_lot::Event::Reserved {
        prescription_id: PRESCRIPTION,
        item_id: ITEM,
        quantity: dec!(4),
        on_hand_after: dec!(4),
        reserved_after: dec!(4),
    };
    with_lots(at_the_counter(sent()), [(LATER_LOT, vec![received()]), (LOT, vec![received_with(few)])])
        .when(mark_ready())
        .then([marked_ready([kept(ITEM, LOT, dec!(4)), kept(ITEM, LATER_LOT, dec!(6))])])
        .then_also::<MedicationLot>(LOT, [of_few])
        .then_also::<MedicationLot>(LATER_LOT, [reserved(ITEM, dec!(6), dec!(6))])
        .then_claims([]);
}

#[test]
fn only_what_was_sent_becomes_ready() {
    for status in EVERY {
        let then = with_lots(at_the_counter(until(status)), [(LOT, vec![received()])]).when(mark_ready());
        match status {
            Status::SentToPharmacy => drop(then.then([marked_ready([kept(ITEM, LOT, dec!(10))])])),
            Status::Ready => then.then_nothing(),
            status => then.then_refused(Refused::wrong_status::<Prescription>(status)),
        }
    }
}

#[test]
fn what_is_kept_for_others_makes_nothing_ready_and_is_not_dispensed() {
    let other = medication_lot::Event::Reserved {
        prescription_id: PrescriptionId(Uuid::from_u128(77)),
        item_id: OTHER_ITEM,
        quantity: dec!(11),
        on_hand_after: dec!(20),
        reserved_after: dec!(11),
    };
    let given = || with_lots(at_the_counter(sent()), [(LOT, vec![received(), other.clone()])]);
    given().when(mark_ready()).then_field("insufficient-stock", "/prescription_id");
    given().when(dispense_all()).then_field("insufficient-stock", "/prescription_id");
    given().when(dispense_item(json!({"lot_id": LOT}))).then_field("insufficient-stock", "/items/0");
    assert!(given().when(dispense_item(json!({"quantity": "9"}))).is_accepted());
}

#[test]
fn what_is_past_its_last_day_is_not_made_ready() {
    let over = [written_with([(ITEM, with(order(), json!({"valid_until": "2026-11-22"})))]), Event::SentToPharmacy];
    with_lots(at_the_counter(over), [(LOT, vec![received()])])
        .when(mark_ready())
        .then_field("prescription-expired", "/prescription_id");
}

#[test]
fn what_is_kept_is_dispensed_though_another_lot_expires_first() {
    let soon = received_with(json!({"expiry_date": "2026-12-01"}));
    let ready = [written(), Event::SentToPharmacy, marked_ready([kept(ITEM, LOT, dec!(10))])];
    let lots = [(LATER_LOT, vec![soon]), (LOT, vec![received(), reserved(ITEM, dec!(10), dec!(10))])];
    with_lots(at_the_counter(ready), lots)
        .when(dispense_all())
        .then([dispensed([from_lot(ITEM, LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LOT, [taken(ITEM, dec!(10), dec!(10))])
        .then_also::<MedicationLot>(LATER_LOT, []);
}

#[test]
fn after_a_part_the_rest_is_still_kept() {
    let part = medication_lot::Event::Dispensed {
        prescription_id: PRESCRIPTION,
        item_id: ITEM,
        quantity: dec!(4),
        on_hand_after: dec!(16),
        reserved_after: dec!(6),
    };
    kept_ready()
        .when(dispense_item(json!({"quantity": "4"})))
        .then([Event::Dispensed {
            patient_id: PATIENT,
            dispensed: vec![from_lot(ITEM, LOT, dec!(4))],
            alerts: Vec::new(),
            overrides: Vec::new(),
            completes: false,
            reserved: vec![kept(ITEM, LOT, dec!(6))],
        }])
        .then_also::<MedicationLot>(LOT, [part]);
}

#[test]
fn what_is_kept_in_one_lot_is_given_back_if_another_is_named() {
    let ready = [written(), Event::SentToPharmacy, marked_ready([kept(ITEM, LOT, dec!(10))])];
    let lots = [(LOT, vec![received(), reserved(ITEM, dec!(10), dec!(10))]), (LATER_LOT, vec![received()])];
    with_lots(at_the_counter(ready), lots)
        .when(dispense_item(json!({"lot_id": LATER_LOT})))
        .then([dispensed([from_lot(ITEM, LATER_LOT, dec!(10))], true)])
        .then_also::<MedicationLot>(LOT, [released(ITEM, dec!(10), dec!(0))]);
}

#[test]
fn whatever_ends_readiness_gives_back_what_is_kept() {
    let back = || [released(ITEM, dec!(10), dec!(0))];
    kept_ready()
        .when(undo())
        .then([Event::ReadyUndone { reason: said("a box is missing") }])
        .then_also::<MedicationLot>(LOT, back());
    kept_ready().when(cancel()).then([cancelled()]).then_also::<MedicationLot>(LOT, back());
    kept_ready()
        .when(dispense_elsewhere())
        .then([dispensed_elsewhere(dec!(10))])
        .then_also::<MedicationLot>(LOT, back());
}

#[test]
fn a_part_that_is_taken_back_gives_back_what_is_kept_too() {
    let partly = Event::Dispensed {
        patient_id: PATIENT,
        dispensed: vec![from_lot(ITEM, LOT, dec!(4))],
        alerts: Vec::new(),
        overrides: Vec::new(),
        completes: false,
        reserved: vec![kept(ITEM, LOT, dec!(6))],
    };
    let events = [written(), Event::SentToPharmacy, marked_ready([kept(ITEM, LOT, dec!(10))]), partly];
    let lot = vec![received(), reserved(ITEM, dec!(10), dec!(10)), taken(ITEM, dec!(4), dec!(16))];
    let reverse: ReverseDispensing = ask(json!({"prescription_id": PRESCRIPTION, "reason": "not fetched"}));
    let then = with_lots(at_the_counter(events), [(LOT, lot)]).when(reverse);
    let on_lot = then.events_of::<MedicationLot>(LOT);
    assert!(
        matches!(on_lot[0], medication_lot::Event::DispensingReversed { on_hand_after, .. } if on_hand_after == dec!(20))
    );
    assert_eq!(on_lot[1], released(ITEM, dec!(6), dec!(0)));
}

#[test]
fn after_fourteen_days_what_nobody_fetched_is_given_back() {
    let late = now() + TimeDelta::days(14);
    kept_ready()
        .at(late)
        .when(withdraw())
        .then([Event::ReadyWithdrawn { cause: Withdrawal::NotCollected }])
        .then_also::<MedicationLot>(LOT, [released(ITEM, dec!(10), dec!(0))]);
    kept_ready().at(late - TimeDelta::seconds(1)).when(withdraw()).then_nothing();
    // The process may come again, or after the patient did.
    for status in [Status::SentToPharmacy, Status::Dispensed, Status::Cancelled] {
        at_the_counter(until(status)).at(late).when(withdraw()).then_nothing();
    }
}
