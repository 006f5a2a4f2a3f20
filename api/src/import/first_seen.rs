use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::calendar::Calendar;
use super::gather::Gathered;

/// When a patient, a practitioner or an organization is first mentioned. These resources have no time of their own, so
/// the first mention counts as the time at which they entered the record.
#[derive(Default)]
pub(super) struct FirstSeen(HashMap<Uuid, DateTime<Utc>>);

impl FirstSeen {
    pub(super) fn of(gathered: &Gathered, calendar: &Calendar) -> Self {
        let mut seen = Self::default();
        let mut see = |at: Option<&str>, mentioned: Option<Uuid>| {
            // A mention in the future is a mistake of that resource, for which the others are not refused.
            let at = calendar.time(at).filter(|it| *it <= calendar.now);
            if let (Some(at), Some(id)) = (at, mentioned) {
                let first = seen.0.entry(id).or_insert(at);
                *first = at.min(*first);
            }
        };
        for found in gathered.encounters.iter() {
            let (encounter, origin) = (&found.resource, &found.origin);
            let start = encounter.period.start.as_deref();
            see(start, gathered.resolve("Patient", origin, &encounter.subject));
            let organization = encounter.service_provider.as_ref();
            see(start, organization.and_then(|it| gathered.resolve("Organization", origin, it)));
            for participant in &encounter.participant {
                see(start, gathered.practitioner(origin, &participant.individual));
            }
        }
        for found in gathered.medication_requests.iter() {
            let (request, origin) = (&found.resource, &found.origin);
            let written = request.authored_on.as_deref();
            see(written, gathered.resolve("Patient", origin, &request.subject));
            see(written, gathered.practitioner(origin, &request.requester));
        }
        for found in gathered.immunizations.iter() {
            let given = found.resource.occurrence_date_time.as_deref();
            see(given, gathered.resolve("Patient", &found.origin, &found.resource.patient));
            for performer in &found.resource.performer {
                see(given, gathered.practitioner(&found.origin, &performer.actor));
            }
        }
        for found in gathered.allergies.iter() {
            let recorded = found.resource.recorded_date.as_deref();
            see(recorded, gathered.resolve("Patient", &found.origin, &found.resource.patient));
        }
        seen
    }

    /// The first mention of a resource; `None` if no other resource mentions it.
    pub(super) fn at(&self, id: Uuid) -> Option<DateTime<Utc>> {
        self.0.get(&id).copied()
    }
}
