//! Laboratory tests, orders and specimens through the API.

use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{NURSE, at, lab_order, lab_test, patient, person, user};
use super::import::import_as;
use super::{Client, Hospital, Start};

/// The body of `define-lab-test`: sodium in serum.
fn sodium(code: &str) -> Value {
    let range = json!({"sex": "any", "age_from_days": 28, "low": "135", "high": "145", "critical_low": "120"});
    json!({
        "code": code, "name": "Sodium", "specimen_type": "SER", "container": "serum tube",
        "turnaround_minutes": {"normal": 240, "stat": 45},
        "components": [{"code": code, "name": "Sodium", "value_type": "numeric", "unit": "mmol/L", "ranges": [range]}],
    })
}

/// The body of `place-lab-order` for some of the demo's tests.
fn order(patient_id: &str, tests: &[u16]) -> Value {
    let items: Vec<_> = tests.iter().map(|it| json!({"lab_test_id": lab_test(*it)})).collect();
    json!({"patient_id": patient_id, "items": items})
}

/// Registers a patient of whom nothing is known.
async fn somebody(hospital: &Hospital) -> String {
    hospital.login("reception").await.did("register-patient", person("Lena", "Vogt", 31)).await
}

/// The items of an order in their order.
pub(super) async fn items_of(client: &Client, order_id: &str) -> Vec<Value> {
    let mut items = client.items(&format!("lab-order-items?lab_order_id={order_id}")).await;
    items.sort_by_key(|it| it["line_number"].as_i64());
    items
}

/// Takes a specimen for an order. Returns its id.
pub(super) async fn collect(nurse: &Client, order_id: &str, changes: Value) -> String {
    let specimen_id = hims_domain::derived("specimen of a test", &[order_id, &changes.to_string()]).to_string();
    let body = json!({"lab_order_id": order_id, "specimen_id": specimen_id, "specimen_type": "SER"});
    nurse.did("collect-specimen", patched(body, changes)).await;
    specimen_id
}

/// Orders a test for a patient and takes a specimen. Returns the id of the order.
pub(super) async fn tested(doctor: &Client, nurse: &Client, patient_id: &str) -> String {
    let asked = patched(order(patient_id, &[1]), json!({"confirm_not_duplicate": true}));
    let order_id = doctor.did("place-lab-order", asked).await;
    collect(nurse, &order_id, json!({})).await;
    order_id
}

/// Runs every command of the laboratory but those on results.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (doctor, nurse, lab) =
        (hospital.login("doctor").await, hospital.login("nurse").await, hospital.login("lab").await);
    let test = lab.did("define-lab-test", sodium("2951-2")).await;
    let of_test = |more: Value| patched(json!({"lab_test_id": test}), more);
    let mut components = sodium("2951-2")["components"].clone();
    components[0]["ranges"][0]["high"] = json!("146");
    lab.did("change-lab-test", of_test(json!({"container": null, "components": components}))).await;
    lab.did("retire-lab-test", of_test(json!({}))).await;
    lab.did("reinstate-lab-test", of_test(json!({}))).await;
    let placed = patched(
        order(patient_id, &[1, 2]),
        json!({
            "priority": "stat", "fasting": true, "clinical_information": "On ramipril", "notes": "Call the ward",
            "scheduled_for": at(1, 0),
        }),
    );
    let order_id = doctor.did("place-lab-order", placed).await;
    let of_order = |more: Value| patched(json!({"lab_order_id": order_id}), more);
    let taken = json!({"collected_at": at(-1, 0), "body_site": "left arm", "volume_ml": "4.5"});
    let specimen_id = collect(&nurse, &order_id, taken).await;
    let of_specimen = of_order(json!({"specimen_id": specimen_id}));
    lab.did("receive-specimen", of_specimen.clone()).await;
    let reflex = json!({"lab_test_id": test, "reason": "reflex", "notes": "Low potassium"});
    lab.did("add-lab-order-item", of_order(reflex)).await;
    let items = items_of(&lab, &order_id).await;
    let of_item = |nth: usize, more: Value| patched(json!({"item_id": items[nth]["id"]}), more);
    let gone = of_order(of_item(2, json!({"reason": "The first value was wrong"})));
    lab.did("cancel-lab-order-item", gone).await;
    let rejected = patched(of_specimen, json!({"reason_code": "hemolyzed", "note": "Red serum"}));
    lab.did("reject-specimen", rejected).await;
    collect(&nurse, &order_id, json!({})).await;
    doctor.did("cancel-lab-order", of_order(json!({"reason": "Went home"}))).await;
}

