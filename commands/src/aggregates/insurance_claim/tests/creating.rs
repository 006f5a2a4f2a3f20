use hims_domain::insurance_claim::{Created, Diagnosed, LinePayment};
use hims_testing::fields;

use super::*;
use crate::testing::at;
use crate::testing::samples::OTHER_PATIENT;

#[track_caller]
fn created(then: Then<InsuranceClaim>) -> Created {
    match then.then_event() {
        Event::Created(created) => *created,
        other => panic!("not created: {other:?}"),
    }
}

#[test]
fn a_claim_has_the_lines_of_the_invoice_and_the_diagnoses_of_the_visit() {
    let then = beside([], invoiced(&["77.49", "22.51"])).when(create(json!({})));
    let told = then.events_of::<BillingRecord>(RECORD);
    let claim = created(then);
    assert_eq!(
        (claim.insurance_policy_id, claim.priority, claim.billed_amount.to_string()),
        (POLICY, 1, "100.00".into())
    );
    let lines: Vec<_> = claim.lines.iter().map(|it| (it.line, it.item_id, it.charge.to_string())).collect();
    assert_eq!(lines, [(1, item(1), "77.49".to_owned()), (2, item(2), "22.51".to_owned())]);
    let [Diagnosed { code, .. }] = claim.diagnoses.as_slice() else { panic!("one diagnosis") };
    assert_eq!(code.as_str(), "J20.9");
    let [billing_record::Event::ClaimOpened { claim_id, after, .. }] = told.as_slice() else { panic!("one event") };
    assert_eq!((*claim_id, after.insurance_due), (CLAIM.0, number("100")));
}

#[test]
fn only_an_invoice_is_claimed() {
    beside([], draft_of_invoice(&["77.49"])).when(create(json!({}))).then_refused(Refusal::NotBilled);
    let mut cancelled = invoiced(&["77.49"]);
    add(&mut cancelled, |after| billing_record::Event::Cancelled { reason: said("of another patient"), after });
    beside([], cancelled).when(create(json!({}))).then_refused(Refusal::NotBilled);
}

#[test]
fn the_policy_that_pays_first_on_the_day_of_the_service_pays() {
    let with_another = |changes: Value| {
        beside([], invoiced(&["77.49"])).and::<InsurancePolicy>(OTHER_POLICY, policy(2, changes)).owner(
            scopes::POLICY_PATIENT,
            PATIENT,
            OTHER_POLICY,
        )
    };
    assert_eq!(created(with_another(json!({})).when(create(json!({})))).insurance_policy_id, POLICY);
    let named = create(json!({"insurance_policy_id": OTHER_POLICY}));
    assert_eq!(created(with_another(json!({})).when(named.clone())).insurance_policy_id, OTHER_POLICY);
    let day = "2026-11-20".parse().unwrap();
    let ended = with_another(json!({"effective_to": "2026-11-19"}));
    ended.when(named.clone()).then_refused(Refusal::NotCovered { day });
    // A draft pays for nothing, whoever names it.
    let added = policy(2, json!({})).remove(0);
    let unverified = beside([], invoiced(&["77.49"])).and::<InsurancePolicy>(OTHER_POLICY, [added]);
    unverified.when(named.clone()).then_refused(Refusal::NotCovered { day });
    let of_another = patched(fields::<InsurancePolicy>("added").clone(), json!({"patient_id": OTHER_PATIENT}));
    let of_another = [ask(json!({ "added": of_another })), sample::<InsurancePolicy>("verified")];
    let foreign = beside([], invoiced(&["77.49"])).and::<InsurancePolicy>(OTHER_POLICY, of_another);
    foreign.and::<Payer>(OTHER_PAYER, [payer(json!(90))]).when(named).then_refused(Refusal::OfAnotherPatient);
}

#[test]
fn a_claim_for_31_december_is_sent_in_january_by_the_old_policy() {
    let record = || {
        let mut events = invoiced(&["77.49"]);
        for event in &mut events {
            if let billing_record::Event::ItemAdded(added) = event {
                added.item.service_date = "2025-12-31".parse().unwrap();
            }
        }
        events
    };
    let old = policy(1, json!({"effective_from": "2025-01-01", "effective_to": "2025-12-31"}));
    let both = |now: &str| {
        beside([], record())
            .and::<InsurancePolicy>(OTHER_POLICY, old.clone())
            .owner(scopes::POLICY_PATIENT, PATIENT, OTHER_POLICY)
            .at(at(now))
    };
    assert_eq!(created(both("2026-01-15T10:00:00Z").when(create(json!({})))).insurance_policy_id, OTHER_POLICY);
    // The payer takes claims for 90 days.
    assert!(both("2026-03-31T10:00:00Z").when(create(json!({}))).is_accepted());
    let last_day = "2026-03-31".parse().unwrap();
    both("2026-04-01T10:00:00Z").when(create(json!({}))).then_refused(Refusal::PastTimelyFiling { last_day });
    let why = create(json!({"late_reason": "the patient brought the card late"}));
    assert!(created(both("2026-04-01T10:00:00Z").when(why)).late_reason.is_some());
}

