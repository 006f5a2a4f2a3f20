//! The way of one patient through the hospital, from the first call to the paid claim, through the API. Every balance is
//! looked at on the way.

use std::collections::BTreeSet;

use hims_testing::patched;
use serde_json::{Value, json};
use uuid::Uuid;

use super::billing::charged;
use super::demo::{DOCTOR, at, lab_test, medication, patient, payer, person, user};
use super::insurance_claims::{Desks, adjudication, adjustment, reversal};
use super::lab_results::POTASSIUM;
use super::reports::revenue;
use super::waitlist::{freed, in_status, wait_for};
use super::{Client, Hospital};

const REASON: &str = "the hives were thirty years ago, and the skin test was negative";

/// What a consultation, the test of the laboratory, and twenty capsules cost in the demo.
const VISIT: &str = "120.00";
const TEST: &str = "18.50";
const MEDICINE: &str = "8.40";

/// Those whom the patient meets, and the patient.
struct Journey {
    hospital: Hospital,
    reception: Client,
    nurse: Client,
    doctor: Client,
    lab: Client,
    pharmacist: Client,
    desks: Desks,
    patient_id: String,
}

impl Journey {
    /// A new patient calls, who has an insurance and a supplement that pays second.
    async fn begin() -> Self {
        let hospital = Hospital::start().await;
        let reception = hospital.login("reception").await;
        let patient_id = reception.did("register-patient", person("Ines", "Calderon", 1)).await;
        let begins = at(-100, 0).date_naive();
        for (priority, payer_number) in [(1, 1), (2, 3)] {
            let policy = json!({
                "patient_id": patient_id, "payer_id": payer(payer_number), "member_id": "W700", "plan_name": "Open",
                "relationship_to_subscriber": "self", "priority": priority, "effective_from": begins,
            });
            let policy = reception.did("add-insurance-policy", policy).await;
            let verified = json!({"insurance_policy_id": policy, "method": "card"});
            reception.did("verify-insurance-policy", verified).await;
        }
        Self {
            nurse: hospital.login("nurse").await,
            doctor: hospital.login("doctor").await,
            lab: hospital.login("lab").await,
            pharmacist: hospital.login("pharmacist").await,
            desks: Desks::of(&hospital).await,
            hospital,
            reception,
            patient_id,
        }
    }

    /// Nothing is free when the patient calls. What another patient gives up is offered, and the patient takes it.
    /// Returns the appointment.
    async fn call(&self) -> String {
        let entry = self.reception.did("join-waitlist", wait_for(&self.patient_id)).await;
        freed(&self.reception, &patient(5), at(20, 0)).await;
        in_status(&self.reception, &entry, "offered").await;
        self.reception.did("accept-waitlist-offer", json!({ "entry_id": entry })).await;
        let row = in_status(&self.reception, &entry, "fulfilled").await;
        row["appointment_id"].as_str().expect("an appointment").to_owned()
    }

    /// The visit until the doctor knows what the patient has. Returns the consultation.
    async fn visit(&self, appointment_id: &str) -> String {
        let arrived = json!({"appointment_id": appointment_id, "other_day_reason": "came early, and there was time"});
        self.reception.did("check-in-appointment", arrived).await;
        let measured = json!({"patient_id": self.patient_id, "heart_rate": 88, "temperature": "38.4",
                              "temperature_unit": "C"});
        self.nurse.did("record-vital-signs", measured).await;
        let allergy = json!({"patient_id": self.patient_id, "allergen_type": "drug", "allergen_name": "Amoxicillin"});
        self.nurse.did("record-allergy", allergy).await;
        let started = json!({"patient_id": self.patient_id, "appointment_id": appointment_id,
                             "provider_id": user(DOCTOR), "chief_complaint": "Cough and palpitations"});
        let visit = self.doctor.did("start-consultation", started).await;
        let diagnosis = json!({"consultation_id": visit, "code": "J20.9", "description": "Acute bronchitis",
                               "diagnosis_type": "final"});
        self.doctor.did("record-diagnosis", diagnosis).await;
        visit
    }

