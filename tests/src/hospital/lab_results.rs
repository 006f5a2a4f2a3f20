//! Results of the laboratory: values with flags, critical values that are told until somebody acknowledges them,
//! corrections, and what a patient sees of it.

use futures::future::join_all;
use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{self, patient, person, user};
use super::laboratory::{collect, items_of};
use super::{Client, Hospital, Start};

pub(super) const POTASSIUM: &str = "2823-3";

/// The definition of a test that nobody else defines, with potassium and the appearance of the serum.
fn panel(code: &str) -> Value {
    let range = json!({"sex": "any", "age_from_days": 0, "low": "3.5", "high": "5.1", "critical_low": "2.5",
                       "critical_high": "6.5"});
    let potassium = json!({"code": POTASSIUM, "name": "Potassium", "value_type": "numeric", "unit": "mmol/L",
                           "decimals": 1, "possible_low": "0.5", "possible_high": "15", "ranges": [range]});
    let serum = json!({"code": "20570-8", "name": "Appearance of serum", "value_type": "text",
                       "abnormal_values": ["hemolyzed"]});
    json!({"code": code, "name": format!("Panel {code}"), "components": [potassium, serum]})
}

/// Defines a test with a code; returns its id.
pub(super) async fn defined(lab: &Client, code: &str) -> String {
    lab.did("define-lab-test", panel(code)).await
}

/// Orders tests for a patient; returns the ids of the order and of its items.
pub(super) async fn ordered(doctor: &Client, patient_id: &str, tests: &[String]) -> (String, Vec<String>) {
    let items: Vec<_> = tests.iter().map(|it| json!({"lab_test_id": it})).collect();
    let order = json!({"patient_id": patient_id, "items": items, "confirm_not_duplicate": true});
    let order_id = doctor.did("place-lab-order", order).await;
    let items = items_of(doctor, &order_id).await;
    let id = |it: &Value| it["id"].as_str().expect("an id").to_owned();
    (order_id, items.iter().map(id).collect())
}

fn values(potassium: &str, serum: &str) -> Value {
    json!([{"code": POTASSIUM, "value": potassium}, {"code": "20570-8", "text": serum}])
}

/// The body of `record-lab-result`.
pub(super) fn result(order_id: &str, item_id: &str, status: &str, potassium: &str) -> Value {
    json!({"lab_order_id": order_id, "item_id": item_id, "status": status,
           "components": values(potassium, "slightly yellow")})
}

/// Waits until people have been told of the critical values of a result, and returns its row.
async fn told(client: &Client, result_id: &str) -> Value {
    client.row_until("lab-results", result_id, |row| !row["critical_level"].is_null()).await
}

/// Carries out every command on results, and lets every event happen. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let nurse = hospital.login("nurse").await;
    let test = defined(&lab, "98001-1").await;
    let (order_id, items) = ordered(&doctor, patient_id, std::slice::from_ref(&test)).await;
    let collected = json!({"lab_order_id": order_id, "specimen_type": "SER"});
    nurse.did("collect-specimen", collected).await;
    let noted = json!({"notes": "A drop of blood is on the label", "method": "ISE"});
    let recorded = patched(result(&order_id, &items[0], "P", "6.9"), noted);
    let result_id = lab.did("record-lab-result", recorded).await;
    told(&doctor, &result_id).await;
    let of_result = |more: Value| patched(json!({"lab_result_id": result_id}), more);
    let noted = json!({"read_back": true, "note": "Calcium is given"});
    nurse.did("acknowledge-critical-result", of_result(noted)).await;
    lab.did("finalise-lab-result", of_result(json!({"components": values("6.8", "hemolyzed")}))).await;
    let corrected = json!({"components": values("4.1", "clear"), "reason": "the tubes were swapped"});
    lab.did("correct-lab-result", of_result(corrected)).await;
    doctor.did("review-lab-result", of_result(json!({"comment": "Once more tomorrow"}))).await;
    let wrong = json!({"reason_code": "wrong_patient", "reason": "the label was of the next bed"});
    lab.did("withdraw-lab-result", of_result(wrong)).await;
}

/// A result of a patient that was withdrawn.
pub(super) async fn withdrawn(hospital: &Hospital, patient_id: &str) -> String {
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let (order_id, items) = ordered(&doctor, patient_id, &[defined(&lab, "98001-1").await]).await;
    let result_id = lab.did("record-lab-result", result(&order_id, &items[0], "F", "4.1")).await;
    let wrong = json!({"lab_result_id": result_id, "reason_code": "wrong_patient"});
    lab.did("withdraw-lab-result", wrong).await;
    result_id
}

