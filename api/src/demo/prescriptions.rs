//! Prescriptions of the demo in each state: one that is ready to be fetched, one that waits for the pharmacy, one that
//! was not sent, one that was dispensed, and one that was refilled. The one that was cancelled is among the alerts.

use chrono::{Days, Months};
use hims_commands::Request;
use hims_commands::prescription::{
    DispensePrescription, MarkPrescriptionReady, RefillPrescription, SendPrescriptionToPharmacy, WritePrescription,
};
use serde_json::{Value, json};

use super::giving::{at, now, with_rights_of};
use super::{MEDICATION, PATIENT, USER, id};
use crate::{Hospital, HospitalError};

pub(super) const PRESCRIPTION: u16 = 0x35;

/// The prescriptions: number, number of the patient, medication, its unit, quantity for as many days, instructions, how
/// many days ago it was written.
const PRESCRIPTIONS: [(u128, u128, u128, &str, i32, &str, u64); 5] = [
    (1, 1, 4, "tablet", 30, "One tablet in the evening", 0),
    (2, 7, 4, "tablet", 30, "One tablet at bedtime", 0),
    (4, 5, 1, "capsule", 14, "One capsule in the morning", 0),
    (5, 10, 4, "tablet", 30, "One tablet in the evening", 3),
    (REFILLED, 11, 4, "tablet", 30, "One tablet in the evening, before the meal", 40),
];

/// The numbers of the prescriptions that were sent to the pharmacy, and of those that were dispensed.
const SENT: [u128; 4] = [1, 2, 5, REFILLED];
const DISPENSED: [u128; 2] = [5, REFILLED];
/// The number of the prescription that was dispensed twice.
const REFILLED: u128 = 6;

/// The prescription with a number, for a command on it.
fn of(number: u128) -> Value {
    json!({"prescription_id": id(PRESCRIPTION, number)})
}

/// A request of the demo with the rights of a pharmacist, so that patients take what is dispensed from then on.
fn pharmacist() -> Request {
    with_rights_of("pharmacist")
}

impl Hospital {
    /// Writes the prescriptions, each by the doctor, and lets the pharmacy work on them.
    pub(super) async fn prescriptions(&self) -> Result<(), HospitalError> {
        for (number, patient, medication, unit, quantity, instructions, days) in PRESCRIPTIONS {
            let day = self.executor.now() - Days::new(days);
            let written = json!({
                "id": id(PRESCRIPTION, number), "patient_id": id(PATIENT, patient), "provider_id": id(USER, 2),
                "items": [{
                    "medication_id": id(MEDICATION, medication), "quantity": quantity.to_string(),
                    "quantity_unit": unit, "frequency": "daily", "instructions": instructions, "refills_allowed": 5,
                    "days_supply": quantity, "valid_until": day.date_naive() + Months::new(12),
                }],
            });
            self.give::<WritePrescription>(written, at(day)).await?;
            if SENT.contains(&number) {
                self.step::<SendPrescriptionToPharmacy>(1, of(number), at(day)).await?;
            }
            if DISPENSED.contains(&number) {
                let dispensing = Request { occurred_at: Some(day), ..pharmacist() };
                self.step::<DispensePrescription>(2, of(number), dispensing).await?;
            }
        }
        self.step::<MarkPrescriptionReady>(2, of(1), now()).await?;
        self.step::<RefillPrescription>(3, of(REFILLED), now()).await?;
        self.step::<DispensePrescription>(4, of(REFILLED), pharmacist()).await
    }
}
