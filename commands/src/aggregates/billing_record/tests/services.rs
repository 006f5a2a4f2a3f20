//! Charges for tests of the laboratory and for articles.

use hims_domain::department::Department;
use hims_domain::inventory_item::InventoryItem;
use hims_domain::inventory_level::InventoryLevel;
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{self, LabResult};
use hims_domain::lab_test::LabTest;
use hims_domain::price::{Price, price_id};
use hims_domain::room::Room;
use hims_domain::user::User;
use hims_domain::values::coding::{ARTICLES, LOINC};
use hims_domain::{LabResultId, derived};
use hims_testing::{fields, sample_with};
use rust_decimal::dec;

use super::*;
use crate::billing_record::{
    ChangeBillingItem, ChargeLabResult, ChargeSupply, Moved, RevokeLabCharge, RevokeSupplyCharge,
};
use crate::testing::Then;
use crate::testing::samples::{
    DEPARTMENT, DOCTOR, ITEM, ROOM, added_room, created, created_with, opened as cardiology,
};

const RESULT: LabResultId = LabResultId(Uuid::from_u128(0xb1));

/// The events of a result whose specimen was taken on the evening of 22 November in New York.
fn result(then: impl IntoIterator<Item = lab_result::Event>) -> Vec<lab_result::Event> {
    let taken = json!({"patient_id": PATIENT, "result_status": "F", "taken_at": "2026-11-23T03:00:00Z"});
    [sample_with::<LabResult>("recorded", taken)].into_iter().chain(then).collect()
}

fn withdrawn() -> lab_result::Event {
    sample_with::<LabResult>("withdrawn", json!({"result_status": "W", "reason_code": "wrong_patient"}))
}

/// A result of a test that a provider ordered without a consultation, and what a charge looks up.
fn given_result(events: Vec<lab_result::Event>) -> Given<LabResult> {
    let recorded = fields::<LabResult>("recorded");
    let id = |field: &str| recorded[field].as_str().and_then(|it| it.parse::<Uuid>().ok()).unwrap();
    let order = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "details": {"consultation_id": null}});
    given(events)
        .and::<LabOrder>(id("lab_order_id"), [sample_with::<LabOrder>("placed", order)])
        .and::<LabTest>(id("lab_test_id"), [sample::<LabTest>("defined")])
        .and::<Patient>(PATIENT, [registered()])
        .and::<Department>(DEPARTMENT, [cardiology()])
}

fn provider() -> hims_domain::user::Event {
    created_with(json!({ "department_id": DEPARTMENT }))
}

/// The line of the result, and the record that begins with it.
fn ids() -> (Uuid, Uuid) {
    let line = derived("charge", &["lab_result", &RESULT.to_string(), ""]);
    (line, derived("billing record", &[&line.to_string()]))
}

fn charge() -> ChargeLabResult {
    ChargeLabResult { lab_result_id: RESULT }
}

#[test]
fn a_final_result_is_charged_on_the_day_on_which_the_specimen_was_taken() {
    let code = fields::<LabTest>("defined")["code"].as_str().unwrap().to_owned();
    let version = json!({"effective_from": "2026-01-01", "effective_to": null, "unit_price": "18.50", "tax_rate": 0,
                         "description": "Panel"});
    let listed = sample_with::<Price>("set", json!({"code_system": LOINC, "code": code, "version": version}));
    let then = given_result(result([]))
        .and::<User>(DOCTOR, [provider()])
        .and::<Price>(price_id("standard", LOINC, &code), [listed])
        .when(charge());
    let (line, id) = ids();
    let record = fold::<BillingRecord>(&then.events_of::<BillingRecord>(id)).unwrap();
    assert_eq!((record.consultation_id, record.opened_on.to_string().as_str()), (None, "2026-11-22"));
    let item = &record.lines[0].item;
    assert_eq!((Uuid::from(record.lines[0].id), item.code.as_str()), (line, code.as_str()));
    assert_eq!(record.standing.total_amount, dec!(18.50));
}

