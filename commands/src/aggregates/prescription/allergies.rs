//! The recorded allergies of a patient that speak against what is prescribed or dispensed.

use std::collections::BTreeSet;

use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::{AllergyId, Invalid};

use crate::{Kind, Refused};

/// The active allergies in all records of a person that speak against a medication.
pub(super) fn against(person: &[&Patient], medication: &Medication) -> BTreeSet<AllergyId> {
    let known = person.iter().flat_map(|record| &record.allergies);
    known.filter(|(_, allergy)| allergy.is_to(&medication.details)).map(|(id, _)| *id).collect()
}

/// Allergies that speak against items of a request which give no reason to override them.
#[derive(Default)]
pub(super) struct Alerts {
    errors: Vec<Invalid>,
    allergies: BTreeSet<AllergyId>,
}

impl Alerts {
    /// Adds an alert for each allergy against an item. The message names the product. The allergen is a personal value,
    /// so the refusal has only the ids of the allergies, as candidates.
    pub(super) fn add(&mut self, pointer: &str, medication: &Medication, allergies: BTreeSet<AllergyId>) {
        let name = medication.details.name.as_str();
        let message = format!("the patient has a recorded allergy to {name}; choose another, or give override_reason");
        let alert = Invalid { pointer: pointer.to_owned(), message };
        self.errors.extend(allergies.iter().map(|_| alert.clone()));
        self.allergies.extend(allergies);
    }

    /// Succeeds if there is no alert.
    ///
    /// # Errors
    /// A refusal with one error for each alert, when there are alerts.
    pub(super) fn none(self) -> Result<(), Refused> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let detail = "the patient has recorded allergies (see candidates) to the items in errors; choose other \
                      medications, or repeat with an override_reason of 10 to 500 characters for each item";
        let candidates = self.allergies.into_iter().map(Into::into).collect();
        Err(Refused { errors: self.errors, candidates, ..Refused::new(Kind::Conflict, "needs-override", detail) })
    }
}
