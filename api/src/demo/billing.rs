//! What the demo hospital charges: its price list, and billing records in each state.

use chrono::Days;
use hims_commands::billing_record::{
    AddBillingItem, AdjustBillingRecord, CancelBillingRecord, IssueInvoice, OpenBillingRecord, RecordPayment,
    RefundPayment, WriteOffBalance,
};
use hims_commands::price::SetPrice;
use hims_domain::billing_record::BillingRecord;
use hims_domain::values::coding::{ARTICLES, CONSULTATION_TYPES, CPT, LOINC, RXNORM, TREATMENT_TYPES};
use serde_json::{Value, json};

use super::giving::now;
use super::{PATIENT, id, visits};
use crate::{Hospital, HospitalError};

const RECORD: u16 = 0x40;
const LINE: u16 = 0x41;
const PAYMENT: u16 = 0x42;

/// The price list: system of the code, code, description, price of one unit.
const PRICES: [(&str, &str, &str, &str); 13] = [
    (CPT, "99203", "Office visit, new patient", "165.00"),
    (CPT, "99213", "Office visit, established patient", "125.00"),
    (CPT, "93000", "Electrocardiogram with report", "48.50"),
    (CONSULTATION_TYPES, "standard", "Consultation", "120.00"),
    (TREATMENT_TYPES, "therapy", "Therapy session", "75.00"),
    (RXNORM, "308191", "Amoxicillin 500 mg oral capsule", "0.4200"),
    (RXNORM, "855332", "Warfarin sodium 5 mg oral tablet", "0.2350"),
    (LOINC, "2823-3", "Potassium in serum or plasma", "18.50"),
    (LOINC, "718-7", "Hemoglobin in blood", "14.00"),
    (LOINC, "24356-8", "Urinalysis complete panel", "22.75"),
    (ARTICLES, "GAUZE-10", "Gauze swab 10 x 10 cm, box", "6.40"),
    (ARTICLES, "GLOVE-M", "Nitrile gloves, medium, box", "12.00"),
    (ARTICLES, "SYR-5", "Syringe 5 mL", "0.2500"),
];

/// The lines: number of the record, code of the price list, quantity.
const LINES: [(u128, &str, &str); 10] = [
    (1, "99213", "1"),
    (2, "99203", "1"),
    (2, "93000", "1"),
    (3, "99213", "1"),
    (4, "99213", "1"),
    (4, "308191", "20"),
    (5, "99203", "1"),
    (6, "99213", "1"),
    (7, "93000", "2"),
    (8, "99213", "1"),
];

/// The patient of each record, from record 1 on, and whether the record is for the demo's completed consultation.
const RECORDS: [(u128, bool); 8] =
    [(6, true), (1, false), (3, false), (4, false), (5, false), (7, false), (8, false), (1, false)];

/// The payments: number of the record, kind, method, amount, what becomes of money beyond what is owed.
const PAYMENTS: [(u128, &str, &str, &str, &str); 4] = [
    (2, "copay", "card", "25.00", "refuse"),
    (3, "payment", "check", "125.00", "refuse"),
    (4, "payment", "cash", "150.00", "credit"),
    (5, "deposit", "bank_transfer", "40.00", "credit"),
];

/// The record with a number, and what a command says of it.
fn of(number: u128, mut more: Value) -> Value {
    more["billing_record_id"] = json!(id(RECORD, number));
    more
}

impl Hospital {
    /// Records the price list, and records that are pending, billed, paid in part, paid, paid too much, written off and
    /// cancelled.
    pub(super) async fn billing(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().date_naive();
        for (system, code, description, price) in PRICES {
            self.demo::<SetPrice>(json!({
                "code_system": system, "code": code, "description": description, "unit_price": price,
                "effective_from": "2020-01-01",
            }))
            .await?;
        }
        for (number, (patient, is_of_visit)) in (1..).zip(RECORDS) {
            self.demo::<OpenBillingRecord>(json!({
                "id": id(RECORD, number), "patient_id": id(PATIENT, patient),
                "consultation_id": is_of_visit.then(visits::completed),
            }))
            .await?;
        }
        for (number, (record, code, quantity)) in (1..).zip(LINES) {
            let prices = PRICES.iter().filter(|it| it.1 == code);
            for (system, code, description, _) in prices {
                let line = json!({
                    "item_id": id(LINE, number), "service_date": today - Days::new(3), "code_system": system,
                    "code": code, "description": description, "quantity": quantity,
                });
                self.demo::<AddBillingItem>(of(record, line)).await?;
            }
        }
        // The first record stays without an invoice. The fourth one is long overdue.
        for number in 2..=8 {
            let due = if number == 4 { today - Days::new(45) } else { today + Days::new(30) };
            let lines = LINES.iter().filter(|it| it.0 == number).count();
            let version = 1 + i32::try_from(lines).unwrap_or(i32::MAX - 1);
            self.step::<IssueInvoice>(version, of(number, json!({ "due_date": due })), now()).await?;
        }
        for (number, (record, kind, method, amount, excess)) in (1..).zip(PAYMENTS) {
            let paid = json!({
                "payment_id": id(PAYMENT, number), "kind": kind, "method": method, "amount": amount, "excess": excess,
            });
            self.demo::<RecordPayment>(of(record, paid)).await?;
        }
        self.after_billing().await
    }

    /// Adjusts, gives back, gives up and cancels.
    async fn after_billing(&self) -> Result<(), HospitalError> {
        // Giving the command again lowers the charges again, so an interrupted demo looks whether it was given.
        let adjusted = self.executor.load::<BillingRecord>(id(RECORD, 7), true).await?.state;
        if adjusted.is_none_or(|it| it.adjusted.is_zero()) {
            let waited = json!({"amount": "20.00", "kind": "courtesy", "reason": "Waited for two hours"});
            self.demo::<AdjustBillingRecord>(of(7, waited)).await?;
        }
        let back = json!({
            "refund_id": id(PAYMENT, 5), "payment_id": id(PAYMENT, 4), "amount": "15.00", "method": "bank_transfer",
            "reason": "The daughter had paid a part already",
        });
        self.demo::<RefundPayment>(of(5, back)).await?;
        self.demo::<WriteOffBalance>(of(6, json!({"reason": "Moved abroad, cannot be reached"}))).await?;
        self.demo::<CancelBillingRecord>(of(8, json!({"reason": "Charged twice by mistake"}))).await
    }
}