#[test]
fn the_day_is_that_of_the_hospital_where_no_department_tells_another() {
    for (zone, day) in [(chrono_tz::Tz::UTC, "2026-11-23"), (chrono_tz::Tz::America__Los_Angeles, "2026-11-22")] {
        let given = given_result(result([])).and::<User>(DOCTOR, [created()]).in_zone(zone);
        let record = fold::<BillingRecord>(&given.when(charge()).events_of::<BillingRecord>(ids().1)).unwrap();
        assert_eq!(record.opened_on.to_string(), day, "in {zone}");
        assert_eq!(record.lines[0].item.service_date, record.opened_on);
    }
}

#[test]
fn a_preliminary_or_withdrawn_result_is_not_charged_and_none_is_charged_twice() {
    let preliminary = sample_with::<LabResult>("recorded", json!({"patient_id": PATIENT, "result_status": "P"}));
    for events in [vec![preliminary], result([withdrawn()])] {
        given_result(events).and::<User>(DOCTOR, [provider()]).when(charge()).then_nothing();
    }
    let charged = given_result(result([])).and::<User>(DOCTOR, [provider()]);
    charged.owner(scopes::BILLING_PART, ids().0, BILL).when(charge()).then_nothing();
}

/// What becomes of the charge for a result.
fn revoked(events: Vec<lab_result::Event>, record: &[Event]) -> Then<LabResult> {
    let key = scopes::key(&["lab_result", &RESULT.to_string()]);
    given_result(events)
        .owner(scopes::CHARGED_SOURCE, key, ids().1)
        .and::<BillingRecord>(ids().1, record.to_vec())
        .when(RevokeLabCharge { lab_result_id: RESULT })
}

#[test]
fn a_withdrawn_result_is_charged_no_more_unless_there_is_an_invoice() {
    let charged = given_result(result([])).and::<User>(DOCTOR, [provider()]).when(charge());
    let record = charged.events_of::<BillingRecord>(ids().1);
    let removed = revoked(result([withdrawn()]), &record).events_of::<BillingRecord>(ids().1);
    assert!(matches!(&removed[..], [Event::ItemRemoved { item_id, .. }] if Uuid::from(*item_id) == ids().0));
    revoked(result([withdrawn()]), &[record.clone(), removed].concat()).then_nothing();
    revoked(result([]), &record).then_nothing();
    let price = json!({"billing_record_id": BILL, "item_id": ids().0, "unit_price": "1"});
    let billed = History(record).then(ask::<ChangeBillingItem>(price)).then(issue());
    revoked(result([withdrawn()]), &billed.0).then_refused(Refusal::ChargedAlready);
}

fn moved(quantity: Decimal, occasion: &str) -> Moved {
    let (patient_id, occasion) = (PATIENT, occasion.into());
    Moved { inventory_item_id: ITEM, location_id: ROOM, patient_id, consultation_id: None, quantity, occasion }
}

/// The id of what lines for the article charge for.
fn source() -> Uuid {
    let level = InventoryLevel::stream_of(ITEM, ROOM);
    derived("supply", &[&level.to_string(), &PATIENT.to_string()])
}

/// The article in a room in New York, and what the record of the patient has so far.
fn given_level(record: &[Event]) -> Given<InventoryLevel> {
    let given = given([sample::<InventoryLevel>("received")])
        .and::<InventoryItem>(ITEM, [sample::<InventoryItem>("added")])
        .and::<Room>(ROOM, [added_room()])
        .and::<Department>(DEPARTMENT, [cardiology()])
        .and::<Patient>(PATIENT, [registered()]);
    let Some(state) = fold::<BillingRecord>(record) else { return given };
    let given = state.parts.iter().fold(given, |given, it| given.owner(scopes::BILLING_PART, it, BILL));
    let given = match state.status() {
        Status::Pending => {
            given.owner(scopes::PENDING_BILLING, scopes::key(&[&PATIENT.to_string(), "2026-11-22"]), BILL)
        }
        _ => given,
    };
    let key = scopes::key(&["supply", &source().to_string()]);
    let given = if state.lines.is_empty() { given } else { given.owner(scopes::CHARGED_SOURCE, key, BILL) };
    given.and::<BillingRecord>(BILL, record.to_vec())
}

