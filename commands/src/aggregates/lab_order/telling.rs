//! What people are told of specimens.

use hims_domain::lab_order::{LabOrder, RejectionCode};
use hims_domain::notification::{NotificationType, Priority};
use hims_domain::{LabOrderId, SpecimenId};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells the provider who ordered the tests, and whoever took the specimen, that the laboratory cannot use it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfRejectedSpecimen {
    pub(crate) lab_order_id: LabOrderId,
    /// The specimen, which is rejected once.
    pub(crate) specimen_id: SpecimenId,
    /// Why the specimen cannot be used.
    pub(crate) reason_code: RejectionCode,
}

impl Telling for TellOfRejectedSpecimen {
    const NAME: &'static str = "tell-of-rejected-specimen";

    fn occasion(&self) -> String {
        format!("specimen {} of order {} rejected", self.specimen_id, self.lab_order_id)
    }

    fn reads(&self, _: &Found) -> Reads {
        Reads::nothing().stream::<LabOrder>(self.lab_order_id)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let order = found.get::<LabOrder>(self.lab_order_id)?;
        let specimen = order.specimens.get(&self.specimen_id)?;
        let is_waiting = order.items.iter().any(|it| it.is_open() && specimen.item_ids.contains(&it.id));
        let next = if is_waiting { " Tests wait for another specimen." } else { "" };
        let reason = self.reason_code.as_str().replace('_', " ");
        let (number, of_order) = (&specimen.number.0, &order.number.0);
        let message = format!("The laboratory cannot use specimen {number} of order {of_order}: {reason}.{next}");
        let path = format!("/lab-orders/{}", self.lab_order_id);
        let about = NotificationType::SpecimenRejected;
        let notice = Notice::of(about, &self.occasion(), "A specimen was rejected", &message)
            .about(order.patient_id)
            .with_priority(Priority::High)
            .leading_to(&path, "Show the order")
            .to_user(order.provider_id);
        Some(specimen.collected_by.into_iter().fold(notice, Notice::to_user))
    }
}
