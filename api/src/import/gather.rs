//! All resources to import, in memory, each once however often the files repeat the resource. The order of the files
//! makes no difference.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::bundle::{
    AllergyIntolerance, Encounter, Entry, Head, Identified, Medication, MedicationRequest, Observation, Organization,
    Patient, Practitioner,
};
use super::reason::Reason;
use super::references::{References, derived, stream_id};
use super::summary::{Fate, Summary};

/// A resource, and how many copies of it the files hold.
pub(super) struct Found<R> {
    /// The id of the resource's stream.
    pub(super) id: Uuid,
    pub(super) copies: u64,
    pub(super) resource: R,
    /// Decides between copies that differ: the copy with the longest text is taken, whatever the order of the files.
    weight: (usize, Uuid),
}

/// The resources of one type, in the order of their ids.
pub(super) struct Resources<R>(BTreeMap<Uuid, Found<R>>);

impl<R> Default for Resources<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: DeserializeOwned> Resources<R> {
    fn add(&mut self, id: Uuid, text: &str) -> Result<(), Reason> {
        let resource = serde_json::from_str(text).map_err(|_| Reason::Malformed)?;
        let found = Found { id, copies: 1, resource, weight: (text.len(), derived(text)) };
        match self.0.entry(id) {
            Slot::Vacant(slot) => drop(slot.insert(found)),
            Slot::Occupied(mut slot) => {
                let copies = slot.get().copies + 1;
                if found.weight > slot.get().weight {
                    slot.insert(found);
                }
                slot.get_mut().copies = copies;
            }
        }
        Ok(())
    }
}

impl<R> Resources<R> {
    pub(super) fn get(&self, id: Uuid) -> Option<&R> {
        self.0.get(&id).map(|it| &it.resource)
    }

    pub(super) fn all(&self) -> Vec<&Found<R>> {
        self.0.values().collect()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Found<R>> {
        self.0.values()
    }
}

/// All resources that the files hold.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) organizations: Resources<Organization>,
    pub(super) practitioners: Resources<Practitioner>,
    pub(super) patients: Resources<Patient>,
    pub(super) allergies: Resources<AllergyIntolerance>,
    pub(super) encounters: Resources<Encounter>,
    pub(super) observations: Resources<Observation>,
    pub(super) medications: Resources<Medication>,
    pub(super) medication_requests: Resources<MedicationRequest>,
    pub(super) references: References,
}

impl Gathered {
    /// Adds the entries of a bundle. Resources that cannot be imported are counted as skipped.
    pub(super) fn add(&mut self, entries: &[Entry], summary: &mut Summary) {
        for entry in entries {
            let Some(resource) = &entry.resource else { continue };
            match serde_json::from_str::<Head>(resource.get()) {
                Ok(head) if is_a_type(&head.resource_type) => {
                    if let Err(reason) = self.add_resource(&head, entry.full_url.as_deref(), resource) {
                        summary.count(&head.resource_type, 1, Fate::Skipped(reason));
                    }
                }
                _ => summary.count("(no type)", 1, Fate::Skipped(Reason::Malformed)),
            }
        }
    }

    fn add_resource(&mut self, head: &Head, full_url: Option<&str>, resource: &RawValue) -> Result<(), Reason> {
        let (kind, own_id, text) = (head.resource_type.as_str(), head.id.as_deref(), resource.get());
        let id = stream_id(kind, own_id, full_url, text);
        match kind {
            "Organization" => self.organizations.add(id, text)?,
            "Practitioner" => self.practitioners.add(id, text)?,
            "Patient" => self.patients.add(id, text)?,
            "AllergyIntolerance" => self.allergies.add(id, text)?,
            "Encounter" => self.encounters.add(id, text)?,
            "Observation" => self.observations.add(id, text)?,
            "Medication" => self.medications.add(id, text)?,
            "MedicationRequest" => self.medication_requests.add(id, text)?,
            _ => return Err(Reason::NotPartOfTheRecord),
        }
        let identified: Identified = serde_json::from_str(text).unwrap_or_default();
        self.references.enter((kind, id), own_id, full_url, &identified.identifier);
        Ok(())
    }
}

/// Whether a name can be that of a resource type. The summary repeats no other name, which could be a personal value.
fn is_a_type(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_alphabetic())
}
