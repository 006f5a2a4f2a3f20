//! The units in which a product is counted. A product learns each unit from the first lot or order that has the unit.

use hims_domain::medication::{Event, Medication};
use hims_domain::values::Unit;
use hims_domain::{Invalid, MedicationId};

use crate::{Claims, Decision, Refused};

/// Units of a request that its products did not have before.
#[derive(Default)]
pub(crate) struct NewUnits {
    errors: Vec<Invalid>,
    introduced: Vec<(MedicationId, Unit)>,
}

impl NewUnits {
    /// Compares the unit in a field of the request with the units of the product.
    pub(crate) fn compare(&mut self, field: String, id: MedicationId, medication: &Medication, unit: &Unit) {
        if medication.units.contains(unit) {
            return;
        }
        let (name, known) = (medication.details.name.as_str(), &medication.units);
        let message = if known.is_empty() {
            format!("no unit of {name} is known yet; confirm_unit if the unit is right")
        } else {
            let known = known.iter().map(Unit::as_str).collect::<Vec<_>>().join(", ");
            format!("give a unit of {name} ({known}), or confirm_unit")
        };
        self.errors.push(Invalid::new(field, message));
        let new = (id, unit.clone());
        if !self.introduced.contains(&new) {
            self.introduced.push(new);
        }
    }

    /// Succeeds if there is no new unit.
    ///
    /// # Errors
    /// A refusal that names the units of the products, when there are new units.
    pub(crate) fn none(&self) -> Result<(), Refused> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let detail = "no lot and no earlier order of the product is in this unit; give one of the units that errors \
                      name, or repeat with confirm_unit if the unit is right";
        Err(Refused { code: "unknown-unit", detail: detail.to_owned(), ..Refused::invalid(self.errors.clone()) })
    }

    /// Adds to a decision that the products have the new units from now on.
    pub(crate) fn introduce<A: Claims>(self, decision: Decision<A>) -> Decision<A> {
        self.introduced
            .into_iter()
            .fold(decision, |decision, (id, unit)| decision.also::<Medication>(id, Event::UnitIntroduced { unit }))
    }
}
