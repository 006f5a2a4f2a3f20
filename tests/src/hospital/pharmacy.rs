//! The pharmacy: refills, what is kept for patients, lots on the move, and the witness of controlled products.

use std::collections::BTreeMap;

use futures::future::join_all;
use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{self, NURSE, at, local_day, patient, room, user};
use super::notifications::all_done;
use super::tables::count;
use super::{Answer, Client, Hospital, Start};

/// The people who meet a product, and a new product with one lot.
struct Shelf {
    doctor: Client,
    pharmacist: Client,
    medication_id: String,
    lot_id: String,
}

impl Shelf {
    async fn fill(hospital: &Hospital, name: &str, quantity: &str, details: Value) -> Self {
        let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
        let medication_id = pharmacist.did("add-medication", patched(json!({ "name": name }), details)).await;
        let mut shelf = Self { doctor, pharmacist, medication_id, lot_id: String::new() };
        shelf.lot_id = shelf.receive(&room(3), "S-1", quantity).await;
        shelf
    }

    async fn receive(&self, place: &str, number: &str, quantity: &str) -> String {
        let lot = json!({"medication_id": self.medication_id, "location_id": place, "lot_number": number,
                         "expiry_date": at(400, 0).date_naive(), "quantity": quantity, "unit": "tablet"});
        self.pharmacist.did("receive-medication-lot", lot).await
    }

    /// Writes a prescription of the product and sends it to the pharmacy. Returns its id.
    async fn prescribe(&self, patient_id: &str, quantity: &str, more: Value) -> String {
        let item = json!({"medication_id": self.medication_id, "quantity": quantity, "quantity_unit": "tablet"});
        let body = json!({"patient_id": patient_id, "items": [patched(item, more)]});
        let id = self.doctor.did("write-prescription", body).await;
        self.doctor.did("send-prescription-to-pharmacy", of(&id)).await;
        id
    }

    async fn lot(&self, id: &str) -> Value {
        self.pharmacist.row("medication-inventory", id).await
    }

    /// What is on hand, reserved and set aside of the lot.
    async fn quantities(&self) -> [Value; 3] {
        let lot = self.lot(&self.lot_id).await;
        ["quantity_on_hand", "quantity_reserved", "quantity_pending"].map(|it| lot[it].clone())
    }

    async fn item(&self, prescription_id: &str) -> Value {
        self.pharmacist.items(&format!("prescription-items?prescription_id={prescription_id}")).await.remove(0)
    }

    fn of_lot(&self, more: Value) -> Value {
        patched(json!({"medication_lot_id": self.lot_id}), more)
    }

    /// Asks for the waste of a quantity of the lot, which is of a controlled product. Returns the id of the change.
    async fn ask_for_waste(&self, quantity: &str) -> Value {
        let waste = self.of_lot(json!({"quantity": quantity, "reason_code": "partial_dose"}));
        let asked = self.pharmacist.command("waste-medication-lot", waste).await.done();
        assert_eq!(asked["events"][0]["type"], "medication_lot.change_requested");
        let waiting = self.lot(&self.lot_id).await["pending_changes"].clone();
        waiting.as_array().and_then(|it| it.last()).expect("a change waits")["change_id"].clone()
    }
}

/// The body of a command on a prescription.
fn of(prescription_id: &str) -> Value {
    json!({ "prescription_id": prescription_id })
}

fn controlled() -> Value {
    json!({"controlled_substance": true, "dea_schedule": "II"})
}

