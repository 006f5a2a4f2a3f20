//! Price lists, billing records and payments through the API.

pub(super) mod ageing;
mod charges;
mod races;
pub(super) mod sums;

use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{at, patient, payer, user};
use super::everything::record;
use super::{Client, Hospital};

pub(super) use charges::charged;

/// The body of `add-billing-item`: a visit at some price.
fn visit(record_id: &str, price: &str, changes: Value) -> Value {
    let line = json!({"billing_record_id": record_id, "service_date": at(-1, 0).date_naive(), "code_system": "urn:local",
                      "code": "VISIT", "description": "Office visit", "quantity": "1", "unit_price": price});
    patched(line, changes)
}

/// The body of `record-payment`.
pub(super) fn cash(record_id: &str, amount: &str, changes: Value) -> Value {
    let paid = json!({"billing_record_id": record_id, "amount": amount, "kind": "payment", "method": "cash"});
    patched(paid, changes)
}

/// Opens a record of a patient with a line of each price, and issues the invoice. Returns the id of the record.
pub(super) async fn billed(reception: &Client, patient_id: &str, prices: &[&str]) -> String {
    let record_id = reception.did("open-billing-record", json!({ "patient_id": patient_id })).await;
    for price in prices {
        reception.did("add-billing-item", visit(&record_id, price, json!({}))).await;
    }
    reception.did("issue-invoice", json!({ "billing_record_id": record_id })).await;
    record_id
}

/// Issues an invoice to a patient, takes some money for it and lowers the charges.
pub(super) async fn with_payment(reception: &Client, admin: &Client, patient_id: &str) {
    let record_id = billed(reception, patient_id, &["20"]).await;
    reception.did("record-payment", cash(&record_id, "5", json!({}))).await;
    let lowered = json!({"billing_record_id": record_id, "amount": "1", "kind": "discount", "reason": "paid at once"});
    admin.did("adjust-billing-record", lowered).await;
}

/// An amount of a row.
fn amount(row: &Value, column: &str) -> Decimal {
    row[column].to_string().trim_matches('"').parse().unwrap_or_else(|_| panic!("{column} is no amount: {row}"))
}

/// The status of a record, and its balance, paid and credit amounts.
async fn told(client: &Client, record_id: &str) -> (String, [Decimal; 3]) {
    let row = client.row("billing-records", record_id).await;
    let amounts = ["balance_amount", "paid_amount", "credit_amount"].map(|it| amount(&row, it));
    (row["status"].as_str().expect("a status").to_owned(), amounts)
}

fn expected(status: &str, amounts: [&str; 3]) -> (String, [Decimal; 3]) {
    (status.to_owned(), amounts.map(|it| it.parse().expect("an amount")))
}

/// Runs every command of price lists and billing records, and records their events.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let price = json!({"code_system": "urn:local", "code": "ECG", "description": "Electrocardiogram",
                       "unit_price": "48.5", "effective_from": at(1, 0).date_naive()});
    let price_id = admin.did("set-price", price.clone()).await;
    let later = json!({"effective_from": at(90, 0).date_naive(), "unit_price": "51.25", "tax_rate": "7"});
    admin.did("set-price", patched(price.clone(), later.clone())).await;
    // The price that is not in force yet is replaced, and then ended before the last one begins.
    admin.did("set-price", patched(price.clone(), json!({"unit_price": "49"}))).await;
    admin.did("end-price", json!({"price_id": price_id, "last_day": at(30, 0).date_naive()})).await;
    admin.did("set-price", patched(price, later)).await;
    let rich = billed(&reception, patient_id, &["60", "39.99"]).await;
    let too_much = cash(&rich, "120", json!({"method": "check", "reference": "4711", "excess": "credit"}));
    reception.did("record-payment", too_much).await;
    let poor = reception.did("open-billing-record", json!({ "patient_id": patient_id })).await;
    let listed = json!({"item_id": Uuid::from_u128(0xb111), "code": "ECG", "unit_price": null});
    reception.did("add-billing-item", visit(&poor, "0", listed)).await;
    let own =
        json!({"billing_record_id": poor, "item_id": Uuid::from_u128(0xb111), "unit_price": "25", "quantity": "2"});
    reception.did("change-billing-item", own).await;
    let second = json!({"item_id": Uuid::from_u128(0xb112)});
    reception.did("add-billing-item", visit(&poor, "1", second.clone())).await;
    let removed = patched(json!({ "billing_record_id": poor }), second);
    reception.did("remove-billing-item", removed).await;
    reception.did("issue-invoice", json!({"billing_record_id": poor, "due_date": at(14, 0).date_naive()})).await;
    admin.did("apply-credit", json!({"from": rich, "to": poor, "amount": "10.01"})).await;
    let mistaken = json!({"billing_record_id": rich, "credit": true, "amount": "5", "method": "cash",
                          "reason": "the change was wrong"});
    admin.did("refund-payment", mistaken).await;
    let lowered = json!({"billing_record_id": poor, "amount": "9.99", "kind": "courtesy", "reason": "waited long"});
    admin.did("adjust-billing-record", lowered).await;
    admin.did("write-off-balance", json!({"billing_record_id": poor, "reason": "cannot be reached"})).await;
    let wrong = billed(&reception, patient_id, &["1"]).await;
    reception.did("cancel-billing-record", json!({"billing_record_id": wrong, "reason": "another patient"})).await;
    of_payers(hospital, &billed(&reception, patient_id, &["100"]).await, patient_id).await;
    charged(&hospital.nobody()).await;
}

