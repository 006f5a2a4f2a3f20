//! Claims on payers through the API: what is asked for, what payers answer, and what it means for the billing record.

use std::time::Duration;

use chrono::Days;
use futures::future::join_all;
use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{at, patient, payer};
use super::releases::until;
use super::tables::count;
use super::{Answer, Client, Hospital};

/// The desks that make, send and pay for claims.
pub(super) struct Desks {
    pub(super) admin: Client,
    reception: Client,
    doctor: Client,
}

impl Desks {
    pub(super) async fn of(hospital: &Hospital) -> Self {
        let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
        Self { admin, reception, doctor: hospital.login("doctor").await }
    }

    /// Opens a billing record for a visit with a diagnosis, and charges these amounts. Returns the id of the record.
    async fn charged(&self, patient_id: &str, day: &Value, charges: &[&str]) -> String {
        let started = json!({"patient_id": patient_id, "confirm_another": true});
        let visit = self.doctor.did("start-consultation", started).await;
        let diagnosis = json!({"consultation_id": visit, "code": "J20.9", "description": "Acute bronchitis",
                               "diagnosis_type": "final"});
        self.doctor.did("record-diagnosis", diagnosis).await;
        let opened = json!({"patient_id": patient_id, "consultation_id": visit});
        let record = self.reception.did("open-billing-record", opened).await;
        for (nth, charge) in charges.iter().enumerate() {
            let item = json!({"billing_record_id": record, "service_date": day, "quantity": "1", "unit_price": charge,
                              "code_system": "http://www.ama-assn.org/go/cpt", "code": format!("9921{nth}"),
                              "description": "Visit", "diagnosis_pointers": [1]});
            self.reception.did("add-billing-item", item).await;
        }
        record
    }

    /// Issues an invoice for a visit of today with these charges. Returns the id of the billing record.
    pub(super) async fn invoiced(&self, patient_id: &str, charges: &[&str]) -> String {
        let record = self.charged(patient_id, &json!(at(0, 0).date_naive()), charges).await;
        self.reception.did("issue-invoice", json!({"billing_record_id": record})).await;
        record
    }

    /// Makes a claim for a billing record. Returns its id.
    pub(super) async fn claim(&self, record: &str) -> String {
        let claim = json!({"billing_record_id": record, "claim_type": "professional"});
        self.admin.did("create-insurance-claim", claim).await
    }

    /// Sends a claim, which the payer accepts.
    pub(super) async fn accepted(&self, claim: &str) {
        let of = json!({"insurance_claim_id": claim});
        self.admin.did("submit-insurance-claim", of.clone()).await;
        self.admin.did("accept-insurance-claim", patched(of, json!({"payer_claim_number": "ICN-1"}))).await;
    }

    pub(super) async fn command(&self, name: &str, claim: &str, more: Value) -> Answer {
        self.admin.command(name, patched(json!({"insurance_claim_id": claim}), more)).await
    }

    /// What the record is owed, by whom: status, balance, the payer's part, credit.
    pub(super) async fn money(&self, record: &str) -> [String; 4] {
        let row = self.admin.row("billing-records", record).await;
        let status = row["status"].as_str().expect("a status").to_owned();
        let amount = |name: &str| format!("{:.2}", row[name].as_f64().expect("an amount"));
        [status, amount("balance_amount"), amount("insurance_due"), amount("credit_amount")]
    }

    pub(super) async fn status(&self, claim: &str) -> Value {
        self.admin.row("insurance-claims", claim).await["status"].clone()
    }

    /// The draft on the next payer, once the process has made it.
    pub(super) async fn next_claim(&self, record: &str, first: &str) -> String {
        let mut next = String::new();
        until(async || {
            let claims = self.admin.items(&format!("insurance-claims?billing_record_id={record}")).await;
            let others = claims.iter().filter_map(|it| it["id"].as_str()).find(|id| *id != first);
            others.inspect(|id| (*id).clone_into(&mut next)).is_some()
        })
        .await;
        next
    }
}

