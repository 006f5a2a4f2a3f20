//! Payers and insurance policies through the API.

use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{patient, payer, person};
use super::{Client, Hospital, Start};

/// The body of `add-insurance-policy`: a policy of priority 1 for the year 2026, of which the patient is the
/// subscriber.
pub(super) fn policy(patient_id: &str, changes: Value) -> Value {
    let policy = json!({
        "patient_id": patient_id, "payer_id": payer(2), "member_id": "W123456789", "plan_name": "Open Access",
        "relationship_to_subscriber": "self", "priority": 1, "effective_from": "2026-01-01",
        "effective_to": "2026-12-31", "copay_amount": "25", "coinsurance_percent": 20,
    });
    patched(policy, changes)
}

fn verification(policy_id: &str) -> Value {
    json!({"insurance_policy_id": policy_id, "method": "portal", "reference": "R-1"})
}

/// Adds a policy and verifies it. Returns the id of the policy.
async fn verified(reception: &Client, patient_id: &str, changes: Value) -> String {
    let policy_id = reception.did("add-insurance-policy", policy(patient_id, changes)).await;
    reception.did("verify-insurance-policy", verification(&policy_id)).await;
    policy_id
}

/// Runs every command of payers and policies.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let added = json!({"code": "BLUE", "name": "Blue Shield", "phone": "800-872-3862", "timely_filing_days": 90});
    let payer_id = admin.did("add-payer", added).await;
    admin.did("change-payer", json!({"payer_id": payer_id, "price_list": "blue-2026"})).await;
    admin.did("deactivate-payer", json!({"payer_id": payer_id})).await;
    admin.did("reactivate-payer", json!({"payer_id": payer_id})).await;
    let first = verified(&reception, patient_id, json!({})).await;
    let of_first = |more: Value| patched(json!({"insurance_policy_id": first}), more);
    reception.did("change-insurance-policy", of_first(json!({"copay_amount": "30.50"}))).await;
    reception.did("change-insurance-policy", of_first(json!({"payer_id": payer_id, "priority": 2}))).await;
    reception.did("verify-insurance-policy", verification(&first)).await;
    reception.did("end-insurance-policy", of_first(json!({"effective_to": "2026-06-30"}))).await;
    reception.did("cancel-insurance-policy", of_first(json!({"reason": "another employer"}))).await;
    let parent = json!({"relationship_to_subscriber": "child", "subscriber_name": "Boris Bell",
                        "subscriber_birth_date": "1955-02-03", "group_number": "G-77"});
    let mistaken = reception.did("add-insurance-policy", policy(patient_id, parent)).await;
    let marked = json!({"insurance_policy_id": mistaken, "reason": "the card of another patient"});
    reception.did("mark-insurance-policy-entered-in-error", marked).await;
    verified(&reception, patient_id, json!({"effective_from": "2026-07-01", "effective_to": null})).await;
}

#[tokio::test]
async fn a_policy_counts_once_it_is_verified_and_until_it_says_something_else() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let policy_id = verified(&reception, &patient(2), json!({})).await;
    let answer = reception.get(&format!("insurance-policies/{policy_id}")).await;
    assert!(answer.text.contains("\"copay_amount\":25.00,"), "{}", answer.text);
    let row = answer.done();
    let shown = ["status", "member_id", "verification_method", "verification_reference"].map(|name| &row[name]);
    assert_eq!(shown, ["active", "W123456789", "portal", "R-1"]);
    assert!(row["verified_at"].is_string() && row["verified_by"].is_string(), "{row}");
    let moved = json!({"insurance_policy_id": policy_id, "effective_to": "2027-03-31"});
    reception.did("change-insurance-policy", moved).await;
    let row = reception.row("insurance-policies", &policy_id).await;
    assert_eq!(row["status"], "draft");
    assert!(row["verified_at"].is_null() && row["verification_reference"].is_null(), "{row}");
    // Somebody else has verified another policy for these days in the meantime.
    let other = verified(&reception, &patient(2), json!({"effective_from": "2027-01-01", "effective_to": null})).await;
    let overlapping = reception.command("verify-insurance-policy", verification(&policy_id)).await;
    assert_eq!(overlapping.problem(409, "coverage-overlap")["candidates"], json!([other]));
    let shortened = json!({"insurance_policy_id": policy_id, "effective_to": "2026-12-31"});
    reception.did("end-insurance-policy", shortened).await;
    reception.did("verify-insurance-policy", verification(&policy_id)).await;
    let listed = reception.items(&format!("insurance-policies?patient_id={}", patient(2))).await;
    assert_eq!(listed.iter().filter(|row| row["status"] == "active").count(), 2, "the renewals touch");
}

