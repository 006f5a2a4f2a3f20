use hims_domain::consultation::Consultation;
use hims_domain::inventory_level::{Event, WasteReason};
use hims_domain::patient::Patient;
use hims_domain::supplier::{self, Supplier};
use hims_domain::{PatientId, inventory_item};
use hims_testing::{fields, sample, sample_with};
use proptest::prelude::*;
use rust_decimal::dec;
use serde_json::{Value, json};

use super::*;
use crate::Command;
use crate::testing::samples::{
    CONSULTATION, ITEM, MEDICATION, OTHER_PATIENT, OTHER_ROOM, PATIENT, ROOM, SUPPLIER, added_room, ask, registered,
    with,
};
use crate::testing::{Given, given, of, shares};

fn added(changes: Value) -> inventory_item::Event {
    inventory_item::Event::Added(ask(with(fields::<InventoryItem>("added"), changes)))
}

/// An article and two rooms, of which one holds what the events say.
fn a_room(events: impl IntoIterator<Item = Event>) -> Given<InventoryLevel> {
    given(events)
        .and::<InventoryItem>(ITEM, [added(json!({}))])
        .and::<Room>(ROOM, [added_room()])
        .and::<Room>(OTHER_ROOM, [added_room()])
}

fn body(more: Value) -> Value {
    with(json!({"inventory_item_id": ITEM, "location_id": ROOM}), more)
}

fn receive(more: Value) -> ReceiveInventory {
    ask(with(body(json!({"quantity": "40"})), more))
}

fn issue(more: Value) -> IssueInventory {
    ask(with(body(json!({"quantity": "3"})), more))
}

fn give_back(more: Value) -> ReturnInventory {
    ask(with(body(json!({"quantity": "1", "reason": "not opened"})), more))
}

fn transfer(quantity: &str) -> TransferInventory {
    ask(body(json!({"to_location_id": OTHER_ROOM, "quantity": quantity})))
}

fn waste(more: Value) -> WasteInventory {
    ask(with(body(json!({"quantity": "4", "reason_code": "damaged"})), more))
}

fn adjust(change: &str) -> AdjustInventory {
    ask(body(json!({"change": change, "reason": "counted again"})))
}

fn count(counted: &str) -> CountInventory {
    ask(body(json!({ "counted": counted })))
}

fn moved(change: Decimal, on_hand_after: Decimal) -> Movement {
    Movement { inventory_item_id: ITEM, location_id: ROOM, change, on_hand_after }
}

/// Forty of the article were received.
fn received() -> Event {
    Event::Received { movement: moved(dec!(40), dec!(40)), unit_cost: None, supplier_id: None, delivery_note: None }
}

fn issued(quantity: Decimal, on_hand_after: Decimal) -> Event {
    Event::Issued { movement: moved(-quantity, on_hand_after), patient_id: None, consultation_id: None }
}

#[test]
fn the_first_delivery_begins_the_level_of_a_room() {
    a_room([]).when(receive(json!({}))).then([received()]).then_claims([shares(scopes::LEVELS_OF_ITEM, ITEM)]);
    let more = Event::Received {
        movement: moved(dec!(2.5), dec!(42.5)),
        unit_cost: Some(dec!(0.1250)),
        supplier_id: Some(SUPPLIER),
        delivery_note: Some("D-77".into()),
    };
    let named = json!({"quantity": "2.5", "unit_cost": "0.1250", "supplier_id": SUPPLIER, "delivery_note": "D-77"});
    a_room([received()])
        .and::<Supplier>(SUPPLIER, [sample::<Supplier>("added")])
        .when(receive(named.clone()))
        .then([more])
        .then_claims([]);
    let left = [sample::<Supplier>("added"), supplier::Event::Deactivated];
    a_room([]).and::<Supplier>(SUPPLIER, left).when(receive(named)).then_code("inactive-supplier");
}

#[test]
fn article_and_rooms_must_exist() {
    given([])
        .and::<Room>(ROOM, [added_room()])
        .when(issue(json!({})))
        .then_field("unknown-reference", "/inventory_item_id");
    let item = || given([]).and::<InventoryItem>(ITEM, [added(json!({}))]);
    item().when(count("3")).then_field("unknown-reference", "/location_id");
    let one = || item().and::<Room>(ROOM, [added_room()]);
    one().when(transfer("1")).then_field("unknown-reference", "/to_location_id");
}

