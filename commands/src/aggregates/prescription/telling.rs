//! What patients are told of their prescriptions.

use chrono::{DateTime, Utc};
use hims_domain::PrescriptionId;
use hims_domain::notification::NotificationType;
use hims_domain::prescription::{Prescription, Status, Withdrawal};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells a patient that the medications of a prescription can be fetched, as long as they can.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfReadyPrescription {
    pub(crate) prescription_id: PrescriptionId,
    /// The position of the event with which the prescription became ready. It may become ready more than once.
    pub(crate) position: i64,
    /// Until when the medications are kept. A prescription that became ready once more has another time.
    pub(crate) collect_by: DateTime<Utc>,
}

/// Tells a patient that the medications of a prescription can no longer be fetched, as long as they cannot.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfWithdrawnPrescription {
    pub(crate) prescription_id: PrescriptionId,
    /// The position of the event with which the prescription was no longer ready. That may happen more than once.
    pub(crate) position: i64,
    /// Why the medications cannot be fetched.
    pub(crate) cause: Withdrawal,
}

/// A notice to the patient of a prescription about whether the medications can be fetched.
fn notice(prescription: &Prescription, id: PrescriptionId, occasion: &str, (title, message): (&str, &str)) -> Notice {
    Notice::of(NotificationType::PrescriptionReady, occasion, title, message)
        .about(prescription.patient_id)
        .to_patient(prescription.patient_id)
        .leading_to(&format!("/prescriptions/{id}"), "Show the prescription")
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
        let is_so = |it: &&Prescription| it.status == Status::Ready && it.collect_by == Some(self.collect_by);
        let prescription = found.get::<Prescription>(self.prescription_id).filter(is_so)?;
        let message = format!("The medications of prescription {} can be fetched.", prescription.number.0);
        let words = ("Your prescription is ready", message.as_str());
        Some(notice(prescription, self.prescription_id, &self.occasion(), words))
    }
}

impl Telling for TellOfWithdrawnPrescription {
    const NAME: &'static str = "tell-of-withdrawn-prescription";

    fn occasion(&self) -> String {
        format!("prescription {} withdrawn {}", self.prescription_id, self.position)
    }

    fn reads(&self, _: &Found) -> Reads {
        Reads::nothing().stream::<Prescription>(self.prescription_id)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let is_so = |it: &&Prescription| it.status == Status::SentToPharmacy;
        let prescription = found.get::<Prescription>(self.prescription_id).filter(is_so)?;
        let number = &prescription.number.0;
        let message = match self.cause {
            Withdrawal::LotRecalled | Withdrawal::LotQuarantined => format!(
                "The medications of prescription {number} cannot be fetched for now: the pharmacy has to replace what \
                 it kept for you. You will be told when they are ready again."
            ),
            Withdrawal::NotCollected => format!(
                "The medications of prescription {number} were not fetched in time and are no longer kept for you. \
                 Ask the pharmacy if you still need them."
            ),
        };
        let words = ("Your prescription is no longer ready", message.as_str());
        Some(notice(prescription, self.prescription_id, &self.occasion(), words))
    }
}