    /// A potassium that would be dangerous is told, acknowledged, and corrected: the tubes were swapped.
    async fn laboratory(&self, visit: &str) {
        let item = Uuid::from_u128(0x1ab1);
        let order = json!({"patient_id": self.patient_id, "consultation_id": visit,
                           "items": [{"item_id": item, "lab_test_id": lab_test(1)}]});
        let order = self.doctor.did("place-lab-order", order).await;
        self.nurse.did("collect-specimen", json!({"lab_order_id": order, "specimen_type": "SER"})).await;
        let value = |value: &str| json!([{"code": POTASSIUM, "value": value}]);
        let result = json!({"lab_order_id": order, "item_id": item, "status": "F", "components": value("7.1")});
        let result = self.lab.did("record-lab-result", result).await;
        let told = |row: &Value| !row["critical_level"].is_null();
        let row = self.doctor.row_until("lab-results", &result, told).await;
        assert_eq!((&row["flag"], &row["status"]), (&json!("critical_high"), &json!("critical")));
        let read_back = json!({"lab_result_id": result, "read_back": true});
        self.doctor.did("acknowledge-critical-result", read_back).await;
        let corrected = json!({"lab_result_id": result, "components": value("4.2"), "reason": "the tubes were swapped",
                               "confirm_delta": true});
        self.lab.did("correct-lab-result", corrected).await;
        let row = self.doctor.row("lab-results", &result).await;
        assert_eq!((&row["flag"], &row["result_status"]), (&json!("normal"), &json!("C")));
        self.doctor.did("review-lab-result", json!({"lab_result_id": result, "comment": "Nothing to do"})).await;
    }

    /// What the patient is allergic to is prescribed for a reason, and fetched.
    async fn pharmacy(&self, visit: &str) {
        let mut body = json!({
            "patient_id": self.patient_id, "consultation_id": visit,
            "items": [{"medication_id": medication(1), "quantity": "20", "quantity_unit": "capsule",
                       "instructions": "With plenty of water"}],
        });
        self.doctor.command("write-prescription", body.clone()).await.problem(409, "needs-override");
        body["items"][0]["override_reason"] = json!(REASON);
        let prescription = self.doctor.did("write-prescription", body).await;
        let of_it = || json!({ "prescription_id": prescription });
        self.doctor.did("send-prescription-to-pharmacy", of_it()).await;
        self.pharmacist.did("dispense-prescription", of_it()).await;
        let row = self.pharmacist.row("prescriptions", &prescription).await;
        assert_eq!(row["status"], "dispensed");
    }

    /// The processes have charged for the visit, the test and the medicine; the desk bills them with the diagnosis.
    /// Returns the billing record.
    async fn invoice(&self, visit: &str) -> String {
        charged(&self.hospital.nobody()).await;
        let records = self.reception.items(&format!("billing-records?patient_id={}", self.patient_id)).await;
        let record = records.iter().find(|it| it["consultation_id"] == *visit).expect("a record of the visit");
        let record = record["id"].as_str().expect("an id").to_owned();
        let lines = self.reception.items(&format!("billing-items?billing_record_id={record}")).await;
        let amount = |it: &Value| format!("{:.2}", it["line_amount"].as_f64().expect("an amount"));
        let charges: BTreeSet<_> = lines.iter().map(amount).collect();
        assert_eq!(charges, [VISIT, TEST, MEDICINE].map(str::to_owned).into());
        for line in &lines {
            let pointed = json!({"billing_record_id": record, "item_id": line["id"], "diagnosis_pointers": [1]});
            self.reception.did("change-billing-item", pointed).await;
        }
        self.reception.did("issue-invoice", json!({"billing_record_id": record})).await;
        record
    }

    /// A payer answers a claim: on the line of the visit what is said, on each other line what `rest` says of its charge.
    async fn answer(&self, claim: &str, (trace, code): (&str, &str), visit: Value, rest: impl Fn(&str) -> Value) {
        let row = self.desks.admin.row("insurance-claims", claim).await;
        let lines = row["lines"].as_array().expect("lines").iter().map(|line| {
            let charge = line["charge"].as_str().expect("an amount");
            let said = if charge == VISIT { visit.clone() } else { rest(charge) };
            patched(json!({"line": line["line"]}), said)
        });
        let answer = adjudication(trace, code, lines.collect());
        self.desks.command("record-claim-payment", claim, answer).await.done();
    }