/// Records what claims tell a record of 100.00. The events are appended directly, since the commands of claims give
/// them.
async fn of_payers(hospital: &Hospital, record_id: &str, patient_id: &str) {
    let lines = hospital.login("reception").await.items(&format!("billing-items?billing_record_id={record_id}")).await;
    let standing = |status: &str, adjusted: &str, paid: &str, asked: &str| {
        json!({"status": status, "total_amount": "100.00", "tax_amount": "0.00", "discount_amount": "0.00",
               "adjustment_amount": adjusted, "written_off_amount": "0.00", "paid_amount": paid,
               "credit_amount": "0.00", "insurance_due": asked})
    };
    let open = standing("billed", "0.00", "0.00", "100.00");
    let line =
        json!({"item_id": lines[0]["id"], "due": "100.00", "adjusted": "0.00", "patient": "0.00", "is_open": true});
    let decided = patched(line.clone(), json!({"adjusted": "10.00", "patient": "20.00", "is_open": false}));
    let (claim_id, paid, back) = (Uuid::from_u128(0xc1), Uuid::from_u128(0xc2), Uuid::from_u128(0xc3));
    let moved = json!({"patient_id": patient_id, "claim_id": claim_id, "payment_date": "2026-12-01", "paid": "70.00",
                       "reference": "T-1"});
    for (event, data) in [
        (
            "claim_opened",
            json!({"claim_id": claim_id, "insurance_policy_id": Uuid::from_u128(0xc0), "lines": [line],
                                "after": open}),
        ),
        (
            "claim_adjudicated",
            patched(
                moved.clone(),
                json!({
            "claim_payment_id": paid, "lines": [decided],
            "after": standing("partially_paid", "10.00", "70.00", "0.00")}),
            ),
        ),
        (
            "claim_reversed",
            patched(
                moved,
                json!({
            "claim_payment_id": back, "reverses_id": paid, "lines": [line], "after": open}),
            ),
        ),
        ("claim_closed", json!({"claim_id": claim_id, "after": standing("billed", "0.00", "0.00", "0.00")})),
    ] {
        record(hospital, "billing_record", record_id, event, data).await;
    }
}

