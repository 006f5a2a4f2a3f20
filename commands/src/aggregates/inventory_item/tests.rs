use hims_domain::department::Department;
use hims_domain::inventory_level;
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::room::Room;
use hims_domain::{SupplierId, supplier};
use hims_testing::{fields, sample};
use rust_decimal::dec;
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{
    DEPARTMENT, ITEM, LATER_LOT, LOT, MEDICATION, ROOM, SUPPLIER, added_medication, added_room, ask, opened,
    received_with, with,
};
use crate::testing::{Given, at, given, id, releases, shares, takes};

fn details(changes: Value) -> Value {
    with(fields::<InventoryItem>("added"), changes)
}

fn added(changes: Value) -> Event {
    Event::Added(ask(details(changes)))
}

fn add(changes: Value) -> AddInventoryItem {
    ask(details(changes))
}

fn change(changes: Value) -> ChangeInventoryItem {
    ask(with(json!({"inventory_item_id": ITEM}), changes))
}

/// What is known of the article, in a hospital with a supplier and metformin in the catalogue.
fn an_article(events: impl IntoIterator<Item = Event>) -> Given<InventoryItem> {
    given(events)
        .and::<Supplier>(SUPPLIER, [sample::<Supplier>("added")])
        .and::<Medication>(MEDICATION, [added_medication()])
}

/// The level of the article in a room, which holds a quantity.
fn holding(on_hand_after: Decimal) -> inventory_level::Event {
    let movement =
        inventory_level::Movement { inventory_item_id: ITEM, location_id: ROOM, change: on_hand_after, on_hand_after };
    inventory_level::Event::Counted { movement }
}

const HERE: Uuid = Uuid::from_u128(60);
const THERE: Uuid = Uuid::from_u128(61);

#[test]
fn an_article_takes_its_number_and_is_found_by_its_medicine() {
    an_article([])
        .when(add(json!({"sku": "Gauze-10"})))
        .then([added(json!({"sku": "Gauze-10"}))])
        .then_claims([takes(scopes::INVENTORY_ITEM_SKU, "GAUZE-10")]);
    an_article([added(json!({}))]).when(change(json!({"sku": "G-10", "medication_id": MEDICATION}))).then_claims([
        releases(scopes::INVENTORY_ITEM_SKU, "GAUZE-10"),
        takes(scopes::INVENTORY_ITEM_SKU, "G-10"),
        shares(scopes::ITEMS_OF_MEDICATION, MEDICATION),
    ]);
}

#[test]
fn medicine_and_supplier_must_exist_and_be_in_use() {
    given([]).when(add(json!({}))).then_field("unknown-reference", "/preferred_supplier_id");
    let alone = json!({"preferred_supplier_id": null, "medication_id": MEDICATION});
    given([]).when(add(alone)).then_field("unknown-reference", "/medication_id");
    let left = || [sample::<Supplier>("added"), supplier::Event::Deactivated];
    given([]).and::<Supplier>(SUPPLIER, left()).when(add(json!({}))).then_code("inactive-supplier");
    // Who was the supplier before may stay the supplier.
    let known = given([added(json!({}))]).and::<Supplier>(SUPPLIER, left());
    assert!(known.when(change(json!({"name": "Swab"}))).is_accepted());
    let other: SupplierId = id(62);
    given([added(json!({}))])
        .and::<Supplier>(other, left())
        .when(change(json!({"preferred_supplier_id": other})))
        .then_code("inactive-supplier");
}

#[test]
fn levels_are_zero_or_more_and_orders_more_than_zero() {
    for level in ["-1", "0.0001", "1000000"] {
        an_article([]).when(add(json!({"reorder_level": level}))).then_field("out-of-range", "/reorder_level");
    }
    for quantity in ["0", "-1", "0.0001"] {
        let quantity = json!({"reorder_quantity": quantity});
        an_article([added(json!({}))]).when(change(quantity)).then_field("out-of-range", "/reorder_quantity");
    }
    let none = json!({"reorder_level": null, "reorder_quantity": null});
    assert!(an_article([]).when(add(none)).is_accepted());
}

#[test]
fn the_unit_stays_as_long_as_a_room_holds_something() {
    for (changes, is_refused) in [
        (json!({"unit": "piece"}), true),
        (json!({"medication_id": MEDICATION}), true),
        (json!({"name": "Swab", "unit": "Boxes"}), false),
    ] {
        let then = an_article([added(json!({}))])
            .and::<InventoryLevel>(HERE, [holding(dec!(3))])
            .owner(scopes::LEVELS_OF_ITEM, ITEM, HERE)
            .when(change(changes.clone()));
        assert_eq!(then.code(), is_refused.then_some("in-stock"), "{changes}");
    }
    let empty = an_article([added(json!({}))]).and::<InventoryLevel>(HERE, [holding(dec!(0))]).owner(
        scopes::LEVELS_OF_ITEM,
        ITEM,
        HERE,
    );
    assert!(empty.when(change(json!({"unit": "piece"}))).is_accepted());
}

#[test]
fn changing_nothing_is_quiet() {
    an_article([added(json!({}))]).when(change(json!({"unit": "boxes"}))).then_nothing();
}

#[test]
fn an_article_is_taken_out_of_use_and_back() {
    let deactivate = || DeactivateInventoryItem { inventory_item_id: ITEM };
    let reactivate = || ReactivateInventoryItem { inventory_item_id: ITEM };
    given([added(json!({}))]).when(deactivate()).then([Event::Deactivated]).then_claims([]);
    given([added(json!({})), Event::Deactivated]).when(deactivate()).then_nothing();
    given([added(json!({})), Event::Deactivated]).when(reactivate()).then([Event::Reactivated]);
}

