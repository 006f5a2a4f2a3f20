use hims_domain::payer;
use hims_testing::{fields, sample};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{
    OTHER_PATIENT, OTHER_PAYER, OTHER_POLICY, PATIENT, PAYER, POLICY, ask, registered, said, with,
};
use crate::testing::world::{somebody, user};
use crate::testing::{Claimed, Given, at, given, id, shares, unbooks, unshares};

/// The policy of a child on the card of a parent, for the year 2026.
fn of_a_child() -> Value {
    fields::<InsurancePolicy>("added")["coverage"].clone()
}

/// A policy of the patient's own, for the year 2026.
fn own() -> Value {
    let own = json!({"relationship_to_subscriber": "self", "subscriber_name": null, "subscriber_birth_date": null});
    with(of_a_child(), own)
}

fn added(changes: Value) -> Event {
    Event::Added { patient_id: PATIENT, coverage: ask(with(own(), changes)) }
}

fn verified() -> Event {
    sample::<InsurancePolicy>("verified")
}

fn ended(effective_to: &str) -> Event {
    Event::Ended { effective_to: effective_to.parse().unwrap() }
}

fn cancelled() -> Event {
    Event::Cancelled { reason: said("another employer") }
}

fn in_error() -> Event {
    Event::MarkedEnteredInError { reason: said("of another patient") }
}

/// A patient, an active payer and another active payer beside the policy.
fn beside(policy: impl IntoIterator<Item = Event>) -> Given<InsurancePolicy> {
    let payers = [PAYER, OTHER_PAYER].into_iter();
    let given = given(policy).by(somebody("receptionist")).and::<Patient>(PATIENT, [registered()]);
    payers.fold(given, |given, payer| given.and::<Payer>(payer, [sample::<Payer>("added")]))
}

/// The policy, and another policy of the patient that began with these events.
fn and_another(policy: [Event; 2], other: impl IntoIterator<Item = Event>) -> Given<InsurancePolicy> {
    let key = PATIENT.to_string();
    beside(policy)
        .owner(scopes::POLICY_PATIENT, &key, POLICY)
        .owner(scopes::POLICY_PATIENT, &key, OTHER_POLICY)
        .and::<InsurancePolicy>(OTHER_POLICY, other)
}

fn add(changes: Value) -> AddInsurancePolicy {
    ask(with(with(own(), json!({"patient_id": PATIENT, "id": POLICY})), changes))
}

fn change(changes: Value) -> ChangeInsurancePolicy {
    ask(with(json!({"insurance_policy_id": POLICY}), changes))
}

fn verify() -> VerifyInsurancePolicy {
    ask(json!({"insurance_policy_id": POLICY, "method": "portal", "reference": "R-1"}))
}

fn end(effective_to: &str) -> EndInsurancePolicy {
    ask(json!({"insurance_policy_id": POLICY, "effective_to": effective_to}))
}

fn cancel() -> CancelInsurancePolicy {
    CancelInsurancePolicy { insurance_policy_id: POLICY, reason: said("another employer") }
}

fn mark() -> MarkInsurancePolicyEnteredInError {
    MarkInsurancePolicyEnteredInError { insurance_policy_id: POLICY, reason: said("of another patient") }
}

fn books(priority: i32, from: &str, until: &str) -> Claimed {
    let midnight = |day: &str| at(&format!("{day}T00:00:00Z"));
    Claimed::Book(place(PATIENT, priority), midnight(from), midnight(until))
}

#[test]
fn a_policy_begins_as_a_draft_that_books_nothing() {
    beside([]).when(add(json!({}))).then([added(json!({}))]).then_claims([shares(scopes::POLICY_PATIENT, PATIENT)]);
}

#[test]
fn a_verified_policy_books_its_priority_until_the_day_after_its_last() {
    beside([added(json!({}))]).when(verify()).then([verified()]).then_claims([books(1, "2026-01-01", "2027-01-01")]);
    for last in [Value::Null, json!("9999-12-31")] {
        beside([added(json!({"effective_to": last, "priority": 2}))]).when(verify()).then_claims([books(
            2,
            "2026-01-01",
            "9999-12-31",
        )]);
    }
}

#[test]
fn the_same_verification_again_is_quiet_and_another_is_recorded() {
    beside([added(json!({})), verified()]).when(verify()).then_nothing();
    let by_phone: VerifyInsurancePolicy = ask(json!({"insurance_policy_id": POLICY, "method": "phone"}));
    let again = Verification { method: VerificationMethod::Phone, reference: None };
    beside([added(json!({})), verified()]).when(by_phone).then([Event::Verified(again)]).then_claims([]);
}