/// Every command of this file. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let shelf = Shelf::fill(hospital, "Refillable", "100", json!({})).await;
    let id = shelf.prescribe(patient_id, "10", json!({"refills_allowed": 2, "days_supply": 10})).await;
    shelf.pharmacist.did("mark-prescription-ready", of(&id)).await;
    let part = json!([{"item_id": shelf.item(&id).await["id"], "quantity": "4"}]);
    shelf.pharmacist.did("dispense-prescription", patched(of(&id), json!({ "items": part }))).await;
    shelf.pharmacist.did("dispense-prescription", of(&id)).await;
    let early = patched(of(&id), json!({"early_reason": "travels for a month"}));
    shelf.pharmacist.did("refill-prescription", early.clone()).await;
    let mistaken = patched(of(&id), json!({"reason": "opened for a namesake"}));
    shelf.pharmacist.did("undo-prescription-refill", mistaken).await;
    shelf.pharmacist.did("refill-prescription", early).await;
    shelf.pharmacist.did("mark-prescription-ready", of(&id)).await;
    let seal = shelf.of_lot(json!({"reason": "the seal is broken"}));
    shelf.pharmacist.did("quarantine-medication-lot", seal).await;
    shelf.pharmacist.did("release-medication-lot", shelf.of_lot(json!({}))).await;
    // The first transfer begins a lot, and the second meets the same lot.
    for quantity in ["5", "2.5"] {
        let moved = shelf.of_lot(json!({"to_location_id": room(1), "quantity": quantity}));
        shelf.pharmacist.did("transfer-medication-lot", moved).await;
    }
    let waste = json!({"quantity": "1", "reason_code": "spilled", "reason": "fell down"});
    shelf.pharmacist.did("waste-medication-lot", shelf.of_lot(waste)).await;
    shelf.pharmacist.did("count-medication-lot", shelf.of_lot(json!({"counted": "80"}))).await;
    let from_patient = json!({"quantity": "2", "to": "stock", "prescription_id": id});
    shelf.pharmacist.did("return-medication-lot", shelf.of_lot(from_patient)).await;
    let to_supplier = json!({"quantity": "3", "to": "supplier"});
    shelf.pharmacist.did("return-medication-lot", shelf.of_lot(to_supplier)).await;
    let narcotic = Shelf::fill(hospital, "Controlled", "20", controlled()).await;
    let nurse = hospital.login("nurse").await;
    let change_id = narcotic.ask_for_waste("1").await;
    nurse.did("witness-lot-change", narcotic.of_lot(json!({ "change_id": change_id }))).await;
    let change_id = narcotic.ask_for_waste("2").await;
    let unseen = json!({"change_id": change_id, "reason": "nobody saw it"});
    nurse.did("reject-lot-change", narcotic.of_lot(unseen)).await;
    narcotic.ask_for_waste("3").await;
}

