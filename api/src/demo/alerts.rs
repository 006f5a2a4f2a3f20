//! What the demo's hospital thinks of interactions, and a prescription against an allergy that was cancelled again.

use hims_commands::interaction_profile::SetLocalInteraction;
use hims_commands::prescription::{CancelPrescription, WritePrescription};
use serde_json::json;

use super::giving::with_rights_of;
use super::prescriptions::PRESCRIPTION;
use super::{MEDICATION, PATIENT, USER, id};
use crate::{Hospital, HospitalError};

impl Hospital {
    /// Sets the interaction of amoxicillin and warfarin, and writes a prescription against a patient's allergy.
    pub(super) async fn alerts(&self) -> Result<(), HospitalError> {
        self.demo::<SetLocalInteraction>(json!({
            "ingredient_a": "723", "ingredient_b": "11289", "severity": "moderate",
            "mechanism": "Antibiotics change the bacteria that make vitamin K, so the blood may become too thin.",
            "management": "Measure the INR within a week.",
        }))
        .await?;
        // The patient has a severe allergy to penicillin.
        let prescription = id(PRESCRIPTION, 3);
        let against = json!({
            "id": prescription, "patient_id": id(PATIENT, 1), "provider_id": id(USER, 2),
            "items": [{
                "medication_id": id(MEDICATION, 1), "quantity": "21", "quantity_unit": "capsule",
                "frequency": "3 a day", "duration_days": 7, "instructions": "With plenty of water",
                "override_reason": "The hives were thirty years ago, and the skin test was negative",
            }],
        });
        self.give::<WritePrescription>(against, with_rights_of("doctor")).await?;
        self.demo::<CancelPrescription>(json!({
            "prescription_id": prescription, "reason": "The fever went down without it",
        }))
        .await
    }
}
