//! How often and how long a medication may be dispensed.

use hims_domain::prescription::Refill;

use super::*;

/// Orders ten tablets of a product of a schedule, as a doctor does.
fn write_of(schedule: Option<&str>, changes: Value) -> Then<Prescription> {
    let controlled = json!({"controlled_substance": schedule.is_some(), "dea_schedule": schedule});
    let details = with(crate::testing::samples::metformin(), controlled);
    given([])
        .by(somebody("doctor"))
        .and::<Patient>(PATIENT, [registered()])
        .and::<Medication>(MEDICATION, [medication::Event::Added(ask(details)), introduced("tablet")])
        .when(write_order(changes))
}

fn valid_until(then: &Then<Prescription>) -> Option<NaiveDate> {
    let [Event::Written(it)] = &then.events()[..] else { panic!("written") };
    it.items[0].order.valid_until
}

fn refill(changes: Value) -> RefillPrescription {
    ask(with(json!({"prescription_id": PRESCRIPTION}), changes))
}

fn opened(refills_used: i32) -> Event {
    Event::RefillOpened { refills: vec![Refill { item_id: ITEM, refills_used }], early_reason: None }
}

/// A prescription of ten tablets for ten days, with two refills, that was dispensed.
fn with_refills(changes: Value) -> Vec<Event> {
    let order = with(order(), json!({"refills_allowed": 2, "days_supply": 10}));
    let written = written_with([(ITEM, with(order, changes))]);
    vec![written, Event::SentToPharmacy, dispensed([from_lot(ITEM, LOT, dec!(10))], true)]
}

