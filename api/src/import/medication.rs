//! Medication, or the concept in a `MedicationRequest` -> medication of the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::medication::AddMedication;
use hims_commands::scopes;
use hims_domain::medication::{Details, Medication};
use hims_domain::values::Text;
use uuid::Uuid;

use super::ImportError;
use super::bundle::{self, MedicationRequest};
use super::datatypes::CodeableConcept;
use super::gather::Gathered;
use super::kept::Kept;
use super::reason::Reason;
use super::references::derived;
use super::summary::{Fate, Summary};
use super::writer::{Stop, Writer};

pub(super) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

/// A medication as the files name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Product {
    /// Derived from the `RxNorm` concept of the product, or else from another code, or else from the name.
    id: Uuid,
    name: String,
    rxnorm: Option<String>,
}

impl Product {
    /// The product that a concept names.
    pub(super) fn of(concept: &CodeableConcept) -> Option<Self> {
        let name = concept.words()?.to_owned();
        let rxnorm = concept.codes_in(RXNORM).next().map(str::to_owned);
        let coded = concept.coding.iter().find_map(|it| Some((it.system.as_deref()?, it.code.as_deref()?)));
        let key = match (&rxnorm, coded) {
            (Some(code), _) => format!("rxnorm|{code}"),
            (None, Some((system, code))) => format!("medication|{system}|{code}"),
            (None, None) => format!("medication|{}", name.to_lowercase()),
        };
        Some(Self { id: derived(&key), name, rxnorm })
    }

    /// The product that a request is for: named in the request, contained in the request, or a resource of its own.
    pub(super) fn requested(gathered: &Gathered, request: &MedicationRequest) -> Option<Self> {
        if let Some(concept) = &request.medication_codeable_concept {
            return Self::of(concept);
        }
        let reference = &request.medication_reference;
        if let Some(local) = reference.reference.as_deref().and_then(|it| it.strip_prefix('#')) {
            let mut contained =
                request.contained.iter().filter_map(|it| serde_json::from_str::<bundle::Medication>(it.get()).ok());
            return Self::of(&contained.find(|it| it.id.as_deref() == Some(local))?.code);
        }
        Self::of(&gathered.medications.get(gathered.references.resolve("Medication", reference)?)?.code)
    }

    /// The id of the product in the catalogue, if the catalogue holds the product: imported earlier, or added by a user
    /// with the same `RxNorm` concept.
    pub(super) async fn in_catalogue(&self, writer: &Writer<'_>) -> Result<Option<Uuid>, Stop> {
        if let Some((id, _)) = writer.referred::<Medication>(Some(self.id)).await? {
            return Ok(Some(id));
        }
        let Some(rxnorm) = &self.rxnorm else { return Ok(None) };
        let owners = writer.executor.store().owners(scopes::MEDICATION_RXNORM, rxnorm).await;
        Ok(owners.map_err(|error| ImportError::Log(error.into()))?.first().copied())
    }
}

/// Every product once, with the number of `Medication` resources for the product. Of several names, the first in
/// alphabetical order is taken. Resources without a name are counted as skipped.
pub(super) fn products(gathered: &Gathered, summary: &mut Summary) -> BTreeMap<Uuid, (Product, u64)> {
    let mut products: BTreeMap<Uuid, (Product, u64)> = BTreeMap::new();
    let mut named: Vec<(Product, u64)> = Vec::new();
    for found in gathered.medications.iter() {
        match Product::of(&found.resource.code) {
            Some(product) => named.push((product, found.copies)),
            None => summary.count("Medication", found.copies, Fate::Skipped(Reason::NoName)),
        }
    }
    let requests = gathered.medication_requests.iter();
    let requested = requests.filter_map(|it| Some((Product::requested(gathered, &it.resource)?, 0)));
    for (product, copies) in named.into_iter().chain(requested) {
        let entry = products.entry(product.id).or_insert_with(|| (product.clone(), 0));
        entry.0 = product.min(entry.0.clone());
        entry.1 += copies;
    }
    products
}

/// Adds a product to the catalogue.
pub(super) async fn import(writer: &Writer<'_>, product: Product) -> Result<Fate, Stop> {
    if product.in_catalogue(writer).await?.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept::default();
    let name: String = product.name.chars().take(200).collect();
    let details = Details {
        name: kept.text("code", Some(&name)).ok_or(Reason::NoName)?,
        generic_name: None,
        brand_name: None,
        strength: None,
        form: None,
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