pub(super) fn adjustment(group: &str, reason: &str, amount: &str) -> Value {
    json!({"group": group, "reason": reason, "amount": amount})
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
pub(super) fn adjudication(trace: &str, code: &str, lines: Value) -> Value {
    json!({"trace_number": trace, "payment_method": "ACH", "payment_date": at(0, 0).date_naive(),
           "claim_status_code": code, "lines": lines})
}

/// One line: paid, given up (CO-45), left to the patient (PR-2).
pub(super) fn paid(paid: &str, given_up: &str, patients: &str) -> Value {
    let adjustments = [adjustment("CO", "45", given_up), adjustment("PR", "2", patients)];
    json!([{"line": 1, "paid": paid, "adjustments": adjustments}])
}

fn refused(group: &str, amount: &str) -> Value {
    json!([{"line": 1, "paid": "0", "adjustments": [adjustment(group, "50", amount)]}])
}

pub(super) fn reversal(payment: &Value, trace: &str) -> Value {
    json!({"payment_id": payment["id"], "trace_number": trace, "date": at(0, 0).date_naive(),
           "reason": "paid for another patient"})
}

/// Makes a claim and withdraws it. Returns its id.
pub(super) async fn withdrawn(hospital: &Hospital) -> String {
    let desks = Desks::of(hospital).await;
    let claim = desks.claim(&desks.invoiced(&patient(3), &["20.00"]).await).await;
    desks.command("cancel-insurance-claim", &claim, json!({"reason": "made twice"})).await.done();
    claim
}

/// Makes a claim for each of some patients, which the payer denies.
pub(super) async fn denied(hospital: &Hospital, patients: &[u16]) {
    let desks = Desks::of(hospital).await;
    for number in patients {
        let claim = desks.claim(&desks.invoiced(&patient(*number), &["77.49"]).await).await;
        desks.accepted(&claim).await;
        let answer = adjudication("TRN-1", "4", refused("CO", "77.49"));
        desks.command("record-claim-payment", &claim, answer).await.done();
    }
}

/// Carries out every command of claims. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital) {
    let desks = Desks::of(hospital).await;
    let three = patient(3);
    let rejected = desks.claim(&desks.invoiced(&three, &["20.00"]).await).await;
    desks.command("submit-insurance-claim", &rejected, json!({})).await.done();
    let codes = json!({"codes": ["A3:116"], "reason": "sent to the wrong payer"});
    desks.command("reject-insurance-claim", &rejected, codes).await.done();
    withdrawn(hospital).await;
    let record = desks.invoiced(&three, &["77.49"]).await;
    let claim = desks.claim(&record).await;
    desks.accepted(&claim).await;
    desks.command("pend-insurance-claim", &claim, json!({})).await.done();
    let denied = adjudication("TRN-1", "4", refused("CO", "77.49"));
    desks.command("record-claim-payment", &claim, denied).await.done();
    let appeal = json!({"reason": "the test was necessary", "deadline": at(60, 0).date_naive()});
    desks.command("appeal-insurance-claim", &claim, appeal.clone()).await.done();
    desks.command("uphold-denial", &claim, json!({})).await.done();
    desks.command("appeal-insurance-claim", &claim, appeal).await.done();
    let won = adjudication("TRN-2", "1", paid("40", "17.49", "20"));
    desks.command("record-claim-payment", &claim, won).await.done();
    desks.next_claim(&record, &claim).await;
    let payments = desks.admin.items(&format!("claim-payments?insurance_claim_id={claim}")).await;
    let payment = payments.iter().find(|it| it["trace_number"] == "TRN-2").expect("the payment");
    desks.command("reverse-claim-payment", &claim, reversal(payment, "TRN-3")).await.done();
    let replacement = json!({"billing_record_id": record, "claim_type": "professional", "frequency_code": "7",
                             "original_claim_id": claim});
    let replacement = desks.admin.did("create-insurance-claim", replacement).await;
    desks.accepted(&replacement).await;
}