#[tokio::test]
async fn an_invoice_is_paid_in_parts_and_what_is_too_much_is_kept_or_refused() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let record_id = billed(&reception, &patient(2), &["77.49"]).await;
    let row = reception.row("billing-records", &record_id).await;
    assert!(row["invoice_number"].as_str().is_some_and(|it| it.starts_with("INV-")), "{row}");
    assert_eq!((&row["currency"], &row["created_by"]), (&json!("USD"), &json!(user(4))));
    let copay = cash(&record_id, "80.00", json!({"kind": "copay"}));
    reception.command("record-payment", copay.clone()).await.problem(409, "overpayment");
    reception.did("record-payment", patched(copay, json!({"excess": "credit"}))).await;
    assert_eq!(told(&reception, &record_id).await, expected("paid", ["0", "77.49", "2.51"]));
    let paid = reception.items(&format!("billing-payments?billing_record_id={record_id}")).await;
    assert!(paid[0]["receipt_number"].as_str().is_some_and(|it| it.starts_with("RC-")), "{paid:?}");
    assert_eq!((&paid[0]["kind"], &paid[0]["received_by"]), (&json!("copay"), &json!(user(4))));
    let back = json!({"billing_record_id": record_id, "payment_id": paid[0]["id"], "amount": "80", "method": "cash",
                      "reason": "paid for somebody else"});
    reception.command("refund-payment", back.clone()).await.problem(403, "forbidden");
    admin
        .command("refund-payment", patched(back.clone(), json!({"amount": "80.01"})))
        .await
        .problem(409, "refund-too-large");
    admin.did("refund-payment", back).await;
    assert_eq!(told(&reception, &record_id).await, expected("billed", ["77.49", "0", "0"]));
    let refunds = reception.items(&format!("billing-payments?billing_record_id={record_id}&kind=refund")).await;
    assert_eq!(refunds[0]["reverses_id"], paid[0]["id"]);
}

#[tokio::test]
async fn the_price_is_that_of_the_day_of_the_service_in_the_list_of_the_payer() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    // Patient 1 has a verified policy of payer 2, and patient 2 has none.
    admin.did("change-payer", json!({"payer_id": payer(2), "price_list": "agreed"})).await;
    let price = |list: &str, days: i64, price: &str| {
        json!({"price_list": list, "code_system": "urn:local", "code": "ECG", "description": "Electrocardiogram",
               "unit_price": price, "effective_from": at(days, 0).date_naive()})
    };
    for (list, days, unit_price) in [("standard", 1, "100"), ("standard", 10, "110"), ("agreed", 5, "80.1234")] {
        admin.did("set-price", price(list, days, unit_price)).await;
    }
    let past = price("standard", -2, "1");
    admin.command("set-price", past).await.problem(422, "in-the-past");
    // The demo's price of this visit began in 2020.
    let known = json!({"code_system": "http://www.ama-assn.org/go/cpt", "code": "99213", "description": "Office visit",
                       "unit_price": "1", "effective_from": "2020-01-01"});
    admin.command("set-price", known).await.problem(409, "in-force");
    let mut lines = Vec::new();
    for (number, days) in [(2, 9), (2, 10), (1, 4), (1, 9)] {
        let record_id = reception.did("open-billing-record", json!({"patient_id": patient(number)})).await;
        let line =
            json!({"unit_price": null, "code": "ECG", "quantity": "3", "service_date": at(days, 0).date_naive()});
        reception.did("add-billing-item", visit(&record_id, "0", line)).await;
        lines.push(reception.items(&format!("billing-items?billing_record_id={record_id}")).await.remove(0));
    }
    let shown = |row: &Value| (row["price_list"].as_str().unwrap_or("none").to_owned(), amount(row, "line_amount"));
    let wanted = [("standard", "300"), ("standard", "330"), ("standard", "300"), ("agreed", "240.37")];
    let wanted = wanted.map(|(list, price)| (list.to_owned(), price.parse::<Decimal>().expect("a price")));
    assert_eq!(lines.iter().map(shown).collect::<Vec<_>>(), wanted);
    let listed = reception.items("price-list-items?code=ECG&price_list=standard").await;
    let ended: Vec<_> = listed.iter().filter_map(|row| row["effective_to"].as_str()).collect();
    assert_eq!((listed.len(), ended), (2, vec![at(9, 0).date_naive().to_string().as_str()]));
    reception.command("set-price", price("standard", 20, "1")).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_line_without_a_price_is_on_a_work_list_and_blocks_the_invoice() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let record_id = reception.did("open-billing-record", json!({"patient_id": patient(2)})).await;
    let of_it = json!({ "billing_record_id": record_id });
    reception.command("issue-invoice", of_it.clone()).await.problem(409, "no-items");
    reception.did("add-billing-item", visit(&record_id, "0", json!({"unit_price": null}))).await;
    let waiting = reception.items("billing-items?status=planned").await;
    assert_eq!((waiting.len(), &waiting[0]["needs_price"]), (1, &json!(true)));
    let refused = reception.command("issue-invoice", of_it.clone()).await.problem(409, "unpriced-items");
    assert_eq!(refused["candidates"], json!([waiting[0]["id"]]));
    let priced = patched(of_it.clone(), json!({"item_id": waiting[0]["id"], "unit_price": "5"}));
    reception.did("change-billing-item", priced).await;
    reception.did("issue-invoice", of_it).await;
    assert_eq!(reception.row("billing-items", waiting[0]["id"].as_str().expect("an id")).await["status"], "billed");
}

