//! Results of the demo's laboratory: a critical value that nobody has acknowledged, and a corrected one.

use hims_commands::lab_order::{CollectSpecimen, PlaceLabOrder};
use hims_commands::lab_result::{CorrectLabResult, RecordLabResult};
use serde_json::{Value, json};

use super::laboratory::{LAB_ORDER, LAB_ORDER_ITEM, LAB_TEST, SPECIMEN};
use super::{PATIENT, USER, id};
use crate::{Hospital, HospitalError};

const LAB_RESULT: u16 = 0x64;

/// The number of the order whose tests have results.
const ORDER: u128 = 6;

/// A value of a component.
fn value(code: &str, value: &str) -> Value {
    json!([{"code": code, "value": value}])
}

impl Hospital {
    /// Orders potassium and hemoglobin for patient 3, and records the results.
    pub(super) async fn results(&self) -> Result<(), HospitalError> {
        let item = |nth: u128| id(LAB_ORDER_ITEM, ORDER * 10 + nth);
        let items: Vec<_> =
            [1, 2].iter().map(|nth| json!({"item_id": item(*nth), "lab_test_id": id(LAB_TEST, *nth)})).collect();
        let order_id = id(LAB_ORDER, ORDER);
        self.demo::<PlaceLabOrder>(json!({
            "id": order_id, "patient_id": id(PATIENT, 3), "provider_id": id(USER, 2), "priority": "stat",
            "items": items,
        }))
        .await?;
        self.demo::<CollectSpecimen>(json!({
            "lab_order_id": order_id, "specimen_id": id(SPECIMEN, 5), "specimen_type": "SER",
            "collected_by": id(USER, 3),
        }))
        .await?;
        for (nth, code, number) in [(1, "2823-3", "6.9"), (2, "718-7", "31.1")] {
            self.demo::<RecordLabResult>(json!({
                "id": id(LAB_RESULT, nth), "lab_order_id": order_id, "item_id": item(nth), "status": "F",
                "components": value(code, number), "performed_by": id(USER, 6),
            }))
            .await?;
        }
        self.demo::<CorrectLabResult>(json!({
            "lab_result_id": id(LAB_RESULT, 2), "components": value("718-7", "13.1"),
            "reason": "The digits had been swapped",
        }))
        .await
    }
}
