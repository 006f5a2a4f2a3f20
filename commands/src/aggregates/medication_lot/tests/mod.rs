use hims_domain::{LotChangeId, PrescriptionId, PrescriptionItemId, UserId, medication, supplier};
use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::machinery::scopes::{LOT_NUMBER, LOTS_OF_MEDICATION};
use crate::testing::samples::{
    LOT, MEDICATION, ROOM, SUPPLIER, added_medication, added_room, ask, delivery, received, received_with, with,
};
use crate::testing::{ASKING, Given, at, given, id, now, shares, takes};

mod holding;
mod moving;
mod witness;

fn receive(changes: Value) -> ReceiveMedicationLot {
    ask(with(delivery(), changes))
}

/// The event by which a product has a unit from now on.
fn introduced(unit: &str) -> medication::Event {
    medication::Event::UnitIntroduced { unit: unit.into() }
}

fn adjust(change: Decimal) -> AdjustMedicationLot {
    AdjustMedicationLot { medication_lot_id: LOT, change, reason: "counted".into() }
}

fn adjusted(change: Decimal, on_hand_after: Decimal) -> Event {
    let (performed_by, witnessed_by) = (Some(UserId(ASKING)), None);
    Event::Adjusted { change, on_hand_after, reason: "counted".into(), performed_by, witnessed_by }
}

fn quarantine() -> QuarantineMedicationLot {
    QuarantineMedicationLot { medication_lot_id: LOT, reason: "warm".into() }
}

fn quarantined() -> Event {
    Event::Quarantined { reason: "warm".into() }
}

fn release() -> ReleaseMedicationLot {
    ReleaseMedicationLot { medication_lot_id: LOT }
}

fn recall() -> RecallMedicationLot {
    RecallMedicationLot { medication_lot_id: LOT, reason: "impure".into() }
}

fn recalled() -> Event {
    Event::Recalled { reason: "impure".into() }
}

/// A quantity of the twenty tablets of a new lot was dispensed.
fn dispensed(quantity: Decimal) -> Event {
    let (prescription_id, item_id) = (id::<PrescriptionId>(1), id::<PrescriptionItemId>(2));
    let (on_hand_after, reserved_after) = (dec!(20) - quantity, Decimal::ZERO);
    Event::Dispensed { prescription_id, item_id, quantity, on_hand_after, reserved_after }
}

/// A quantity of the twenty tablets of a new lot is kept for a prescription.
fn reserved(quantity: Decimal) -> Event {
    let (prescription_id, item_id) = (id::<PrescriptionId>(1), id::<PrescriptionItemId>(2));
    Event::Reserved { prescription_id, item_id, quantity, on_hand_after: dec!(20), reserved_after: quantity }
}

/// No lot yet, in a hospital with metformin in the catalogue and a room for the lot.
fn a_delivery() -> Given<MedicationLot> {
    given([]).and::<Medication>(MEDICATION, [added_medication()]).and::<Room>(ROOM, [added_room()])
}

#[test]
fn a_delivery_takes_its_number_and_can_be_found() {
    a_delivery().when(receive(json!({}))).then([received()]).then_claims([
        takes(LOT_NUMBER, scopes::key(&[&MEDICATION.to_string(), &ROOM.to_string(), "L-1"])),
        shares(LOTS_OF_MEDICATION, MEDICATION),
    ]);
}

#[test]
fn the_first_delivery_decides_how_a_product_is_counted() {
    a_delivery().when(receive(json!({"unit": "Tablets"}))).then_also::<Medication>(MEDICATION, [introduced("tablet")]);
    let counted = || given([]).and::<Medication>(MEDICATION, [added_medication(), introduced("tablet")]);
    let counted = || counted().and::<Room>(ROOM, [added_room()]);
    counted().when(receive(json!({"unit": "TAB"}))).then([received()]).then_nothing_else();
    counted().when(receive(json!({"unit": "bottle"}))).then_field("unknown-unit", "/unit");
    counted()
        .when(receive(json!({"unit": "bottle", "confirm_unit": true})))
        .then_also::<Medication>(MEDICATION, [introduced("bottle")]);
}

#[test]
fn a_delivery_may_be_dispensed_on_its_last_day_but_not_after() {
    assert!(a_delivery().at(at("2026-12-31T23:00:00Z")).when(receive(json!({}))).is_accepted());
    a_delivery().at(at("2027-01-01T00:00:00Z")).when(receive(json!({}))).then_refused(Refusal::Expired);
}