#[tokio::test]
async fn every_refusal_about_a_record_has_its_code() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let record_id = billed(&reception, &patient(2), &["100"]).await;
    let pay =
        async |amount: &str, more: Value| reception.command("record-payment", cash(&record_id, amount, more)).await;
    let card = json!({"method": "card", "reference": "4111 1111 1111 1111"});
    pay("1", card).await.problem_at(422, "card-number", "/reference");
    pay("0", json!({})).await.problem_at(422, "out-of-range", "/amount");
    pay("100.01", json!({})).await.problem(409, "overpayment");
    pay("10", json!({})).await.done();
    let of_it = |more: Value| patched(json!({ "billing_record_id": record_id }), more);
    let reason = || of_it(json!({"reason": "a mistake"}));
    reception.command("cancel-billing-record", reason()).await.problem(409, "wrong-status");
    let early = reception.did("open-billing-record", json!({"patient_id": patient(2)})).await;
    reception.did("record-payment", cash(&early, "5", json!({"kind": "deposit"}))).await;
    let cancelled = json!({"billing_record_id": early, "reason": "a mistake"});
    reception.command("cancel-billing-record", cancelled).await.problem(409, "has-payments");
    let lowered = of_it(json!({"amount": "100.01", "kind": "discount", "reason": "a mistake"}));
    admin.command("adjust-billing-record", lowered.clone()).await.problem(422, "below-zero");
    reception.command("adjust-billing-record", lowered).await.problem(403, "forbidden");
    reception.command("write-off-balance", reason()).await.problem(403, "forbidden");
    let credit = json!({"from": early, "to": record_id, "amount": "5.01"});
    admin.command("apply-credit", credit.clone()).await.problem(409, "not-enough-credit");
    admin.did("apply-credit", patched(credit, json!({"amount": "5"}))).await;
    assert_eq!(told(&reception, &record_id).await, expected("partially_paid", ["85", "15", "0"]));
    let beyond = reception.did("open-billing-record", json!({"patient_id": patient(2)})).await;
    let huge = visit(&beyond, "99999999.99", json!({"quantity": "1.001"}));
    reception.command("add-billing-item", huge).await.problem(422, "out-of-range");
    let source = json!({"source_type": "treatment", "source_id": Uuid::from_u128(0x7ea7)});
    reception.did("add-billing-item", visit(&beyond, "1", source.clone())).await;
    let again = visit(&beyond, "1", source.clone());
    reception.command("add-billing-item", again).await.problem(409, "already-charged");
    reception.command("add-billing-item", visit(&early, "1", source)).await.problem(409, "already-taken");
}

#[tokio::test]
async fn billing_is_for_the_front_desk_and_for_the_patient() {
    let hospital = Hospital::start().await;
    let (reception, own) = (hospital.login("reception").await, hospital.login("patient").await);
    let mine = billed(&reception, &patient(1), &["10"]).await;
    let theirs = billed(&reception, &patient(2), &["10"]).await;
    assert_eq!(own.row("billing-records", &mine).await["status"], "billed");
    own.get(&format!("billing-records/{theirs}")).await.problem(404, "not-found");
    hospital.login("doctor").await.get("billing-records").await.problem(403, "forbidden");
    own.command("record-payment", cash(&mine, "10", json!({}))).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_record_keeps_the_currency_in_which_it_was_opened() {
    let hospital = Hospital::made_with(|it| it.currency = "eur".parse().expect("a currency")).await;
    let reception = hospital.login("reception").await;
    let record_id = billed(&reception, &patient(2), &["10"]).await;
    assert_eq!(reception.row("billing-records", &record_id).await["currency"], "EUR");
}
