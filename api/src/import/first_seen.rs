use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::datatypes::{Reference, time};
use super::gather::Gathered;

/// When a patient, a practitioner or an organization is first mentioned. These resources have no time of their own, so
/// the first mention counts as the time at which they entered the record.
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
        for encounter in gathered.encounters.iter().map(|it| &it.resource) {
            let start = encounter.period.start.as_deref();
            see(start, "Patient", &encounter.subject);
            see(start, "Organization", &encounter.service_provider);
            encounter.participant.iter().for_each(|participant| see(start, "Practitioner", &participant.individual));
        }
        for request in gathered.medication_requests.iter().map(|it| &it.resource) {
            see(request.authored_on.as_deref(), "Patient", &request.subject);
            see(request.authored_on.as_deref(), "Practitioner", &request.requester);
        }
        for allergy in gathered.allergies.iter().map(|it| &it.resource) {
            see(allergy.recorded_date.as_deref(), "Patient", &allergy.patient);
        }
        seen
    }

    /// The first mention of a resource; `None` if no other resource mentions it.
    pub(super) fn at(&self, id: Uuid) -> Option<DateTime<Utc>> {
        self.0.get(&id).copied()
    }
}
