//! What people are told by the process `notices`: of results, critical values, specimens, stock and denied claims.

use hims_projections::query;
use hims_testing::patched;
use serde_json::{Value, json};
use sqlx::Executor as _;
use uuid::Uuid;

use super::demo::{article, at, lot, patient};
use super::lab_results::{defined, ordered, result};
use super::notifications::all_done;
use super::tables::by_process;
use super::{Client, Hospital};

/// What somebody was told of a record: the types of the notices that lead to it, in their order.
async fn told(hospital: &Hospital, client: &Client, path: &str) -> Vec<String> {
    all_done(hospital).await;
    hospital.settle().await;
    let rows = client.items("notifications?limit=500&sort=created_at").await;
    let of_record = rows.iter().filter(|it| it["action_url"] == path);
    of_record.map(|it| it["type"].as_str().expect("a type").to_owned()).collect()
}

/// Lets a doctor order a test of a patient, and a nurse take the specimen. Returns the order and its item.
async fn taken(hospital: &Hospital, patient_id: &str) -> (String, String) {
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let (order, items) = ordered(&doctor, patient_id, &[defined(&lab, "98001-1").await]).await;
    let collected = json!({"lab_order_id": order, "specimen_type": "SER"});
    hospital.login("nurse").await.did("collect-specimen", collected).await;
    (order, items[0].clone())
}

#[tokio::test]
async fn a_final_result_is_told_of_once_to_the_doctor_who_ordered_it_and_to_the_patient() {
    let hospital = Hospital::start().await;
    let _other = hospital.another_node().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let (nurse, paula) = (hospital.login("nurse").await, hospital.login("patient").await);
    let (order, item) = taken(&hospital, &patient(1)).await;
    let result_id = lab.did("record-lab-result", result(&order, &item, "P", "4.1")).await;
    let path = format!("/lab-results/{result_id}");
    assert_eq!(told(&hospital, &doctor, &path).await, Vec::<String>::new(), "the result is preliminary");
    lab.did("finalise-lab-result", json!({"lab_result_id": result_id})).await;
    for reader in [&doctor, &paula] {
        assert_eq!(told(&hospital, reader, &path).await, ["result_available"]);
    }
    let rows = paula.items("notifications?type=result_available").await;
    let own = rows.iter().find(|it| it["action_url"] == path.as_str()).expect("the notice");
    assert!(own["message"].as_str().is_some_and(|it| it.contains("Panel 98001-1") && !it.contains("4.1")), "{own}");
    assert_eq!(told(&hospital, &nurse, &path).await, Vec::<String>::new());
    assert_eq!(by_process(hospital.owner(), "notices", "notification.created").await, 2);
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_critical_value_is_told_of_urgently_and_so_is_its_end() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let (order, item) = taken(&hospital, &patient(2)).await;
    let result_id = lab.did("record-lab-result", result(&order, &item, "P", "6.9")).await;
    let path = format!("/lab-results/{result_id}");
    assert_eq!(told(&hospital, &doctor, &path).await, ["critical_result"]);
    let rows = doctor.items("notifications?type=critical_result").await;
    let notice = rows.iter().find(|it| it["action_url"] == path.as_str()).expect("the notice");
    assert_eq!(notice["priority"], "urgent");
    assert!(notice["message"].as_str().is_some_and(|it| it.contains("Potassium: 6.9 mmol/L")), "{notice}");
    let finalised = json!({"lab_result_id": result_id, "components": [
        {"code": super::lab_results::POTASSIUM, "value": "4.1"}, {"code": "20570-8", "text": "clear"}]});
    lab.did("finalise-lab-result", finalised).await;
    let mut all = told(&hospital, &doctor, &path).await;
    all.sort();
    assert_eq!(all, ["critical_result", "critical_withdrawn", "result_available"]);
}