/// Records a preliminary potassium for the first item of an order of a patient of the demo, and a final hemoglobin in an
/// order of its own.
pub(super) async fn released(lab: &Client, doctor: &Client, (order_id, number): (&str, u16)) {
    let items = doctor.items(&format!("lab-order-items?lab_order_id={order_id}")).await;
    let single = |order_id: &str, item: &Value, status: &str, code: &str, value: &str| {
        json!({"lab_order_id": order_id, "item_id": item, "status": status,
               "components": [{"code": code, "value": value}]})
    };
    lab.did("record-lab-result", single(order_id, &items[0]["id"], "P", POTASSIUM, "3.9")).await;
    let (other, items) = ordered(doctor, &patient(number), &[demo::lab_test(2)]).await;
    let done = single(&other, &json!(items[0]), "F", "718-7", "14");
    let done = lab.did("record-lab-result", done).await;
    if number == 5 {
        // Nobody has tested this patient in the end.
        lab.did("withdraw-lab-result", json!({"lab_result_id": done, "reason_code": "wrong_patient"})).await;
        doctor.did("cancel-lab-order", json!({"lab_order_id": other, "reason": "of another patient"})).await;
    }
}

#[tokio::test]
async fn a_critical_value_is_told_until_somebody_acknowledges_it_and_then_reviewed() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let nurse = hospital.login("nurse").await;
    let test = defined(&lab, "98001-1").await;
    let (order_id, items) = ordered(&doctor, &patient(2), &[test]).await;
    let result_id = lab.did("record-lab-result", result(&order_id, &items[0], "P", "6.9")).await;
    let row = told(&doctor, &result_id).await;
    assert_eq!((&row["status"], &row["result_status"]), (&json!("critical"), &json!("P")));
    assert_eq!((&row["flag"], &row["is_abnormal"]), (&json!("critical_high"), &json!(true)));
    assert_eq!((&row["critical_level"], &row["critical_acknowledged_at"]), (&json!(0), &Value::Null));
    let of_result = |more: Value| patched(json!({"lab_result_id": result_id}), more);
    let events = hospital.login("admin").await.items(&format!("events?stream_id={result_id}")).await;
    let told = events.iter().find(|it| it["type"] == "lab_result.critical_escalated").expect("somebody is told");
    assert_eq!(told["data"]["recipients"], json!([user(demo::DOCTOR)]));
    let reception = hospital.login("reception").await;
    reception
        .command("acknowledge-critical-result", of_result(json!({"read_back": true})))
        .await
        .problem(403, "forbidden");
    let unread = of_result(json!({"read_back": false}));
    nurse.command("acknowledge-critical-result", unread).await.problem(422, "not-read-back");
    doctor.command("review-lab-result", of_result(json!({}))).await.problem(409, "not-final");
    lab.did("finalise-lab-result", of_result(json!({}))).await;
    doctor.command("review-lab-result", of_result(json!({}))).await.problem(409, "critical-unacknowledged");
    nurse.did("acknowledge-critical-result", of_result(json!({"read_back": true}))).await;
    let row = doctor.row("lab-results", &result_id).await;
    assert_eq!((&row["status"], &row["critical_acknowledged_by"]), (&json!("completed"), &json!(user(demo::NURSE))));
    doctor.did("review-lab-result", of_result(json!({}))).await;
    assert_eq!(doctor.row("lab-results", &result_id).await["status"], "reviewed");
    // The value was wrong: the alarm ends, and the doctor has to look again.
    let corrected = json!({"components": values("4.1", "clear"), "reason": "the tubes were swapped"});
    let corrected = lab.command("correct-lab-result", of_result(corrected)).await;
    assert_eq!(corrected.done()["events"].as_array().map(Vec::len), Some(2));
    let row = doctor.row("lab-results", &result_id).await;
    assert_eq!((&row["status"], &row["result_status"]), (&json!("completed"), &json!("C")));
    assert_eq!(row["reviewed_by"], Value::Null);
    // What was done about the alarm stays known, and the result is on no list of critical values.
    let (raised, withdrawn) = (&row["critical_raised_at"], &row["critical_withdrawn_at"]);
    assert!(raised.is_string() && withdrawn.as_str() > raised.as_str(), "{row}");
    assert_eq!((&row["critical_level"], &row["critical_acknowledged_by"]), (&json!(0), &json!(user(demo::NURSE))));
    let critical = doctor.items("lab-results?status=critical&limit=500").await;
    assert!(critical.iter().all(|it| it["id"] != json!(result_id)), "{critical:?}");
    assert_eq!((&row["flag"], &row["correction_reason"]), (&Value::Null, &json!("the tubes were swapped")));
    let path = format!("lab-result-components?lab_result_id={result_id}&component_code={POTASSIUM}&sort=id");
    let mut known: Vec<_> = doctor.items(&path).await;
    known.sort_by_key(|it| it["revision"].as_i64());
    let told: Vec<_> = known.iter().map(|it| (&it["revision"], &it["value_numeric"], &it["is_current"])).collect();
    let expected = [(json!(1), json!(6.9), json!(false)), (json!(2), json!(4.1), json!(true))];
    assert_eq!(told, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_analyser_posts_five_panels_of_an_order_at_once() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let mut tests = Vec::new();
    for code in ["98001-1", "98002-9", "98003-7", "98004-5", "98005-2"] {
        tests.push(defined(&lab, code).await);
    }
    let (order_id, items) = ordered(&doctor, &patient(3), &tests).await;
    let posted = items.iter().map(|it| lab.command("record-lab-result", result(&order_id, it, "F", "4.2")));
    for answer in join_all(posted).await {
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    assert_eq!(doctor.row("lab-orders", &order_id).await["status"], "completed");
    let results = doctor.items(&format!("lab-results?lab_order_id={order_id}")).await;
    assert_eq!(results.len(), 5);
    assert!(results.iter().all(|it| it["status"] == "completed" && it["result_value"].is_null()));
}

#[tokio::test]
async fn of_two_results_of_one_item_one_is_recorded() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let test = defined(&lab, "98001-1").await;
    for start in Start::rounds(4) {
        let (order_id, items) = ordered(&doctor, &patient(3), std::slice::from_ref(&test)).await;
        let posted = || lab.command("record-lab-result", result(&order_id, &items[0], "F", "4.2"));
        let mut answers = start.race([posted(), posted()]).await;
        answers.sort_by_key(|it| it.status);
        let [done, refused] = &answers[..] else { panic!("two answers") };
        assert_eq!(done.status, 201, "{start:?}: {}", done.text);
        assert_eq!(refused.problem(409, "already-resulted")["candidates"], json!([done.id()]));
    }
}

