//! The medication catalogue: adding and changing products, taking products out of use and back into use.

mod units;

use hims_domain::medication::{Details, Event, Medication};
use hims_domain::permission::{Create, Update};
use hims_domain::values::Text;
use hims_domain::{MedicationId, described};
use uuid::Uuid;

pub(crate) use units::NewUnits;

use crate::machinery::command::existing;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Held, Patch, Permission, Refused, Registry, Target, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddMedication>()
        .add::<ChangeMedication>()
        .add::<DeactivateMedication>()
        .add::<ReactivateMedication>();
}

described! {
    /// Adds a product to the catalogue.
    pub struct AddMedication {
        /// The id of the new product; issued by the server if left out.
        pub id: Option<MedicationId>,
        /// The product's details.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes a product's details.
    pub struct ChangeMedication {
        /// Which product.
        pub medication_id: MedicationId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

}

steps! {
    Medication by medication_id: MedicationId, "Which product.";

    /// Takes a product out of use: the product can no longer be prescribed.
    DeactivateMedication = "deactivate-medication" needs Update::Medications
        moves is_active from [true] to [false] by Event::Deactivated, undone by ReactivateMedication;

    /// Takes a product back into use.
    ReactivateMedication = "reactivate-medication" needs Update::Medications
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivateMedication;
}

impl Claims for Medication {
    /// An RxNorm code belongs to one product only.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take_if(scopes::MEDICATION_RXNORM, self.details.rxnorm_code.as_ref().map(Text::as_str));
    }
}

fn check(details: &Details) -> Result<(), Refused> {
    const SCHEDULES: [&str; 5] = ["I", "II", "III", "IV", "V"];
    match &details.dea_schedule {
        Some(schedule) if !SCHEDULES.contains(&schedule.as_str()) => {
            Err(Refused::field("out-of-range", "/dea_schedule", "give a schedule of I to V"))
        }
        Some(_) if !details.controlled_substance => {
            Err(Refused::field("not-controlled", "/dea_schedule", "only a controlled substance has a schedule"))
        }
        _ => Ok(()),
    }
}

impl Command for AddMedication {
    const NAME: &'static str = "add-medication";
    const PERMISSION: Permission = Permission::Create(Create::Medications);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateMedication::NAME);
    type Aggregate = Medication;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&Medication>, _: &Context<'_>) -> Result<Decision<Medication>, Refused> {
        check(&self.details)?;
        Ok(Decision::event(Event::Added(self.details)))
    }
}

impl Command for ChangeMedication {
    const NAME: &'static str = "change-medication";
    const PERMISSION: Permission = Permission::Update(Update::Medications);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Medication;

    fn target(&self) -> Target {
        Target::existing(self.medication_id)
    }

    fn decide(self, state: Option<&Medication>, _: &Context<'_>) -> Result<Decision<Medication>, Refused> {
        let medication = existing(state)?;
        let details = self.changes.apply(&medication.details)?;
        if details == medication.details {
            return Ok(Decision::nothing());
        }
        check(&details)?;
        Ok(Decision::event(Event::Changed(details)))
    }
}

#[cfg(test)]
mod tests;