#[tokio::test]
async fn a_prescription_is_refilled_as_often_and_as_long_as_it_says() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Refillable", "100", json!({})).await;
    let own = hospital.login("patient").await;
    let id = shelf.prescribe(&patient(1), "10", json!({"refills_allowed": 1, "days_supply": 10})).await;
    let item = shelf.item(&id).await;
    assert_eq!((&item["refills_allowed"], &item["refills_used"]), (&json!(1), &json!(0)));
    let year = (local_day(0) + chrono::Months::new(12)).to_string();
    assert_eq!(item["valid_until"], year);
    own.command("refill-prescription", of(&id)).await.problem(409, "wrong-status");
    shelf.pharmacist.did("dispense-prescription", of(&id)).await;
    let problem = own.command("refill-prescription", of(&id)).await.problem(409, "too-early");
    assert_eq!(problem["errors"][0]["code"], "too-early", "{problem}");
    own.did("refill-prescription", patched(of(&id), json!({"early_reason": "travels for a month"}))).await;
    let row = own.row("prescriptions", &id).await;
    assert_eq!(
        (&row["status"], &row["early_refill_reason"]),
        (&json!("sent_to_pharmacy"), &json!("travels for a month"))
    );
    let item = shelf.item(&id).await;
    assert_eq!((&item["status"], &item["refills_used"]), (&json!("active"), &json!(1)));
    shelf.pharmacist.did("dispense-prescription", of(&id)).await;
    let item = shelf.item(&id).await;
    assert_eq!((&item["status"], &item["quantity_dispensed"]), (&json!("dispensed"), &json!(20.0)));
    // The early refill is taken after what was dispensed first.
    let taken = own.items(&format!("patient-medications?medication_id={}", shelf.medication_id)).await.remove(0);
    let day = |field: &str| taken[field].as_str().expect("a day").parse::<chrono::NaiveDate>().expect("a day");
    assert_eq!(day("end_date") - day("start_date"), chrono::TimeDelta::days(20), "{taken}");
    own.command("refill-prescription", of(&id)).await.problem(409, "no-refills-left");
    // The prescriptions of others are not the patient's to refill.
    let of_another = shelf.prescribe(&patient(2), "10", json!({"refills_allowed": 1})).await;
    own.command("refill-prescription", of(&of_another)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn the_schedule_of_a_medication_limits_its_refills() {
    let hospital = Hospital::start().await;
    let two = Shelf::fill(&hospital, "Schedule two", "100", controlled()).await;
    let write = |shelf: &Shelf, more: Value| {
        let item = json!({"medication_id": shelf.medication_id, "quantity": "10", "quantity_unit": "tablet"});
        let body = json!({"patient_id": patient(2), "items": [patched(item, more)]});
        let doctor = shelf.doctor.clone();
        async move { doctor.command("write-prescription", body).await }
    };
    let refused = write(&two, json!({"refills_allowed": 1})).await;
    refused.problem_at(422, "no-refills-allowed", "/items/0/refills_allowed");
    let late = json!({"valid_until": at(100, 0).date_naive()});
    write(&two, late).await.problem_at(422, "out-of-range", "/items/0/valid_until");
    write(&two, json!({})).await.done();
    let one = json!({"controlled_substance": true, "dea_schedule": "I"});
    let one = Shelf::fill(&hospital, "Schedule one", "100", one).await;
    write(&one, json!({})).await.problem_at(422, "schedule-one", "/items/0/medication_id");
    let four = json!({"controlled_substance": true, "dea_schedule": "IV"});
    let four = Shelf::fill(&hospital, "Schedule four", "100", four).await;
    let id = four.prescribe(&patient(2), "10", json!({"refills_allowed": 5, "days_supply": 10})).await;
    four.pharmacist.did("dispense-prescription", of(&id)).await;
    let early = patched(of(&id), json!({"early_reason": "travels for a month"}));
    four.pharmacist.command("refill-prescription", early).await.problem(409, "too-early");
}

#[tokio::test]
async fn what_is_ready_is_kept_until_it_is_fetched_or_given_back() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Kept", "10", json!({})).await;
    let first = shelf.prescribe(&patient(2), "6", json!({})).await;
    let second = shelf.prescribe(&patient(3), "6", json!({})).await;
    shelf.pharmacist.did("mark-prescription-ready", of(&first)).await;
    assert_eq!(shelf.quantities().await, [json!(10.0), json!(6.0), json!(0.0)]);
    assert!(shelf.pharmacist.row("prescriptions", &first).await["collect_by"].is_string());
    for command in ["mark-prescription-ready", "dispense-prescription"] {
        let problem = shelf.pharmacist.command(command, of(&second)).await.problem(409, "insufficient-stock");
        let (item, error) = (shelf.item(&second).await, &problem["errors"][0]);
        assert_eq!((&error["code"], &error["pointer"]), (&json!("insufficient-stock"), &json!("/prescription_id")));
        let id = item["id"].as_str().expect("an id");
        assert!(error["message"].as_str().is_some_and(|it| it.contains(id)), "{problem}");
    }
    let waste = shelf.of_lot(json!({"quantity": "5", "reason_code": "damaged"}));
    let problem = shelf.pharmacist.command("waste-medication-lot", waste).await.problem(409, "insufficient-stock");
    assert_eq!(problem["candidates"], json!([first]));
    shelf.pharmacist.did("dispense-prescription", of(&first)).await;
    assert_eq!(shelf.quantities().await, [json!(4.0), json!(0.0), json!(0.0)]);
    // A recall between ready and pick-up takes the prescription back.
    let third = shelf.prescribe(&patient(4), "4", json!({})).await;
    shelf.pharmacist.did("mark-prescription-ready", of(&third)).await;
    let letter = shelf.of_lot(json!({"reason": "a letter of the maker"}));
    shelf.pharmacist.did("recall-medication-lot", letter).await;
    let row = shelf.pharmacist.row("prescriptions", &third).await;
    assert_eq!((&row["status"], &row["collect_by"]), (&json!("sent_to_pharmacy"), &Value::Null));
    assert_eq!(shelf.quantities().await, [json!(4.0), json!(0.0), json!(0.0)]);
    let next = shelf.receive(&room(3), "S-2", "4").await;
    shelf.pharmacist.did("mark-prescription-ready", of(&third)).await;
    let needless = patched(of(&third), json!({"reason": "not needed any more"}));
    shelf.doctor.did("cancel-prescription", needless).await;
    assert_eq!(shelf.lot(&next).await["quantity_reserved"], 0.0);
}