#[test]
fn yearly_renewals_that_touch_are_no_overlap() {
    let renewal = || added(json!({"effective_from": "2027-01-01", "effective_to": "2027-12-31"}));
    let mine = [renewal(), ended("2027-06-30")];
    assert!(and_another(mine, [added(json!({})), verified()]).when(verify()).is_accepted());
}

#[test]
fn two_policies_of_priority_1_on_one_day_are_refused() {
    let mine = || [added(json!({"effective_from": "2026-12-31", "effective_to": null})), ended("2027-12-31")];
    let overlapping = [added(json!({})), verified()];
    let then = and_another(mine(), overlapping.clone()).when(verify());
    assert_eq!(then.code(), Some("coverage-overlap"));
    then.then_candidates([OTHER_POLICY]);
    // The other policy is of another priority, nobody has verified it, it was cancelled, or it ended before.
    for other in [
        vec![added(json!({"priority": 2})), verified()],
        vec![added(json!({}))],
        vec![added(json!({})), verified(), cancelled()],
        vec![added(json!({})), verified(), ended("2026-12-30")],
    ] {
        assert!(and_another(mine(), other).when(verify()).is_accepted());
    }
    let second = [added(json!({"priority": 2})), verified()];
    and_another(second, overlapping).when(change(json!({"priority": 1}))).then_code("coverage-overlap");
}

#[test]
fn a_changed_date_moves_the_claim_once_the_policy_is_verified_again() {
    let active = || vec![added(json!({})), verified()];
    let then = beside(active()).when(change(json!({"effective_to": "2026-06-30"})));
    let changed =
        Event::Changed { coverage: ask(with(own(), json!({"effective_to": "2026-06-30"}))), resets_verification: true };
    then.then([changed.clone()]).then_claims([unbooks()]);
    let again = [active(), vec![changed]].concat();
    beside(again).when(verify()).then([verified()]).then_claims([books(1, "2026-01-01", "2026-07-01")]);
}

#[test]
fn only_payer_member_dates_and_relationship_reset_the_verification() {
    for (changes, resets) in [
        (json!({"payer_id": OTHER_PAYER}), true),
        (json!({"member_id": "W-2"}), true),
        (json!({"effective_from": "2026-02-01"}), true),
        (json!({"effective_to": null}), true),
        (with(of_a_child(), json!({})), true),
        (json!({"copay_amount": "30"}), false),
        (json!({"priority": 2}), false),
        (json!({"group_number": null, "plan_name": "Closed Access"}), false),
    ] {
        let then = beside([added(json!({})), verified()]).when(change(changes.clone()));
        let Event::Changed { resets_verification, .. } = then.then_event() else { panic!("changed") };
        assert_eq!(resets_verification, resets, "{changes}");
    }
    let moved = beside([added(json!({})), verified()]).when(change(json!({"priority": 2})));
    moved.then_claims([unbooks(), books(2, "2026-01-01", "2027-01-01")]);
}

#[test]
fn changing_nothing_is_quiet() {
    beside([added(json!({})), verified()]).when(change(json!({"copay_amount": 25}))).then_nothing();
}

#[test]
fn a_child_is_covered_by_the_card_of_a_parent() {
    let child = || with(of_a_child(), json!({"patient_id": PATIENT}));
    let then = beside([]).when(ask::<AddInsurancePolicy>(child()));
    let Event::Added { coverage, .. } = then.then_event() else { panic!("added") };
    assert_eq!(coverage.subscriber_name, Some(said("Boris Bell")));
    for missing in ["subscriber_name", "subscriber_birth_date"] {
        let command = || ask::<AddInsurancePolicy>(with(child(), json!({ missing: null })));
        beside([]).when(command()).then_field("subscriber-missing", &format!("/{missing}"));
        assert!(beside([]).by(Caller::system("import")).when(command()).is_accepted(), "an import may lack it");
    }
    let relationship = json!({"relationship_to_subscriber": "child"});
    let fields = ["/subscriber_name", "/subscriber_birth_date"];
    beside([added(json!({}))]).when(change(relationship)).then_fields("subscriber-missing", &fields);
}

#[test]
fn only_an_import_may_lack_the_member() {
    let command = || add(json!({"member_id": null}));
    beside([]).when(command()).then_field("invalid-fields", "/member_id");
    assert!(beside([]).by(Caller::system("import")).when(command()).is_accepted());
}

#[test]
fn a_coverage_does_not_end_before_it_starts() {
    let backwards = add(json!({"effective_to": "2025-12-31"}));
    beside([]).when(backwards).then_field("ends-before-it-starts", "/effective_to");
    assert!(beside([]).when(add(json!({"effective_to": "2026-01-01"}))).is_accepted(), "a policy for one day");
    let before = json!({"effective_from": "2027-01-01"});
    beside([added(json!({}))]).when(change(before)).then_field("ends-before-it-starts", "/effective_to");
    beside([added(json!({}))]).when(end("2025-12-31")).then_refused(Refusal::EndsBeforeItStarts);
}

