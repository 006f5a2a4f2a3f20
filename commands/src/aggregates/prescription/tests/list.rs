//! What writing, dispensing and cancelling do to the patient's medication list.

use hims_domain::medication_list::{Dispensed, Prescribed, Taken};
use hims_domain::prescription::Refill;

use super::*;
use crate::testing::now;

/// The event by which a prescription of some items begins entries of the list.
fn prescribed(items: &[PrescriptionItemId], status: medication_list::Status, changes: Value) -> medication_list::Event {
    let taken: Taken = ask(with(json!({"medication_id": MEDICATION, "rxnorm_code": "861007"}), changes));
    let entry = |item_id: &PrescriptionItemId| Prescribed {
        entry_id: entry_of(*item_id),
        item_id: *item_id,
        taken: taken.clone(),
        status,
    };
    let entries = items.iter().map(entry).collect();
    medication_list::Event::Prescribed { patient_id: PATIENT, prescription_id: PRESCRIPTION, entries }
}

/// The list of a patient for whom an item was prescribed, after further events.
fn listed(given: Given<Prescription>, more: impl IntoIterator<Item = medication_list::Event>) -> Given<Prescription> {
    let both = prescribed(&[ITEM, OTHER_ITEM], medication_list::Status::Intended, json!({}));
    given.and::<MedicationList>(list_of(PATIENT), [both].into_iter().chain(more))
}

fn stopped() -> medication_list::Event {
    let end_date = now().date_naive();
    medication_list::Event::Stopped { entry_id: entry_of(ITEM), end_date, reason: said("allergic") }
}

fn held() -> medication_list::Event {
    medication_list::Event::Held { entry_id: entry_of(ITEM), reason: said("surgery") }
}

fn given_out(end_date: Option<&str>) -> medication_list::Event {
    let (start_date, end_date) = (now().date_naive(), end_date.map(|it| it.parse().unwrap()));
    medication_list::Event::Dispensed { entries: vec![Dispensed { entry_id: entry_of(ITEM), start_date, end_date }] }
}

#[test]
fn what_is_prescribed_is_intended_until_it_is_dispensed() {
    let order = json!({"dose_quantity": "1.0", "dose_unit": "tablet", "route": "oral", "frequency": "twice daily"});
    let then = given_prescription([]).by(somebody("doctor")).when(with_id(write_order(order.clone())));
    let Event::Written(written) = &then.events()[0] else { panic!("written") };
    let item = written.items[0].id;
    let taken = json!({"dose": "1 tablet", "route": "oral", "frequency": "twice daily"});
    let expected = prescribed(&[item], medication_list::Status::Intended, taken.clone());
    then.then_also::<MedicationList>(list_of(PATIENT), [expected]);
    // What an import writes was prescribed elsewhere, and the patient takes it since then.
    let imported = given_prescription([]).when(with_id(write_order(order)));
    let Event::Written(written) = &imported.events()[0] else { panic!("written") };
    let since = with(taken, json!({"start_date": now().date_naive()}));
    let expected = prescribed(&[written.items[0].id], medication_list::Status::Active, since);
    imported.then_also::<MedicationList>(list_of(PATIENT), [expected]);
}

fn with_id(command: WritePrescription) -> WritePrescription {
    WritePrescription { id: Some(PRESCRIPTION), provider_id: None, ..command }
}

#[test]
fn what_is_dispensed_is_taken_for_its_days() {
    for (days, end) in [(json!(5), Some("2026-11-28")), (json!(null), None)] {
        let given = with_lots(at_the_counter(ready(json!({"duration_days": days}))), [(LOT, vec![received()])]);
        listed(given, [])
            .by(somebody("pharmacist"))
            .when(dispense_all())
            .then_also::<MedicationList>(list_of(PATIENT), [given_out(end)]);
    }
    // A second part goes on from the first day.
    let part = [from_lot(ITEM, LOT, dec!(4))];
    let rest = ready(json!({"duration_days": 5})).into_iter().chain([dispensed(part, false)]);
    let given = with_lots(at_the_counter(rest), [(LOT, vec![received(), taken(ITEM, dec!(4), dec!(16))])]);
    let first = medication_list::Event::Dispensed {
        entries: vec![Dispensed {
            entry_id: entry_of(ITEM),
            start_date: "2026-11-20".parse().unwrap(),
            end_date: Some("2026-11-25".parse().unwrap()),
        }],
    };
    let then = listed(given, [first]).by(somebody("pharmacist")).when(dispense_all());
    let [medication_list::Event::Dispensed { entries }] = &then.events_of::<MedicationList>(list_of(PATIENT))[..]
    else {
        panic!("dispensed")
    };
    assert_eq!(
        (entries[0].start_date.to_string(), entries[0].end_date),
        ("2026-11-20".to_owned(), "2026-11-28".parse().ok())
    );
}