#[tokio::test]
async fn a_patient_is_told_that_a_recall_took_the_prescription_back() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Recalled", "10", json!({})).await;
    let id = shelf.prescribe(&patient(1), "6", json!({})).await;
    shelf.pharmacist.did("mark-prescription-ready", of(&id)).await;
    shelf.pharmacist.did("recall-medication-lot", shelf.of_lot(json!({"reason": "a letter of the maker"}))).await;
    all_done(&hospital).await;
    hospital.settle().await;
    let own = hospital.login("patient").await;
    let rows = own.items("notifications?type=prescription_ready&sort=created_at").await;
    let path = format!("/prescriptions/{id}");
    let titles: Vec<_> = rows.iter().filter(|it| it["action_url"] == path.as_str()).map(|it| &it["title"]).collect();
    assert_eq!(titles.last(), Some(&&json!("Your prescription is no longer ready")), "{rows:?}");
}

#[tokio::test]
async fn a_change_of_a_controlled_product_needs_two_persons() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Controlled", "20", controlled()).await;
    let (nurse, own) = (hospital.login("nurse").await, hospital.login("patient").await);
    let change_id = shelf.ask_for_waste("2").await;
    assert_eq!(shelf.quantities().await, [json!(20.0), json!(0.0), json!(2.0)]);
    let body = shelf.of_lot(json!({ "change_id": change_id }));
    shelf.pharmacist.command("witness-lot-change", body.clone()).await.problem(403, "own-witness");
    own.command("witness-lot-change", body.clone()).await.problem(403, "forbidden");
    let waiting = &nurse.row("medication-inventory", &shelf.lot_id).await["pending_changes"];
    assert_eq!((&waiting[0]["kind"], &waiting[0]["change_id"]), (&json!("wasted"), &change_id));
    let seen = nurse.command("witness-lot-change", body.clone()).await.done();
    let types: Vec<_> = seen["events"].as_array().into_iter().flatten().map(|it| it["type"].clone()).collect();
    assert_eq!(types, ["medication_lot.change_witnessed", "medication_lot.wasted"]);
    assert_eq!(shelf.quantities().await, [json!(18.0), json!(0.0), json!(0.0)]);
    nurse.command("witness-lot-change", body).await.problem(409, "no-such-change");
    // Two persons decide at the same moment, and one of them counts.
    let (doctor, mut left) = (hospital.login("doctor").await, 18.0);
    for start in Start::rounds(4) {
        let change_id = shelf.ask_for_waste("2").await;
        let confirm = shelf.of_lot(json!({ "change_id": change_id }));
        let unseen = shelf.of_lot(json!({"change_id": change_id, "reason": "nobody saw it"}));
        let both = [nurse.command("witness-lot-change", confirm), doctor.command("reject-lot-change", unseen)];
        let answers = start.race(both).await;
        assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 1, "{start:?}: {answers:?}");
        left -= if answers[0].status == 200 { 2.0 } else { 0.0 };
        answers.iter().filter(|it| it.status == 200).for_each(|it| shelf.pharmacist.saw(it.position()));
        assert_eq!(shelf.quantities().await, [json!(left), json!(0.0), json!(0.0)], "{start:?}");
    }
    // Whoever left the hospital is no witness: the session ended.
    let change_id = shelf.ask_for_waste("1").await;
    hospital.login("admin").await.did("deactivate-user", json!({"user_id": user(NURSE)})).await;
    let late = nurse.command("witness-lot-change", shelf.of_lot(json!({ "change_id": change_id }))).await;
    assert_eq!(late.status, 401, "{}", late.text);
}

#[tokio::test]
async fn a_transfer_meets_the_same_lot_at_its_destination() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Moved", "20", json!({})).await;
    let body = |quantity: &str| shelf.of_lot(json!({"to_location_id": room(1), "quantity": quantity}));
    // Four at once: the first begins the lot there, and the others meet it.
    let moved = ["1", "2", "3", "4"].map(|it| shelf.pharmacist.command("transfer-medication-lot", body(it)));
    let moved = join_all(moved).await;
    assert!(moved.iter().all(|it| it.status == 200), "{moved:?}");
    hospital.settle().await;
    let lots = shelf.pharmacist.items(&format!("medication-inventory?medication_id={}", shelf.medication_id)).await;
    let held: BTreeMap<_, _> =
        lots.iter().map(|it| (it["location_id"].to_string(), it["quantity_on_hand"].clone())).collect();
    let expected = [(room(1), 10.0), (room(3), 10.0)].map(|(place, left)| (json!(place).to_string(), json!(left)));
    assert_eq!((lots.len(), held), (2, BTreeMap::from(expected)));
    shelf.pharmacist.command("transfer-medication-lot", body("10.5")).await.problem(409, "insufficient-stock");
    shelf.pharmacist.did("recall-medication-lot", shelf.of_lot(json!({"reason": "a letter of the maker"}))).await;
    shelf.pharmacist.command("transfer-medication-lot", body("1")).await.problem(409, "lot-not-dispensable");
    let to_supplier = shelf.of_lot(json!({"quantity": "10", "to": "supplier"}));
    shelf.pharmacist.did("return-medication-lot", to_supplier).await;
    assert_eq!(shelf.quantities().await[0], 0.0);
}

