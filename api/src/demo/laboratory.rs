//! The demo's laboratory: tests, and orders at every stage that needs no result.

use hims_commands::lab_order::{CancelLabOrder, CollectSpecimen, PlaceLabOrder, ReceiveSpecimen, RejectSpecimen};
use hims_commands::lab_test::DefineLabTest;
use serde_json::{Value, json};

use super::{PATIENT, USER, id};
use crate::{Hospital, HospitalError};

pub(super) const LAB_TEST: u16 = 0x60;
pub(super) const LAB_ORDER: u16 = 0x61;
pub(super) const LAB_ORDER_ITEM: u16 = 0x62;
pub(super) const SPECIMEN: u16 = 0x63;

/// The tests: LOINC code, name, kind of specimen, container.
const TESTS: [(&str, &str, &str, &str); 3] = [
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "SER", "serum separator tube"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "WB", "EDTA tube"),
    ("24356-8", "Urinalysis complete panel - Urine", "UR", "urine cup"),
];

/// The orders: number of the patient, priority, numbers of the tests.
const ORDERS: [(u128, &str, &[u128]); 5] =
    [(3, "urgent", &[1, 2]), (6, "normal", &[1]), (1, "normal", &[2]), (8, "low", &[3]), (7, "normal", &[2])];

/// A numeric component with one reference range for everybody.
fn numeric(code: &str, name: &str, unit: &str, [critical_low, low, high, critical_high]: [&str; 4]) -> Value {
    let range = json!({
        "sex": "any", "age_from_days": 0, "critical_low": critical_low, "low": low, "high": high,
        "critical_high": critical_high, "is_example": true,
    });
    json!({
        "code": code, "name": name, "value_type": "numeric", "unit": unit, "decimals": 1, "possible_low": "0",
        "delta_percent": "30", "delta_days": 7, "ranges": [range],
    })
}

/// What a test measures.
fn components(code: &str, name: &str) -> Value {
    match code {
        "2823-3" => json!([numeric(code, name, "mmol/L", ["2.5", "3.5", "5.2", "6.5"])]),
        "718-7" => json!([numeric(code, name, "g/dL", ["7", "12", "17.5", "20"])]),
        _ => json!([
            {"code": "5778-6", "name": "Color of Urine", "value_type": "text", "abnormal_values": ["red", "brown"]},
            {"code": "5799-2", "name": "Leukocyte esterase [Presence] in Urine by Test strip", "value_type": "coded",
             "abnormal_values": ["LA6577-6"]},
        ]),
    }
}

/// What a command says of the order with a number.
fn of(number: u128, mut more: Value) -> Value {
    more["lab_order_id"] = json!(id(LAB_ORDER, number));
    more
}

impl Hospital {
    /// Defines the tests, and orders some of them: the specimens of order 1 arrived, that of order 2 was rejected, that
    /// of order 3 was taken, that of order 4 is to be taken, and order 5 was cancelled.
    pub(super) async fn laboratory(&self) -> Result<(), HospitalError> {
        for (number, (code, name, specimen_type, container)) in (1..).zip(TESTS) {
            self.demo::<DefineLabTest>(json!({
                "id": id(LAB_TEST, number), "code": code, "name": name, "specimen_type": specimen_type,
                "container": container, "turnaround_minutes": {"normal": 240, "urgent": 90, "stat": 45},
                "components": components(code, name),
            }))
            .await?;
        }
        for (number, (patient, priority, tests)) in (1..).zip(ORDERS) {
            let item = |(nth, test): (u128, &u128)| {
                let item_id = id(LAB_ORDER_ITEM, number * 10 + nth);
                json!({"item_id": item_id, "lab_test_id": id(LAB_TEST, *test)})
            };
            self.demo::<PlaceLabOrder>(json!({
                "id": id(LAB_ORDER, number), "patient_id": id(PATIENT, patient), "provider_id": id(USER, 2),
                "priority": priority, "items": (1..).zip(tests).map(item).collect::<Vec<_>>(),
            }))
            .await?;
        }
        for (number, order, item, kind) in [(1, 1, 11, "SER"), (2, 1, 12, "WB"), (3, 2, 21, "SER"), (4, 3, 31, "WB")] {
            let taken = json!({
                "specimen_id": id(SPECIMEN, number), "item_ids": [id(LAB_ORDER_ITEM, item)], "specimen_type": kind,
                "collected_by": id(USER, 3),
            });
            self.demo::<CollectSpecimen>(of(order, taken)).await?;
        }
        for (number, order) in [(1, 1), (2, 1)] {
            self.demo::<ReceiveSpecimen>(of(order, json!({"specimen_id": id(SPECIMEN, number)}))).await?;
        }
        let clotted = json!({"specimen_id": id(SPECIMEN, 3), "reason_code": "clotted"});
        self.demo::<RejectSpecimen>(of(2, clotted)).await?;
        self.demo::<CancelLabOrder>(of(5, json!({"reason": "The patient had the test elsewhere"}))).await
    }
}