#[tokio::test]
async fn an_order_goes_through_the_hands_of_doctor_nurse_and_laboratory() {
    let hospital = Hospital::start().await;
    let (doctor, nurse, lab) =
        (hospital.login("doctor").await, hospital.login("nurse").await, hospital.login("lab").await);
    let patient_id = somebody(&hospital).await;
    lab.get(&format!("patients/{patient_id}")).await.problem(404, "not-found");
    let order_id = doctor.did("place-lab-order", order(&patient_id, &[1, 2])).await;
    let row = doctor.row("lab-orders", &order_id).await;
    assert_eq!([&row["status"], &row["priority"]], ["ordered", "normal"]);
    assert!(row["order_number"].as_str().is_some_and(|it| it.starts_with("LO-") && it.len() == 14), "{row}");
    assert_eq!(lab.row("patients", &patient_id).await["last_name"], "Vogt", "the label needs a name");
    let items = items_of(&lab, &order_id).await;
    let [potassium, hemoglobin] = [0, 1].map(|nth| items[nth]["id"].clone());
    let serum = collect(&nurse, &order_id, json!({"item_ids": [potassium]})).await;
    assert_eq!(doctor.row("lab-orders", &order_id).await["status"], "ordered", "a test has no specimen yet");
    let blood = collect(&nurse, &order_id, json!({"specimen_type": "WB"})).await;
    let row = doctor.row("lab-orders", &order_id).await;
    assert_eq!([&row["status"], &row["collected_by"]], [&json!("collected"), &json!(user(NURSE))]);
    assert!(row["collection_date"].is_string() && row["collection_time"].is_string(), "{row}");
    let specimen = doctor.row("specimens", &blood).await;
    assert_eq!(specimen["item_ids"], json!([hemoglobin]));
    assert!(specimen["specimen_number"].as_str().is_some_and(|it| it.starts_with("SP-")), "{specimen}");
    lab.did("receive-specimen", json!({"lab_order_id": order_id, "specimen_id": serum})).await;
    assert_eq!(lab.row("lab-orders", &order_id).await["status"], "in_progress");
    let rejected = json!({"lab_order_id": order_id, "specimen_id": blood, "reason_code": "insufficient"});
    lab.did("reject-specimen", rejected).await;
    assert_eq!(lab.row("lab-orders", &order_id).await["status"], "ordered");
    let items = items_of(&lab, &order_id).await;
    assert_eq!([&items[0]["status"], &items[1]["status"]], ["in_progress", "ordered"]);
    let waiting = lab.items("lab-order-items?status=ordered&sort=created_at").await;
    assert!(waiting.iter().any(|it| it["id"] == hemoglobin), "{waiting:?}");
    let late = json!({"lab_order_id": order_id, "specimen_id": blood});
    lab.command("receive-specimen", late).await.problem(409, "wrong-status");
}

