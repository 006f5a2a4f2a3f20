//! Suppliers: adding and changing suppliers, taking suppliers out of use and back into use.

use hims_domain::permission::{Create, Update};
use hims_domain::supplier::{Details, Event, Supplier};
use hims_domain::{SupplierId, described};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Held, Patch, Permission, Refused, Registry, Target, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddSupplier>().add::<ChangeSupplier>().add::<DeactivateSupplier>().add::<ReactivateSupplier>();
}

refusals! {
    Inactive = Conflict, "inactive-supplier", "the supplier is out of use; choose another, or take it back into use";
}

described! {
    /// Adds a supplier of medicines or supplies.
    pub struct AddSupplier {
        /// The id of the new supplier; issued by the server if left out.
        pub id: Option<SupplierId>,
        /// The supplier's details.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes a supplier's details.
    pub struct ChangeSupplier {
        /// Which supplier.
        pub supplier_id: SupplierId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

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

fn check(details: &Details) -> Result<(), Refused> {
    if details.lead_time_days.is_some_and(|days| !(0..=365).contains(&days)) {
        return Err(Refused::field("out-of-range", "/lead_time_days", "give 0 to 365 days, or leave it out"));
    }
    Ok(())
}

impl Command for AddSupplier {
    const NAME: &'static str = "add-supplier";
    const PERMISSION: Permission = Permission::Create(Create::Suppliers);
    const REVERSED_BY: Option<&'static str> = Some(DeactivateSupplier::NAME);
    type Aggregate = Supplier;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&Supplier>, _: &Context<'_>) -> Result<Decision<Supplier>, Refused> {
        check(&self.details)?;
        Ok(Decision::event(Event::Added(Box::new(self.details))))
    }
}

impl Command for ChangeSupplier {
    const NAME: &'static str = "change-supplier";
    const PERMISSION: Permission = Permission::Update(Update::Suppliers);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Supplier;

    fn target(&self) -> Target {
        Target::existing(self.supplier_id)
    }

    fn decide(self, state: Option<&Supplier>, _: &Context<'_>) -> Result<Decision<Supplier>, Refused> {
        let supplier = existing(state)?;
        let details = self.changes.apply(&supplier.details)?;
        if details == supplier.details {
            return Ok(Decision::nothing());
        }
        check(&details)?;
        Ok(Decision::event(Event::Changed(Box::new(details))))
    }
}

#[cfg(test)]
mod tests;