#[test]
fn one_claim_by_a_policy_is_open_for_a_record() {
    let story = Story::draft(&["77.49"]);
    let another = || create(json!({"id": OTHER_CLAIM}));
    let beside_open = || {
        beside([], story.record.clone()).and::<InsuranceClaim>(CLAIM, story.claim.clone()).owner(
            scopes::CLAIMS_OF_RECORD,
            RECORD,
            CLAIM,
        )
    };
    let then = beside_open().when(another());
    assert_eq!(then.code(), Some("claim-open"));
    then.then_candidates([CLAIM]);
    let by_another = create(json!({"id": OTHER_CLAIM, "insurance_policy_id": OTHER_POLICY}));
    assert!(beside_open().and::<InsurancePolicy>(OTHER_POLICY, policy(2, json!({}))).when(by_another).is_accepted());
    let withdrawn =
        story.after(ask::<CancelInsuranceClaim>(json!({"insurance_claim_id": CLAIM, "reason": "wrong payer"})));
    let beside_cancelled = beside([], withdrawn.record).and::<InsuranceClaim>(CLAIM, withdrawn.claim).owner(
        scopes::CLAIMS_OF_RECORD,
        RECORD,
        CLAIM,
    );
    assert!(beside_cancelled.when(another()).is_accepted());
}

#[test]
fn each_line_of_a_professional_claim_points_to_a_diagnosis() {
    let pointing = |pointers: &[i32], source: &str| {
        let mut events = invoiced(&["77.49"]);
        for event in &mut events {
            if let billing_record::Event::ItemAdded(added) = event {
                added.item.diagnosis_pointers = pointers.to_vec();
                added.item.source_type = Some(source.into());
            }
        }
        events
    };
    for (kind, pointers, is_refused) in [
        ("professional", &[1][..], false),
        ("professional", &[], true),
        ("professional", &[2], true),
        ("professional", &[1, 1, 1, 1, 1], true),
        ("institutional", &[], false),
        ("pharmacy", &[2], true),
    ] {
        let then = beside([], pointing(pointers, "treatment")).when(create(json!({"claim_type": kind})));
        assert_eq!(then.code(), is_refused.then_some("pointers"), "{kind} {pointers:?}");
    }
    let imported = beside([], pointing(&[], "treatment")).by(Caller::system("import"));
    assert!(imported.when(create(json!({}))).is_accepted());
    // The line of the consultation itself is for whatever was diagnosed; what is added by hand is pointed by hand.
    let of_visit = beside([], pointing(&[], "consultation")).when(create(json!({"claim_type": "professional"})));
    match of_visit.then_event() {
        Event::Created(it) => assert_eq!(it.lines[0].diagnosis_pointers, [1]),
        other => panic!("{other:?}"),
    }
    // What was charged by itself is for the only diagnosis.
    let source = uuid::Uuid::from_u128(0x5e);
    let mut charged = pointing(&[], "dispensing");
    for event in &mut charged {
        if let billing_record::Event::ItemAdded(added) = event {
            added.item.source_id = Some(source.into());
            added.item_id = hims_domain::derived("charge", &["dispensing", &source.to_string(), ""]).into();
        }
    }
    let charged = beside([], charged).when(create(json!({"claim_type": "professional"})));
    match charged.then_event() {
        Event::Created(it) => assert_eq!(it.lines[0].diagnosis_pointers, [1]),
        other => panic!("{other:?}"),
    }
    let mut by_hand = pointing(&[], "");
    for event in &mut by_hand {
        if let billing_record::Event::ItemAdded(added) = event {
            added.item.source_type = None;
        }
    }
    let by_hand = beside([], by_hand).when(create(json!({"claim_type": "professional"})));
    by_hand.then_field("pointers", "/billing_record_id");
}

