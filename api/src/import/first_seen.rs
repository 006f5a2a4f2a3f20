use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::datatypes::{Reference, time};
use super::gather::Gathered;

/// When a person or an organization is first mentioned: the nearest thing to a time of their own that a patient, a
/// practitioner or an organization has.
#[derive(Default)]
pub(super) struct FirstSeen(HashMap<Uuid, DateTime<Utc>>);

impl FirstSeen {
    pub(super) fn of(gathered: &Gathered) -> Self {
        let mut seen = Self::default();
        let mut see = |at: Option<&str>, kind: &str, reference: &Reference| {
            if let (Some(at), Some(id)) = (time(at), gathered.references.resolve(kind, reference)) {
                let first = seen.0.entry(id).or_insert(at);
                *first = at.min(*first);
            }
        };
        for it in gathered.encounters.iter().map(|it| &it.resource) {
            let start = it.period.start.as_deref();
            see(start, "Patient", &it.subject);
            see(start, "Organization", &it.service_provider);
            it.participant.iter().for_each(|participant| see(start, "Practitioner", &participant.individual));
        }
        for it in gathered.medication_requests.iter().map(|it| &it.resource) {
            see(it.authored_on.as_deref(), "Patient", &it.subject);
            see(it.authored_on.as_deref(), "Practitioner", &it.requester);
        }
        for it in gathered.allergies.iter().map(|it| &it.resource) {
            see(it.recorded_date.as_deref(), "Patient", &it.patient);
        }
        seen
    }

    /// `None` for whom nothing mentions.
    pub(super) fn at(&self, id: Uuid) -> Option<DateTime<Utc>> {
        self.0.get(&id).copied()
    }
}