#[test]
fn a_medicine_is_counted_in_lots_only() {
    fn refused<C: Command<Aggregate = InventoryLevel>>(command: C) {
        given([])
            .and::<InventoryItem>(ITEM, [added(json!({"medication_id": MEDICATION}))])
            .and::<Room>(ROOM, [added_room()])
            .when(command)
            .then_refused(Refusal::CountedInLots);
    }
    refused(receive(json!({})));
    refused(issue(json!({})));
    refused(give_back(json!({})));
    refused(transfer("1"));
    refused(waste(json!({})));
    refused(adjust("1"));
    refused(count("1"));
}

#[test]
fn an_article_out_of_use_is_used_up_but_not_received() {
    let out = |events: Vec<Event>| {
        given(events)
            .and::<InventoryItem>(ITEM, [added(json!({})), inventory_item::Event::Deactivated])
            .and::<Room>(ROOM, [added_room()])
    };
    out(vec![received()]).when(receive(json!({}))).then_refused(Refusal::InactiveItem);
    out(vec![received()]).when(issue(json!({}))).then([issued(dec!(3), dec!(37))]);
}

#[test]
fn there_is_never_less_than_nothing() {
    let too_much = [
        a_room([received()]).when(issue(json!({"quantity": "40.001"}))),
        a_room([received()]).when(transfer("41")),
        a_room([received()]).when(waste(json!({"quantity": "41"}))),
        a_room([]).when(issue(json!({}))),
    ];
    for refused in too_much {
        refused.then_field("insufficient-stock", "/quantity");
    }
    a_room([received()]).when(adjust("-40.5")).then_field("insufficient-stock", "/change");
    a_room([received()]).when(issue(json!({"quantity": "40"}))).then([issued(dec!(40), dec!(0))]);
    a_room([])
        .when(issue(json!({})))
        .then_says("the room holds 0 of the article, and there cannot be less than nothing; take away 0 at most");
}

#[test]
fn quantities_are_more_than_zero_with_three_decimals() {
    for quantity in ["0", "-1", "0.0001", "1000000000"] {
        let quantity = json!({ "quantity": quantity });
        a_room([]).when(receive(quantity.clone())).then_field("out-of-range", "/quantity");
        a_room([received()]).when(issue(quantity.clone())).then_field("out-of-range", "/quantity");
        a_room([received()]).when(waste(quantity)).then_field("out-of-range", "/quantity");
    }
    for change in ["0", "0.0001", "-1000000000"] {
        a_room([received()]).when(adjust(change)).then_field("out-of-range", "/change");
    }
    for counted in ["-1", "0.0001", "1000000000"] {
        a_room([received()]).when(count(counted)).then_field("out-of-range", "/counted");
    }
    a_room([received()]).when(receive(json!({"quantity": "999999999.999"}))).then_field("out-of-range", "/quantity");
    a_room([]).when(receive(json!({"unit_cost": "0.00001"}))).then_field("out-of-range", "/unit_cost");
}

#[test]
fn what_is_issued_is_for_a_patient_for_a_consultation_or_for_the_ward() {
    let begun = || sample_with::<Consultation>("started", json!({"patient_id": PATIENT, "appointment_id": null}));
    let patients = || {
        a_room([received()])
            .and::<Patient>(PATIENT, [registered()])
            .and::<Patient>(OTHER_PATIENT, [registered()])
            .and::<Consultation>(CONSULTATION, [begun()])
    };
    let for_whom = |patient_id: Option<PatientId>, consultation_id| {
        [Event::Issued { movement: moved(dec!(-3), dec!(37)), patient_id, consultation_id }]
    };
    a_room([received()]).when(issue(json!({}))).then(for_whom(None, None));
    patients().when(issue(json!({"patient_id": OTHER_PATIENT}))).then(for_whom(Some(OTHER_PATIENT), None));
    let within = json!({"consultation_id": CONSULTATION});
    patients().when(issue(within)).then(for_whom(Some(PATIENT), Some(CONSULTATION)));
    let of_another = json!({"consultation_id": CONSULTATION, "patient_id": OTHER_PATIENT});
    patients().when(issue(of_another)).then_refused(Refusal::OtherPatient);
    a_room([received()]).when(issue(json!({"patient_id": PATIENT}))).then_field("unknown-reference", "/patient_id");
    a_room([received()])
        .when(issue(json!({"consultation_id": CONSULTATION})))
        .then_field("unknown-reference", "/consultation_id");
}