#[test]
fn product_and_place_must_exist() {
    given([])
        .and::<Room>(ROOM, [added_room()])
        .when(receive(json!({})))
        .then_field("unknown-reference", "/medication_id");
    given([])
        .and::<Medication>(MEDICATION, [added_medication()])
        .when(receive(json!({})))
        .then_field("unknown-reference", "/location_id");
}

#[test]
fn a_delivery_may_name_a_supplier_who_is_in_use() {
    let from = || receive(json!({"supplier_id": SUPPLIER, "delivery_note": "D-76"}));
    a_delivery().when(from()).then_field("unknown-reference", "/supplier_id");
    let named = json!({"supplier_id": SUPPLIER, "delivery_note": "D-76"});
    let added = || sample::<Supplier>("added");
    a_delivery().and::<Supplier>(SUPPLIER, [added()]).when(from()).then([received_with(named)]);
    let left = [added(), supplier::Event::Deactivated];
    a_delivery().and::<Supplier>(SUPPLIER, left).when(from()).then_code("inactive-supplier");
}

#[test]
fn a_quantity_is_more_than_zero_with_three_decimals() {
    for quantity in ["0", "-1", "0.0001", "1000000000"] {
        a_delivery().when(receive(json!({"quantity": quantity}))).then_field("out-of-range", "/quantity");
    }
    for quantity in ["0.001", "1.5000", "999999999.999"] {
        assert!(a_delivery().when(receive(json!({"quantity": quantity}))).is_accepted(), "{quantity}");
    }
}

#[test]
fn a_cost_is_zero_or_more_with_four_decimals() {
    for cost in ["-0.01", "0.00001", "1000000"] {
        a_delivery().when(receive(json!({"unit_cost": cost}))).then_field("out-of-range", "/unit_cost");
        a_delivery().when(receive(json!({"reorder_level": cost}))).then_field("out-of-range", "/reorder_level");
    }
    assert!(a_delivery().when(receive(json!({"unit_cost": "0", "reorder_level": "12.5"}))).is_accepted());
}

#[test]
fn a_count_finds_more_or_less() {
    given([received()]).when(adjust(dec!(2.5))).then([adjusted(dec!(2.5), dec!(22.5))]).then_claims([]);
    given([received()]).when(adjust(dec!(-20))).then([adjusted(dec!(-20), dec!(0))]).then_claims([]);
}

#[test]
fn a_count_that_finds_no_difference_is_no_adjustment() {
    for change in [dec!(0), dec!(0.0001), dec!(-1_000_000_000)] {
        given([received()]).when(adjust(change)).then_field("out-of-range", "/change");
    }
}

#[test]
fn there_is_never_less_than_nothing() {
    given([received()]).when(adjust(dec!(-20.001))).then_field("insufficient-stock", "/change");
    given([received(), dispensed(dec!(19.000)), adjusted(dec!(-0.5), dec!(0.500))])
        .when(adjust(dec!(-0.6)))
        .then_says("the lot holds 0.5 tablet, and the change would leave less than nothing; take away 0.5 at most");
}

#[test]
fn no_lot_holds_more_than_can_be_kept() {
    given([received()]).when(adjust(dec!(999_999_999))).then_field("out-of-range", "/change");
}

#[test]
fn a_count_says_what_there_is() {
    let count = |counted| CountMedicationLot { medication_lot_id: LOT, counted };
    let counted = |counted, change| Event::Counted {
        counted,
        change,
        on_hand_after: counted,
        performed_by: Some(UserId(ASKING)),
        witnessed_by: None,
    };
    for (found, change) in [(dec!(18), dec!(-2)), (dec!(20), dec!(0)), (dec!(21.5), dec!(1.5)), (dec!(0), dec!(-20))] {
        given([received()]).when(count(found)).then([counted(found, change)]).then_claims([]);
    }
    for wrong in [dec!(-1), dec!(0.0001), dec!(1_000_000_000)] {
        given([received()]).when(count(wrong)).then_field("out-of-range", "/counted");
    }
    given([received(), reserved(dec!(5))]).when(count(dec!(4.999))).then_field("insufficient-stock", "/counted");
    assert!(given([received(), reserved(dec!(5))]).when(count(dec!(5))).is_accepted());
}