/// How often each code was answered.
fn codes(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for answer in answers {
        let code = answer.json()["code"].as_str().map_or_else(|| answer.status.to_string(), str::to_owned);
        *codes.entry(code).or_default() += 1;
    }
    codes
}

#[tokio::test]
async fn one_of_sixty_four_gets_the_last_tablet() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Rare", "1", json!({})).await;
    for start in Start::rounds(1) {
        let prescribed = (0..64_u16).map(async |nth| {
            let patient_id = patient(1 + nth % 8);
            shelf.prescribe(&patient_id, "1", json!({})).await
        });
        let prescriptions = join_all(prescribed).await;
        let dispensed = prescriptions.iter().map(|it| shelf.pharmacist.command("dispense-prescription", of(it)));
        let answers = start.race(dispensed).await;
        let expected = BTreeMap::from([("200".to_owned(), 1), ("insufficient-stock".to_owned(), 63)]);
        assert_eq!(codes(&answers), expected);
        hospital.settle().await;
        assert_eq!(shelf.quantities().await[0], 0.0);
        shelf
            .pharmacist
            .did("adjust-medication-lot", shelf.of_lot(json!({"change": "1", "reason": "found one"})))
            .await;
    }
}

#[tokio::test]
async fn one_of_two_prescriptions_becomes_ready_when_there_is_stock_for_one() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Scarce", "10", json!({})).await;
    for start in Start::rounds(6) {
        let both =
            [shelf.prescribe(&patient(2), "6", json!({})).await, shelf.prescribe(&patient(3), "6", json!({})).await];
        let ready = both.iter().map(|it| shelf.pharmacist.command("mark-prescription-ready", of(it)));
        let answers = start.race(ready).await;
        let expected = BTreeMap::from([("200".to_owned(), 1), ("insufficient-stock".to_owned(), 1)]);
        assert_eq!(codes(&answers), expected, "{start:?}");
        hospital.settle().await;
        assert_eq!(shelf.quantities().await, [json!(10.0), json!(6.0), json!(0.0)]);
        for id in &both {
            let over = patched(of(id), json!({"reason": "the next round"}));
            shelf.doctor.did("cancel-prescription", over).await;
        }
    }
}

#[tokio::test]
async fn of_two_refills_at_one_moment_one_is_opened() {
    let hospital = Hospital::start().await;
    let shelf = Shelf::fill(&hospital, "Refillable", "100", json!({})).await;
    for (round, start) in (0..).zip(Start::rounds(6)) {
        let id = shelf.prescribe(&patient(1 + round % 8), "1", json!({"refills_allowed": 11})).await;
        shelf.pharmacist.did("dispense-prescription", of(&id)).await;
        let answers = start.race([0; 2].map(|_| shelf.pharmacist.command("refill-prescription", of(&id)))).await;
        let expected = BTreeMap::from([("200".to_owned(), 1), ("wrong-status".to_owned(), 1)]);
        assert_eq!(codes(&answers), expected, "{start:?}");
    }
    hospital.settle().await;
    let of_shelf = format!("prescription_items where medication_id = '{}' and refills_used", shelf.medication_id);
    assert_eq!(count(hospital.owner(), &format!("{of_shelf} = 1")).await, 12);
    assert_eq!(count(hospital.owner(), &format!("{of_shelf} > 1")).await, 0);
}

/// The demo has a prescription that is ready, so that the pharmacy has something to hand over.
#[tokio::test]
async fn the_demo_keeps_something_for_a_patient() {
    let hospital = Hospital::start().await;
    let pharmacist = hospital.login("pharmacist").await;
    let ready = pharmacist.items("prescriptions?status=ready").await;
    assert_eq!((ready.len(), &ready[0]["patient_id"]), (1, &json!(patient(1))));
    let kept = format!("medication-inventory?medication_id={}", demo::medication(4));
    let lots = pharmacist.items(&kept).await;
    assert!(lots.iter().any(|it| it["quantity_reserved"] == 30.0), "{lots:?}");
}