#[tokio::test]
async fn the_first_payer_the_second_and_the_patient_pay_their_parts() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    // Patient 3 has Medicare, and a supplement that pays second.
    let record = desks.invoiced(&patient(3), &["100.00"]).await;
    assert_eq!(desks.money(&record).await, ["billed", "100.00", "0.00", "0.00"]);
    let first = desks.claim(&record).await;
    desks.accepted(&first).await;
    assert_eq!(desks.money(&record).await, ["billed", "100.00", "100.00", "0.00"]);
    let row = desks.admin.row("insurance-claims", &first).await;
    assert_eq!((&row["payer_claim_number"], &row["billed_amount"]), (&json!("ICN-1"), &json!(100.0)));
    let answer = adjudication("TRN-1", "1", paid("60", "20", "20"));
    desks.command("record-claim-payment", &first, answer).await.done();
    assert_eq!(desks.status(&first).await, "paid");
    let second = desks.next_claim(&record, &first).await;
    assert_eq!(desks.money(&record).await, ["partially_paid", "20.00", "20.00", "0.00"]);
    let row = desks.admin.row("insurance-claims", &second).await;
    assert_eq!((&row["status"], &row["lines"][0]["prior"][0]["paid"]), (&json!("draft"), &json!("60.00")));
    desks.accepted(&second).await;
    let adjustments = [adjustment("OA", "23", "80"), adjustment("PR", "2", "5")];
    let answer = adjudication("TRN-2", "2", json!([{"line": 1, "paid": "15", "adjustments": adjustments}]));
    desks.command("record-claim-payment", &second, answer).await.done();
    assert_eq!(desks.money(&record).await, ["partially_paid", "5.00", "0.00", "0.00"]);
    let rest = json!({"billing_record_id": record, "amount": "5", "kind": "payment", "method": "cash"});
    desks.reception.did("record-payment", rest).await;
    assert_eq!(desks.money(&record).await, ["paid", "0.00", "0.00", "0.00"]);
    let claims = format!("insurance_claims where billing_record_id = '{record}'");
    assert_eq!(count(hospital.owner(), &claims).await, 2, "no further payer is asked");
}

#[tokio::test]
async fn a_denial_is_appealed_and_what_is_paid_is_taken_back_and_paid_again() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    let record = desks.invoiced(&patient(1), &["77.49"]).await;
    let claim = desks.claim(&record).await;
    desks.accepted(&claim).await;
    let denied = adjudication("TRN-1", "4", refused("CO", "77.49"));
    desks.command("record-claim-payment", &claim, denied.clone()).await.done();
    let row = desks.admin.row("insurance-claims", &claim).await;
    assert_eq!((&row["status"], &row["denial_codes"]), (&json!("denied"), &json!(["CO-50"])));
    assert_eq!(desks.money(&record).await, ["paid", "0.00", "0.00", "0.00"]);
    // The file of the payer is loaded a second time.
    desks.command("record-claim-payment", &claim, denied).await.problem(409, "already-posted");
    let appeal = json!({"reason": "the test was necessary", "deadline": at(60, 0).date_naive()});
    desks.command("appeal-insurance-claim", &claim, appeal).await.done();
    assert_eq!(desks.money(&record).await, ["billed", "77.49", "77.49", "0.00"]);
    let won = adjudication("TRN-2", "1", paid("40", "17.49", "20"));
    desks.command("record-claim-payment", &claim, won).await.done();
    let rest = json!({"billing_record_id": record, "amount": "20", "kind": "payment", "method": "card"});
    desks.reception.did("record-payment", rest).await;
    assert_eq!(desks.money(&record).await, ["paid", "0.00", "0.00", "0.00"]);
    let payments = desks.admin.items(&format!("claim-payments?insurance_claim_id={claim}")).await;
    let payment = payments.iter().find(|it| it["trace_number"] == "TRN-2").expect("the payment");
    let back = reversal(payment, "TRN-3");
    desks.command("reverse-claim-payment", &claim, back.clone()).await.done();
    desks.command("reverse-claim-payment", &claim, back.clone()).await.problem(409, "already-posted");
    let again = patched(back, json!({"trace_number": "TRN-4"}));
    desks.command("reverse-claim-payment", &claim, again).await.problem(409, "nothing-to-reverse");
    assert_eq!(desks.status(&claim).await, "accepted");
    // The payer is asked for all of it again, and what the patient paid is credit.
    assert_eq!(desks.money(&record).await, ["billed", "77.49", "77.49", "20.00"]);
    let whole = adjudication("TRN-5", "1", paid("77.49", "0", "0"));
    desks.command("record-claim-payment", &claim, whole).await.done();
    assert_eq!(desks.money(&record).await, ["paid", "0.00", "0.00", "20.00"]);
    let sum = "select sum(paid_amount)::text from claim_payments where insurance_claim_id = $1::uuid";
    let sum: String = sqlx::query_scalar(sum).bind(&claim).fetch_one(hospital.owner()).await.expect("a sum");
    assert_eq!(sum, "77.49", "reversals are negative");
    let path = format!("claim-payments?reverses_id={}", payment["id"].as_str().expect("an id"));
    assert_eq!(desks.admin.items(&path).await[0]["paid_amount"], json!(-40.0));
}

