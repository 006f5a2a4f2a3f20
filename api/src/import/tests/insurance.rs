//! Payers and insurance policies, which are read from claims.

use hims_domain::insurance_policy::{InsurancePolicy, Status};
use hims_domain::payer::Payer;

use super::*;

fn claim(id: &str, payer: &str, start: &str) -> Value {
    let insurance = json!([{ "sequence": 1, "focal": true, "coverage": { "display": payer } }]);
    but(money::claim(id), json!({ "billablePeriod": { "start": start }, "created": null, "insurance": insurance }))
}

/// The first day, the last day and the status of each policy, in the order of time.
fn days(mut policies: Vec<InsurancePolicy>) -> Vec<(String, Option<String>, Status)> {
    policies.sort_by_key(|it| it.coverage.effective_from);
    let day = |policy: &InsurancePolicy| {
        let coverage = &policy.coverage;
        (coverage.effective_from.to_string(), coverage.effective_to.map(|it| it.to_string()), policy.status)
    };
    policies.iter().map(day).collect()
}

#[tokio::test]
async fn claims_that_follow_one_another_to_one_payer_are_one_policy() {
    let hospital = Hospital::empty().await;
    let resources = || {
        vec![
            patient(),
            claim("c", "medicare", "2015-03-01T09:00:00-05:00"),
            claim("a", "private", "2010-01-05T23:30:00-05:00"),
            claim("b", "Private ", "2012-06-01T09:00:00-04:00"),
            claim("d", "private", "2016-07-01T09:00:00-04:00"),
        ]
    };
    let summary = hospital.import_resources(resources()).await;
    assert_eq!(summary.of("Claim").imported, 4);
    assert_eq!((summary.begun["payer"], summary.begun["insurance_claim"]), (2, 4));
    let active = |from: &str, to: Option<&str>| (from.to_owned(), to.map(str::to_owned), Status::Active);
    let expected = [
        active("2010-01-05", Some("2015-02-28")),
        active("2015-03-01", Some("2016-06-30")),
        active("2016-07-01", None),
    ];
    assert_eq!(days(hospital.all::<InsurancePolicy>().await), expected);
    let again = hospital.import_resources(resources()).await;
    assert_eq!(again.events, 0);
}

#[tokio::test]
async fn a_payer_that_the_hospital_has_is_taken() {
    let hospital = Hospital::empty().await;
    let added: hims_commands::payer::AddPayer =
        serde_json::from_value(json!({ "code": "Private", "name": "All private insurers" })).unwrap();
    hospital.executor.execute(added, Request::of(Caller::system("test"))).await.unwrap();
    hospital.import_resources([patient(), claim("a", "private", "2010-01-05T09:00:00-05:00")]).await;
    assert_eq!(hospital.only::<Payer>().await.details.name.as_str(), "All private insurers");
    assert_eq!(hospital.only::<InsurancePolicy>().await.coverage.member_id, None);
}

#[tokio::test]
async fn a_claim_that_does_not_say_who_pays_leads_to_no_policy() {
    let hospital = Hospital::empty().await;
    let nameless = but(claim("a", "x", "2010-01-05T09:00:00-05:00"), json!({ "insurance": [] }));
    let timeless = but(claim("b", "private", ""), json!({ "billablePeriod": {} }));
    let of_nobody = but(claim("c", "private", "2010"), json!({ "patient": { "reference": "Patient/nobody" } }));
    let mistaken = but(claim("d", "private", "2010-01-05"), json!({ "status": "entered-in-error" }));
    let summary = hospital.import_resources([patient(), nameless, timeless, of_nobody, mistaken]).await;
    let expected = [
        "entered in error",
        "has no time",
        "names no patient who is in the record",
        "no insurance policy of the patient pays on the first day of the services",
    ];
    assert_eq!(reasons(&summary, "Claim"), expected.map(|it| (it.to_owned(), 1)).into());
    assert!(hospital.all::<InsurancePolicy>().await.is_empty());
}
