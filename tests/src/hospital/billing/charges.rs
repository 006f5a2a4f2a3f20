//! What is charged by itself.

use hims_testing::patched;
use serde_json::{Value, json};

use super::super::demo::{DOCTOR, article, lab_test, patient, person, prescription, room, user};
use super::super::releases::{ready, until};
use super::super::tables::by_process;
use super::super::{Client, Hospital};

/// Waits until the process `charges` has charged for everything that was recorded so far, and lets reads wait for what
/// the process recorded.
pub(in crate::hospital) async fn charged(client: &Client) {
    let mut told = Value::Null;
    until(async || {
        told = ready(client).await.json();
        told["processes"]["charges"].is_i64() && told["processes"]["charges"] == told["head_position"]
    })
    .await;
    client.saw(told["head_position"].as_i64().expect("a position"));
}

#[tokio::test]
async fn what_is_done_is_charged_once_and_what_is_taken_back_no_more() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let pharmacist = hospital.login("pharmacist").await;
    let patient_id = reception.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    let visit = doctor.did("start-consultation", json!({"patient_id": patient_id, "provider_id": user(DOCTOR)})).await;
    let treatment = json!({"consultation_id": visit, "treatment_type": "diet", "description": "Less salt"});
    let treatment = doctor.did("plan-treatment", treatment).await;
    let written = patched(prescription(&patient_id, 2, "10", "tablet"), json!({"consultation_id": visit}));
    let written = doctor.did("write-prescription", written).await;
    doctor.did("complete-treatment", json!({"treatment_id": treatment})).await;
    doctor.did("complete-consultation", json!({"consultation_id": visit})).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": written})).await;
    pharmacist.did("dispense-prescription", json!({"prescription_id": written})).await;
    charged(&hospital.nobody()).await;
    let records = reception.items(&format!("billing-records?patient_id={patient_id}")).await;
    assert_eq!((records.len(), &records[0]["consultation_id"]), (1, &json!(visit)));
    let lines = reception.items(&format!("billing-items?patient_id={patient_id}")).await;
    let kinds: Vec<_> = lines.iter().map(|row| row["source_type"].as_str().expect("a source").to_owned()).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    // The price list of the demo has prices for consultations and medicines.
    for (kind, code, status) in [
        ("treatment", "diet", "planned"),
        ("consultation", "standard", "billable"),
        ("dispensing", "855332", "billable"),
    ] {
        let row = lines.iter().find(|row| row["source_type"] == kind).expect("a line");
        assert_eq!((&row["code"], &row["status"]), (&json!(code), &json!(status)));
    }
    pharmacist.did("reverse-dispensing", json!({"prescription_id": written, "reason": "not fetched"})).await;
    charged(&hospital.nobody()).await;
    let billable = reception.items(&format!("billing-items?patient_id={patient_id}&status=billable")).await;
    let sources: Vec<_> = billable.iter().map(|row| &row["source_type"]).collect();
    assert_eq!(sources, ["consultation"], "what was taken back is charged no more");
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
    assert_eq!(by_process(hospital.owner(), "charges", "billing_record.item_added").await, 3);
}

#[tokio::test]
async fn tests_and_articles_are_charged_once_and_what_is_withdrawn_or_put_back_no_more() {
    let hospital = Hospital::start().await;
    let _other = hospital.another_node().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let (lab, nurse) = (hospital.login("lab").await, hospital.login("nurse").await);
    let patient_id = reception.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    let visit = doctor.did("start-consultation", json!({"patient_id": patient_id, "provider_id": user(DOCTOR)})).await;
    let mut results = Vec::new();
    for number in [1, 2] {
        let order = json!({"patient_id": patient_id, "consultation_id": visit,
                           "items": [{"lab_test_id": lab_test(number)}]});
        let order = doctor.did("place-lab-order", order).await;
        let items = doctor.items(&format!("lab-order-items?lab_order_id={order}")).await;
        let (code, value) = if number == 1 { ("2823-3", "4.1") } else { ("718-7", "14") };
        let components = json!([{"code": code, "value": value}]);
        let result = json!({"lab_order_id": order, "item_id": items[0]["id"], "status": "F", "components": components});
        results.push(lab.did("record-lab-result", result).await);
    }
    let used = |more: Value| {
        let of = json!({"inventory_item_id": article(1), "location_id": room(1), "consultation_id": visit});
        patched(of, more)
    };
    for quantity in ["3", "2"] {
        nurse.did("issue-inventory", used(json!({"quantity": quantity}))).await;
    }
    nurse.did("return-inventory", used(json!({"quantity": "4", "reason": "not opened"}))).await;
    let wrong = json!({"lab_result_id": results[1], "reason_code": "wrong_patient"});
    lab.did("withdraw-lab-result", wrong).await;
    charged(&hospital.nobody()).await;
    let lines = reception.items(&format!("billing-items?patient_id={patient_id}&status=billable")).await;
    let mut told: Vec<_> = lines
        .iter()
        .map(|row| (row["code"].as_str().unwrap_or_default(), row["quantity"].as_f64(), row["unit_price"].as_f64()))
        .collect();
    told.sort_by(|one, other| one.0.cmp(other.0));
    assert_eq!(told, [("2823-3", Some(1.0), Some(18.5)), ("GAUZE-10", Some(1.0), Some(6.4))]);
    let records = reception.items(&format!("billing-records?patient_id={patient_id}")).await;
    assert_eq!((records.len(), &records[0]["consultation_id"]), (1, &json!(visit)));
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn two_nodes_charge_each_consultation_once() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let doctor = hospital.login("doctor").await;
    for number in 0..8 {
        let there = if number % 2 == 0 { doctor.at(&other.base) } else { doctor.clone() };
        let visit = there.did("start-consultation", json!({"patient_id": patient(2)})).await;
        there.did("complete-consultation", json!({"consultation_id": visit})).await;
    }
    charged(&hospital.nobody()).await;
    assert_eq!(by_process(hospital.owner(), "charges", "billing_record.item_added").await, 8);
    assert_eq!(by_process(hospital.owner(), "charges", "billing_record.opened").await, 8);
}
