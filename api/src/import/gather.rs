//! All resources to import, in memory, each once however often the files repeat the resource. The order of the files
//! makes no difference.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::benefit::ExplanationOfBenefit;
use super::claim::Claim;
use super::datatypes::Reference;
use super::documents::{Documents, Entry};
use super::identity::Alike;
use super::kept::Kept;
use super::meaning;
use super::reason::Reason;
use super::references::{self, Identity, Origin, References, derived, identity};
use super::resources::{
    AllergyIntolerance, CarePlan, Condition, DiagnosticReport, Encounter, Head, Immunization, Medication,
    MedicationRequest, Names, Observation, Organization, Patient, Practitioner, PractitionerRole, Procedure,
};
use super::summary::{Fate, Place, Summary};
use super::unread;

/// A resource, and where the files hold copies of it.
pub(super) struct Found<R> {
    /// The id of the resource's stream.
    pub(super) id: Uuid,
    /// Whether the id names the resource in the whole world, and not only on its own server.
    pub(super) is_global: bool,
    /// The place of each copy; none for a resource that another one contains.
    pub(super) places: Vec<Place>,
    pub(super) resource: R,
    pub(super) origin: Origin,
    /// The paths of the elements that are not read.
    unread: Vec<Arc<str>>,
    /// The copies that differ from the resource.
    others: Vec<R>,
    weight: Weight,
}

/// The element with the resources that a resource contains.
const CONTAINED: &str = "contained";

/// Decides between copies that differ: the newest copy is taken, then the longest, whatever the order of the files.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Weight(Option<DateTime<Utc>>, usize, Uuid);

impl<R> Found<R> {
    /// What is kept of the resource; the elements that are not read are left out.
    pub(super) fn kept(&self) -> Kept {
        Kept::without(&self.unread)
    }
}

impl<R: Alike> Found<R> {
    /// Checks that all copies can be versions of one resource.
    pub(super) fn check_copies(&self) -> Result<(), Reason> {
        let alike = self.others.iter().all(|other| self.resource.is_like(other, self.is_global));
        if alike { Ok(()) } else { Err(Reason::Contradiction) }
    }
}

/// The resources of one type, in the order of their ids.
pub(super) struct Resources<R>(BTreeMap<Uuid, Found<R>>);

impl<R> Default for Resources<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: DeserializeOwned> Resources<R> {
    fn add(&mut self, read: &Read<'_>, paths: &mut BTreeSet<Arc<str>>) -> Result<(), Reason> {
        let (resource, unread) = unread::read(read.text).map_err(|_| Reason::Malformed)?;
        let contained = std::iter::repeat_n(CONTAINED.to_owned(), read.contained);
        let unread = unread.into_iter().filter(|it| it != CONTAINED).chain(contained);
        let unread = unread.map(|path| interned(path, paths)).collect();
        let found = Found {
            id: read.identity.stream,
            is_global: read.identity.is_global,
            places: read.place.cloned().into_iter().collect(),
            resource,
            origin: read.origin.clone(),
            unread,
            others: Vec::new(),
            weight: Weight(read.last_updated, read.text.len(), derived(read.text)),
        };
        match self.0.entry(found.id) {
            Slot::Vacant(slot) => drop(slot.insert(found)),
            Slot::Occupied(mut slot) => slot.get_mut().merge(found),
        }
        Ok(())
    }
}

impl<R> Found<R> {
    /// Adds another copy of the resource.
    fn merge(&mut self, mut other: Self) {
        self.places.append(&mut other.places);
        if other.weight == self.weight {
            return;
        }
        if other.weight > self.weight {
            std::mem::swap(self, &mut other);
            std::mem::swap(&mut self.others, &mut other.others);
            std::mem::swap(&mut self.places, &mut other.places);
        }
        self.others.push(other.resource);
    }
}

impl<R> Resources<R> {
    pub(super) fn get(&self, id: Uuid) -> Option<&Found<R>> {
        self.0.get(&id)
    }