/// The record of the day after articles were issued, with the position of each issue.
fn after_issues(issues: &[(Decimal, &str)]) -> Vec<Event> {
    let opened = Opened {
        patient_id: PATIENT,
        consultation_id: None,
        opened_on: "2026-11-22".parse().unwrap(),
        currency: Currency::default(),
    };
    issues.iter().fold(vec![Event::Opened(opened)], |record, (quantity, occasion)| {
        let issued = ChargeSupply { issued: moved(*quantity, occasion), issued_at: at("2026-11-23T03:00:00Z") };
        let more = given_level(&record).when(issued).events_of::<BillingRecord>(BILL);
        [record, more].concat()
    })
}

fn after_return(record: &[Event], quantity: Decimal, occasion: &str) -> Vec<Event> {
    let returned = RevokeSupplyCharge { returned: moved(quantity, occasion) };
    let more = given_level(record).when(returned).events_of::<BillingRecord>(BILL);
    [record.to_vec(), more].concat()
}

/// What is charged of the article, line by line.
fn quantities(record: &[Event]) -> Vec<Decimal> {
    fold::<BillingRecord>(record).unwrap().lines.iter().map(|it| it.item.quantity).collect()
}

#[test]
fn what_is_issued_for_a_patient_is_charged_by_its_stock_keeping_unit_where_the_room_is() {
    let record = fold::<BillingRecord>(&after_issues(&[(dec!(2.5), "71")])).unwrap();
    let item = &record.lines[0].item;
    let sku = fields::<InventoryItem>("added")["sku"].as_str().unwrap().to_owned();
    assert_eq!((item.code_system.as_str(), item.code.as_str(), item.quantity), (ARTICLES, sku.as_str(), dec!(2.5)));
    assert_eq!(item.service_date.to_string(), "2026-11-22", "the day in New York");
    let twice = after_issues(&[(dec!(2.5), "71"), (dec!(2.5), "71")]);
    assert_eq!(quantities(&twice), [dec!(2.5)], "each issue is charged once");
    assert_eq!(quantities(&after_issues(&[(dec!(2.5), "71"), (dec!(1), "75")])), [dec!(2.5), dec!(1)]);
}

#[test]
fn what_is_put_back_is_charged_no_more_beginning_with_the_last_line_and_once() {
    let issued = after_issues(&[(dec!(2), "71"), (dec!(3), "75")]);
    for (returned, left) in [
        (dec!(1), vec![dec!(2), dec!(2)]),
        (dec!(3), vec![dec!(2)]),
        (dec!(4), vec![dec!(1)]),
        (dec!(5), vec![]),
        (dec!(6), vec![]),
    ] {
        let after = after_return(&issued, returned, "80");
        assert_eq!(quantities(&after), left, "after a return of {returned}");
        let again = RevokeSupplyCharge { returned: moved(returned, "80") };
        given_level(&after).when(again).then_nothing();
    }
    let twice = after_return(&after_return(&issued, dec!(1), "80"), dec!(1), "81");
    assert_eq!(quantities(&twice), [dec!(2), dec!(1)], "two returns of the same quantity are two");
}

#[test]
fn what_was_put_back_and_is_in_an_invoice_must_be_adjusted_by_a_person() {
    let issued = after_issues(&[(dec!(2), "71")]);
    let line = fold::<BillingRecord>(&issued).unwrap().lines[0].id;
    let price = json!({"billing_record_id": BILL, "item_id": line, "unit_price": "1"});
    let billed = History(issued).then(ask::<ChangeBillingItem>(price)).then(issue());
    let returned = || RevokeSupplyCharge { returned: moved(dec!(1), "80") };
    given_level(&billed.0).when(returned()).then_refused(Refusal::ChargedAlready);
    given_level(&[]).when(returned()).then_nothing();
}
