//! Prescriptions of the demo: one that is ready to be fetched and may be refilled, and one that waits for the pharmacy.

use hims_commands::prescription::{MarkPrescriptionReady, SendPrescriptionToPharmacy, WritePrescription};
use serde_json::json;

use super::{MEDICATION, PATIENT, USER, id};
use crate::{Hospital, HospitalError};

pub(super) const PRESCRIPTION: u16 = 0x35;

/// The prescriptions: number of the patient, instructions.
const PRESCRIPTIONS: [(u128, &str); 2] = [(1, "One tablet in the evening"), (7, "One tablet at bedtime")];

impl Hospital {
    /// Writes the prescriptions, each by the doctor, sends them, and makes the first one ready.
    pub(super) async fn prescriptions(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().date_naive();
        for (number, (patient, instructions)) in (1..).zip(PRESCRIPTIONS) {
            let prescription_id = id(PRESCRIPTION, number);
            self.demo::<WritePrescription>(json!({
                "id": prescription_id, "patient_id": id(PATIENT, patient), "provider_id": id(USER, 2),
                "items": [{
                    "medication_id": id(MEDICATION, 4), "quantity": "30", "quantity_unit": "tablet",
                    "frequency": "daily", "instructions": instructions, "refills_allowed": 5, "days_supply": 30,
                    "valid_until": today + chrono::Months::new(12),
                }],
            }))
            .await?;
            self.demo::<SendPrescriptionToPharmacy>(json!({"prescription_id": prescription_id})).await?;
            if number == 1 {
                self.demo::<MarkPrescriptionReady>(json!({"prescription_id": prescription_id})).await?;
            }
        }
        Ok(())
    }
}
