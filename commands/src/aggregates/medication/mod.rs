//! The medication catalogue.

use hims_domain::medication::{Details, Event, Medication};
use hims_domain::permission::{Create, Update};
use hims_domain::{MedicationId, described};

use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Patch, Permission, Refused, Registry, Target, scopes};

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
        /// Issued unless given.
        pub id: Option<MedicationId>,
        /// What it is.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes what is known of a product.
    pub struct ChangeMedication {
        /// Which product.
        pub medication_id: MedicationId,
        /// What changes; what is left out stays, null empties.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

    /// Takes a product out of use: it can no longer be prescribed.
    pub struct DeactivateMedication {
        /// Which product.
        pub medication_id: MedicationId,
    }

    /// Takes a product back into use.
    pub struct ReactivateMedication {
        /// Which product.
        pub medication_id: MedicationId,
    }
}

fn rxnorm(details: &Details) -> Option<String> {
    details.rxnorm_code.as_ref().map(|it| it.as_str().to_owned())
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
    type Aggregate = Medication;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&Medication>, _: &Context<'_>) -> Result<Decision<Medication>, Refused> {
        check(&self.details)?;
        let code = rxnorm(&self.details);
        Ok(Decision::event(Event::Added(self.details)).exchange(scopes::MEDICATION_RXNORM, None, code))
    }
}

impl Command for ChangeMedication {
    const NAME: &'static str = "change-medication";
    const PERMISSION: Permission = Permission::Update(Update::Medications);
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
        let (old, new) = (rxnorm(&medication.details), rxnorm(&details));
        Ok(Decision::event(Event::Changed(details)).exchange(scopes::MEDICATION_RXNORM, old, new))
    }
}

impl Command for DeactivateMedication {
    const NAME: &'static str = "deactivate-medication";
    const PERMISSION: Permission = Permission::Update(Update::Medications);
    type Aggregate = Medication;

    fn target(&self) -> Target {
        Target::existing(self.medication_id)
    }

    fn decide(self, state: Option<&Medication>, _: &Context<'_>) -> Result<Decision<Medication>, Refused> {
        if !existing(state)?.is_active {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Deactivated))
    }
}

impl Command for ReactivateMedication {
    const NAME: &'static str = "reactivate-medication";
    const PERMISSION: Permission = Permission::Update(Update::Medications);
    type Aggregate = Medication;

    fn target(&self) -> Target {
        Target::existing(self.medication_id)
    }

    fn decide(self, state: Option<&Medication>, _: &Context<'_>) -> Result<Decision<Medication>, Refused> {
        if existing(state)?.is_active {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Reactivated))
    }
}

#[cfg(test)]
mod tests;
