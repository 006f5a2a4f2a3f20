//! What providers are told of the death of a patient.

use std::collections::BTreeSet;

use hims_domain::PatientId;
use hims_domain::notification::NotificationType;
use serde::Deserialize;

use super::{after_death, open_visits, reads_visits};
use crate::aggregates::patient::{named, survivor, survivor_of};
use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells the providers of a patient who has died that the visits which the patient still had with them are cancelled.
/// Given before the visits are cancelled, since nobody finds them by the patient afterwards. Each provider learns of
/// their own visits only.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfDeath {
    /// Which patient; any record of the person.
    pub(crate) patient_id: PatientId,
    /// The position of the event that told of the death. A death may be revoked, and recorded again later.
    pub(crate) position: i64,
}

impl Telling for TellOfDeath {
    const NAME: &'static str = "tell-of-death";

    fn occasion(&self) -> String {
        format!("patient {} died {}", self.patient_id, self.position)
    }

    fn reads(&self, found: &Found) -> Reads {
        reads_visits(self.patient_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let visits = open_visits(self.patient_id, after_death(self.patient_id, found)?, found);
        let providers: BTreeSet<_> = visits.into_iter().map(|(_, visit)| visit.provider_id).collect();
        if providers.is_empty() {
            return None;
        }
        let message = format!(
            "{} has died. The visits that the patient still had with you are cancelled.",
            named(survivor(self.patient_id, found)?)
        );
        let path = format!("/appointments?patient_id={}", survivor_of(self.patient_id, found));
        let about = NotificationType::AppointmentChanged;
        let notice = Notice::of(about, &self.occasion(), "A patient of yours has died", &message)
            .about(self.patient_id)
            .leading_to(&path, "Show the visits");
        Some(providers.into_iter().fold(notice, Notice::to_user))
    }
}
