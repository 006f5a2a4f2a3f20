use super::*;
use crate::testing::at;

fn of_claim<C: serde::de::DeserializeOwned>(changes: Value) -> C {
    ask(patched(json!({"insurance_claim_id": CLAIM}), changes))
}

fn submit() -> SubmitInsuranceClaim {
    of_claim(json!({}))
}

fn reject() -> RejectInsuranceClaim {
    of_claim(json!({"codes": ["A3:116"], "reason": "sent to the wrong payer"}))
}

fn pend() -> PendInsuranceClaim {
    of_claim(json!({}))
}

fn cancel() -> CancelInsuranceClaim {
    of_claim(json!({"reason": "made for the wrong policy"}))
}

/// A claim in each status, by the shortest way.
fn in_each_status() -> Vec<(Status, Story)> {
    let lines = || json!([line(1, "40", "17.49", "20")]);
    let charges = &["77.49"];
    let draft = Story::draft(charges);
    let submitted = draft.after(submit());
    let accepted = submitted.after(accept());
    let denied = accepted.after(deny(TRACE, json!([refused(1, "CO", "77.49")])));
    let part = Story::accepted(&["77.49", "22.51"]).after(pay(TRACE, lines()));
    let stories = vec![
        (Status::Draft, draft.clone()),
        (Status::Submitted, submitted.clone()),
        (Status::Accepted, accepted.clone()),
        (Status::Rejected, submitted.after(reject())),
        (Status::Pending, accepted.after(pend())),
        (Status::Paid, accepted.after(pay(TRACE, lines()))),
        (Status::PartiallyPaid, part),
        (Status::Denied, denied.clone()),
        (Status::Appealed, denied.after(appeal())),
        (Status::Cancelled, draft.after(cancel())),
    ];
    for (status, story) in &stories {
        assert_eq!(story.status(), *status);
    }
    stories
}

/// What becomes of a command: the status afterwards, `quiet`, or the code of the refusal.
fn outcome<C: Command<Aggregate = InsuranceClaim>>(story: &Story, command: C) -> String {
    let then = story.when(command);
    match then.code() {
        Some(code) => code.to_owned(),
        None if then.events().is_empty() => "quiet".to_owned(),
        None => fold::<InsuranceClaim>(&[story.claim.clone(), then.events()].concat()).unwrap().status.to_string(),
    }
}

#[test]
fn every_status_allows_the_steps_that_are_listed_and_no_others() {
    // For each status: submit, accept, reject, pend, cancel, adjudicate, appeal, uphold.
    let listed = |status: Status| match status {
        Status::Draft => ["submitted", "x", "x", "x", "cancelled", "x", "x", "x"],
        Status::Submitted => ["quiet", "accepted", "rejected", "x", "x", "paid", "x", "x"],
        Status::Accepted => ["x", "quiet", "x", "pending", "x", "paid", "x", "x"],
        Status::Rejected => ["x", "x", "quiet", "x", "x", "x", "x", "x"],
        Status::Pending => ["x", "x", "x", "quiet", "x", "paid", "x", "x"],
        Status::Paid | Status::Denied => ["x", "x", "x", "x", "x", "x", "appealed", "x"],
        Status::PartiallyPaid => ["x", "x", "x", "x", "x", "paid", "appealed", "x"],
        Status::Appealed => ["x", "x", "x", "x", "x", "paid", "quiet", "denied"],
        Status::Cancelled => ["x", "x", "x", "x", "quiet", "x", "x", "x"],
    };
    for (status, story) in in_each_status() {
        let lines = match status {
            Status::PartiallyPaid => json!([line(2, "22.51", "0", "0")]),
            _ => json!([line(1, "40", "17.49", "20")]),
        };
        let outcomes = [
            outcome(&story, submit()),
            outcome(&story, accept()),
            outcome(&story, reject()),
            outcome(&story, pend()),
            outcome(&story, cancel()),
            outcome(&story, pay("TRN-9", lines)),
            outcome(&story, appeal()),
            outcome(&story, uphold()),
        ];
        assert_eq!(
            outcomes.map(|it| if it == "wrong-status" { "x".to_owned() } else { it }),
            listed(status),
            "{status}"
        );
    }
}

#[test]
fn a_claim_that_is_over_asks_for_nothing() {
    for (status, story) in in_each_status() {
        let due = story.money()[5].clone();
        let asked = match status {
            Status::Draft | Status::Submitted | Status::Accepted | Status::Pending | Status::Appealed => "77.49",
            Status::PartiallyPaid => "22.51",
            Status::Rejected | Status::Paid | Status::Denied | Status::Cancelled => "0.00",
        };
        assert_eq!(due, asked, "{status}");
    }
}

#[test]
fn who_sent_a_claim_and_why_it_is_late_is_known() {
    let draft = Story::draft(&["77.49"]);
    let late = || draft.given().at(at("2027-02-19T10:00:00Z"));
    let last_day = "2027-02-18".parse().unwrap();
    late().when(submit()).then_refused(Refusal::PastTimelyFiling { last_day });
    let why: SubmitInsuranceClaim = of_claim(json!({"late_reason": "the clearing house was down"}));
    let Event::Submitted { submitted_by, late_reason, .. } = late().when(why).then_event() else { panic!("sent") };
    assert_eq!(submitted_by, Some(crate::testing::ASKING.into()));
    assert_eq!(late_reason, Some(said("the clearing house was down")));
}

#[test]
fn a_policy_that_was_cancelled_since_pays_for_nothing() {
    let draft = Story::draft(&["77.49"]);
    let cancelled = [policy(1, json!({})), vec![sample::<InsurancePolicy>("cancelled")]].concat();
    let then = draft.given().and::<InsurancePolicy>(POLICY, cancelled).when(submit());
    then.then_refused(Refusal::NotCovered { day: "2026-11-20".parse().unwrap() });
}

#[test]
fn a_rejection_has_the_codes_of_the_payer() {
    let submitted = Story::draft(&["77.49"]).after(submit());
    let without: RejectInsuranceClaim = of_claim(json!({"codes": []}));
    submitted.when(without).then_field("invalid-fields", "/codes");
    let rejected = submitted.after(reject());
    let Some(Event::Rejected { codes, .. }) = rejected.claim.last() else { panic!("rejected") };
    assert_eq!(*codes, ["A3:116".into()]);
}