#[test]
fn what_is_thrown_away_has_a_reason_whatever_the_status() {
    let waste = |quantity: &str| -> WasteMedicationLot {
        ask(json!({"medication_lot_id": LOT, "quantity": quantity, "reason_code": "expired", "reason": "a warm week"}))
    };
    let wasted = Event::Wasted {
        change: dec!(-4),
        on_hand_after: dec!(16),
        reason_code: hims_domain::inventory_level::WasteReason::Expired,
        reason: Some("a warm week".into()),
        performed_by: Some(UserId(ASKING)),
        witnessed_by: None,
    };
    for before in [vec![received()], vec![received(), quarantined()], vec![received(), recalled()]] {
        given(before).at(at("2027-06-01T00:00:00Z")).when(waste("4")).then([wasted.clone()]);
    }
    given([received()]).when(waste("20.001")).then_field("insufficient-stock", "/quantity");
    given([received()]).when(waste("0")).then_field("out-of-range", "/quantity");
}

#[test]
fn what_is_kept_for_patients_is_neither_wasted_nor_corrected_away() {
    let waste: WasteMedicationLot = ask(json!({"medication_lot_id": LOT, "quantity": "16", "reason_code": "spilled"}));
    let then = given([received(), reserved(dec!(5))]).when(waste);
    then.then_candidates([id::<PrescriptionId>(1)]);
    given([received(), reserved(dec!(5))]).when(adjust(dec!(-15.5))).then_says(
        "only 15 tablet of the lot are neither reserved for prescriptions nor set aside for a witness; take away 15 at \
         most, or undo first that prescriptions are ready",
    );
    assert!(given([received(), reserved(dec!(5))]).when(adjust(dec!(-15))).is_accepted());
}

#[test]
fn a_lot_is_set_aside_and_released() {
    given([received()]).when(quarantine()).then([quarantined()]);
    given([received(), quarantined()]).when(release()).then([Event::Released]);
}

#[test]
fn an_empty_lot_can_be_set_aside() {
    given([received(), dispensed(dec!(20))]).when(quarantine()).then([quarantined()]);
}

#[test]
fn setting_aside_twice_is_quiet() {
    given([received(), quarantined()]).when(quarantine()).then_nothing();
}

#[test]
fn releasing_what_is_not_set_aside_is_quiet() {
    for events in [vec![received()], vec![received(), dispensed(dec!(20))]] {
        given(events).when(release()).then_nothing();
    }
}

#[test]
fn a_recalled_lot_is_never_released() {
    given([received(), recalled()])
        .when(release())
        .then_refused(Refused::wrong_status::<MedicationLot>(Status::Recalled));
}

#[test]
fn a_lot_is_recalled_whatever_its_status() {
    for events in [vec![received()], vec![received(), quarantined()], vec![received(), dispensed(dec!(20))]] {
        given(events).when(recall()).then([recalled()]);
    }
}

#[test]
fn the_recall_of_a_wrong_lot_is_revoked_into_quarantine() {
    let revoke = || RevokeMedicationLotRecall { medication_lot_id: LOT, reason: "another lot is meant".into() };
    let revoked = || Event::RecallRevoked { reason: "another lot is meant".into() };
    given([received(), recalled()]).when(revoke()).then([revoked()]).then_claims([]);
    given([received(), recalled(), revoked()]).when(release()).then([Event::Released]);
    given([received(), recalled(), revoked()]).when(revoke()).then_nothing();
    given([received()]).when(revoke()).then_refused(Refused::wrong_status::<MedicationLot>(Status::Available));
}

#[test]
fn recalling_twice_is_quiet() {
    given([received(), recalled()]).when(recall()).then_nothing();
}

#[test]
fn a_recalled_lot_is_not_set_aside() {
    given([received(), recalled()])
        .when(quarantine())
        .then_refused(Refused::wrong_status::<MedicationLot>(Status::Recalled));
}

#[test]
fn what_is_left_decides_whether_a_lot_is_used_up() {
    let status = |events: &[Event]| hims_domain::fold::<MedicationLot>(events).map(|lot| lot.status);
    assert_eq!(status(&[received(), dispensed(dec!(20))]), Some(Status::Depleted));
    assert_eq!(status(&[received(), dispensed(dec!(20)), adjusted(dec!(1), dec!(1))]), Some(Status::Available));
    assert_eq!(status(&[received(), quarantined(), adjusted(dec!(-20), dec!(0))]), Some(Status::Quarantined));
    assert_eq!(
        status(&[received(), quarantined(), adjusted(dec!(-20), dec!(0)), Event::Released]),
        Some(Status::Depleted)
    );
    assert_eq!(status(&[received(), recalled(), adjusted(dec!(-20), dec!(0))]), Some(Status::Recalled));
}
