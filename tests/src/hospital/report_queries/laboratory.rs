//! The work of the laboratory.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};
use crate::hospital::Hospital;
use crate::hospital::demo::patient;
use crate::hospital::lab_results::{defined, ordered, result};

/// An order with one item: its number, test and priority, when the item was ordered and when it was final.
fn order(nth: u32, test: u32, priority: &str, ordered_at: &str, final_at: &str) -> [Value; 2] {
    let order = json!({"id": id(nth), "order_number": format!("LO-{nth}"), "priority": priority});
    let item = json!({"id": id(nth + 10), "lab_order_id": id(nth), "lab_test_id": id(test), "created_at": ordered_at,
                      "updated_at": final_at, "lab_result_id": id(nth + 50)});
    [order, item]
}

#[tokio::test]
async fn turnaround_is_the_median_and_the_ninetieth_percentile_up_to_the_first_final_result() {
    let mut house = House::new("2026-03-20T12:00:00Z").await;
    let tests = [
        json!({"id": id(41), "code": "2823-3", "name": "Potassium", "turnaround_minutes": {"normal": 60, "stat": 30}}),
        json!({"id": id(42), "code": "718-7", "name": "Hemoglobin"}),
    ];
    house.fill("lab_tests", tests).await;
    let mut orders = vec![
        order(401, 41, "normal", "2026-03-10T12:00:00Z", "2026-03-10T13:40:00Z"),
        order(402, 41, "normal", "2026-03-10T12:00:00Z", "2026-03-10T12:50:00Z"),
        order(403, 41, "stat", "2026-03-10T14:00:00Z", "2026-03-10T14:20:00Z"),
        order(404, 41, "normal", "2026-03-10T12:00:00Z", "2026-03-10T12:30:00Z"),
        order(405, 41, "normal", "2026-03-10T12:00:00Z", "2026-03-10T19:00:00Z"),
        order(406, 41, "normal", "2026-03-10T12:00:00Z", "2026-03-10T20:00:00Z"),
        order(407, 42, "low", "2026-03-10T12:00:00Z", "2026-04-01T03:59:00Z"),
        order(408, 42, "low", "2026-03-10T12:00:00Z", "2026-04-01T04:00:00Z"),
    ];
    orders[2][1]["added_as"] = json!("add_on");
    // What nobody ordered here, and what is not final, does not count.
    orders[4][0]["is_unsolicited"] = json!(true);
    orders[5][1]["status"] = json!("in_progress");
    for [order, item] in orders {
        house.fill("lab_orders", [order]).await;
        house.fill("lab_order_items", [item]).await;
    }
    let specimen = |nth: u32, order: u32, collected_at: &str, received_at: &str| {
        json!({"id": id(nth), "lab_order_id": id(order), "specimen_number": format!("SP-{nth}"),
               "item_ids": [id(order + 10)], "collected_at": collected_at, "received_at": received_at})
    };
    let mut specimens = [
        specimen(501, 401, "2026-03-10T12:10:00Z", "2026-03-10T12:30:00Z"),
        specimen(502, 401, "2026-03-10T13:00:00Z", "2026-03-10T13:10:00Z"),
        specimen(503, 402, "2026-03-10T12:05:00Z", "2026-03-10T12:20:00Z"),
        specimen(504, 402, "2026-03-10T12:30:00Z", "2026-03-10T12:40:00Z"),
        specimen(505, 403, "2026-03-10T12:00:00Z", "2026-03-10T12:10:00Z"),
    ];
    specimens[1]["status"] = json!("rejected");
    specimens[1]["rejection_code"] = json!("clotted");
    house.fill("specimens", specimens).await;
    let mut results = [401, 402, 404]
        .map(|nth| json!({"id": id(nth + 50), "lab_order_id": id(nth), "lab_order_item_id": id(nth + 10)}));
    results[1]["specimen_id"] = json!(id(503));
    // The correction of a result comes two days later, and does not count.
    results[2]["result_status"] = json!("C");
    results[2]["corrected_at"] = json!("2026-03-12T12:00:00Z");
    house.fill("lab_results", results).await;
    let asked = |more: Value| patched(json!({"from": "2026-03-10", "to": "2026-03-31"}), more);
    let stat = "2823-3 | Potassium | stat | 1 | 20.0 | 20.0 | 140.0 | 140.0 | 20.0 | 20.0 | 30 | 100.0";
    // From the order 30, 50 and 100 minutes, from collection 45 and 90, from arrival 30 and 70, of which 60 are allowed.
    let normal = "2823-3 | Potassium | normal | 3 | 50.0 | 90.0 | 67.5 | 85.5 | 50.0 | 66.0 | 60 | 50.0";
    let low = "718-7 | Hemoglobin | low | 1 | 31199.0 | 31199.0 | - | - | - | - | - | -";
    for reads in ["lab_orders", "clinical_records"] {
        assert_eq!(house.report(reads, "lab-turnaround", asked(json!({}))).await, [stat, normal, low]);
    }
    assert_eq!(house.report("lab_orders", "lab-turnaround", asked(json!({"test": id(42)}))).await, [low]);
    assert_eq!(house.report("lab_orders", "lab-turnaround", asked(json!({"priority": "stat"}))).await, [stat]);
    let earlier = json!({"from": "2026-03-01", "to": "2026-03-09"});
    assert_eq!(house.report("lab_orders", "lab-turnaround", earlier).await, [""; 0]);
}