#[test]
fn no_more_is_given_back_than_was_issued() {
    let back = |quantity: Decimal, on_hand_after| Event::Returned {
        movement: moved(quantity, on_hand_after),
        patient_id: None,
        consultation_id: None,
        reason: "not opened".into(),
    };
    let taken = [received(), issued(dec!(3), dec!(37))];
    a_room(taken.clone()).when(give_back(json!({}))).then([back(dec!(1), dec!(38))]);
    let rest = [taken.to_vec(), vec![back(dec!(1), dec!(38))]].concat();
    a_room(rest.clone()).when(give_back(json!({"quantity": "2"}))).then([back(dec!(2), dec!(40))]);
    a_room(rest).when(give_back(json!({"quantity": "2.5"}))).then_refused(Refusal::NotIssued { issued: dec!(2) });
    a_room([]).when(give_back(json!({}))).then_refused(Refusal::NotIssued { issued: dec!(0) });
}

#[test]
fn a_transfer_leaves_one_room_and_arrives_in_the_other() {
    let there = InventoryLevel::stream_of(ITEM, OTHER_ROOM);
    let arrived = |on_hand_after: Decimal| Event::TransferredIn {
        movement: Movement { location_id: OTHER_ROOM, ..moved(dec!(10), on_hand_after) },
        from_location_id: ROOM,
    };
    let left = || Event::TransferredOut { movement: moved(dec!(-10), dec!(30)), to_location_id: OTHER_ROOM };
    a_room([received()])
        .when(transfer("10"))
        .then([left()])
        .then_also::<InventoryLevel>(there, [arrived(dec!(10))])
        .then_claims([of(there, shares(scopes::LEVELS_OF_ITEM, ITEM))]);
    a_room([received()])
        .and::<InventoryLevel>(there, [arrived(dec!(10))])
        .when(transfer("10"))
        .then([left()])
        .then_also::<InventoryLevel>(there, [arrived(dec!(20))]);
    let here: TransferInventory = ask(body(json!({"to_location_id": ROOM, "quantity": "1"})));
    a_room([received()]).when(here).then_refused(Refusal::SameRoom);
}

#[test]
fn a_count_tells_what_is_there_even_if_nothing_was_missing() {
    let counted = |change, after| Event::Counted { movement: moved(change, after) };
    a_room([received()]).when(count("38.5")).then([counted(dec!(-1.5), dec!(38.5))]);
    a_room([received()]).when(count("40")).then([counted(dec!(0), dec!(40))]);
    a_room([]).when(count("7")).then([counted(dec!(7), dec!(7))]);
    a_room([]).when(count("0")).then([counted(dec!(0), dec!(0))]);
}

#[test]
fn what_is_thrown_away_has_a_reason() {
    let wasted = |reason_code, reason| Event::Wasted { movement: moved(dec!(-4), dec!(36)), reason_code, reason };
    a_room([received()]).when(waste(json!({}))).then([wasted(WasteReason::Damaged, None)]);
    let other = json!({"reason_code": "other"});
    a_room([received()]).when(waste(other)).then_field("reason-missing", "/reason");
    let other = json!({"reason_code": "other", "reason": "a wrong size"});
    a_room([received()]).when(waste(other)).then([wasted(WasteReason::Other, Some("a wrong size".into()))]);
}

/// Some commands with quantities from 1 to 9.
fn commands() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0_u8..7, 1_u8..10), 0..40)
}

proptest! {
    /// Whatever is asked for in whatever order: the changes add up to what is on hand, which is never negative.
    #[test]
    fn the_changes_add_up_to_what_is_on_hand(commands in commands()) {
        fn decided<C: Command<Aggregate = InventoryLevel>>(events: &[Event], command: C) -> Vec<Event> {
            let decided = a_room(events.to_vec()).when(command);
            if decided.is_accepted() { decided.events() } else { Vec::new() }
        }
        let mut events: Vec<Event> = Vec::new();
        for (kind, quantity) in commands {
            let quantity = json!({"quantity": quantity.to_string()});
            let text = quantity["quantity"].as_str().unwrap_or_default().to_owned();
            let next = match kind {
                0 => decided(&events, receive(quantity)),
                1 => decided(&events, issue(quantity)),
                2 => decided(&events, give_back(quantity)),
                3 => decided(&events, transfer(&text)),
                4 => decided(&events, waste(quantity)),
                5 => decided(&events, adjust(&format!("-{text}"))),
                _ => decided(&events, count(&text)),
            };
            events.extend(next);
            let total: Decimal = events.iter().map(|it| it.movement().change).sum();
            let level = hims_domain::fold::<InventoryLevel>(&events);
            prop_assert_eq!(level.as_ref().map_or(Decimal::ZERO, |it| it.quantity_on_hand), total);
            prop_assert!(total >= Decimal::ZERO);
            prop_assert!(level.is_none_or(|it| it.quantity_issued >= Decimal::ZERO));
        }
    }
}
