//! What the demo's hospital thinks of interactions, and a prescription against an allergy that was cancelled again.

use std::sync::Arc;

use hims_commands::interaction_profile::SetLocalInteraction;
use hims_commands::prescription::{CancelPrescription, WritePrescription};
use hims_commands::{Caller, Failure, Refused, Request, role_id, system_roles};
use serde_json::json;

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
        // The patient has a severe allergy to penicillin. A part of the system is not asked for reasons, so this caller has
        // the rights of a doctor instead.
        let doctor = system_roles().into_iter().find(|(id, _)| *id == role_id("doctor"));
        let permissions = doctor.map(|(_, it)| Arc::new(it.permissions)).unwrap_or_default();
        let caller = Caller { permissions, is_system: false, ..Caller::system("demo") };
        let prescription = id(PRESCRIPTION, 3);
        let command = serde_json::from_value::<WritePrescription>(json!({
            "id": prescription, "patient_id": id(PATIENT, 1), "provider_id": id(USER, 2),
            "items": [{
                "medication_id": id(MEDICATION, 1), "quantity": "21", "quantity_unit": "capsule", "frequency": "3 a day",
                "duration_days": 7, "instructions": "With plenty of water",
                "override_reason": "The hives were thirty years ago, and the skin test was negative",
            }],
        }));
        let command = command.map_err(|error| {
            hims_event_store::StoreError::Unavailable(format!("the demo's prescription is malformed: {error}"))
        })?;
        match self.executor.execute_unless_refused(command, Request::of(caller)).await {
            Ok(_) | Err(Failure::Refused(Refused { code: "already-exists", .. })) => {}
            Err(error) => return Err(error.into()),
        }
        self.demo::<CancelPrescription>(json!({
            "prescription_id": prescription, "reason": "The fever went down without it",
        }))
        .await
    }
}
