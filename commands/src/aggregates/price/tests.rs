use hims_domain::billing_record::Priced;
use hims_domain::insurance_policy::{self, InsurancePolicy};
use hims_domain::patient::Patient;
use hims_domain::payer::{self, Payer};
use hims_domain::values::coding::CPT;
use hims_domain::{Aggregate as _, PayerId, fold};
use hims_testing::sample_with;
use rust_decimal::{Decimal, dec};
use serde_json::{Value, json};

use super::*;
use crate::billing_record::AddBillingItem;
use crate::testing::samples::{BILL, OTHER_POLICY, PATIENT, PAYER, POLICY, ask, registered, with};
use crate::testing::world::somebody;
use crate::testing::{Given, given};
use crate::{Caller, scopes};

/// The request that sets the price of a visit; today is 2026-11-23.
fn set(from: &str, price: &str) -> SetPrice {
    let body = json!({"code_system": CPT, "code": "99213", "description": "Office visit", "effective_from": from});
    ask(with(body, json!({ "unit_price": price })))
}

fn end(last_day: &str) -> EndPrice {
    ask(json!({"price_id": price_id(STANDARD, CPT, "99213"), "last_day": last_day}))
}

/// The events of a price that was set for these days, in this order, by an import.
fn history(days: &[(&str, &str)]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (from, price) in days {
        let set = given(events.clone()).by(Caller::system("import")).when(set(from, price));
        events.extend(set.events());
    }
    events
}

/// The prices of a history with their days.
fn versions(events: &[Event]) -> Vec<(String, Option<String>, String)> {
    let price = fold::<Price>(events).unwrap();
    let told = |version: &Version| {
        let last = version.effective_to.map(|it| it.to_string());
        (version.effective_from.to_string(), last, version.unit_price.to_string())
    };
    price.versions.values().map(told).collect()
}

fn version(from: &str, to: Option<&str>, price: &str) -> (String, Option<String>, String) {
    (from.to_owned(), to.map(str::to_owned), price.to_owned())
}

#[test]
fn a_price_ends_the_day_before_the_next_begins_whichever_was_set_first() {
    let in_order = history(&[("2026-01-01", "100"), ("2026-12-01", "110"), ("2027-01-01", "120")]);
    let backwards = history(&[("2027-01-01", "120"), ("2026-12-01", "110"), ("2026-01-01", "100")]);
    for events in [in_order, backwards] {
        assert_eq!(
            versions(&events),
            [
                version("2026-01-01", Some("2026-11-30"), "100.0000"),
                version("2026-12-01", Some("2026-12-31"), "110.0000"),
                version("2027-01-01", None, "120.0000"),
            ]
        );
    }
}

#[test]
fn a_price_in_force_never_changes_and_none_begins_in_the_past() {
    let known = || given(history(&[("2026-11-23", "100"), ("2026-12-01", "110")]));
    known().when(set("2026-11-23", "100")).then_nothing();
    known().when(set("2026-11-23", "101")).then_refused(Refusal::InForce);
    known().by(somebody("administrator")).when(set("2026-11-22", "101")).then_refused(Refusal::InThePast);
    given([]).by(somebody("administrator")).when(set("2026-11-22", "101")).then_refused(Refusal::InThePast);
    assert!(given([]).by(somebody("administrator")).when(set("2026-11-23", "101")).is_accepted());
    // A price that is not in force yet is replaced.
    let mut events = history(&[("2026-11-23", "100"), ("2026-12-01", "110")]);
    events.extend(given(events.clone()).when(set("2026-12-01", "115")).events());
    assert_eq!(versions(&events)[1], version("2026-12-01", None, "115.0000"));
}

#[test]
fn a_price_ends_on_a_day_and_may_begin_again() {
    let known = history(&[("2026-01-01", "100"), ("2027-01-01", "120")]);
    let ended = given(known.clone()).by(somebody("administrator")).when(end("2026-11-30")).events();
    let events = [known.clone(), ended].concat();
    assert_eq!(versions(&events), [version("2026-01-01", Some("2026-11-30"), "100.0000")]);
    given(events.clone()).when(end("2026-11-30")).then_nothing();
    given(events.clone()).when(end("2026-12-05")).then_refused(Refusal::NothingToEnd);
    given(known.clone()).by(somebody("administrator")).when(end("2026-11-22")).then_refused(Refusal::InThePast);
    let again = given(events.clone()).when(set("2027-01-01", "130")).events();
    assert_eq!(versions(&[events, again].concat())[0], version("2026-01-01", Some("2026-11-30"), "100.0000"));
}

