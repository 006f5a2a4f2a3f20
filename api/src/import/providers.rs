//! Which practitioner saw the patient, where an encounter names no practitioner.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::bundle::Encounter;
use super::gather::Gathered;

/// The first practitioner whom an encounter names.
pub(super) fn named(gathered: &Gathered, encounter: &Encounter) -> Option<Uuid> {
    encounter.participant.iter().find_map(|it| gathered.references.resolve("Practitioner", &it.individual))
}

/// How often each practitioner saw a patient, saw patients at an organization, or saw a patient at an organization.
#[derive(Default)]
pub(super) struct Providers(HashMap<(Option<Uuid>, Option<Uuid>), BTreeMap<Uuid, u64>>);

impl Providers {
    /// Counts every encounter that names a practitioner.
    pub(super) fn of(gathered: &Gathered) -> Self {
        let mut providers = Self::default();
        for encounter in gathered.encounters.iter().map(|it| &it.resource) {
            let Some(practitioner) = named(gathered, encounter) else { continue };
            let patient = gathered.references.resolve("Patient", &encounter.subject);
            let organization = gathered.references.resolve("Organization", &encounter.service_provider);
            for key in BTreeSet::from([(patient, organization), (None, organization), (patient, None)]) {
                *providers.0.entry(key).or_default().entry(practitioner).or_default() += 1;
            }
        }
        providers
    }

    /// The practitioner who most often saw the patient at the organization, or else any patient there, or else the
    /// patient anywhere. Of practitioners who did so equally often, the practitioner with the smallest id.
    pub(super) fn usual(&self, patient: Uuid, organization: Option<Uuid>) -> Option<Uuid> {
        let there = organization.map(|it| [(Some(patient), Some(it)), (None, Some(it))]);
        let counts = there.into_iter().flatten().chain([(Some(patient), None)]).find_map(|it| self.0.get(&it));
        let (practitioner, _) = counts?.iter().min_by_key(|(id, count)| (std::cmp::Reverse(**count), **id))?;
        Some(*practitioner)
    }
}