#[tokio::test]
async fn patients_see_their_results_when_these_are_final_and_no_longer_when_these_are_of_somebody_else() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let paula = hospital.login("patient").await;
    let test = defined(&lab, "98001-1").await;
    let (order_id, items) = ordered(&doctor, &patient(1), &[test]).await;
    let result_id = lab.did("record-lab-result", result(&order_id, &items[0], "P", "4.4")).await;
    let seen = async || {
        let results = paula.items("lab-results").await.iter().filter(|it| it["id"] == result_id.as_str()).count();
        (results, paula.items(&format!("lab-result-components?lab_result_id={result_id}")).await.len())
    };
    assert_eq!(seen().await, (0, 0));
    lab.did("finalise-lab-result", json!({"lab_result_id": result_id})).await;
    assert_eq!(seen().await, (1, 2));
    let wrong = json!({"lab_result_id": result_id, "reason_code": "wrong_patient"});
    lab.did("withdraw-lab-result", wrong).await;
    assert_eq!(seen().await, (0, 0));
    // The item waits for another result.
    let item = doctor.row("lab-order-items", &items[0]).await;
    assert_eq!(item["lab_result_id"], Value::Null);
    assert_eq!(doctor.row("lab-results", &result_id).await["status"], "pending");
    lab.did("record-lab-result", result(&order_id, &items[0], "F", "4.4")).await;
    assert_eq!(doctor.row("lab-orders", &order_id).await["status"], "completed");
}

/// Preliminary values are no more told by the history of a result than by its rows.
/// Whether a number stands anywhere in an answer, as a value of its own: times and ids contain many numbers.
fn tells(answer: &Value, number: &str) -> bool {
    match answer {
        Value::Object(members) => members.values().any(|it| tells(it, number)),
        Value::Array(items) => items.iter().any(|it| tells(it, number)),
        Value::String(text) => text == number,
        Value::Number(it) => it.to_string() == number,
        Value::Null | Value::Bool(_) => false,
    }
}

