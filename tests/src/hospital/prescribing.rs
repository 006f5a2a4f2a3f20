//! Prescribing and dispensing without harm: allergies, units, and what is given out.

use futures::future::join;
use serde_json::{Value, json};

use super::demo::{self, medication, person, prescription};
use super::{Answer, Client, Hospital};

const REASON: &str = "the benefit outweighs a mild rash";

/// The people who meet a prescription, and a patient.
struct Ward {
    hospital: Hospital,
    doctor: Client,
    pharmacist: Client,
    patient_id: String,
}

impl Ward {
    async fn open() -> Self {
        let hospital = Hospital::start().await;
        let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
        let reception = hospital.login("reception").await;
        let patient_id = reception.did("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
        Self { hospital, doctor, pharmacist, patient_id }
    }

    /// The body of `record-allergy`.
    fn allergy(&self, name: &str) -> Value {
        json!({"patient_id": self.patient_id, "allergen_type": "drug", "allergen_name": name})
    }

    /// Writes a prescription and sends it to the pharmacy. Returns the id of the prescription.
    async fn prescribed(&self, body: Value) -> String {
        let prescription_id = self.doctor.did("write-prescription", body).await;
        self.doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
        prescription_id
    }

    /// The items of a prescription, as the pharmacist reads them.
    async fn items(&self, prescription_id: &str) -> Vec<Value> {
        self.pharmacist.items(&format!("prescription-items?prescription_id={prescription_id}")).await
    }
}

/// The body of `write-prescription` for one product, with a reason to override allergies.
fn overriding(patient_id: &str, product: u16, unit: &str) -> Value {
    let mut body = prescription(patient_id, product, "10", unit);
    body["items"][0]["override_reason"] = json!(REASON);
    body
}

/// The places of the items to which a patient is allergic, beside which is told what could not be compared.
#[track_caller]
fn asked_about(refused: &Answer) -> Vec<String> {
    let problem = refused.problem(409, "needs-override");
    let errors = problem["errors"].as_array().expect("errors").iter();
    let of_allergies = errors.filter(|it| it["code"] == "allergy");
    of_allergies.map(|it| it["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

#[tokio::test]
async fn what_a_patient_is_allergic_to_is_prescribed_only_with_a_reason() {
    let ward = Ward::open().await;
    let allergy = ward.doctor.command("record-allergy", ward.allergy("AMOXICILLIN")).await.done();
    let body = || prescription(&ward.patient_id, 1, "10", "capsule");
    let refused = ward.doctor.command("write-prescription", body()).await;
    let problem = refused.problem(409, "needs-override");
    assert_eq!(asked_about(&refused), ["/items/0"], "{problem}");
    assert!(!refused.text.contains("AMOXICILLIN"), "the allergen is personal: {}", refused.text);
    assert_eq!(allergy["events"][0]["type"], "patient.allergy_recorded");
    let mut short = body();
    short["items"][0]["override_reason"] = json!("it helps");
    let refused = ward.doctor.command("write-prescription", short).await;
    refused.problem_at(422, "invalid-fields", "/items/0/override_reason");
    let prescription_id = ward.prescribed(overriding(&ward.patient_id, 1, "capsule")).await;
    let items = ward.items(&prescription_id).await;
    assert_eq!((&items[0]["override_reason"], &items[0]["dispensing_override_reason"]), (&json!(REASON), &Value::Null));
    // The reason of the prescriber holds at the counter too, and lies sealed in the log.
    ward.pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
    let stored: i64 = sqlx::query_scalar("select count(*) from log.events where data::text like '%outweighs%'")
        .fetch_one(ward.hospital.owner())
        .await
        .expect("a count");
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn the_same_ingredient_under_another_name_is_noticed() {
    let ward = Ward::open().await;
    let mut coded = ward.allergy("Marevan");
    coded["rxnorm_code"] = json!("11289");
    ward.doctor.did("record-allergy", coded).await;
    let refused = ward.doctor.command("write-prescription", prescription(&ward.patient_id, 2, "10", "tablet")).await;
    assert_eq!(asked_about(&refused), ["/items/0"]);
    ward.doctor.did("write-prescription", prescription(&ward.patient_id, 3, "10", "tablet")).await;
}

#[tokio::test]
async fn an_allergy_that_becomes_known_later_stops_the_pharmacy() {
    let ward = Ward::open().await;
    let prescription_id = ward.prescribed(prescription(&ward.patient_id, 2, "10", "tablet")).await;
    ward.doctor.did("record-allergy", ward.allergy("Warfarin")).await;
    let dispense = |more: Value| {
        let body = hims_testing::patched(json!({"prescription_id": prescription_id}), more);
        ward.pharmacist.command("dispense-prescription", body)
    };
    assert_eq!(asked_about(&dispense(json!({})).await), ["/override_reason"]);
    let items = ward.items(&prescription_id).await;
    let item = json!({"item_id": items[0]["id"], "quantity": "4"});
    assert_eq!(asked_about(&dispense(json!({"items": [item]})).await), ["/items/0"]);
    let reasoned = hims_testing::patched(item, json!({ "override_reason": REASON }));
    dispense(json!({"items": [reasoned]})).await.done();
    // The rest needs no second reason.
    dispense(json!({})).await.done();
    let row = &ward.items(&prescription_id).await[0];
    assert_eq!((&row["status"], &row["dispensing_override_reason"]), (&json!("dispensed"), &json!(REASON)));
}

#[tokio::test]
async fn an_allergy_that_has_become_more_severe_is_asked_about_again() {
    let ward = Ward::open().await;
    let mild = hims_testing::patched(ward.allergy("Warfarin"), json!({"severity": "mild"}));
    ward.doctor.did("record-allergy", mild).await;
    let silent = overriding(&ward.patient_id, 2, "tablet");
    let silent = hims_testing::patched(silent["items"][0].clone(), json!({"override_reason": ". . . . . . ."}));
    let body = json!({"patient_id": ward.patient_id, "items": [silent]});
    let refused = ward.doctor.command("write-prescription", body).await;
    refused.problem_at(422, "invalid-fields", "/items/0/override_reason");
    let prescription_id = ward.prescribed(overriding(&ward.patient_id, 2, "tablet")).await;
    let allergies = ward.doctor.items(&format!("patient-allergies?patient_id={}", ward.patient_id)).await;
    let severe = json!({"patient_id": ward.patient_id, "allergy_id": allergies[0]["id"], "severity": "severe"});
    ward.doctor.did("change-allergy", severe).await;
    let body = json!({ "prescription_id": prescription_id });
    for command in ["dispense-prescription", "record-external-dispensing"] {
        let refused = ward.pharmacist.command(command, body.clone()).await;
        assert_eq!(asked_about(&refused), ["/override_reason"]);
    }
    let reasoned = hims_testing::patched(body, json!({ "override_reason": REASON }));
    ward.pharmacist.did("record-external-dispensing", reasoned).await;
    let row = &ward.items(&prescription_id).await[0];
    assert_eq!((&row["status"], &row["dispensing_override_reason"]), (&json!("dispensed"), &json!(REASON)));
}

/// Whoever comes first: a prescription that was written after the allergy was recorded would have been refused.
#[tokio::test]
async fn an_allergy_that_is_recorded_at_the_same_moment_is_not_missed() {
    let ward = Ward::open().await;
    for nth in 0..12 {
        let (reception, number) = (ward.hospital.login("reception").await, nth + 2);
        let patient_id = reception.did("register-patient", person(&format!("Race{nth}"), "Unlike", number)).await;
        let allergy = json!({"patient_id": patient_id, "allergen_type": "drug", "allergen_name": "Warfarin"});
        let writing = ward.doctor.command("write-prescription", prescription(&patient_id, 2, "1", "tablet"));
        let (written, recorded) = join(writing, ward.doctor.command("record-allergy", allergy)).await;
        match written.status {
            201 => assert!(written.position() < recorded.position(), "{} {}", written.text, recorded.text),
            _ => drop(written.problem(409, "needs-override")),
        }
    }
}

#[tokio::test]
async fn an_allergy_is_recorded_twice_only_when_somebody_says_so() {
    let ward = Ward::open().await;
    ward.doctor.did("record-allergy", ward.allergy("Penicillin")).await;
    let refused = ward.doctor.command("record-allergy", ward.allergy("penicillín")).await;
    let problem = refused.problem(409, "possible-duplicate");
    let allergies = ward.doctor.items(&format!("patient-allergies?patient_id={}", ward.patient_id)).await;
    assert_eq!((allergies.len(), &problem["candidates"][0]), (1, &allergies[0]["id"]));
    let mut confirmed = ward.allergy("penicillín");
    confirmed["confirm_not_duplicate"] = json!(true);
    ward.doctor.did("record-allergy", confirmed).await;
}

#[tokio::test]
async fn a_product_is_counted_in_one_unit_whatever_the_words() {
    let ward = Ward::open().await;
    let medication_id = ward.pharmacist.did("add-medication", json!({"name": "Nimbusol"})).await;
    let receive = |number: &str, unit: &str| {
        let body = json!({"medication_id": medication_id, "location_id": demo::room(3), "lot_number": number,
                          "expiry_date": demo::at(400, 0).date_naive(), "quantity": "50", "unit": unit});
        ward.pharmacist.command("receive-medication-lot", body)
    };
    receive("W1", "Tablet").await.done();
    receive("W2", "tabs").await.done();
    receive("W3", "bottle").await.problem_at(422, "unknown-unit", "/unit");
    let lots = ward.pharmacist.items(&format!("medication-inventory?medication_id={medication_id}")).await;
    assert_eq!(lots.iter().map(|it| &it["unit"]).collect::<Vec<_>>(), [&json!("tablet"), &json!("tablet")]);
    let write = |unit: &str, confirmed: bool| {
        let item = json!({"medication_id": medication_id, "quantity": 60, "quantity_unit": unit});
        let body = json!({"patient_id": ward.patient_id, "items": [item], "confirm_unit": confirmed});
        ward.doctor.command("write-prescription", body)
    };
    let refused = write("spoonful", false).await.problem(422, "unknown-unit");
    assert_eq!(refused["errors"][0]["pointer"], "/items/0/quantity_unit");
    assert!(refused["errors"][0]["message"].as_str().is_some_and(|it| it.contains("(tablet)")), "{refused}");
    // A confirmed unit is known from then on, but no lot is counted in it.
    let spoons = write("spoonful", true).await.id();
    write("Spoonful", false).await.done();
    let row = ward.doctor.row("medications", &medication_id).await;
    assert_eq!(row["units"], json!(["tablet", "spoonful"]));
    let tablets = write("TABLETS", false).await.id();
    for (prescription_id, code) in [(&spoons, Some("other-unit")), (&tablets, None)] {
        let body = json!({"prescription_id": prescription_id});
        ward.doctor.did("send-prescription-to-pharmacy", body.clone()).await;
        let answer = ward.pharmacist.command("dispense-prescription", body).await;
        match code {
            Some(code) => drop(answer.problem(409, code)),
            None => drop(answer.done()),
        }
    }
}

#[tokio::test]
async fn an_empty_list_gives_out_nothing() {
    let ward = Ward::open().await;
    let prescription_id = ward.prescribed(prescription(&ward.patient_id, 2, "10", "tablet")).await;
    let empty = json!({"prescription_id": prescription_id, "items": []});
    ward.pharmacist.command("dispense-prescription", empty).await.problem_at(422, "no-items", "/items");
    assert_eq!(ward.items(&prescription_id).await[0]["quantity_dispensed"], 0.0);
    let nobody = json!({"patient_id": ward.patient_id, "items": []});
    ward.doctor.command("write-prescription", nobody).await.problem_at(422, "no-items", "/items");
    // Somebody may take null for an empty list, and an absent list stands for everything.
    let null = json!({"prescription_id": prescription_id, "items": null});
    ward.pharmacist.command("dispense-prescription", null).await.problem_at(400, "malformed-request", "/items");
    assert_eq!(ward.items(&prescription_id).await[0]["quantity_dispensed"], 0.0);
    ward.pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
}

#[tokio::test]
async fn nothing_is_prescribed_in_a_cancelled_consultation() {
    let ward = Ward::open().await;
    let consultation_id = ward.doctor.did("start-consultation", json!({"patient_id": ward.patient_id})).await;
    let cancelled = json!({"consultation_id": consultation_id, "reason": "called away"});
    ward.doctor.did("cancel-consultation", cancelled).await;
    let mut body = prescription(&ward.patient_id, 2, "10", "tablet");
    body["consultation_id"] = json!(consultation_id);
    ward.doctor.command("write-prescription", body).await.problem(409, "consultation-cancelled");
}

#[tokio::test]
async fn a_lot_says_how_much_can_be_taken_away() {
    let ward = Ward::open().await;
    let adjust = |change: &str| {
        let body = json!({"medication_lot_id": demo::lot(2, 1), "change": change, "reason": "counted"});
        ward.pharmacist.command("adjust-medication-lot", body)
    };
    let problem = adjust("-200.5").await.problem(409, "insufficient-stock");
    assert!(problem["detail"].as_str().is_some_and(|it| it.contains("holds 200 tablet")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/change");
    let problem = adjust("-5000000000").await.problem(422, "out-of-range");
    assert!(problem["detail"].as_str().is_some_and(|it| it.contains("negative if there is less")), "{problem}");
    assert_eq!(ward.pharmacist.row("medications", &medication(2)).await["units"], json!(["tablet"]));
}
