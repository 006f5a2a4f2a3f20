//! Comparing products by their ingredients.

use std::collections::BTreeSet;

use hims_domain::alert::{Alert, Kind, Other, Severity};
use hims_domain::medication::Medication;
use hims_domain::medication_list::{Entry, Origin};
use hims_domain::values::Text;
use hims_domain::{MedicationEntryId, PrescriptionItemId};

use super::{Compared, Noticed, alert, not_checkable};
use crate::aggregates::interaction_profile::known_of;
use crate::{Context, Found};

/// A product that the patient takes, or is to take.
pub(super) struct Product<'a> {
    /// How alerts name the product: a line of the prescription, or an entry of a medication list.
    pub(super) what: Other,
    /// The name of the product in the catalogue.
    name: Option<&'a str>,
    /// The ingredients; `None` if they are not known.
    pub(super) ingredients: Option<&'a BTreeSet<Text<20>>>,
}

/// The product of a line.
pub(super) fn in_catalogue<'a>(line: &Compared<'a>) -> Product<'a> {
    let details = &line.medication.details;
    Product {
        what: Other::PrescriptionItem(line.item_id),
        name: Some(details.name.as_str()),
        ingredients: Some(&details.ingredients).filter(|it| !it.is_empty()),
    }
}

/// The product of an entry of a medication list. An entry that began with the prescription to which the command applies
/// is named as its line.
pub(super) fn of_entry<'a>(id: MedicationEntryId, entry: &'a Entry, ctx: &'a Context<'_>) -> Product<'a> {
    let what = match entry.origin {
        Origin::PrescribedHere { prescription_id, item_id } if prescription_id.0 == ctx.id => {
            Other::PrescriptionItem(item_id)
        }
        Origin::PrescribedHere { .. } | Origin::Told(_) => Other::MedicationEntry(id),
    };
    let product = entry.taken.medication_id.and_then(|it| ctx.found.get::<Medication>(it));
    Product {
        what,
        name: product.map(|it| it.details.name.as_str()),
        ingredients: entry.taken.ingredients.as_ref().filter(|it| !it.is_empty()),
    }
}

impl Product<'_> {
    /// The name of the product, as far as it is no personal value.
    pub(super) fn name(&self) -> &str {
        self.name.unwrap_or("a medication that the patient's list has in words")
    }

    /// Whether the product belongs to no line of the prescription to which the command applies.
    pub(super) fn is_of_another_prescription(&self) -> bool {
        !matches!(self.what, Other::PrescriptionItem(_))
    }

    /// The alert that an entry of the list could not be compared, since its ingredients are not known.
    pub(super) fn not_comparable(&self) -> Noticed {
        let message = format!("{} has no known ingredients, so it could not be compared", self.name());
        not_checkable(None, Some(self.what), message)
    }
}

/// The alerts about a line and another product that the patient takes: one for each pair of ingredients.
pub(super) fn compare(
    item_id: PrescriptionItemId,
    product: &Product<'_>,
    other: &Product<'_>,
    found: &Found,
) -> Vec<Noticed> {
    let (own, others) = (product.ingredients.into_iter().flatten(), || other.ingredients.into_iter().flatten());
    let pairs = own.flat_map(|one| others().map(move |other| (one, other)));
    pairs.filter_map(|pair| compare_pair(item_id, (product, other), pair, found)).collect()
}

fn compare_pair(
    item_id: PrescriptionItemId,
    (product, other): (&Product<'_>, &Product<'_>),
    (ingredient, other_ingredient): (&Text<20>, &Text<20>),
    found: &Found,
) -> Option<Noticed> {
    let of = |kind, severity| Alert {
        ingredient: Some(ingredient.clone()),
        other_ingredient: Some(other_ingredient.clone()),
        ..alert(Some(item_id), kind, severity, Some(other.what))
    };
    let names = format!("{} and {}", product.name(), other.name());
    if ingredient == other_ingredient {
        let message = format!("{names} have an ingredient in common (RxCUI {})", ingredient.as_str());
        return Some(Noticed { alert: of(Kind::Duplicate, Severity::Moderate), message });
    }
    let known = known_of(ingredient, other_ingredient, found)?;
    let severity = Severity::of(known.severity)?;
    let version = known.version.as_ref().map(|it| format!(" {}", it.as_str())).unwrap_or_default();
    let message = format!("{names} interact: {severity}, according to {}{version}", known.source.as_str());
    let alert = Alert { source: Some(known.source), source_version: known.version, ..of(Kind::Interaction, severity) };
    Some(Noticed { alert, message })
}
