//! Claims and what payers answered to them.

use hims_commands::billing_record::OpenBillingRecord;
use hims_domain::billing_record::{BillingRecord, Status as RecordStatus};
use hims_domain::insurance_claim::{ClaimType, InsuranceClaim, Status};
use rust_decimal::{Decimal, dec};

use super::references::derived;
use super::*;

const CLAIM: &str = "00000000-0000-4000-8000-000000000011";
const ANSWER: &str = "00000000-0000-4000-8000-000000000012";

fn usd(value: &str) -> Value {
    let number: serde_json::Number = serde_json::from_str(value).unwrap();
    json!({ "value": number, "currency": "USD" })
}

fn item(sequence: i32, code: &str, net: Option<&str>) -> Value {
    let concept = json!({ "coding": [{ "system": "http://snomed.info/sct", "code": code, "display": "A service" }] });
    json!({ "sequence": sequence, "productOrService": concept, "net": net.map(usd) })
}

/// A claim for a visit, whose price is not given, for a diagnosis and for two services.
pub(super) fn claim(id: &str) -> Value {
    let encounter = json!([{ "reference": format!("Encounter/{ENCOUNTER}") }]);
    json!({
        "resourceType": "Claim", "id": id, "status": "active", "use": "claim",
        "type": { "coding": [{ "code": "institutional" }] },
        "patient": { "reference": format!("Patient/{PATIENT}") },
        "billablePeriod": { "start": "2011-09-11T21:00:00-04:00", "end": "2011-09-11T21:45:30-04:00" },
        "created": "2011-09-11T21:45:30-04:00",
        "diagnosis": [{ "sequence": 1 }],
        "insurance": [{ "sequence": 1, "focal": true, "coverage": { "display": "private" } }],
        "item": [
            but(item(1, "185349003", None), json!({ "encounter": encounter })),
            but(item(2, "87433001", None), json!({ "diagnosisSequence": [1] })),
            item(3, "428191000124101", Some("603.6")),
            item(4, "127783003", Some("100.02")),
        ],
        "total": usd("828.62"),
    })
}

/// What a payer decided on an item: its payment and the coinsurance, as they were computed.
fn decided(sequence: i32, paid: &str, coinsurance: &str) -> Value {
    let part = |kind: &str, amount: &str| {
        let code = format!("https://bluebutton.cms.gov/resources/variables/{kind}");
        json!({ "category": { "coding": [{ "code": code }] }, "amount": usd(amount) })
    };
    let parts = [part("line_prvdr_pmt_amt", paid), part("line_coinsrnc_amt", coinsurance)];
    json!({ "sequence": sequence, "adjudication": parts })
}

/// The answer to the claim: four fifths of the two services are paid, and the visit is open.
fn answer() -> Value {
    json!({
        "resourceType": "ExplanationOfBenefit", "id": ANSWER, "status": "active", "use": "claim", "outcome": "complete",
        "patient": { "reference": format!("Patient/{PATIENT}") }, "created": "2011-09-12T09:00:00-04:00",
        "claim": { "reference": format!("Claim/{CLAIM}") },
        "item": [
            json!({ "sequence": 1 }), decided(3, "482.88000000000005", "120.72000000000001"),
            decided(4, "80.016", "20.004000000000001"),
        ],
        "payment": { "amount": usd("562.896") },
    })
}

fn visit() -> Vec<Value> {
    vec![patient(), practitioner(), organization(), encounter()]
}

