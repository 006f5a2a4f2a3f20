//! Which patients of the files are one person, and which ids of the files must not lead to a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::calendar::Calendar;
use super::choice;
use super::datatypes::Identifier;
use super::gather::{Found, Gathered};
use super::identity::Person;
use super::resources::Patient;

/// The system and the value of an identifier.
type Key = (String, String);

/// The key of an identifier; `None` if its system or its value is missing.
pub(super) fn key(identifier: &Identifier) -> Option<Key> {
    Some((identifier.system.clone()?, identifier.value.clone()?))
}

/// What is known of the patients of an import, and of ids that lead to nobody.
#[derive(Default)]
pub(super) struct Persons {
    /// The identifiers that several people of the files have, so that nobody can claim them.
    shared: BTreeSet<Key>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The record of a patient who is in the record, or in the files, under another id.
    records: BTreeMap<Uuid, Uuid>,
    /// The ids that belong to records of somebody or something else than the files say.
    strangers: BTreeSet<Uuid>,
}

impl Persons {
    /// Compares the patients of the files who have an identifier in common: patients with the same name and the same
    /// date of birth are one person, whose record is that of the smallest id; the identifier of different people is
    /// shared.
    pub(super) fn of(gathered: &Gathered, calendar: &Calendar) -> Self {
        let mut holders: BTreeMap<Key, Vec<&Found<Patient>>> = BTreeMap::new();
        for found in gathered.patients.iter().filter(|it| it.check_copies().is_ok()) {
            let keys: BTreeSet<Key> =
                choice::identifiers(calendar, &found.resource.identifier).filter_map(key).collect();
            for key in keys {
                holders.entry(key).or_default().push(found);
            }
        }
        holders.retain(|_, patients| patients.len() > 1);
        let mut records: BTreeMap<Uuid, Uuid> = BTreeMap::new();
        for patients in holders.values() {
            for (index, found) in patients.iter().enumerate() {
                let person = Person::of(&found.resource);
                let first = patients[..index].iter().find(|it| Person::of(&it.resource).is_same(&person));
                if let Some(first) = first {
                    let (one, other) = (record(&records, first.id), record(&records, found.id));
                    if one != other {
                        records.insert(one.max(other), one.min(other));
                    }
                }
            }
        }
        let different = |patients: &[&Found<Patient>]| {
            patients.iter().map(|it| record(&records, it.id)).collect::<BTreeSet<_>>().len() > 1
        };
        let shared = holders.iter().filter(|(_, it)| different(it)).map(|(key, _)| key.clone()).collect();
        Self { shared, known: Mutex::new(Known { records, strangers: BTreeSet::new() }) }
    }

    /// Whether several people of the files have an identifier.
    pub(super) fn is_shared(&self, key: &Key) -> bool {
        self.shared.contains(key)
    }

    /// The id under which a patient of the files is, or will be, in the record.
    pub(super) fn record(&self, id: Uuid) -> Uuid {
        self.with(|known| record(&known.records, id))
    }

    /// Notes that a patient is in the record under another id.
    pub(super) fn is_recorded_as(&self, id: Uuid, recorded: Uuid) {
        self.with(|known| known.records.insert(id, recorded));
    }

    /// Notes that a patient has a record under the id of the files.
    pub(super) fn has_own_record(&self, id: Uuid) {
        self.with(|known| known.records.remove(&id));
    }

    /// Notes that the record with this id is not the one that the files mean.
    pub(super) fn is_stranger(&self, id: Uuid) {
        self.with(|known| known.strangers.insert(id));
    }

    /// Whether the record with this id is not the one that the files mean.
    pub(super) fn are_strangers(&self, id: Uuid) -> bool {
        self.with(|known| known.strangers.contains(&id))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Follows an id to the id of the record. An id leads to a smaller id, or to a record that was there before, so there is
/// no circle; the limit only guards against one.
fn record(records: &BTreeMap<Uuid, Uuid>, id: Uuid) -> Uuid {
    std::iter::successors(Some(id), |it| records.get(it).copied()).take(records.len() + 1).last().unwrap_or(id)
}
