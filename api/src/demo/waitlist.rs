//! Who waits for an appointment in the demo.

use chrono::{Days, TimeDelta};
use chrono_tz::America::New_York;
use hims_commands::waitlist_entry::{JoinWaitlist, OfferWaitlistSlot};
use hims_domain::waitlist_entry::WaitlistEntry;
use serde_json::json;

use super::scheduling::in_new_york;
use super::{DEPARTMENT, PATIENT, ROOM, USER, id};
use crate::{Hospital, HospitalError};

const ENTRY: u16 = 16;

impl Hospital {
    /// Puts three patients on the waiting list, and holds a time in the late afternoon for one of them.
    pub(super) async fn waitlist(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().with_timezone(&New_York).date_naive();
        for (number, patient, priority) in [(1, 2, "normal"), (2, 3, "high"), (3, 4, "normal")] {
            self.demo::<JoinWaitlist>(json!({
                "id": id(ENTRY, number), "patient_id": id(PATIENT, patient), "department_id": id(DEPARTMENT, 1),
                "appointment_type": "annual_check", "duration_minutes": 30, "priority": priority, "earliest": today,
                "latest": today + Days::new(60), "weekdays": [1, 2, 3, 4, 5], "time_from": "14:00",
            }))
            .await?;
        }
        // A demo that was interrupted may be completed on another day: the offer of the first day stands then.
        let entry = self.executor.load::<WaitlistEntry>(id(ENTRY, 2), true).await?.state;
        if entry.is_some_and(|it| it.offer.is_some()) {
            return Ok(());
        }
        let starts_at = in_new_york(today + Days::new(6), 17);
        self.demo::<OfferWaitlistSlot>(json!({
            "entry_id": id(ENTRY, 2), "provider_id": id(USER, 2), "room_id": id(ROOM, 2), "starts_at": starts_at,
            "expires_at": starts_at - TimeDelta::hours(1),
        }))
        .await
    }
}