#[tokio::test]
async fn a_rejected_specimen_is_told_of_to_the_doctor_and_the_nurse_who_took_it() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let nurse = hospital.login("nurse").await;
    let (order, _) = taken(&hospital, &patient(2)).await;
    let specimens = lab.items(&format!("specimens?lab_order_id={order}")).await;
    let reject = json!({"lab_order_id": order, "specimen_id": specimens[0]["id"], "reason_code": "hemolyzed"});
    lab.did("reject-specimen", reject).await;
    let path = format!("/lab-orders/{order}");
    for reader in [&doctor, &nurse] {
        assert_eq!(told(&hospital, reader, &path).await, ["specimen_rejected"]);
    }
    assert_eq!(told(&hospital, &lab, &path).await, Vec::<String>::new());
    assert_eq!(by_process(hospital.owner(), "notices", "notification.created").await, 1);
    let rows = hospital.login("doctor").await.items("notifications?type=specimen_rejected").await;
    assert!(rows[0]["message"].as_str().is_some_and(|it| it.contains("hemolyzed")), "{rows:?}");
}

#[tokio::test]
async fn pharmacists_and_administrators_are_told_of_an_article_that_runs_low() {
    let hospital = Hospital::start().await;
    let (pharmacist, admin) = (hospital.login("pharmacist").await, hospital.login("admin").await);
    let path = format!("/inventory-items/{}", article(11));
    for nth in [1, 2] {
        let lost = json!({"medication_lot_id": lot(1, nth), "change": "-195", "reason": "counted"});
        pharmacist.did("adjust-medication-lot", lost).await;
    }
    for reader in [&pharmacist, &admin] {
        assert_eq!(told(&hospital, reader, &path).await, ["low_stock"]);
    }
    let doctor = hospital.login("doctor").await;
    assert_eq!(told(&hospital, &doctor, &path).await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_sent_a_claim_is_told_that_the_payer_denied_it() {
    let hospital = Hospital::start().await;
    super::insurance_claims::denied(&hospital, &[1]).await;
    let admin = hospital.login("admin").await;
    all_done(&hospital).await;
    hospital.settle().await;
    let rows = admin.items("notifications?type=claim_denied").await;
    let claims = admin.items(&format!("insurance-claims?status=denied&patient_id={}", patient(1))).await;
    let paths: Vec<_> =
        claims.iter().map(|it| format!("/insurance-claims/{}", it["id"].as_str().expect("an id"))).collect();
    let told: Vec<_> = rows.iter().filter(|it| paths.iter().any(|path| it["action_url"] == path.as_str())).collect();
    assert_eq!(told.len(), 1, "{rows:?}");
    assert!(told[0]["message"].as_str().is_some_and(|it| it.contains("CO-50")), "{told:?}");
}

#[tokio::test]
async fn lots_that_expire_in_a_span_of_days_are_found_by_time_zone_and_part_by_part() {
    let hospital = Hospital::start().await;
    let pharmacist = hospital.login("pharmacist").await;
    let mut lots = Vec::new();
    for (days, quantity) in [(20, "10"), (25, "10"), (30, "10")] {
        let delivered = json!({"medication_id": super::demo::medication(1), "location_id": super::demo::room(3),
                               "lot_number": format!("E-{days}"), "expiry_date": at(days, 0).date_naive(),
                               "quantity": quantity, "unit": "capsule"});
        lots.push(pharmacist.did("receive-medication-lot", delivered).await);
    }
    let recalled = patched(json!({"medication_lot_id": lots[1]}), json!({"reason": "a letter of the maker"}));
    pharmacist.did("recall-medication-lot", recalled).await;
    hospital.settle().await;
    let mut db = hospital.owner().acquire().await.expect("a connection");
    db.execute("set search_path = hims, public").await.expect("the schema is set");
    let (day, zone) = (|days| at(days, 0).date_naive(), "America/New_York");
    let mut expected: Vec<Uuid> = [&lots[0], &lots[2]].iter().map(|it| it.parse().expect("an id")).collect();
    expected.sort();
    let span = (day(20), day(30));
    let all = query::lots_expiring(&mut db, span, zone, None, 10).await.expect("lots");
    assert_eq!(all, expected, "a lot that was recalled is left out, and both ends of the span belong to it");
    let rest = query::lots_expiring(&mut db, span, zone, Some(expected[0]), 10).await.expect("lots");
    assert_eq!(rest, expected[1..]);
    assert_eq!(query::lots_expiring(&mut db, span, zone, None, 1).await.expect("lots"), expected[..1]);
    for (span, zone) in [((day(21), day(29)), zone), ((day(20), day(30)), "Europe/Zurich")] {
        assert!(query::lots_expiring(&mut db, span, zone, None, 10).await.expect("lots").is_empty(), "{zone}");
    }
}