#[tokio::test]
async fn of_two_orders_of_one_test_at_one_moment_one_is_asked_back() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    for (round, start) in (0..).zip(Start::rounds(2)) {
        let patient_id =
            hospital.login("reception").await.did("register-patient", person("Lena", "Vogt", 40 + round)).await;
        let answers = start.race((0..8).map(|_| doctor.command("place-lab-order", order(&patient_id, &[1])))).await;
        let placed: Vec<_> = answers.iter().filter(|it| it.status == 201).collect();
        assert_eq!(placed.len(), 1, "{start:?}: {:?}", answers.iter().map(|it| it.status).collect::<Vec<_>>());
        for refused in answers.iter().filter(|it| it.status != 201) {
            refused.problem(409, "possible-duplicate");
        }
    }
}

#[tokio::test]
async fn a_test_that_is_ordered_already_is_asked_about_with_the_order() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let patient_id = somebody(&hospital).await;
    let first = doctor.did("place-lab-order", order(&patient_id, &[1])).await;
    let both = order(&patient_id, &[2, 1]);
    let asked = doctor.command("place-lab-order", both.clone()).await.problem(409, "possible-duplicate");
    assert_eq!(asked["candidates"], json!([first]));
    assert_eq!(asked["errors"][0]["pointer"], "/items/1/lab_test_id");
    let confirmed = patched(both, json!({"confirm_not_duplicate": true}));
    doctor.did("place-lab-order", confirmed).await;
    for order_id in doctor.items(&format!("lab-orders?patient_id={patient_id}")).await {
        doctor.did("cancel-lab-order", json!({"lab_order_id": order_id["id"], "reason": "not needed"})).await;
    }
    doctor.did("place-lab-order", order(&patient_id, &[1])).await;
}

#[tokio::test]
async fn each_role_does_its_part() {
    let hospital = Hospital::start().await;
    let (doctor, nurse, lab) =
        (hospital.login("doctor").await, hospital.login("nurse").await, hospital.login("lab").await);
    let patient_id = patient(4);
    for client in [&nurse, &lab] {
        client.command("place-lab-order", order(&patient_id, &[1])).await.problem(403, "forbidden");
    }
    let unsolicited = patched(order(&patient_id, &[1]), json!({"unsolicited": true}));
    nurse.command("place-lab-order", unsolicited.clone()).await.problem(403, "forbidden");
    let order_id = lab.did("place-lab-order", unsolicited).await;
    assert_eq!(lab.row("lab-orders", &order_id).await["is_unsolicited"], true);
    let added = |reason: &str| json!({"lab_order_id": order_id, "lab_test_id": lab_test(2), "reason": reason});
    lab.command("add-lab-order-item", added("add_on")).await.problem(403, "forbidden");
    lab.did("add-lab-order-item", added("reflex")).await;
    let specimen_id = collect(&nurse, &order_id, json!({})).await;
    let received = json!({"lab_order_id": order_id, "specimen_id": specimen_id});
    nurse.command("receive-specimen", received.clone()).await.problem(403, "forbidden");
    doctor.did("receive-specimen", received).await;
    nurse.command("define-lab-test", sodium("2951-2")).await.problem(403, "forbidden");
    hospital.login("admin").await.did("define-lab-test", sodium("2951-2")).await;
}

