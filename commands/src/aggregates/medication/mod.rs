//! The medication catalogue: adding and changing products, taking products out of use and back into use.

mod units;

use hims_domain::MedicationId;
use hims_domain::medication::{Details, Event, Medication};
use hims_domain::values::Text;
use uuid::Uuid;

pub(crate) use units::NewUnits;

use crate::machinery::catalogue::catalogue;
use crate::machinery::step::steps;
use crate::{Claims, Context, Held, Refused, Registry, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddMedication>()
        .add::<ChangeMedication>()
        .add::<DeactivateMedication>()
        .add::<ReactivateMedication>();
}

catalogue! {
    Medication by medication_id: MedicationId, "Which product.";
    details: Details, "The product's details.", checked by check;

    /// Adds a product to the catalogue.
    AddMedication = "add-medication" needs Create::Medications
        with {
            /// The id of the new product; issued by the server if left out.
            id
        }
        by Event::Added(details), undone by DeactivateMedication;

    /// Changes a product's details.
    ChangeMedication = "change-medication" needs Update::Medications
        with {
            /// The fields to change; a field that is left out stays, null empties a field.
            changes
        }
        by Event::Changed(details);
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

fn check(details: &Details, _: Option<&Details>, _: &Context<'_>) -> Result<(), Refused> {
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

#[cfg(test)]
mod tests;
