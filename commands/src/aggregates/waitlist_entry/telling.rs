//! What patients are told of offers.

use chrono::{DateTime, Utc};
use hims_domain::WaitlistEntryId;
use hims_domain::department::Department;
use hims_domain::notification::NotificationType;
use hims_domain::user::User;
use hims_domain::waitlist_entry::{Offer, WaitlistEntry};
use serde::Deserialize;

use crate::appointment::in_words;
use crate::department::zone_named;
use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// Tells a patient of an offer, unless it was answered meanwhile.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfOffer {
    /// The entry.
    pub(crate) entry_id: WaitlistEntryId,
    /// The position of the event with which the offer was made.
    pub(crate) position: i64,
    /// When the offer expires, which tells it apart from a later one.
    pub(crate) expires_at: DateTime<Utc>,
}

impl TellOfOffer {
    /// The entry and the offer, as long as the offer stands.
    fn standing<'a>(&self, found: &'a Found) -> Option<(&'a WaitlistEntry, &'a Offer)> {
        let entry = found.get::<WaitlistEntry>(self.entry_id)?;
        Some((entry, entry.offer.as_ref().filter(|it| it.expires_at == self.expires_at)?))
    }
}

impl Telling for TellOfOffer {
    const NAME: &'static str = "tell-of-offer";

    fn occasion(&self) -> String {
        format!("offer to {} at {}", self.entry_id, self.position)
    }

    fn reads(&self, found: &Found) -> Reads {
        let opening = self.standing(found).map(|(_, it)| &it.opening);
        Reads::nothing()
            .stream::<WaitlistEntry>(self.entry_id)
            .maybe::<User>(opening.map(|it| it.provider_id))
            .maybe::<Department>(opening.and_then(|it| it.department_id))
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let (entry, Offer { opening, slot, expires_at, .. }) = self.standing(found)?;
        let (starts_at, time_zone) = (slot.starts_at, &opening.time_zone);
        let visit = in_words(starts_at, time_zone, opening.provider_id, opening.department_id, found);
        let by = expires_at.with_timezone(&zone_named(time_zone)).format("%A, %-d %B, %H:%M");
        let message =
            format!("You can be seen on {visit}. The time is held for you until {by}: accept it, or decline it.");
        let notice = Notice::of(NotificationType::WaitlistOffer, &self.occasion(), "A time is free for you", &message)
            .about(entry.patient_id)
            .to_patient(entry.patient_id)
            .until(*expires_at)
            .leading_to(&format!("/waitlist-entries/{}", self.entry_id), "Answer the offer");
        Some(notice.about_visit(starts_at, time_zone))
    }
}