const CHECK: CheckReorderLevel = CheckReorderLevel { inventory_item_id: ITEM };

/// The article, of which two rooms hold something.
fn in_two_rooms(events: impl IntoIterator<Item = Event>, one: Decimal, other: Decimal) -> Given<InventoryItem> {
    given(events)
        .and::<InventoryLevel>(HERE, [holding(one)])
        .and::<InventoryLevel>(THERE, [holding(other)])
        .owner(scopes::LEVELS_OF_ITEM, ITEM, HERE)
        .owner(scopes::LEVELS_OF_ITEM, ITEM, THERE)
}

fn flagged(usable: Decimal) -> Event {
    Event::ReorderFlagged { usable, reorder_level: dec!(10) }
}

#[test]
fn more_is_to_be_ordered_below_the_level_and_no_longer_at_the_level() {
    in_two_rooms([added(json!({}))], dec!(4), dec!(6)).when(CHECK).then_nothing();
    in_two_rooms([added(json!({}))], dec!(4), dec!(5.999)).when(CHECK).then([flagged(dec!(9.999))]);
    let known = || [added(json!({})), flagged(dec!(9))];
    in_two_rooms(known(), dec!(4), dec!(1)).when(CHECK).then_nothing();
    in_two_rooms(known(), dec!(4), dec!(6)).when(CHECK).then([Event::ReorderCleared { usable: dec!(10) }]);
    let again = [added(json!({})), flagged(dec!(9)), Event::ReorderCleared { usable: dec!(10) }];
    in_two_rooms(again, dec!(0), dec!(0)).when(CHECK).then([flagged(dec!(0))]);
}

#[test]
fn what_nobody_reorders_is_not_flagged() {
    in_two_rooms([added(json!({"reorder_level": null}))], dec!(0), dec!(0)).when(CHECK).then_nothing();
    in_two_rooms([added(json!({})), Event::Deactivated], dec!(0), dec!(0)).when(CHECK).then_nothing();
    in_two_rooms([added(json!({})), flagged(dec!(0)), Event::Deactivated], dec!(0), dec!(0))
        .when(CHECK)
        .then([Event::ReorderCleared { usable: dec!(0) }]);
}

/// The article is metformin in tablets, of which there are two lots: twenty tablets until the end of the year, and five
/// that stay.
fn in_two_lots<A: Claims>(given: Given<A>, lot: impl IntoIterator<Item = medication_lot::Event>) -> Given<A> {
    let later = received_with(json!({"lot_number": "L-2", "expiry_date": "2028-01-01", "quantity": "5"}));
    given
        .and::<MedicationLot>(LOT, lot)
        .and::<MedicationLot>(LATER_LOT, [later])
        .and::<Room>(ROOM, [added_room()])
        .and::<Department>(DEPARTMENT, [opened()])
        .owner(scopes::LOTS_OF_MEDICATION, MEDICATION, LOT)
        .owner(scopes::LOTS_OF_MEDICATION, MEDICATION, LATER_LOT)
}

fn in_tablets() -> Event {
    added(json!({"medication_id": MEDICATION, "unit": "tablet"}))
}

#[test]
fn of_a_medicine_only_what_may_be_dispensed_counts() {
    let received = || received_with(json!({}));
    let check = |lot: Vec<medication_lot::Event>| in_two_lots(given([in_tablets()]), lot).when(CHECK);
    check(vec![received()]).then_nothing();
    let quarantined = medication_lot::Event::Quarantined { reason: "warm".into() };
    check(vec![received(), quarantined.clone()]).then([flagged(dec!(5))]);
    check(vec![received(), quarantined, medication_lot::Event::Released]).then_nothing();
    check(vec![received(), medication_lot::Event::Recalled { reason: "impure".into() }]).then([flagged(dec!(5))]);
    check(vec![received_with(json!({"unit": "bottle"}))]).then([flagged(dec!(5))]);
}

#[test]
fn what_has_expired_where_it_is_stored_is_no_stock() {
    // The room is in New York, five hours behind.
    let check = |now| in_two_lots(given([in_tablets()]), [received_with(json!({}))]).at(at(now)).when(CHECK);
    check("2027-01-01T04:59:59Z").then_nothing();
    check("2027-01-01T05:00:00Z").then([flagged(dec!(5))]);
}

#[test]
fn after_an_event_of_a_lot_the_articles_of_its_medicine_are_compared() {
    let quarantined = medication_lot::Event::Quarantined { reason: "warm".into() };
    let lot = || vec![received_with(json!({})), quarantined.clone()];
    let of_lot = CheckReorderLevelsOfLot { medication_lot_id: LOT };
    in_two_lots(given(lot()), lot())
        .and::<InventoryItem>(ITEM, [in_tablets()])
        .owner(scopes::ITEMS_OF_MEDICATION, MEDICATION, ITEM)
        .when(of_lot.clone())
        .then([])
        .then_also::<InventoryItem>(ITEM, [flagged(dec!(5))]);
    in_two_lots(given(lot()), lot())
        .and::<InventoryItem>(ITEM, [in_tablets(), flagged(dec!(5))])
        .owner(scopes::ITEMS_OF_MEDICATION, MEDICATION, ITEM)
        .when(of_lot.clone())
        .then_nothing();
    in_two_lots(given(lot()), lot()).when(of_lot).then_nothing();
}