#[tokio::test]
async fn a_claim_becomes_a_bill_and_what_the_payer_decided_adds_up_to_the_cent() {
    let hospital = Hospital::empty().await;
    let resources = || visit().into_iter().chain([answer(), claim(CLAIM)]);
    let summary = hospital.import_resources(resources()).await;
    assert_eq!((summary.of("Claim").imported, summary.of("ExplanationOfBenefit").imported), (1, 1), "{summary}");

    let record: BillingRecord = hospital.only().await;
    let lines: Vec<_> = record.lines.iter().map(|it| (it.item.code.as_str(), it.charge.gross)).collect();
    let expected = [("185349003", dec!(125.00)), ("428191000124101", dec!(603.60)), ("127783003", dec!(100.02))];
    assert_eq!(lines, expected);
    assert_eq!(record.lines[0].item.diagnosis_pointers, [1]);
    assert!(record.lines.iter().all(|it| it.item.service_date.to_string() == "2011-09-11"), "where the visit was");
    assert_eq!(record.opened_on.to_string(), "2011-09-11");
    assert_eq!(record.consultation_id.map(|it| it.to_string()).as_deref(), Some(ENCOUNTER));
    let standing = record.standing;
    assert_eq!((standing.paid_amount, standing.insurance_due), (dec!(562.90), dec!(125.00)));
    assert_eq!((standing.patient_due(), record.status()), (dec!(140.72), RecordStatus::PartiallyPaid));

    let claim: InsuranceClaim = hospital.state(CLAIM).await;
    assert_eq!((claim.status, claim.claim_type), (Status::PartiallyPaid, ClaimType::Institutional));
    let said = &claim.payments[0].lines;
    let parts = said.iter().map(|it| {
        let [adjustment] = it.adjustments.as_slice() else { panic!("one adjustment") };
        (it.line, it.paid.number(), adjustment.code().0, adjustment.amount.number())
    });
    let code = "PR-2".to_owned();
    let expected = [(2, dec!(482.88), code.clone(), dec!(120.72)), (3, dec!(80.02), code, dec!(20.00))];
    assert_eq!(parts.collect::<Vec<_>>(), expected);

    let again = hospital.import_resources(resources()).await;
    assert_eq!((again.events, again.of("Claim").already_there), (0, 1));
    let at = hospital.history().await.into_iter().filter(|it| it.0.to_string() == CLAIM).map(|it| it.3);
    assert!(at.max() == Some(self::at("2011-09-12T13:00:00Z")), "each event has the time of the source");
}

#[tokio::test]
async fn a_claim_without_a_decision_is_accepted_and_without_an_answer_only_sent() {
    let hospital = Hospital::empty().await;
    let empty = but(answer(), json!({ "item": [], "payment": { "amount": usd("0") } }));
    hospital.import_resources(visit().into_iter().chain([claim(CLAIM)])).await;
    assert_eq!(hospital.only::<InsuranceClaim>().await.status, Status::Submitted);
    // The answer may come with a later file, and the decision with a later one still.
    for (resource, status) in [(empty, Status::Accepted), (answer(), Status::PartiallyPaid)] {
        let summary = hospital.import_resources(visit().into_iter().chain([claim(CLAIM), resource])).await;
        assert_eq!(summary.of("ExplanationOfBenefit").imported, 1, "{summary}");
        assert_eq!(hospital.only::<InsuranceClaim>().await.status, status);
    }
}

#[tokio::test]
async fn a_drug_is_charged_by_its_name_and_not_as_the_visit() {
    let hospital = Hospital::empty().await;
    let drug = but(
        claim(CLAIM),
        json!({
            "type": { "coding": [{ "code": "pharmacy" }] }, "item": [item(1, "185349003", None)], "total": usd("255"),
            "prescription": { "reference": format!("MedicationRequest/{REQUEST}") },
        }),
    );
    hospital.import_resources(visit().into_iter().chain([request(), drug])).await;
    let record: BillingRecord = hospital.only().await;
    let item = &record.lines[0].item;
    assert_eq!((item.code.as_str(), record.standing.total_amount), ("313782", dec!(255.00)));
    assert_eq!(item.description.known().map(hims_domain::values::Text::as_str), Some("Acetaminophen 325 MG"));
}

#[tokio::test]
async fn an_interrupted_bill_is_finished() {
    let hospital = Hospital::empty().await;
    hospital.import_resources(visit()).await;
    let opening = OpenBillingRecord {
        id: Some(derived(&format!("billing record|{CLAIM}")).into()),
        patient_id: PATIENT.parse::<Uuid>().unwrap().into(),
        consultation_id: None,
    };
    hospital.executor.execute(opening, Request::of(Caller::system("import"))).await.unwrap();
    let summary = hospital.import_resources(visit().into_iter().chain([claim(CLAIM)])).await;
    assert_eq!(summary.of("Claim").imported, 1, "{summary}");
    assert_eq!(hospital.only::<BillingRecord>().await.standing.insurance_due, dec!(828.62));
}

