//! Which patients of the files are one person, under which id each of them is in the record, and which ids of the files
//! must not lead to a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use hims_commands::{Executor, scopes};
use hims_domain::patient::Patient as Recorded;
use uuid::Uuid;

use super::ImportError;
use super::calendar::Calendar;
use super::choice;
use super::datatypes::Identifier;
use super::gather::{Found, Gathered};
use super::identity::Person;
use super::patient::SSN;
use super::progress::Progress;
use super::reason::Reason;
use super::resources::Patient;
use super::summary::Fate;
use super::writer::UNDER_WAY;

/// The system and the value of an identifier.
type Key = (String, String);

/// The key of an identifier; `None` if its system or its value is missing or blank. Spaces around them do not count.
pub(super) fn key(identifier: &Identifier) -> Option<Key> {
    let trimmed = |text: &Option<String>| text.as_deref().map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned);
    Some((trimmed(&identifier.system)?, trimmed(&identifier.value)?))
}

/// What is known of the patients of an import before the first of them is registered, and of ids that lead to nobody.
#[derive(Default)]
pub(super) struct Persons {
    /// The identifiers that no patient of the files can claim, since several people of the files have them, or somebody
    /// in the record.
    taken: BTreeSet<Key>,
    /// What becomes of the patients whom the import does not register.
    settled: BTreeMap<Uuid, Fate>,
    /// The record of a patient who is in the record, or in the files, under another id.
    records: BTreeMap<Uuid, Uuid>,
    /// The ids of the files that must not lead to the records with these ids. A record may still be that of a patient
    /// who has another id in the files.
    strangers: Mutex<BTreeSet<Uuid>>,
}

/// A patient of the files, compared with the record.
struct Compared<'g> {
    found: &'g Found<Patient>,
    person: Person,
    keys: BTreeSet<Key>,
    standing: Standing,
}

/// The comparisons of patients with the record. A comparison begins only when it is polled.
type Comparisons<'g> = Box<dyn Iterator<Item = BoxFuture<'g, Result<Compared<'g>, ImportError>>> + Send + 'g>;

/// How a patient of the files stands to the record.
enum Standing {
    /// The patient is refused, and so is everything that refers to the id.
    Refused(Reason),
    /// The record with the id of the patient is the patient's.
    OwnRecord,
    /// No record has the id of the patient.
    New {
        /// The record of the same person, which has an identifier of the patient.
        recorded: Option<Uuid>,
        /// The identifiers of the patient that records have.
        claimed: BTreeSet<Key>,
    },
}

impl Persons {
    /// Compares the patients of the files with the record, and with one another where they have an identifier in
    /// common. Everybody is compared before anybody is registered, so that the result does not depend on who comes
    /// first.
    ///
    /// # Errors
    /// When the log does not answer.
    pub(super) async fn of(
        executor: &Executor,
        gathered: &Gathered,
        calendar: &Calendar,
        progress: &dyn Progress,
    ) -> Result<Self, ImportError> {
        let patients = gathered.patients.all();
        progress.begin("Patient (comparison)", u64::try_from(patients.len()).unwrap_or(u64::MAX));
        let steps: Comparisons<'_> = Box::new(patients.into_iter().map(|it| compare(executor, calendar, it).boxed()));
        let mut compared: Vec<Compared<'_>> = futures::stream::iter(steps)
            .buffer_unordered(UNDER_WAY)
            .inspect_ok(|_| progress.advance())
            .try_collect()
            .await?;
        compared.sort_by_key(|it| it.found.id);
        Ok(Self::settle(&compared))
    }