#[tokio::test]
async fn one_of_sixteen_policies_of_a_priority_is_verified() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (number, start) in (1..).zip(Start::rounds(1)) {
        let patient_id = reception.did("register-patient", person(&format!("Holder{number}"), "Unlike", number)).await;
        let mut drafts = Vec::new();
        for day in 1..=16 {
            let from = json!({"effective_from": format!("2026-01-{day:02}")});
            drafts.push(reception.did("add-insurance-policy", policy(&patient_id, from)).await);
        }
        let verified = drafts.iter().map(|it| reception.command("verify-insurance-policy", verification(it)));
        let answers = start.race(verified).await;
        let refused: Vec<_> = answers.iter().filter(|it| it.status != 200).collect();
        for answer in &refused {
            answer.problem(409, "coverage-overlap");
        }
        assert_eq!(refused.len(), 15, "{start:?}");
        let listed = reception.items(&format!("insurance-policies?patient_id={patient_id}")).await;
        assert_eq!(listed.iter().filter(|row| row["status"] == "active").count(), 1);
    }
}

#[tokio::test]
async fn patients_add_drafts_of_their_own_which_the_front_desk_verifies() {
    let hospital = Hospital::start().await;
    let (own, reception) = (hospital.login("patient").await, hospital.login("reception").await);
    own.command("add-insurance-policy", policy(&patient(2), json!({}))).await.problem(403, "forbidden");
    let draft = own.did("add-insurance-policy", policy(&patient(1), json!({"priority": 2}))).await;
    assert_eq!(own.row("insurance-policies", &draft).await["status"], "draft");
    own.command("verify-insurance-policy", verification(&draft)).await.problem(403, "forbidden");
    reception.did("verify-insurance-policy", verification(&draft)).await;
    let doctor = hospital.login("doctor").await;
    doctor.get(&format!("insurance-policies/{draft}")).await.problem(403, "forbidden");
    assert_eq!(doctor.row("payers", &payer(2)).await["name"], "Aetna");
}

#[tokio::test]
async fn every_refusal_about_a_policy_has_its_code() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let add = async |changes: Value| reception.command("add-insurance-policy", policy(&patient(2), changes)).await;
    let ends = json!({"effective_to": "2025-12-31"});
    add(ends).await.problem(422, "ends-before-it-starts");
    let child = json!({"relationship_to_subscriber": "child"});
    add(child).await.problem(422, "subscriber-missing");
    add(json!({"member_id": null})).await.problem_at(422, "invalid-fields", "/member_id");
    add(json!({"copay_amount": "1.005"})).await.problem_at(422, "invalid-fields", "/copay_amount");
    add(json!({"priority": 10})).await.problem_at(422, "out-of-range", "/priority");
    add(json!({"payer_id": patient(2)})).await.problem_at(422, "unknown-reference", "/payer_id");
    let taken = json!({"code": "aetna", "name": "Another Aetna"});
    assert_eq!(admin.command("add-payer", taken).await.problem(409, "already-taken")["candidates"], json!([payer(2)]));
    admin.did("deactivate-payer", json!({"payer_id": payer(2)})).await;
    add(json!({})).await.problem(409, "inactive-payer");
    let denied = reception.command("add-payer", json!({"code": "X", "name": "X"})).await;
    denied.problem(403, "forbidden");
}