#[tokio::test]
async fn a_claim_that_cannot_be_understood_is_named_and_leaves_nothing() {
    let hospital = Hospital::empty().await;
    let with = |id: &str, changes: Value| but(claim(id), changes);
    let items = |items: Vec<Value>| json!({ "item": items });
    let euros = json!({ "value": 828.62, "currency": "EUR" });
    let uncoded = but(item(1, "185349003", Some("828.62")), json!({ "productOrService": { "text": "Visit" } }));
    let faults = [
        (with("a", items(vec![item(1, "185349003", None), item(2, "127783003", None)])), Reason::NoAmount),
        (with("b", json!({ "total": null })), Reason::NoAmount),
        (with("c", json!({ "total": usd("603.61") })), Reason::OutOfBalance),
        (with("d", items(vec![item(1, "185349003", Some("828.61"))])), Reason::OutOfBalance),
        (with("e", json!({ "total": euros })), Reason::OtherCurrency),
        (with("f", items(vec![uncoded])), Reason::NoCode),
        (with("g", json!({ "total": usd("828.62001") })), Reason::Impossible),
        (with("h", json!({ "use": "predetermination" })), Reason::HasNotHappened),
        (with("i", json!({ "type": { "text": "?" } })), Reason::Malformed),
        (with("j", json!({ "created": "2999-01-01" })), Reason::InTheFuture),
        (with("k", json!({ "item": [] , "total": null })), Reason::NoAmount),
        (with("l", json!({ "status": "draft" })), Reason::HasNotHappened),
    ];
    for (faulty, reason) in faults {
        let id = faulty["id"].clone();
        let text = serde_json::to_string_pretty(&bundle(visit().into_iter().chain([faulty]))).unwrap();
        let path = hospital.file("claims.json", &text);
        let summary = hospital.import(std::slice::from_ref(&path)).await;
        let counts = summary.of("Claim");
        assert_eq!(counts.skipped, BTreeMap::from([(reason, 1)]), "{id} {summary}");
        // Only what is wrong with the claim itself has a place: nothing is wrong with one that was not sent.
        let place = place_of_last(&path, &text);
        let told = format!("claims.json, line {}, column {}", place.line, place.column);
        let is_fault = reason != Reason::HasNotHappened;
        let places = if is_fault { BTreeMap::from([(reason, BTreeSet::from([place]))]) } else { BTreeMap::new() };
        assert_eq!(counts.places, places, "{id}");
        assert_eq!(summary.to_string().contains(&told), is_fault, "{id} {summary}");
        assert!(!summary.to_string().contains("Doe12"), "no value of a person: {summary}");
    }
    assert!(hospital.all::<BillingRecord>().await.is_empty());
    assert!(hospital.all::<InsuranceClaim>().await.is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_balance_is_named_and_moves_no_money() {
    let hospital = Hospital::empty().await;
    let with = |changes: Value| but(answer(), changes);
    let services = |paid: &str, coinsurance: &str| json!({ "item": [decided(3, paid, coinsurance)], "payment": {} });
    let faults = [
        (with(json!({ "payment": { "amount": usd("562.91") } })), Reason::OutOfBalance),
        (with(services("482.88", "100")), Reason::OutOfBalance),
        (with(services("603.61", "0")), Reason::OutOfBalance),
        (with(json!({ "item": [decided(2, "1", "0")], "payment": {} })), Reason::OutOfBalance),
        (with(json!({ "item": [], "payment": { "amount": usd("1") } })), Reason::OutOfBalance),
        (with(json!({ "claim": { "reference": format!("Claim/{ANSWER}") } })), Reason::NoClaim),
        (with(json!({ "outcome": "queued" })), Reason::HasNotHappened),
        (with(json!({ "outcome": "error" })), Reason::UnknownStatus),
        (with(json!({ "created": null })), Reason::NoTime),
        (with(json!({ "payment": { "amount": { "value": 562.896, "currency": "EUR" } } })), Reason::OtherCurrency),
    ];
    for (faulty, reason) in faults {
        let summary = hospital.import_resources(visit().into_iter().chain([claim(CLAIM), faulty])).await;
        assert_eq!(summary.of("ExplanationOfBenefit").skipped.get(&reason), Some(&1), "{reason} {summary}");
    }
    assert_eq!(hospital.only::<InsuranceClaim>().await.status, Status::Submitted);
    assert_eq!(hospital.only::<BillingRecord>().await.money, Decimal::ZERO);
}