#[tokio::test]
async fn every_refusal_about_a_claim_has_its_code() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    let create = async |record: &str, more: Value| {
        let claim = json!({"billing_record_id": record, "claim_type": "professional"});
        desks.admin.command("create-insurance-claim", patched(claim, more)).await
    };
    let today = json!(at(0, 0).date_naive());
    let pending = desks.charged(&patient(1), &today, &["77.49"]).await;
    create(&pending, json!({})).await.problem(409, "not-billed");
    let uninsured = desks.invoiced(&patient(8), &["77.49"]).await;
    create(&uninsured, json!({})).await.problem(409, "not-covered");
    let record = desks.invoiced(&patient(1), &["77.49"]).await;
    let policies = desks.admin.items(&format!("insurance-policies?patient_id={}", patient(3))).await;
    let foreign = json!({"insurance_policy_id": policies[0]["id"]});
    create(&record, foreign).await.problem(422, "other-patient");
    create(&record, json!({"frequency_code": "7"})).await.problem_at(
        422,
        "original-number-missing",
        "/original_claim_id",
    );
    let denied = json!({"billing_record_id": record, "claim_type": "professional"});
    desks.reception.command("create-insurance-claim", denied).await.problem(403, "forbidden");
    let claim = desks.claim(&record).await;
    let open = create(&record, json!({})).await.problem(409, "claim-open");
    assert_eq!(open["candidates"], json!([claim]));
    desks.command("accept-insurance-claim", &claim, json!({})).await.problem(409, "wrong-status");
    desks.accepted(&claim).await;
    let cent = adjudication("TRN-1", "1", paid("40.01", "17.49", "20"));
    desks.command("record-claim-payment", &claim, cent).await.problem_at(422, "out-of-balance", "/lines/0");
    let oi = json!([{"line": 1, "paid": "77.49", "adjustments": [adjustment("OI", "45", "0")]}]);
    desks.command("record-claim-payment", &claim, adjudication("TRN-1", "1", oi)).await.problem_at(
        422,
        "invalid-fields",
        "/lines/0/adjustments/0/group",
    );
    let code = json!([{"line": 1, "paid": "0", "adjustments": [adjustment("CO", "X-1", "77.49")]}]);
    let code = adjudication("TRN-1", "1", code);
    let pointer = "/lines/0/adjustments/0/reason";
    desks.command("record-claim-payment", &claim, code).await.problem_at(422, "malformed-code", pointer);
    let line = json!([{"line": 2, "paid": "77.49"}]);
    let line = adjudication("TRN-1", "1", line);
    desks.command("record-claim-payment", &claim, line).await.problem_at(422, "no-such-line", "/lines/0/line");
    let nothing =
        json!({"payment_id": record, "trace_number": "TRN-2", "date": today, "reason": "a mistake of theirs"});
    desks.command("reverse-claim-payment", &claim, nothing).await.problem(409, "nothing-to-reverse");
    let pointless = desks.charged(&patient(1), &today, &[]).await;
    let item = json!({"billing_record_id": pointless, "service_date": today, "quantity": "1", "unit_price": "5",
                      "code_system": "http://www.ama-assn.org/go/cpt", "code": "99213", "description": "Visit"});
    desks.reception.did("add-billing-item", item).await;
    desks.reception.did("issue-invoice", json!({"billing_record_id": pointless})).await;
    create(&pointless, json!({})).await.problem(422, "pointers");
    // The payer takes claims for 90 days.
    let long_ago = json!(at(0, 0).date_naive() - Days::new(120));
    let late = desks.charged(&patient(1), &long_ago, &["77.49"]).await;
    desks.reception.did("issue-invoice", json!({"billing_record_id": late})).await;
    create(&late, json!({})).await.problem(409, "past-timely-filing");
    create(&late, json!({"late_reason": "the patient brought the card late"})).await.done();
    let void = json!({"frequency_code": "8", "original_claim_id": claim});
    let void = create(&record, void).await.id();
    desks.accepted(&void).await;
    assert_eq!(desks.status(&claim).await, "cancelled");
    let answer = adjudication("TRN-1", "1", paid("40", "17.49", "20"));
    desks.command("record-claim-payment", &void, answer).await.problem(409, "voids-another");
    assert_eq!(desks.money(&record).await, ["billed", "77.49", "0.00", "0.00"]);
}