    /// The first payer pays 80 of the visit, gives up 20 of it and leaves 20 to the patient; it pays all else. Returns
    /// the claim on the second payer, which the process makes.
    async fn first_payer(&self, record: &str, total: &str) -> String {
        let claim = self.desks.claim(record).await;
        self.desks.accepted(&claim).await;
        assert_eq!(self.desks.money(record).await, ["billed", total, total, "0.00"]);
        let visit = json!({"paid": "80", "adjustments": [adjustment("CO", "45", "20"), adjustment("PR", "2", "20")]});
        self.answer(&claim, ("TRN-1", "1"), visit, |charge| json!({"paid": charge})).await;
        assert_eq!(self.desks.status(&claim).await, "paid");
        self.desks.next_claim(record, &claim).await
    }

    /// The second payer denies the rest, pays 15 of it after an appeal, takes these back, and pays them again.
    async fn second_payer(&self, record: &str, claim: &str) {
        let prior = |charge: &str| json!({"paid": "0", "adjustments": [adjustment("OA", "23", charge)]});
        let money = async |balance: &str, insurance: &str| {
            assert_eq!(self.desks.money(record).await, ["partially_paid", balance, insurance, "0.00"]);
        };
        self.desks.accepted(claim).await;
        money("20.00", "20.00").await;
        let denied = json!({"paid": "0", "adjustments": [adjustment("OA", "23", "100"), adjustment("PR", "50", "20")]});
        self.answer(claim, ("TRN-2", "4"), denied, prior).await;
        assert_eq!(self.desks.status(claim).await, "denied");
        money("20.00", "0.00").await;
        let appeal = json!({"reason": "the test was necessary", "deadline": at(60, 0).date_naive()});
        self.desks.command("appeal-insurance-claim", claim, appeal).await.done();
        money("20.00", "20.00").await;
        let won = || json!({"paid": "15", "adjustments": [adjustment("OA", "23", "100"), adjustment("PR", "2", "5")]});
        self.answer(claim, ("TRN-3", "2"), won(), prior).await;
        money("5.00", "0.00").await;
        let payments = self.desks.admin.items(&format!("claim-payments?insurance_claim_id={claim}")).await;
        let payment = payments.iter().find(|it| it["trace_number"] == "TRN-3").expect("the payment");
        self.desks.command("reverse-claim-payment", claim, reversal(payment, "TRN-4")).await.done();
        money("20.00", "20.00").await;
        self.answer(claim, ("TRN-5", "2"), won(), prior).await;
        money("5.00", "0.00").await;
    }
}

#[tokio::test]
async fn a_patient_comes_from_the_first_call_to_the_paid_claim() {
    let journey = Journey::begin().await;
    let [charged_before, received_before] = revenue(&journey.desks.admin).await;
    let appointment = journey.call().await;
    let visit = journey.visit(&appointment).await;
    journey.laboratory(&visit).await;
    journey.pharmacy(&visit).await;
    journey.doctor.did("complete-consultation", json!({"consultation_id": visit})).await;
    let record = journey.invoice(&visit).await;
    let total = "146.90";
    assert_eq!(journey.desks.money(&record).await, ["billed", total, "0.00", "0.00"]);
    let second = journey.first_payer(&record, total).await;
    journey.second_payer(&record, &second).await;
    let rest = json!({"billing_record_id": record, "amount": "5", "kind": "payment", "method": "cash"});
    journey.reception.did("record-payment", rest).await;
    assert_eq!(journey.desks.money(&record).await, ["paid", "0.00", "0.00", "0.00"]);
    // The payers and the patient paid everything but the twenty that the first payer gave up.
    let [charged, received] = revenue(&journey.desks.admin).await;
    let sums = [charged - charged_before, received - received_before].map(|it| it.to_string());
    assert_eq!(sums, [total, "126.90"]);
    assert_eq!(journey.desks.admin.items("process-failures").await, Vec::<Value>::new());
}
