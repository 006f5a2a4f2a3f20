//! Suppliers: adding and changing suppliers, taking suppliers out of use and back into use.

use hims_domain::SupplierId;
use hims_domain::supplier::{Details, Event, Supplier};
use uuid::Uuid;

use crate::machinery::catalogue::catalogue;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Context, Held, Refused, Registry, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddSupplier>().add::<ChangeSupplier>().add::<DeactivateSupplier>().add::<ReactivateSupplier>();
}

refusals! {
    Inactive = Conflict, "inactive-supplier", "the supplier is out of use; choose another, or take it back into use";
}

catalogue! {
    Supplier by supplier_id: SupplierId, "Which supplier.";
    details: Details, "The supplier's details.", checked by check;

    /// Adds a supplier of medicines or supplies.
    AddSupplier = "add-supplier" needs Create::Suppliers
        with {
            /// The id of the new supplier; issued by the server if left out.
            id
        }
        by Event::Added(Box::new(details)), undone by DeactivateSupplier;

    /// Changes a supplier's details.
    ChangeSupplier = "change-supplier" needs Update::Suppliers
        with {
            /// The fields to change; a field that is left out stays, null empties a field.
            changes
        }
        by Event::Changed(Box::new(details));
}

steps! {
    Supplier by supplier_id: SupplierId, "Which supplier.";

    /// Takes a supplier out of use: no receipt names the supplier any more. What was received stays.
    DeactivateSupplier = "deactivate-supplier" needs Update::Suppliers
        moves is_active from [true] to [false] by Event::Deactivated, undone by ReactivateSupplier;

    /// Takes a supplier back into use.
    ReactivateSupplier = "reactivate-supplier" needs Update::Suppliers
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivateSupplier;
}

impl Claims for Supplier {
    /// The code is unique, regardless of upper and lower case.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::SUPPLIER_CODE, self.details.code.as_str().to_uppercase());
    }
}

/// Refuses a supplier who does not exist or is out of use, if a request names one in a field.
pub(crate) fn check_supplier(ctx: &Context<'_>, named: Option<SupplierId>, field: &str) -> Result<(), Refused> {
    let Some(id) = named else { return Ok(()) };
    if ctx.named::<Supplier>(id, field)?.is_active { Ok(()) } else { refuse(Refusal::Inactive) }
}

fn check(details: &Details, _: Option<&Details>, _: &Context<'_>) -> Result<(), Refused> {
    if details.lead_time_days.is_some_and(|days| !(0..=365).contains(&days)) {
        return Err(Refused::field("out-of-range", "/lead_time_days", "give 0 to 365 days, or leave it out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
