//! Medication, or the concept in a `MedicationRequest` -> medication of the catalogue.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use hims_commands::medication::AddMedication;
use hims_commands::scopes;
use hims_domain::medication::{Details, Medication};
use hims_domain::values::Text;
use hims_domain::values::coding::RXNORM;
use uuid::Uuid;

use super::datatypes::CodeableConcept;
use super::gather::{Found, Gathered};
use super::kept::{Element, Kept};
use super::negation::says_absence;
use super::reason::Reason;
use super::references::derived;
use super::resources::{self, MedicationRequest};
use super::summary::{Fate, Place, Summary};
use super::unread;
use super::writer::{Step, Stop, Writer};

/// A medication as the files name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Product {
    /// Derived from the `RxNorm` concept of the product, or else from another code, or else from the name.
    id: Uuid,
    name: String,
    rxnorm: Option<String>,
    form: Option<String>,
}

impl Product {
    /// The product that a concept names.
    fn of(concept: &CodeableConcept, form: Option<&CodeableConcept>) -> Result<Self, Reason> {
        if says_absence(concept) {
            return Err(Reason::NothingKnown);
        }
        let name = concept.words().ok_or(Reason::NoName)?.to_owned();
        let rxnorm = concept.codes_in(RXNORM).next().map(str::to_owned);
        let coded = concept.coding.iter().find_map(|it| Some((it.system.as_deref()?, it.code.as_deref()?)));
        let key = match (&rxnorm, coded) {
            (Some(code), _) => format!("rxnorm|{code}"),
            (None, Some((system, code))) => format!("medication|{system}|{code}"),
            (None, None) => format!("medication|{}", name.to_lowercase()),
        };
        let form = form.and_then(|it| it.words()).map(str::to_owned);
        Ok(Self { id: derived(&key), name, rxnorm, form })
    }

    /// The product of a medication that was not entered in error.
    fn of_medication(medication: &resources::Medication) -> Result<Self, Reason> {
        match medication.status.as_deref() {
            None | Some("active" | "inactive") => {}
            Some("entered-in-error") => return Err(Reason::EnteredInError),
            Some(_) => return Err(Reason::UnknownStatus),
        }
        Self::of(&medication.code, medication.form.as_ref())
    }

    /// The product that a request is for: named in the request, contained in the request, or a resource of its own.
    ///
    /// # Errors
    /// When the request says that no medication is known, or names none.
    pub(super) fn requested(gathered: &Gathered, found: &Found<MedicationRequest>) -> Result<Self, Reason> {
        let request = &found.resource;
        let reference = &request.medication_reference;
        let local = reference.reference.as_deref().and_then(|it| it.strip_prefix('#'));
        let product = match (&request.medication_codeable_concept, local) {
            (Some(concept), _) => Self::of(concept, None),
            (None, Some(local)) => {
                let (medication, _) = contained(request, local).ok_or(Reason::NoMedication)?;
                Self::of_medication(&medication)
            }
            (None, None) => {
                let id = gathered.resolve("Medication", &found.origin, reference);
                let medication = id.and_then(|it| gathered.medications.get(it)).ok_or(Reason::NoMedication)?;
                medication.check_copies().and_then(|()| Self::of_medication(&medication.resource))
            }
        };
        product.map_err(|it| if it == Reason::NothingKnown { it } else { Reason::NoMedication })
    }

    /// The name of the product, and its `RxNorm` concept if it has one.
    pub(super) fn named(&self) -> (&str, Option<&str>) {
        (&self.name, self.rxnorm.as_deref())
    }

    /// The id of the product in the catalogue, if the catalogue holds the product: imported earlier, or added by a user
    /// with the same `RxNorm` concept.
    pub(super) async fn in_catalogue(&self, writer: &Writer<'_>) -> Result<Option<Uuid>, Stop> {
        if let Some((id, _)) = writer.referred::<Medication>(Some(self.id)).await? {
            return Ok(Some(id));
        }
        let Some(rxnorm) = &self.rxnorm else { return Ok(None) };
        Ok(writer.owners(scopes::MEDICATION_RXNORM, rxnorm).await?.first().copied())
    }
}

/// The medication that a request contains, and the elements of the medication that are not read.
pub(super) fn contained(request: &MedicationRequest, local: &str) -> Option<(resources::Medication, Vec<String>)> {
    let mut medications =
        request.contained.iter().filter_map(|it| unread::read::<resources::Medication>(it.get()).ok());
    medications.find(|(it, _)| it.id.as_deref() == Some(local))
}

/// A product, the places of the `Medication` resources for it, and what the record cannot keep of these resources.
pub(super) struct Named {
    product: Product,
    places: Vec<Place>,
    left_out: Vec<Element>,
}

/// Every product once. Of several names, the first in alphabetical order is taken. Resources without a name are counted
/// as skipped.
pub(super) fn products(gathered: &Gathered, summary: &mut Summary) -> BTreeMap<Uuid, Named> {
    let mut products: BTreeMap<Uuid, Named> = BTreeMap::new();
    let mut add = |product: Product, places: Vec<Place>, left_out: Vec<Element>| match products.entry(product.id) {
        Entry::Vacant(slot) => drop(slot.insert(Named { product, places, left_out })),
        Entry::Occupied(mut slot) => {
            let named = slot.get_mut();
            named.places.extend(places);
            named.left_out.extend(left_out);
            if product < named.product {
                named.product = product;
            }
        }
    };
    for found in gathered.medications.iter() {
        match found.check_copies().and_then(|()| Product::of_medication(&found.resource)) {
            Ok(product) => {
                let mut kept = found.kept();
                if found.resource.status.as_deref().is_some_and(|it| it != "active") {
                    kept.leave_out("status");
                }
                let codes = found.resource.code.coding.len() - usize::from(product.rxnorm.is_some());
                kept.leave_out_all("code.coding", codes);
                add(product, found.places.clone(), kept.left_out);
            }
            Err(reason) => summary.count("Medication", found.places.clone(), Fate::Skipped(reason)),
        }
    }
    for found in gathered.medication_requests.iter() {
        if let Ok(product) = Product::requested(gathered, found) {
            add(product, Vec::new(), Vec::new());
        }
    }
    products
}

/// Adds a product to the catalogue.
pub(super) async fn import(writer: &Writer<'_>, named: Named) -> Step {
    let Named { product, places, left_out } = named;
    vec![(places, add(writer, product, left_out).await)]
}

async fn add(writer: &Writer<'_>, product: Product, left_out: Vec<Element>) -> Result<Fate, Stop> {
    if product.in_catalogue(writer).await?.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept { left_out };
    let name: String = product.name.chars().take(200).collect();
    if name.len() < product.name.len() {
        kept.leave_out("code");
    }
    let details = Details {
        name: kept.text("code", Some(&name)).ok_or(Reason::NoName)?,
        generic_name: None,
        brand_name: None,
        strength: None,
        form: kept.text("form", product.form.as_deref()),
        route: None,
        drug_class: None,
        controlled_substance: false,
        dea_schedule: None,
        requires_prescription: true,
        rxnorm_code: product.rxnorm.as_deref().map(Text::from),
        ingredients: BTreeSet::new(),
    };
    writer.execute(AddMedication { id: Some(product.id.into()), details }, None).await?;
    Ok(Fate::Imported(kept.left_out))
}
