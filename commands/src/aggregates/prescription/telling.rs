//! What patients are told of their prescriptions.

use hims_domain::PrescriptionId;
use hims_domain::notification::NotificationType;
use hims_domain::prescription::{Prescription, Status};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells a patient that the medications of a prescription can be fetched, as long as they can.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfReadyPrescription {
    pub(crate) prescription_id: PrescriptionId,
    /// The position of the event with which the prescription became ready. It may become ready more than once.
    pub(crate) position: i64,
}

impl Telling for TellOfReadyPrescription {
    const NAME: &'static str = "tell-of-ready-prescription";

    fn occasion(&self) -> String {
        format!("prescription {} ready {}", self.prescription_id, self.position)
    }

    fn reads(&self, _: &Found) -> Reads {
        Reads::nothing().stream::<Prescription>(self.prescription_id)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let prescription = found.get::<Prescription>(self.prescription_id).filter(|it| it.status == Status::Ready)?;
        let message = format!("The medications of prescription {} can be fetched.", prescription.number.0);
        let notice =
            Notice::of(NotificationType::PrescriptionReady, &self.occasion(), "Your prescription is ready", &message);
        let path = format!("/prescriptions/{}", self.prescription_id);
        Some(
            notice
                .about(prescription.patient_id)
                .to_patient(prescription.patient_id)
                .leading_to(&path, "Show the prescription"),
        )
    }
}
