//! The recorded allergies of a patient that speak against what is prescribed or dispensed.

use std::collections::BTreeSet;

use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::prescription::{Line, OverriddenAllergies, Override, Prescription};
use hims_domain::values::OverrideReason;
use hims_domain::{AllergyId, Invalid, Personal};

use crate::patient::person;
use crate::{Context, Kind, Reads, Refused};

/// The active allergies in all records of a person that speak against a medication, with their severity.
pub(super) fn against(person: &[&Patient], medication: &Medication) -> OverriddenAllergies {
    let known = person.iter().flat_map(|record| &record.allergies);
    let speaking = known.filter(|(_, allergy)| allergy.is_to(&medication.details));
    speaking.map(|(id, allergy)| (*id, allergy.severity)).collect()
}

/// Looks up what [`overrides`] compares for a line of a prescription.
pub(super) fn reads(reads: Reads, line: &Line) -> Reads {
    reads.stream::<Medication>(line.item.order.medication_id)
}

/// The overrides of allergies to the lines of a prescription that are dispensed. An allergy that was overridden when
/// the prescription was written, or in an earlier dispensing, needs no other reason unless it has become more severe.
/// `reason` is the reason that the request gives for a line, `at` the place of the line in the request.
///
/// # Errors
/// A refusal with every allergy for which the request gives no reason.
pub(super) fn overrides<'a>(
    prescription: &Prescription,
    lines: impl Iterator<Item = &'a Line>,
    ctx: &Context<'_>,
    reason: impl Fn(&Line) -> Option<Personal<OverrideReason>>,
    at: impl Fn(&Line) -> String,
) -> Result<Vec<Override>, Refused> {
    let person = person(prescription.patient_id, ctx.found);
    let (mut alerts, mut overrides) = (Alerts::default(), Vec::new());
    for line in lines {
        let medication = ctx.named::<Medication>(line.item.order.medication_id, "/prescription_id")?;
        let mut allergies = against(&person, medication);
        allergies.retain(|id, severity| line.overridden_allergies.get(id).is_none_or(|then| *severity > *then));
        if allergies.is_empty() {
            continue;
        }
        match reason(line) {
            Some(reason) => overrides.push(Override { item_id: line.item.id, allergies, reason }),
            None => alerts.add(&at(line), medication, &allergies),
        }
    }
    alerts.none().map(|()| overrides)
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
    pub(super) fn add(&mut self, pointer: &str, medication: &Medication, allergies: &OverriddenAllergies) {
        let name = medication.details.name.as_str();
        let message = format!("the patient has a recorded allergy to {name}; choose another, or give override_reason");
        let alert = Invalid::new(pointer, message);
        self.errors.extend(allergies.iter().map(|_| alert.clone()));
        self.allergies.extend(allergies.keys());
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