    /// Refused patients are compared with nobody. Of the others, patients with a common identifier, the same name and
    /// the same date of birth are one person, who has one record: each patient's own, or else one that has an
    /// identifier of the patient, or else the record of another patient of the person, or else the one that the import
    /// begins under the smallest id. The identifier of different people is nobody's.
    fn settle(compared: &[Compared<'_>]) -> Self {
        let mut persons = Self::default();
        let mut holders: BTreeMap<&Key, Vec<&Compared<'_>>> = BTreeMap::new();
        for it in compared {
            match &it.standing {
                Standing::Refused(reason) => {
                    persons.settled.insert(it.found.id, Fate::Skipped(*reason));
                    persons.is_stranger(it.found.id);
                    continue;
                }
                Standing::OwnRecord => drop(persons.settled.insert(it.found.id, Fate::AlreadyThere)),
                Standing::New { claimed, .. } => persons.taken.extend(claimed.iter().cloned()),
            }
            for key in &it.keys {
                holders.entry(key).or_default().push(it);
            }
        }
        let firsts = firsts(holders.values());
        let mut groups: BTreeMap<Uuid, Vec<&Compared<'_>>> = BTreeMap::new();
        for it in compared.iter().filter(|it| !matches!(it.standing, Standing::Refused(_))) {
            groups.entry(first(&firsts, it.found.id)).or_default().push(it);
        }
        for (smallest, group) in groups {
            let own = group.iter().find(|it| matches!(it.standing, Standing::OwnRecord)).map(|it| it.found.id);
            let record = own.or_else(|| group.iter().find_map(|it| it.recorded())).unwrap_or(smallest);
            for it in group.iter().filter(|it| matches!(it.standing, Standing::New { .. })) {
                let record = it.recorded().unwrap_or(record);
                if record != it.found.id {
                    persons.records.insert(it.found.id, record);
                    persons.settled.insert(it.found.id, Fate::Skipped(Reason::SamePerson));
                }
            }
        }
        let are_different = |patients: &[&Compared<'_>]| {
            patients.iter().map(|it| first(&firsts, it.found.id)).collect::<BTreeSet<_>>().len() > 1
        };
        persons.taken.extend(holders.iter().filter(|(_, it)| are_different(it)).map(|(key, _)| (*key).clone()));
        persons
    }

    /// Whether nobody can claim an identifier.
    pub(super) fn is_taken(&self, key: &Key) -> bool {
        self.taken.contains(key)
    }

    /// What becomes of a patient of the files who is not registered; `None` for a patient to register.
    pub(super) fn settled(&self, id: Uuid) -> Option<Fate> {
        self.settled.get(&id).cloned()
    }

    /// The id under which a patient whom the files name is, or will be, in the record; `None` if the id of the files
    /// must not lead to a record.
    pub(super) fn record(&self, id: Uuid) -> Option<Uuid> {
        // An id that leads to nobody stays so, also if another id of the person leads to the record.
        (!self.are_strangers(id)).then(|| self.records.get(&id).copied().unwrap_or(id))
    }

    /// Notes that the record with this id is not the one that the files mean.
    pub(super) fn is_stranger(&self, id: Uuid) {
        self.with(|strangers| strangers.insert(id));
    }

    /// Whether the record with this id is not the one that the files mean.
    pub(super) fn are_strangers(&self, id: Uuid) -> bool {
        self.with(|strangers| strangers.contains(&id))
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeSet<Uuid>) -> T) -> T {
        work(&mut self.strangers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Compared<'_> {
    /// The record of the same person, under another id, which has an identifier of the patient.
    fn recorded(&self) -> Option<Uuid> {
        match &self.standing {
            Standing::New { recorded, .. } => *recorded,
            Standing::Refused(_) | Standing::OwnRecord => None,
        }
    }
}

/// Compares a patient of the files with the record.
async fn compare<'g>(
    executor: &Executor,
    calendar: &Calendar,
    found: &'g Found<Patient>,
) -> Result<Compared<'g>, ImportError> {
    let person = Person::of(&found.resource);
    let keys = choice::identifiers(calendar, &found.resource.identifier).filter_map(key).collect();
    let standing = standing(executor, found, &person, &keys).await?;
    Ok(Compared { found, person, keys, standing })
}

async fn standing(
    executor: &Executor,
    found: &Found<Patient>,
    person: &Person,
    keys: &BTreeSet<Key>,
) -> Result<Standing, ImportError> {
    if let Err(reason) = found.check_copies() {
        return Ok(Standing::Refused(reason));
    }
    // Before FHIR STU3, the code was `replace`; `replaces` says the opposite.
    if found.resource.link.iter().any(|it| ["replaced-by", "replace"].contains(&it.kind.as_str())) {
        return Ok(Standing::Refused(Reason::Replaced));
    }
    let there = executor.load::<Recorded>(found.id, true).await.map_err(ImportError::Log)?;
    if let Some(there) = there.state {
        let recorded = Person::recorded(&there.demographics);
        let is_own = recorded.is_some_and(|it| it.is_like(person, found.is_global));
        return Ok(if is_own { Standing::OwnRecord } else { Standing::Refused(Reason::OtherRecord) });
    }
    if there.version > 0 {
        return Ok(Standing::Refused(Reason::IdTaken));
    }
    let (mut recorded, mut claimed) = (None, BTreeSet::new());
    // The social security number is a field of the record, and no identifier.
    for key in keys.iter().filter(|(system, _)| system != SSN) {
        let claim = scopes::key(&[&key.0, &key.1]);
        let owners = executor.store().owners(scopes::PATIENT_IDENTIFIER, &claim).await;
        let Some(owner) = owners.map_err(|error| ImportError::Log(error.into()))?.first().copied() else { continue };
        claimed.insert(key.clone());
        let there = executor.load::<Recorded>(owner, false).await.map_err(ImportError::Log)?.state;
        let theirs = there.and_then(|it| Person::recorded(&it.demographics));
        if recorded.is_none() && theirs.is_some_and(|it| it.is_same(person)) {
            recorded = Some(owner);
        }
    }
    Ok(Standing::New { recorded, claimed })
}

/// Of every patient who is the same person as a patient with a smaller id: such a smaller id.
fn firsts<'c, 'g: 'c>(holders: impl Iterator<Item = &'c Vec<&'c Compared<'g>>>) -> BTreeMap<Uuid, Uuid> {
    let mut firsts: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    for patients in holders {
        for (index, it) in patients.iter().enumerate() {
            if let Some(same) = patients[..index].iter().find(|other| other.person.is_same(&it.person)) {
                let (one, other) = (first(&firsts, same.found.id), first(&firsts, it.found.id));
                if one != other {
                    firsts.insert(one.max(other), one.min(other));
                }
            }
        }
    }
    firsts
}

/// Follows an id to the smallest id of the person. An id leads to a smaller one, so there is no circle.
fn first(firsts: &BTreeMap<Uuid, Uuid>, id: Uuid) -> Uuid {
    std::iter::successors(Some(id), |it| firsts.get(it).copied()).last().unwrap_or(id)
}