#[test]
fn a_replacement_takes_the_place_of_its_original_once_it_is_accepted() {
    let original = Story::accepted(&["77.49"]);
    let replacement = json!({"id": OTHER_CLAIM, "frequency_code": "7", "original_claim_id": CLAIM});
    let with = |claim: Vec<Event>, record: Vec<billing_record::Event>| {
        beside(claim, record).and::<InsuranceClaim>(CLAIM, original.claim.clone()).owner(
            scopes::CLAIMS_OF_RECORD,
            RECORD,
            CLAIM,
        )
    };
    let then = with(vec![], original.record.clone()).when(create(replacement));
    let mut record = [original.record.clone(), then.events_of::<BillingRecord>(RECORD)].concat();
    let standing = fold::<BillingRecord>(&record).unwrap().standing;
    assert_eq!(standing.insurance_due, number("77.49"), "what is asked for twice is owed once");
    let mut claim = then.events();
    claim.push(sample::<InsuranceClaim>("submitted"));
    let accept: AcceptInsuranceClaim = ask(json!({"insurance_claim_id": OTHER_CLAIM}));
    let then = with(claim, record.clone()).when(accept);
    assert_eq!(then.events_of::<InsuranceClaim>(CLAIM), [Event::Replaced { replaced_by: OTHER_CLAIM }]);
    record.extend(then.events_of::<BillingRecord>(RECORD));
    let after = fold::<BillingRecord>(&record).unwrap();
    assert_eq!(after.open_claims().map(|it| it.0).collect::<Vec<_>>(), [OTHER_CLAIM.0]);
    assert_eq!(after.standing.insurance_due, number("77.49"));
}

#[test]
fn a_void_claim_asks_for_nothing() {
    let original = Story::accepted(&["77.49"]);
    let void = json!({"id": OTHER_CLAIM, "frequency_code": "8", "original_claim_id": CLAIM});
    let with = |claim: Vec<Event>, record: Vec<billing_record::Event>| {
        beside(claim, record).and::<InsuranceClaim>(CLAIM, original.claim.clone()).owner(
            scopes::CLAIMS_OF_RECORD,
            RECORD,
            CLAIM,
        )
    };
    let then = with(vec![], original.record.clone()).when(create(void));
    let record = [original.record.clone(), then.events_of::<BillingRecord>(RECORD)].concat();
    let mut claim = then.events();
    claim.push(sample::<InsuranceClaim>("submitted"));
    let accept: AcceptInsuranceClaim = ask(json!({"insurance_claim_id": OTHER_CLAIM}));
    let then = with(claim.clone(), record.clone()).when(accept);
    let after = [record.clone(), then.events_of::<BillingRecord>(RECORD)].concat();
    let after = fold::<BillingRecord>(&after).unwrap();
    assert_eq!((after.standing.insurance_due, after.open_claims().count()), (Decimal::ZERO, 0));
    claim.extend(then.events());
    let lines: Vec<LinePayment> = ask(json!([line(1, "40", "17.49", "20")]));
    let pay = RecordClaimPayment { insurance_claim_id: OTHER_CLAIM, lines, ..pay(TRACE, json!([])) };
    with(claim, record).when(pay).then_refused(Refusal::VoidsAnother);
}

#[test]
fn a_replacement_names_a_claim_that_the_payer_knows() {
    let of = |changes: Value| create(patched(json!({"id": OTHER_CLAIM, "frequency_code": "7"}), changes));
    let with = |story: &Story| {
        beside([], story.record.clone()).and::<InsuranceClaim>(CLAIM, story.claim.clone()).owner(
            scopes::CLAIMS_OF_RECORD,
            RECORD,
            CLAIM,
        )
    };
    let (draft, accepted) = (Story::draft(&["77.49"]), Story::accepted(&["77.49"]));
    let field = "/original_claim_id";
    let original = json!({"original_claim_id": CLAIM});
    with(&accepted).when(of(json!({}))).then_field("original-number-missing", field);
    with(&draft).when(of(original.clone())).then_code("wrong-status");
    let submitted = draft.after(ask::<SubmitInsuranceClaim>(json!({"insurance_claim_id": CLAIM})));
    with(&submitted).when(of(original.clone())).then_field("original-number-missing", field);
    let first = of(json!({"original_claim_id": CLAIM, "frequency_code": "1"}));
    with(&accepted).when(first).then_field("invalid-fields", field);
    let other_policy = of(json!({"original_claim_id": CLAIM, "insurance_policy_id": OTHER_POLICY}));
    with(&accepted).when(other_policy).then_field("invalid-fields", field);
    assert!(with(&accepted).when(of(original)).is_accepted());
}