#[tokio::test]
async fn patients_do_not_read_the_values_before_the_final_ones() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let paula = hospital.login("patient").await;
    let (order_id, items) = ordered(&doctor, &patient(1), &[defined(&lab, "98001-1").await]).await;
    let result_id = lab.did("record-lab-result", result(&order_id, &items[0], "P", "7.1")).await;
    let values = json!({"lab_result_id": result_id, "components": values("6.8", "clear")});
    lab.did("finalise-lab-result", values).await;
    let (rows, stream) =
        (format!("lab-result-components?lab_result_id={result_id}"), format!("streams/lab_result/{result_id}"));
    let events = format!("events?patient_id={}&stream_id={result_id}", patient(1));
    for (path, is_told) in [(&rows, true), (&stream, true), (&events, false)] {
        let told = paula.get(path).await.done();
        assert!(!tells(&told, "7.1") && tells(&told, "6.8") == is_told, "{path}: {told}");
        assert!(tells(&doctor.get(path).await.done(), "6.8"), "{path}");
    }
    assert!(tells(&doctor.get(&events).await.done(), "7.1"));
    paula.get(&format!("{stream}?version=1")).await.problem(404, "not-found");
    doctor.get(&format!("{stream}?version=1")).await.done();
}

#[tokio::test]
async fn a_text_that_is_an_address_is_sealed() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let component = json!({"code": "56799-0", "name": "Address", "value_type": "text"});
    let test = json!({"code": "56799-0", "name": "Address", "components": [component]});
    let test = lab.did("define-lab-test", test).await;
    let zuzanna = hospital.login("reception").await.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    let (order_id, items) = ordered(&doctor, &zuzanna, &[test]).await;
    let address = "12 Nightingale Lane";
    let told = json!({"lab_order_id": order_id, "item_id": items[0], "status": "F",
                      "components": [{"code": "56799-0", "text": address}]});
    let result_id = lab.did("record-lab-result", told).await;
    let row = doctor.row("lab-results", &result_id).await;
    assert_eq!((&row["result_value"], &row["flag"]), (&json!(address), &Value::Null));
    let sql = "select data::text from log.events union all select coalesce(new_values::text, '') from audit_logs";
    let texts: Vec<String> = sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("texts");
    assert!(texts.len() > 100 && texts.iter().all(|it| !it.contains("Nightingale")), "the address is in plain text");
}

#[tokio::test]
async fn every_refusal_of_values_has_its_code() {
    let hospital = Hospital::start().await;
    let (lab, doctor) = (hospital.login("lab").await, hospital.login("doctor").await);
    let olga = hospital.login("reception").await.did("register-patient", person("Olga", "Stern", 1)).await;
    let mut compared = panel("98001-1");
    compared["components"][0]["delta_percent"] = json!("20");
    compared["components"][0]["delta_days"] = json!(30);
    let test = lab.did("define-lab-test", compared).await;
    let (order_id, items) = ordered(&doctor, &olga, std::slice::from_ref(&test)).await;
    let record = async |more: Value| {
        lab.command("record-lab-result", patched(result(&order_id, &items[0], "F", "4.0"), more)).await
    };
    let without = |nth: usize| json!({"components": [values("4.0", "clear")[nth]]});
    record(without(0)).await.problem_at(422, "missing-component", "/components");
    let unknown = json!({"components": [values("4.0", "clear")[0], {"code": "718-7", "value": "14"}]});
    record(unknown).await.problem_at(422, "unknown-component", "/components/1/code");
    let impossible = json!({"components": values("15.1", "clear")});
    record(impossible).await.problem_at(422, "impossible-value", "/components/0/value");
    record(json!({})).await.done();
    // The next value differs by 25 percent.
    let (order_id, items) = ordered(&doctor, &olga, &[test]).await;
    let next = |more: Value| patched(result(&order_id, &items[0], "F", "5.0"), more);
    let differs = lab.command("record-lab-result", next(json!({}))).await;
    differs.problem_at(422, "delta-exceeded", "/components/0/value");
    let specimen_id = collect(&doctor, &order_id, json!({})).await;
    let rejected = json!({"lab_order_id": order_id, "specimen_id": specimen_id, "reason_code": "hemolyzed"});
    lab.did("reject-specimen", rejected).await;
    let named = next(json!({"specimen_id": specimen_id, "confirm_delta": true}));
    lab.command("record-lab-result", named).await.problem(409, "specimen-rejected");
}