    pub(super) fn all(&self) -> Vec<&Found<R>> {
        self.0.values().collect()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Found<R>> {
        self.0.values()
    }
}

/// The text of a resource, and who the resource is.
struct Read<'a> {
    text: &'a str,
    identity: Identity,
    origin: Origin,
    /// Where the resource stands; `None` for a resource that another one contains.
    place: Option<&'a Place>,
    last_updated: Option<DateTime<Utc>>,
    /// How many resources of types that are not looked at the resource contains.
    contained: usize,
}

/// A practitioner, or the role of one, that another resource contains.
struct Contained {
    container: Uuid,
    local: String,
    kind: String,
    origin: Origin,
    resource: Box<RawValue>,
}

/// All resources that the files hold.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) organizations: Resources<Organization>,
    pub(super) practitioners: Resources<Practitioner>,
    pub(super) roles: Resources<PractitionerRole>,
    pub(super) patients: Resources<Patient>,
    pub(super) allergies: Resources<AllergyIntolerance>,
    pub(super) encounters: Resources<Encounter>,
    pub(super) conditions: Resources<Condition>,
    pub(super) procedures: Resources<Procedure>,
    pub(super) care_plans: Resources<CarePlan>,
    pub(super) observations: Resources<Observation>,
    pub(super) reports: Resources<DiagnosticReport>,
    pub(super) immunizations: Resources<Immunization>,
    pub(super) medications: Resources<Medication>,
    pub(super) medication_requests: Resources<MedicationRequest>,
    pub(super) claims: Resources<Claim>,
    pub(super) benefits: Resources<ExplanationOfBenefit>,
    references: References,
    contained: Vec<Contained>,
    /// The server of resources that name none, as the operator said.
    server: Option<Arc<str>>,
    /// How many bundles were read before.
    bundles: usize,
    /// Every path of an element that is not read, once.
    paths: BTreeSet<Arc<str>>,
}

impl Gathered {
    /// Nothing so far. Resources that name no server are taken as those of `server`.
    pub(super) fn of(server: Option<&str>) -> Self {
        Self { server: server.map(Arc::from), ..Self::default() }
    }

    /// Adds the resources of a file. Resources that cannot be imported are counted as skipped.
    pub(super) fn add(&mut self, documents: &Documents, summary: &mut Summary) {
        summary.skip("(deletion)", documents.deletions, Reason::Deletion);
        summary.skip("(no resource)", documents.empty, Reason::NoResource);
        for entry in &documents.entries {
            match serde_json::from_str::<Head>(entry.resource.get()) {
                Ok(head) if is_a_type(&head.resource_type) => {
                    if let Err(reason) = self.add_resource(&head, entry) {
                        summary.count(&head.resource_type, vec![entry.place.clone()], Fate::Skipped(reason));
                    }
                }
                _ => summary.count("(no type)", vec![entry.place.clone()], Fate::Skipped(Reason::Malformed)),
            }
        }
        self.bundles += documents.bundles;
    }

    fn add_resource(&mut self, head: &Head, entry: &Entry) -> Result<(), Reason> {
        let (kind, id, text) = (head.resource_type.as_str(), head.id.as_deref(), entry.resource.get());
        let full_url = entry.full_url.as_deref();
        let server =
            full_url.and_then(|it| references::server(kind, it)).map(Arc::from).or_else(|| self.server.clone());
        let identity = identity(kind, id, full_url, server.as_deref(), text);
        let bundle = entry.bundle.map(|it| it + self.bundles);
        let origin = Origin { server, bundle, stream: identity.stream };
        if !is_read(kind) {
            return Err(Reason::NotPartOfTheRecord);
        }
        meaning::check(kind, text)?;
        let names: Names = serde_json::from_str(text).map_err(|_| Reason::Malformed)?;
        let (mut people, mut contained) = (Vec::new(), 0);
        for resource in names.contained {
            let inner: Head = serde_json::from_str(resource.get()).map_err(|_| Reason::Malformed)?;
            match (inner.resource_type.as_str(), inner.id) {
                ("Practitioner" | "PractitionerRole", Some(local)) => {
                    let (kind, container, origin) = (inner.resource_type, identity.stream, origin.clone());
                    people.push(Contained { container, local, kind, origin, resource });
                }
                ("Medication", _) if kind == "MedicationRequest" => {}
                _ => contained += 1,
            }
        }
        let last_updated = head.meta.last_updated;
        self.read(
            kind,
            &Read { text, identity, origin: origin.clone(), place: Some(&entry.place), last_updated, contained },
        )?;
        self.references.enter(kind, &origin, id, full_url, &names.identifier);
        self.contained.extend(people);
        Ok(())
    }