/// The first and the last day on which the patient takes an item that is dispensed once more some days after the first
/// time, after a refill was opened.
fn refilled(days: i64, order: Value) -> (String, Option<String>) {
    let refill = Refill { item_id: ITEM, refills_used: 1 };
    let opened = Event::RefillOpened { refills: vec![refill], early_reason: Some(said("travels for a month")) };
    let once = dispensed([from_lot(ITEM, LOT, dec!(10))], true);
    let again = ready(with(order, json!({"refills_allowed": 1}))).into_iter().chain([once, opened]);
    let lot = received_with(json!({"expiry_date": "2027-12-31"}));
    let then = listed(with_lots(at_the_counter(again), [(LOT, vec![lot])]), [given_out(None)])
        .by(somebody("pharmacist"))
        .at(now() + TimeDelta::days(days))
        .when(dispense_all());
    let [medication_list::Event::Dispensed { entries }] = &then.events_of::<MedicationList>(list_of(PATIENT))[..]
    else {
        panic!("dispensed")
    };
    (entries[0].start_date.to_string(), entries[0].end_date.map(|it| it.to_string()))
}

#[test]
fn a_refill_is_taken_after_what_was_dispensed_before() {
    let for_30_days = [json!({"duration_days": 30}), json!({"days_supply": 30})];
    for order in for_30_days.iter().chain([&json!({"duration_days": 30, "days_supply": 90})]) {
        // Of a refill on the 23rd day, and of one that comes early, the patient has enough for sixty days altogether.
        for days in [23, 3] {
            assert_eq!(refilled(days, order.clone()), ("2026-11-23".to_owned(), Some("2027-01-22".to_owned())));
        }
        // A refill after forty days lasts for thirty days more.
        assert_eq!(refilled(40, order.clone()).1.as_deref(), Some("2027-02-01"));
    }
    assert_eq!(refilled(23, json!({})).1, None, "nobody said for how long");
}

#[test]
fn what_somebody_stopped_is_not_dispensed() {
    for end in [stopped(), held()] {
        let given = with_lots(at_the_counter(ready(json!({}))), [(LOT, vec![received()])]);
        listed(given, [end]).by(somebody("pharmacist")).when(dispense_all()).then_code("medication-stopped");
    }
}

#[test]
fn what_another_pharmacy_dispensed_is_taken_whatever_was_said_before() {
    let given = listed(at_the_counter([written(), Event::SentToPharmacy]), [stopped()]);
    given
        .by(somebody("pharmacist"))
        .when(dispense_elsewhere())
        .then_also::<MedicationList>(list_of(PATIENT), [given_out(None)]);
    // An import tells of a course that is over.
    let over = medication_list::Event::Completed { entries: [entry_of(ITEM)].into() };
    listed(at_the_counter([written()]), [])
        .when(dispense_elsewhere())
        .then_also::<MedicationList>(list_of(PATIENT), [given_out(None), over]);
}

#[test]
fn what_was_not_dispensed_ends_with_its_prescription() {
    let both = || written_with([(ITEM, order()), (OTHER_ITEM, order())]);
    let ended = |items: &[PrescriptionItemId]| medication_list::Event::PrescriptionCancelled {
        entries: items.iter().map(|it| entry_of(*it)).collect(),
        reason: said("allergic"),
    };
    listed(at_the_counter([both()]), [])
        .when(cancel())
        .then([cancelled()])
        .then_also::<MedicationList>(list_of(PATIENT), [ended(&[ITEM, OTHER_ITEM])]);
    // The patient has some of the first, and goes on taking it.
    let part = dispensed([from_lot(ITEM, LOT, dec!(4))], false);
    listed(at_the_counter([both(), Event::SentToPharmacy, part]), [given_out(None)])
        .when(cancel())
        .then_also::<MedicationList>(list_of(PATIENT), [ended(&[OTHER_ITEM])]);
    // Somebody stopped the first before, with another reason.
    listed(at_the_counter([both()]), [stopped()])
        .when(cancel())
        .then_also::<MedicationList>(list_of(PATIENT), [ended(&[OTHER_ITEM])]);
    listed(at_the_counter([written(), Event::SentToPharmacy]), [stopped()])
        .when(cancel())
        .then([cancelled()])
        .then_nothing_else();
}
