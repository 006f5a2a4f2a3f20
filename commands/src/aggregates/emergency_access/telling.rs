//! Telling of accesses in an emergency: when they are taken, and every day until somebody has reviewed them.

use chrono::SecondsFormat;
use hims_domain::EmergencyAccessId;
use hims_domain::emergency_access::{EmergencyAccess, Review};
use hims_domain::notification::{NotificationType, Priority};
use hims_domain::user::User;
use serde::{Deserialize, Serialize};

use crate::access::role_id;
use crate::aggregates::care_team_assignment::{lead, reads_lead};
use crate::appointment::name_of;
use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells the lead of the patient's care team and the privacy officers of an access in an emergency, and from the second
/// time on the administrators too, as long as nobody has reviewed it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct TellOfEmergencyAccess {
    /// The access.
    pub(crate) emergency_access_id: EmergencyAccessId,
    /// How often it was told before.
    pub(crate) told: u32,
}

impl TellOfEmergencyAccess {
    fn access<'a>(&self, found: &'a Found) -> Option<&'a EmergencyAccess> {
        found.get::<EmergencyAccess>(self.emergency_access_id).filter(|it| it.review == Review::Open)
    }
}

impl Telling for TellOfEmergencyAccess {
    const NAME: &'static str = "tell-of-emergency-access";

    fn occasion(&self) -> String {
        format!("emergency access {} {}", self.emergency_access_id, self.told)
    }

    fn reads(&self, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<EmergencyAccess>(self.emergency_access_id);
        match self.access(found) {
            Some(access) => reads_lead(reads.stream::<User>(access.user_id), access.patient_id, found.asked_at()),
            None => reads,
        }
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let access = self.access(found)?;
        let name = found.get::<User>(access.user_id).map(name_of).filter(|it| !it.is_empty());
        let who = name.unwrap_or_else(|| "Somebody".to_owned());
        let until = access.ends_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let message = format!(
            "{who} took access to this patient's records in an emergency, until {until}. Somebody else has to review that."
        );
        let title = if self.told == 0 { "Access in an emergency" } else { "An access in an emergency is not reviewed" };
        let notice = Notice::of(NotificationType::EmergencyAccess, &self.occasion(), title, &message)
            .about(access.patient_id)
            .with_priority(Priority::Urgent)
            .to_role(role_id("privacy_officer"))
            .leading_to(&format!("/emergency-accesses/{}", self.emergency_access_id), "Open the access");
        let notice = if self.told == 0 { notice } else { notice.to_role(role_id("administrator")) };
        Some(match lead(access.patient_id, found.asked_at(), found) {
            Some(lead) if lead != access.user_id => notice.to_user(lead),
            _ => notice,
        })
    }
}