#[tokio::test]
async fn one_of_eight_adjudications_is_posted_whether_together_or_apart() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    for round in 0_u64..4 {
        let record = desks.invoiced(&patient(1), &["77.49"]).await;
        let claim = desks.claim(&record).await;
        desks.accepted(&claim).await;
        let posting = (0_u64..8).map(|nth| {
            let answer = adjudication(&format!("TRN-{nth}"), "1", paid("40", "17.49", "20"));
            let (desks, claim) = (&desks, &claim);
            // In the first round all begin together; in the others each begins some milliseconds after another.
            let delay = Duration::from_millis(round * (nth * 7 % 5));
            async move {
                tokio::time::sleep(delay).await;
                desks.command("record-claim-payment", claim, answer).await
            }
        });
        let answers = join_all(posting).await;
        let posted = answers.iter().filter(|it| it.status == 200).count();
        assert_eq!(posted, 1, "round {round}");
        answers.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(409, "wrong-status")));
        assert_eq!(desks.money(&record).await, ["partially_paid", "20.00", "0.00", "0.00"]);
        let payments = format!("claim_payments where insurance_claim_id = '{claim}'");
        assert_eq!(count(hospital.owner(), &payments).await, 1);
    }
}

#[tokio::test]
async fn patients_see_their_own_claims_and_change_none() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    let (own, doctor) = (hospital.login("patient").await, hospital.login("doctor").await);
    let mine = desks.claim(&desks.invoiced(&patient(1), &["77.49"]).await).await;
    let other = desks.claim(&desks.invoiced(&patient(3), &["77.49"]).await).await;
    assert_eq!(own.row("insurance-claims", &mine).await["status"], "draft");
    own.get(&format!("insurance-claims/{other}")).await.problem(404, "not-found");
    let command = json!({"insurance_claim_id": mine});
    own.command("submit-insurance-claim", command).await.problem(403, "forbidden");
    doctor.get(&format!("insurance-claims/{mine}")).await.problem(403, "forbidden");
    let policy = own.row("insurance-claims", &mine).await["insurance_policy_id"].clone();
    let policy = own.row("insurance-policies", policy.as_str().expect("an id")).await;
    assert_eq!(policy["payer_id"], json!(payer(2)));
}