/// The same day, some days later.
fn after(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

#[test]
fn schedule_one_is_not_prescribed() {
    write_of(Some("I"), json!({})).then_field("schedule-one", "/items/0/medication_id");
}

#[test]
fn schedule_two_has_no_refills_and_ninety_days() {
    write_of(Some("II"), json!({"refills_allowed": 1})).then_field("no-refills-allowed", "/items/0/refills_allowed");
    let then = write_of(Some("II"), json!({}));
    assert_eq!(valid_until(&then).map(|it| it.to_string()).as_deref(), Some("2027-02-21"));
    write_of(Some("II"), json!({"valid_until": "2027-02-22"})).then_field("out-of-range", "/items/0/valid_until");
}

#[test]
fn schedules_three_and_four_have_five_refills_in_six_months() {
    for schedule in ["III", "IV"] {
        let then = write_of(Some(schedule), json!({"refills_allowed": 5}));
        assert_eq!(valid_until(&then).map(|it| it.to_string()).as_deref(), Some("2027-05-23"));
        let six = json!({"refills_allowed": 6});
        write_of(Some(schedule), six).then_field("out-of-range", "/items/0/refills_allowed");
        let late = json!({"valid_until": "2027-05-24"});
        write_of(Some(schedule), late).then_field("out-of-range", "/items/0/valid_until");
    }
}

#[test]
fn others_have_eleven_refills_in_two_years_and_one_year_unless_said() {
    for schedule in [None, Some("V")] {
        let then = write_of(schedule, json!({"refills_allowed": 11}));
        assert_eq!(valid_until(&then).map(|it| it.to_string()).as_deref(), Some("2027-11-23"));
        assert!(write_of(schedule, json!({"valid_until": "2028-11-23"})).is_accepted());
        write_of(schedule, json!({"valid_until": "2028-11-24"})).then_field("out-of-range", "/items/0/valid_until");
        write_of(schedule, json!({"valid_until": "2026-11-22"})).then_field("out-of-range", "/items/0/valid_until");
    }
    for refills in [-1, 12] {
        write_of(None, json!({"refills_allowed": refills})).then_field("out-of-range", "/items/0/refills_allowed");
    }
    for days in [0, 366] {
        write_of(None, json!({"days_supply": days})).then_field("out-of-range", "/items/0/days_supply");
    }
}

#[test]
fn a_refill_lets_the_quantity_be_dispensed_once_more() {
    at_the_counter(with_refills(json!({}))).at(after(8)).when(refill(json!({}))).then([opened(1)]).then_nothing_else();
    let again = with_refills(json!({})).into_iter().chain([opened(1)]);
    let lot = vec![received(), taken(ITEM, dec!(10), dec!(10))];
    let part = |quantity, dispensed_after| Dispensing {
        dispensed_after,
        dispensed_on: after(8).date_naive(),
        ..from_lot(ITEM, LOT, quantity)
    };
    with_lots(at_the_counter(again.clone()), [(LOT, lot.clone())])
        .at(after(8))
        .when(dispense_all())
        .then([dispensed([part(dec!(10), dec!(20))], true)])
        .then_also::<MedicationLot>(LOT, [taken(ITEM, dec!(10), dec!(0))]);
    with_lots(at_the_counter(again.clone()), [(LOT, lot)])
        .when(dispense_item(json!({"quantity": "11"})))
        .then_field("too-much", "/items/0/quantity");
    let Event::Dispensed { dispensed, .. } = at_the_counter(again).when(dispense_elsewhere()).then_event() else {
        panic!("dispensed")
    };
    assert_eq!((dispensed[0].quantity, dispensed[0].dispensed_after), (dec!(10), dec!(20)));
}

#[test]
fn only_what_was_dispensed_is_refilled() {
    for status in [Status::Pending, Status::SentToPharmacy, Status::Ready, Status::Cancelled] {
        at_the_counter(until(status))
            .when(refill(json!({})))
            .then_refused(Refused::wrong_status::<Prescription>(status));
    }
    let opened_already = with_refills(json!({})).into_iter().chain([opened(1)]);
    at_the_counter(opened_already)
        .when(refill(json!({})))
        .then_refused(Refused::wrong_status::<Prescription>(Status::SentToPharmacy));
}

#[test]
fn no_more_refills_are_opened_than_are_allowed() {
    let none = json!({"refills_allowed": 0});
    at_the_counter(with_refills(none.clone()))
        .at(after(8))
        .when(refill(json!({})))
        .then_refused(Refusal::NoRefillsLeft);
    at_the_counter(with_refills(none))
        .at(after(8))
        .when(refill(json!({"item_ids": [ITEM]})))
        .then_field("no-refills-left", "/item_ids/0");
    let mut twice = with_refills(json!({}));
    for refills_used in 1..=2 {
        let part =
            Dispensing { dispensed_after: dec!(10) * Decimal::from(1 + refills_used), ..from_lot(ITEM, LOT, dec!(10)) };
        twice.extend([opened(refills_used), dispensed([part], true)]);
    }
    at_the_counter(twice).at(after(8)).when(refill(json!({}))).then_refused(Refusal::NoRefillsLeft);
}

#[test]
fn nothing_is_refilled_after_the_last_day() {
    let until = json!({"valid_until": "2026-12-01"});
    let command = || refill(json!({"item_ids": [ITEM]}));
    assert!(at_the_counter(with_refills(until.clone())).at(after(8)).when(command()).is_accepted());
    at_the_counter(with_refills(until)).at(after(9)).when(command()).then_field("prescription-expired", "/item_ids/0");
}

#[test]
fn a_refill_before_three_quarters_of_the_supply_needs_a_reason() {
    let early = |days, changes: Value| at_the_counter(with_refills(json!({}))).at(after(days)).when(refill(changes));
    early(7, json!({})).then_code("too-early");
    assert!(early(8, json!({})).is_accepted(), "after 7.5 of 10 days");
    assert!(early(1, json!({"early_reason": "travels for a month"})).is_accepted());
    // Without a supply in days, how long the medication is taken says it.
    let days = json!({"days_supply": null, "duration_days": 20});
    at_the_counter(with_refills(days)).at(after(14)).when(refill(json!({}))).then_code("too-early");
    let unknown = json!({"days_supply": null});
    assert!(at_the_counter(with_refills(unknown)).when(refill(json!({}))).is_accepted());
}

#[test]
fn what_was_taken_back_is_no_fill() {
    let mut events = with_refills(json!({}));
    let again =
        Dispensing { dispensed_after: dec!(20), dispensed_on: after(8).date_naive(), ..from_lot(ITEM, LOT, dec!(10)) };
    let back = Reversed { item_id: ITEM, lot_id: Some(LOT), quantity: dec!(10), quantity_dispensed: dec!(10) };
    let reversed =
        Event::DispensingReversed { reversed: vec![back], status: Status::SentToPharmacy, reason: said("not fetched") };
    events.extend([opened(1), dispensed([again], true), reversed]);
    let state = hims_domain::fold::<Prescription>(&events).unwrap();
    assert_eq!((state.last_fill(ITEM), state.lines[0].outstanding()), (Some(today()), dec!(10)));
}

#[test]
fn a_controlled_medication_is_not_refilled_early_whatever_the_reason() {
    let controlled = json!({"controlled_substance": true, "dea_schedule": "IV"});
    let added = medication::Event::Added(ask(with(crate::testing::samples::metformin(), controlled)));
    let early = |days| {
        given(with_refills(json!({})))
            .and::<Patient>(PATIENT, [registered()])
            .and::<Medication>(MEDICATION, [added.clone()])
            .at(after(days))
            .when(refill(json!({"early_reason": "travels for a month"})))
    };
    early(7).then_code("too-early");
    assert!(early(8).is_accepted());
}

#[test]
fn an_item_is_named_once_and_is_of_the_prescription() {
    let given = || at_the_counter(with_refills(json!({}))).at(after(8));
    given().when(refill(json!({"item_ids": []}))).then_field("no-items", "/item_ids");
    given().when(refill(json!({"item_ids": [OTHER_ITEM]}))).then_field("no-such-item", "/item_ids/0");
    given().when(refill(json!({"item_ids": [ITEM, ITEM]}))).then([opened(1)]);
}

#[test]
fn nothing_is_refilled_for_the_dead() {
    let death = hims_domain::patient::Death { deceased_at: Personal::Known(now()), source: None };
    given(with_refills(json!({})))
        .and::<Patient>(PATIENT, [registered(), hims_domain::patient::Event::DeathRecorded(death)])
        .and::<Medication>(MEDICATION, [added_medication()])
        .at(after(8))
        .when(refill(json!({})))
        .then_refused(crate::patient::Refusal::Deceased);
}

#[test]
fn patients_open_refills_of_their_own_prescriptions() {
    let state = hims_domain::fold::<Prescription>(&with_refills(json!({})));
    let login = |patient_id| Caller { patient_id: Some(patient_id), ..somebody("patient") };
    assert!(refill(json!({})).is_own(state.as_ref(), &login(PATIENT)));
    assert!(!refill(json!({})).is_own(state.as_ref(), &login(OTHER_PATIENT)));
    assert!(!refill(json!({})).is_own(None, &login(PATIENT)));
    at_the_counter(with_refills(json!({}))).by(login(PATIENT)).at(after(8)).when(refill(json!({}))).then([opened(1)]);
}

#[test]
fn a_refill_that_was_opened_by_mistake_is_taken_back() {
    let undo = || UndoPrescriptionRefill { prescription_id: PRESCRIPTION, reason: said("a namesake") };
    let undone = |status| Event::RefillUndone {
        refills: vec![Refill { item_id: ITEM, refills_used: 0 }],
        status,
        reason: said("a namesake"),
    };
    let events = || with_refills(json!({})).into_iter().chain([opened(1)]);
    given(events()).when(undo()).then([undone(Status::Dispensed)]);
    let part = Dispensing { dispensed_after: dec!(14), ..from_lot(ITEM, LOT, dec!(4)) };
    given(events().chain([dispensed([part], false)])).when(undo()).then_refused(Refusal::NoRefillOpen);
    given([written(), Event::SentToPharmacy]).when(undo()).then_refused(Refusal::NoRefillOpen);
    given(with_refills(json!({}))).when(undo()).then_refused(Refused::wrong_status::<Prescription>(Status::Dispensed));
}

#[test]
fn cancelling_ends_the_refills_that_are_left() {
    given(with_refills(json!({}))).when(cancel()).then([cancelled()]);
    given(with_refills(json!({"refills_allowed": 0})))
        .when(cancel())
        .then_refused(Refused::wrong_status::<Prescription>(Status::Dispensed));
}