#[tokio::test]
async fn every_refusal_of_the_laboratory_has_its_code() {
    let hospital = Hospital::start().await;
    let (doctor, lab) = (hospital.login("doctor").await, hospital.login("lab").await);
    let mut overlapping = sodium("2951-2");
    let range = overlapping["components"][0]["ranges"][0].clone();
    overlapping["components"][0]["ranges"] = json!([range, range]);
    lab.command("define-lab-test", overlapping).await.problem_at(422, "ranges-overlap", "/components/0/ranges/1");
    lab.command("define-lab-test", sodium("Na")).await.problem(422, "malformed-code");
    lab.command("define-lab-test", sodium("2823-3")).await.problem(409, "already-taken");
    let asked =
        async |changes: Value| doctor.command("place-lab-order", patched(order(&patient(4), &[1]), changes)).await;
    asked(json!({"items": []})).await.problem_at(422, "no-items", "/items");
    asked(json!({"scheduled_for": at(-1, 0)})).await.problem_at(422, "in-the-past", "/scheduled_for");
    asked(json!({"priority": "yesterday"})).await.problem(422, "invalid-fields");
    lab.did("retire-lab-test", json!({"lab_test_id": lab_test(3)})).await;
    let retired = json!({"items": [{"lab_test_id": lab_test(3)}]});
    asked(retired).await.problem(409, "inactive-test");
    // Order 1 of the demo has two specimens, order 5 is cancelled.
    let of = |number: u16, more: Value| patched(json!({"lab_order_id": lab_order(number)}), more);
    let take = async |number: u16, more: Value| {
        doctor.command("collect-specimen", of(number, patched(json!({"specimen_type": "SER"}), more))).await
    };
    take(1, json!({})).await.problem(409, "nothing-to-collect");
    take(5, json!({})).await.problem(409, "wrong-status");
    take(4, json!({"collected_at": at(2, 0)})).await.problem_at(422, "in-the-future", "/collected_at");
    take(4, json!({"volume_ml": "0"})).await.problem_at(422, "out-of-range", "/volume_ml");
    let unknown = of(1, json!({"specimen_id": patient(1)}));
    lab.command("receive-specimen", unknown).await.problem(422, "no-such-specimen");
    let unknown = of(1, json!({"item_id": patient(1), "reason": "not needed"}));
    lab.command("cancel-lab-order-item", unknown).await.problem(422, "no-such-item");
}

#[tokio::test]
async fn the_catalogue_is_imported_beside_the_tests_that_there_are() {
    let hospital = Hospital::start().await;
    let lab = hospital.login("lab").await;
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/../catalogue/lab-tests.json");
    // The demo has one of the tests already, under an id of its own.
    for (defined, already_there) in [(51, 1), (0, 52)] {
        let output = import_as("lab-tests", &hospital, catalogue);
        let told = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(told.trim(), format!("{defined} tests defined, {already_there} already there, 0 not readable"));
    }
    hospital.settle().await;
    let panel = &lab.items("lab-tests?code=24323-8").await[0];
    assert_eq!(panel["components"].as_array().map(Vec::len), Some(16));
    let ranges = lab.items("lab-reference-ranges?component_code=1975-2&limit=100").await;
    assert!(ranges.len() > 5 && ranges.iter().all(|it| it["is_example"] == true), "{ranges:?}");
    let wrong = crate::support::scratch("lab-tests");
    let path = wrong.path().join("wrong.json");
    std::fs::write(&path, format!("[\n{},\n{}]", sodium("Na"), sodium("2951-2"))).expect("a file");
    let output = import_as("lab-tests", &hospital, path.to_str().expect("a path"));
    let told = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("wrong.json: line 2: ") && told.contains("/code: give a LOINC code"), "{told}");
    assert!(told.contains("1 tests defined"), "{told}");
}

#[tokio::test]
async fn the_ranges_of_a_test_are_a_table_that_everybody_reads() {
    let hospital = Hospital::start().await;
    let lab = hospital.login("lab").await;
    let test = lab.did("define-lab-test", sodium("2951-2")).await;
    let nurse = hospital.login("nurse").await;
    let ranges = nurse.items(&format!("lab-reference-ranges?lab_test_id={test}")).await;
    assert_eq!(ranges.len(), 1);
    let shown = ["low", "high", "critical_low", "critical_high"].map(|name| ranges[0][name].clone());
    assert_eq!(shown, [json!(135), json!(145), json!(120), json!(null)]);
    assert_eq!([&ranges[0]["unit"], &ranges[0]["is_example"]], [&json!("mmol/L"), &json!(false)]);
    let row = nurse.row("lab-tests", &test).await;
    assert_eq!(row["turnaround_minutes"], json!({"normal": 240, "stat": 45}));
    assert_eq!(row["components"][0]["unit"], "mmol/L");
    assert_eq!(nurse.items("lab-tests?q=sodium").await.len(), 1);
}