    fn read(&mut self, kind: &str, read: &Read<'_>) -> Result<(), Reason> {
        let paths = &mut self.paths;
        match kind {
            "Organization" => self.organizations.add(read, paths),
            "Practitioner" => self.practitioners.add(read, paths),
            "PractitionerRole" => self.roles.add(read, paths),
            "Patient" => self.patients.add(read, paths),
            "AllergyIntolerance" => self.allergies.add(read, paths),
            "Encounter" => self.encounters.add(read, paths),
            "Condition" => self.conditions.add(read, paths),
            "Procedure" => self.procedures.add(read, paths),
            "CarePlan" => self.care_plans.add(read, paths),
            "Observation" => self.observations.add(read, paths),
            "DiagnosticReport" => self.reports.add(read, paths),
            "Immunization" => self.immunizations.add(read, paths),
            "Medication" => self.medications.add(read, paths),
            "MedicationRequest" => self.medication_requests.add(read, paths),
            "Claim" => self.claims.add(read, paths),
            "ExplanationOfBenefit" => self.benefits.add(read, paths),
            _ => Err(Reason::NotPartOfTheRecord),
        }
    }

    /// Adds the practitioners that other resources contain, once all files are read. A contained practitioner with the
    /// identifier of a practitioner of the files is that practitioner.
    pub(super) fn settle(&mut self) {
        let mut contained = std::mem::take(&mut self.contained);
        contained.sort_by(|one, other| {
            let key = |it: &Contained| (it.container, it.local.clone(), it.resource.get().to_owned());
            key(one).cmp(&key(other))
        });
        for Contained { container, local, kind, origin, resource } in contained {
            let names: Names = serde_json::from_str(resource.get()).unwrap_or_default();
            let known = names.identifier.iter().find_map(|it| self.references.identified(&kind, it));
            let stream = known.unwrap_or_else(|| derived(&format!("{container}#{local}")));
            let identity = Identity { stream, is_global: true };
            let read = Read { text: resource.get(), identity, origin, place: None, last_updated: None, contained: 0 };
            if known.is_some() || self.read(&kind, &read).is_ok() {
                self.references.enter_contained(&kind, container, &local, stream);
            }
        }
    }

    /// The stream of the resource that a reference means, if the resource is of this kind.
    pub(super) fn resolve(&self, kind: &str, origin: &Origin, reference: &Reference) -> Option<Uuid> {
        self.references.resolve(kind, origin, reference)
    }

    /// The practitioner whom a reference means, directly or through a role.
    pub(super) fn practitioner(&self, origin: &Origin, reference: &Reference) -> Option<Uuid> {
        self.resolve("Practitioner", origin, reference).or_else(|| {
            let role = self.roles.get(self.resolve("PractitionerRole", origin, reference)?)?;
            role.check_copies().ok()?;
            self.resolve("Practitioner", &role.origin, role.resource.practitioner.as_ref()?)
        })
    }
}

fn interned(path: String, paths: &mut BTreeSet<Arc<str>>) -> Arc<str> {
    if let Some(known) = paths.get(path.as_str()) {
        return Arc::clone(known);
    }
    let path: Arc<str> = path.into();
    paths.insert(Arc::clone(&path));
    path
}

/// Whether resources of a type are read; of another version of FHIR, too, so that the version can be named.
fn is_read(kind: &str) -> bool {
    [
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Patient",
        "AllergyIntolerance",
        "Encounter",
        "Condition",
        "Procedure",
        "CarePlan",
        "Observation",
        "DiagnosticReport",
        "Immunization",
        "Medication",
        "MedicationRequest",
        "MedicationOrder",
        "Claim",
        "ExplanationOfBenefit",
    ]
    .contains(&kind)
}

/// Whether a name can be that of a resource type. The summary repeats no other name, which could be a personal value.
fn is_a_type(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_alphabetic())
}