/// The report takes the last change of an item as the time of its first final result.
#[tokio::test]
async fn nothing_changes_an_item_after_its_first_final_result() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let test = defined(&lab, "98001-1").await;
    let (order_id, items) = ordered(&doctor, &patient(1), &[test]).await;
    let result_id = lab.did("record-lab-result", result(&order_id, &items[0], "P", "4.1")).await;
    lab.did("finalise-lab-result", json!({"lab_result_id": result_id})).await;
    let values = &result("", "", "", "4.2")["components"];
    let corrected = json!({"lab_result_id": result_id, "components": values, "reason": "misread"});
    lab.did("correct-lab-result", corrected).await;
    doctor.did("review-lab-result", json!({"lab_result_id": result_id})).await;
    hospital.settle().await;
    let sql = "select i.status = 'resulted'
                      and i.updated_at = (select recorded_at from log.events where stream_id = r.id
                                             and event_type = 'lab_result.finalised')
                      and r.updated_at > i.updated_at
                 from hims.lab_order_items i join hims.lab_results r on r.id = i.lab_result_id
                where r.id = $1::text::uuid";
    let holds: bool = sqlx::query_scalar(sql).bind(&result_id).fetch_one(hospital.owner()).await.expect("an item");
    assert!(holds);
}

#[tokio::test]
async fn each_critical_value_has_its_response_or_the_minutes_so_far() {
    let mut house = House::new("2026-03-10T13:00:59Z").await;
    let order = json!({"id": id(401), "order_number": "LO-1"});
    house.fill("lab_orders", [order]).await;
    let result = |nth: u32, name: &str, more: Value| {
        let row = json!({"id": id(nth), "lab_order_id": id(401), "lab_order_item_id": id(411), "test_name": name});
        patched(row, more)
    };
    let acknowledged = json!({"critical_raised_at": "2026-03-10T10:00:00Z", "critical_level": 1,
                              "critical_told_at": "2026-03-10T10:00:02Z",
                              "critical_acknowledged_at": "2026-03-10T10:25:30Z", "critical_acknowledged_by": id(21)});
    let unanswered = json!({"critical_raised_at": "2026-03-10T11:00:00Z", "critical_level": 3,
                      "critical_told_at": "2026-03-10T11:01:00Z", "status": "critical"});
    let before = json!({"critical_raised_at": "2026-03-10T03:59:00Z", "status": "critical"});
    // The values of two results turned out to be harmless, after somebody had acknowledged them and before; those of a
    // third one were not the patient's.
    let corrected = patched(
        acknowledged.clone(),
        json!({"critical_raised_at": "2026-03-10T12:00:00Z",
        "critical_told_at": "2026-03-10T12:01:00Z", "critical_acknowledged_at": "2026-03-10T12:05:00Z",
        "critical_withdrawn_at": "2026-03-10T12:30:00Z", "result_status": "C", "revision": 3}),
    );
    let ended = json!({"critical_raised_at": "2026-03-10T12:10:00Z", "critical_withdrawn_at": "2026-03-10T12:17:30Z"});
    let gone = patched(
        ended.clone(),
        json!({"critical_raised_at": "2026-03-10T12:11:00Z", "result_status": "W",
                                             "withdrawal_code": "wrong_patient"}),
    );
    let results = [
        result(451, "Panel", acknowledged),
        result(452, "Potassium", unanswered),
        result(453, "Yesterday", before),
        result(454, "Harmless", json!({})),
        result(455, "Corrected", corrected),
        result(456, "Ended", patched(ended, json!({"result_status": "C", "revision": 2}))),
        result(457, "Gone", gone),
    ];
    house.fill("lab_results", results).await;
    let value = |nth: u32, result: u32, sequence: u32, name: &str, value: &str, flag: &str, more: Value| {
        let row = json!({"id": id(nth), "lab_result_id": id(result), "sequence": sequence, "component_name": name,
                         "value_numeric": value, "flag": flag, "unit": "mmol/L"});
        patched(row, more)
    };
    let values = [
        value(461, 451, 1, "Sodium", "171", "critical_high", json!({})),
        value(462, 451, 2, "Chloride", "101", "normal", json!({})),
        value(463, 451, 3, "Potassium", "2.4", "critical_low", json!({})),
        value(464, 452, 1, "Potassium", "9.0", "critical_high", json!({"is_current": false})),
        value(465, 452, 1, "Potassium", "7", "critical_high", json!({"revision": 2, "value_comparator": ">"})),
        value(466, 453, 1, "Potassium", "7.0", "critical_high", json!({})),
        value(467, 454, 1, "Potassium", "7.1", "critical_high", json!({})),
        value(468, 455, 1, "Potassium", "8.1", "critical_high", json!({"is_current": false})),
        value(469, 455, 1, "Potassium", "7.2", "critical_high", json!({"is_current": false, "revision": 2})),
        value(470, 455, 1, "Potassium", "4.2", "normal", json!({"revision": 3})),
        value(471, 456, 1, "Potassium", "7.3", "critical_high", json!({"is_current": false})),
        value(472, 456, 1, "Potassium", "4.3", "normal", json!({"revision": 2})),
        value(473, 457, 1, "Potassium", "7.4", "critical_high", json!({})),
    ];
    house.fill("lab_result_components", values).await;
    let day = json!({"from": "2026-03-10", "to": "2026-03-10"});
    let times = "2026-03-10 10:00 | 2026-03-10 10:00 | 2026-03-10 10:25 | -";
    let told = format!("mmol/L | critical_high | {times} | 25 | no | 1 | Ada Adler");
    let open = "2026-03-10 11:00 | 2026-03-10 11:01 | - | - | 120 | yes | 3 | -";
    let corrected =
        "2026-03-10 12:00 | 2026-03-10 12:01 | 2026-03-10 12:05 | 2026-03-10 12:30 | 5 | no | 1 | Ada Adler";
    let ended = |raised_at: &str, minutes: u32| {
        format!("2026-03-10 {raised_at} | - | - | 2026-03-10 12:17 | {minutes} | no | - | -")
    };
    let expected = [
        format!("LO-1 | Panel | Sodium | 171 | {told}"),
        format!("LO-1 | Panel | Potassium | 2.4 | {}", told.replace("high", "low")),
        format!("LO-1 | Potassium | Potassium | >7 | mmol/L | critical_high | {open}"),
        format!("LO-1 | Corrected | Potassium | 7.2 | mmol/L | critical_high | {corrected}"),
        format!("LO-1 | Ended | Potassium | 7.3 | mmol/L | critical_high | {}", ended("12:10", 7)),
        format!("LO-1 | Gone | Potassium | 7.4 | mmol/L | critical_high | {}", ended("12:11", 6)),
    ];
    for reads in ["lab_orders,staff", "clinical_records,staff"] {
        assert_eq!(house.report(reads, "critical-response", day.clone()).await, expected);
    }
}
