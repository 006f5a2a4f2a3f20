use hims_domain::insurance_claim::Created;

use super::*;

const SECONDARY: InsurancePolicyId = OTHER_POLICY;

fn draft() -> DraftSecondaryClaim {
    DraftSecondaryClaim { insurance_claim_id: CLAIM }
}

/// The claim of a story beside another policy of the patient.
fn with(story: &Story, priority: i32, changes: Value) -> Given<InsuranceClaim> {
    story
        .given()
        .and::<InsurancePolicy>(SECONDARY, policy(priority, changes))
        .owner(scopes::POLICY_PATIENT, PATIENT, SECONDARY)
        .by(Caller::system("secondary-claims"))
}

/// The draft that a command makes, if it makes one.
fn drafted(then: &Then<InsuranceClaim>) -> Option<Created> {
    let id = hims_domain::derived("secondary_claim", &[&RECORD.to_string(), &SECONDARY.to_string()]);
    match then.events_of::<InsuranceClaim>(id).pop() {
        Some(Event::Created(created)) => Some(*created),
        _ => None,
    }
}

#[test]
fn what_the_first_payer_leaves_is_asked_of_the_second() {
    let paid = Story::accepted(&["100.00"]).after(pay(TRACE, json!([line(1, "60", "20", "20")])));
    let then = with(&paid, 2, json!({})).when(draft());
    let claim = drafted(&then).expect("a draft");
    assert_eq!(
        (claim.insurance_policy_id, claim.priority, claim.billed_amount.to_string()),
        (SECONDARY, 2, "100.00".into())
    );
    let [prior] = claim.lines[0].prior.as_slice() else { panic!("one payer before") };
    assert_eq!((prior.insurance_claim_id, prior.paid.to_string()), (CLAIM, "60.00".to_owned()));
    assert_eq!(claim.lines[0].asked(), number("20"));
    assert!(then.events().is_empty(), "nothing happens to the first claim");
    let record = [paid.record.clone(), then.events_of::<BillingRecord>(RECORD)].concat();
    let standing = fold::<BillingRecord>(&record).unwrap().standing;
    assert_eq!((standing.insurance_due, standing.patient_due()), (number("20"), Decimal::ZERO));
}

#[test]
fn the_second_payer_changes_nothing_of_what_the_first_paid() {
    let primary = Story::accepted(&["100.00"]).after(pay(TRACE, json!([line(1, "60", "20", "20")])));
    let then = with(&primary, 2, json!({})).when(draft());
    let created = drafted(&then).expect("a draft");
    let id = hims_domain::derived("secondary_claim", &[&RECORD.to_string(), &SECONDARY.to_string()]);
    let record = [primary.record.clone(), then.events_of::<BillingRecord>(RECORD)].concat();
    let claim = vec![Event::Created(Box::new(created)), sample::<InsuranceClaim>("submitted")];
    let adjustments = [adjustment("OA", "23", "80"), adjustment("PR", "2", "5")];
    let said = pay("TRN-2", json!([{"line": 1, "paid": "15", "adjustments": adjustments}]));
    let said = RecordClaimPayment { insurance_claim_id: id.into(), ..said };
    let then = beside(claim, record.clone()).when(said);
    let record = [record, then.events_of::<BillingRecord>(RECORD)].concat();
    let it = fold::<BillingRecord>(&record).unwrap().standing;
    let sums = [it.adjustment_amount, it.paid_amount, it.balance(), it.insurance_due].map(spoken);
    assert_eq!(sums, ["20.00", "75.00", "5.00", "0.00"]);
}

#[test]
fn no_draft_is_made_without_a_reason_or_twice() {
    let paid = Story::accepted(&["100.00"]).after(pay(TRACE, json!([line(1, "60", "20", "20")])));
    let covered = Story::accepted(&["100.00"]).after(pay(TRACE, json!([line(1, "80", "20", "0")])));
    let part = Story::accepted(&["100.00", "5.00"]).after(pay(TRACE, json!([line(1, "60", "20", "20")])));
    let back = paid.after(reverse(&paid, "TRN-2"));
    for (story, priority, changes) in [
        (&covered, 2, json!({})),
        (&part, 2, json!({})),
        (&back, 2, json!({})),
        (&paid, 1, json!({"effective_from": "2027-01-01"})),
        (&paid, 2, json!({"effective_to": "2026-11-19"})),
    ] {
        with(story, priority, changes.clone()).when(draft()).then_nothing();
    }
    paid.when(draft()).then_nothing();
    let made = drafted(&with(&paid, 2, json!({})).when(draft())).expect("a draft");
    let again = with(&paid, 2, json!({})).and::<InsuranceClaim>(OTHER_CLAIM, [Event::Created(Box::new(made))]).owner(
        scopes::CLAIMS_OF_RECORD,
        RECORD,
        OTHER_CLAIM,
    );
    again.when(draft()).then_nothing();
}

#[test]
fn what_a_denial_leaves_to_the_patient_is_asked_of_the_second_payer() {
    let denied = Story::accepted(&["100.00"]).after(deny(TRACE, json!([refused(1, "PR", "100")])));
    let claim = drafted(&with(&denied, 2, json!({})).when(draft())).expect("a draft");
    assert_eq!(claim.lines[0].asked(), number("100"));
}