#[test]
fn one_answer_names_everything_that_is_wrong() {
    let wrong = json!({"priority": 0, "effective_to": "2025-12-31", "member_id": null,
                       "relationship_to_subscriber": "spouse"});
    let fields = ["/priority", "/effective_to", "/member_id", "/subscriber_name", "/subscriber_birth_date"];
    beside([]).when(add(wrong)).then_fields("out-of-range", &fields);
}

#[test]
fn numbers_are_within_their_ranges() {
    for (field, value, code) in [
        ("priority", json!(0), "out-of-range"),
        ("priority", json!(10), "out-of-range"),
        ("effective_from", json!("1899-12-31"), "out-of-range"),
        ("copay_amount", json!("12.345"), "invalid-fields"),
        ("deductible_amount", json!("-1"), "invalid-fields"),
        ("coinsurance_percent", json!("100.01"), "invalid-fields"),
    ] {
        beside([]).when(add(json!({ field: value }))).then_field(code, &format!("/{field}"));
    }
}

#[test]
fn a_coverage_is_ended_earlier_and_never_later() {
    let active = || vec![added(json!({})), verified()];
    beside(active())
        .when(end("2026-06-30"))
        .then([ended("2026-06-30")])
        .then_claims([unbooks(), books(1, "2026-01-01", "2026-07-01")]);
    beside(active()).when(end("2026-12-31")).then_nothing();
    beside(active()).when(end("2027-01-01")).then_refused(Refusal::EndsEarlier);
}

#[test]
fn a_cancelled_policy_books_nothing_and_one_in_error_is_not_found() {
    beside([added(json!({})), verified()]).when(cancel()).then([cancelled()]).then_claims([unbooks()]);
    beside([added(json!({})), verified()])
        .when(mark())
        .then([in_error()])
        .then_claims([unbooks(), unshares(scopes::POLICY_PATIENT, PATIENT)]);
}

#[test]
fn steps_that_are_not_listed_are_refused() {
    let draft = || vec![added(json!({}))];
    let after = |event: Event| vec![added(json!({})), verified(), event];
    beside(draft()).when(cancel()).then_code("wrong-status");
    assert!(beside(draft()).when(mark()).is_accepted());
    assert!(beside(after(cancelled())).when(mark()).is_accepted());
    beside(after(cancelled())).when(cancel()).then_nothing();
    beside(after(in_error())).when(mark()).then_nothing();
    beside(after(in_error())).when(cancel()).then_code("wrong-status");
    for over in [cancelled(), in_error()] {
        beside(after(over.clone())).when(verify()).then_code("wrong-status");
        beside(after(over.clone())).when(change(json!({"priority": 2}))).then_code("wrong-status");
        beside(after(over)).when(end("2026-06-30")).then_code("wrong-status");
    }
}

#[test]
fn a_payer_out_of_use_gets_no_new_policies() {
    let without = |events: Vec<Event>| {
        given(events)
            .by(somebody("receptionist"))
            .and::<Patient>(PATIENT, [registered()])
            .and::<Payer>(PAYER, [sample::<Payer>("added"), payer::Event::Deactivated])
            .and::<Payer>(OTHER_PAYER, [sample::<Payer>("added")])
    };
    without(vec![]).when(add(json!({}))).then_code("inactive-payer");
    without(vec![added(json!({}))]).when(verify()).then_code("inactive-payer");
    let of_other = || vec![added(json!({"payer_id": OTHER_PAYER}))];
    without(of_other()).when(change(json!({"payer_id": PAYER}))).then_code("inactive-payer");
    assert!(without(vec![added(json!({}))]).when(change(json!({"priority": 2}))).is_accepted());
}

#[test]
fn payer_and_patient_must_exist() {
    let unknown = || id::<Uuid>(0xdead);
    beside([]).when(add(json!({"payer_id": unknown()}))).then_field("unknown-reference", "/payer_id");
    beside([]).when(add(json!({"patient_id": unknown()}))).then_field("unknown-reference", "/patient_id");
}

#[test]
fn patients_add_policies_of_their_own_and_nobody_elses() {
    let ann = Caller { patient_id: Some(PATIENT), ..user(id(60), "patient") };
    assert!(add(json!({})).is_own(None, &ann));
    assert!(!add(json!({"patient_id": OTHER_PATIENT})).is_own(None, &ann));
    assert!(!add(json!({})).is_own(None, &user(id(61), "patient")));
    beside([]).by(ann).when(add(json!({}))).then([added(json!({}))]);
}