#[test]
fn a_code_is_kept_as_its_system_writes_it_and_must_be_one() {
    let written = |code: &str| SetPrice { code: code.into(), ..set("2026-12-01", "1") };
    assert_eq!(written("0001u").target(), written("0001U").target());
    match given([]).when(written("0001u")).then_event() {
        Event::Set(set) => assert_eq!(set.code.as_str(), "0001U"),
        other @ Event::Ended { .. } => panic!("{other:?}"),
    }
    given([]).when(written("9921")).then_field("malformed-code", "/code");
    given([]).when(set("2026-12-01", "0.00001")).then_code("invalid-fields");
}

/// A policy of the patient by a payer, in force in 2026.
fn policy(payer_id: PayerId, priority: i32) -> Vec<insurance_policy::Event> {
    let coverage = json!({"payer_id": payer_id, "priority": priority});
    let added = json!({"patient_id": PATIENT, "coverage": coverage});
    vec![sample_with::<InsurancePolicy>("added", added), sample_with::<InsurancePolicy>("verified", json!({}))]
}

fn payer(price_list: &Value) -> Vec<payer::Event> {
    vec![sample_with::<Payer>("added", json!({ "price_list": price_list }))]
}

/// The price that a line gets on a day. The standard price is 100, from 1 December on 110; the payer's is 80.
fn priced(day: &str, policies: &[(i32, Value)]) -> Option<Priced> {
    let line = json!({"billing_record_id": BILL, "service_date": day, "code_system": CPT, "code": "99213",
                      "description": "Office visit", "quantity": 1});
    let opened = hims_testing::sample::<hims_domain::billing_record::BillingRecord>("opened");
    let list = |name: &str| price_id(name, CPT, "99213");
    let agreed = SetPrice { price_list: Some("agreed".into()), ..set("2026-11-23", "80") };
    let mut given: Given<hims_domain::billing_record::BillingRecord> = given([opened])
        .and::<Patient>(PATIENT, [registered()])
        .and::<Price>(list(STANDARD), history(&[("2026-01-01", "100"), ("2026-12-01", "110")]))
        .and::<Price>(list("agreed"), crate::testing::given([]).when(agreed).events());
    for (nth, (priority, price_list)) in policies.iter().enumerate() {
        let (policy_id, payer_id) = [(POLICY, PAYER), (OTHER_POLICY, crate::testing::samples::OTHER_PAYER)][nth];
        given = given
            .owner(scopes::POLICY_PATIENT, PATIENT, policy_id)
            .and::<InsurancePolicy>(policy_id, policy(payer_id, *priority))
            .and::<Payer>(payer_id, payer(price_list));
    }
    match given.when(ask::<AddBillingItem>(line)).then_event() {
        hims_domain::billing_record::Event::ItemAdded(it) => it.priced.clone(),
        other => panic!("{other:?}"),
    }
}

fn amount(priced: Option<&Priced>) -> Option<Decimal> {
    priced.map(|it| it.unit_price.number())
}

#[test]
fn the_price_is_that_of_the_day_of_the_service_and_the_line_says_which() {
    for (day, price, from) in [("2026-11-30", dec!(100), "2026-01-01"), ("2026-12-01", dec!(110), "2026-12-01")] {
        let priced = priced(day, &[]).unwrap();
        assert_eq!(priced.unit_price.number(), price, "{day}");
        assert_eq!(priced.price_list, Some(STANDARD.into()));
        assert_eq!(priced.price_effective_from, from.parse().ok());
    }
    assert_eq!(priced("2025-12-31", &[]), None, "there was no price yet");
}

#[test]
fn the_list_of_the_payer_who_pays_first_comes_before_the_standard_list() {
    let day = "2026-11-30";
    assert_eq!(amount(priced(day, &[(1, json!("agreed"))]).as_ref()), Some(dec!(80)));
    // The payer has no list, the list of the payer has no such price, or the payer pays second.
    assert_eq!(amount(priced(day, &[(1, json!(null))]).as_ref()), Some(dec!(100)));
    assert_eq!(amount(priced(day, &[(1, json!("other"))]).as_ref()), Some(dec!(100)));
    assert_eq!(amount(priced(day, &[(2, json!("agreed")), (1, json!(null))]).as_ref()), Some(dec!(100)));
    assert_eq!(amount(priced(day, &[(1, json!("agreed")), (2, json!(null))]).as_ref()), Some(dec!(80)));
}

#[test]
fn the_standard_price_counts_where_the_policy_is_not_in_force() {
    assert_eq!(amount(priced("2027-01-01", &[(1, json!("agreed"))]).as_ref()), Some(dec!(110)));
    assert!(Price::evolve(None, &sample_with::<Price>("ended", json!({}))).is_none());
}
