//! Payers: adding and changing payers, taking payers out of use and back into use.

use hims_domain::payer::{Details, Event, Payer};
use hims_domain::permission::{Create, Update};
use hims_domain::{PayerId, described};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Held, Patch, Permission, Refused, Registry, Target, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddPayer>().add::<ChangePayer>().add::<DeactivatePayer>().add::<ReactivatePayer>();
}

refusals! {
    Inactive = Conflict, "inactive-payer", "the payer is out of use; choose another, or take it back into use";
}

described! {
    /// Adds a payer, such as an insurer.
    pub struct AddPayer {
        /// The id of the new payer; issued by the server if left out.
        pub id: Option<PayerId>,
        /// The payer's details.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes a payer's details.
    pub struct ChangePayer {
        /// Which payer.
        pub payer_id: PayerId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

}

steps! {
    Payer by payer_id: PayerId, "Which payer.";

    /// Takes a payer out of use: no more policies of the payer can be added or verified. Existing policies stay.
    DeactivatePayer = "deactivate-payer" needs Update::Payers
        moves is_active from [true] to [false] by Event::Deactivated, undone by ReactivatePayer;

    /// Takes a payer back into use.
    ReactivatePayer = "reactivate-payer" needs Update::Payers
        moves is_active from [false] to [true] by Event::Reactivated, undone by DeactivatePayer;
}

impl Claims for Payer {
    /// The code is unique, regardless of upper and lower case.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::PAYER_CODE, self.details.code.as_str().to_uppercase());
    }
}

/// The payer that a request names in `payer_id`; refused unless the payer is in use.
pub(crate) fn active_payer<'a>(ctx: &'a Context<'_>, id: PayerId) -> Result<&'a Payer, Refused> {
    let payer = ctx.named::<Payer>(id, "/payer_id")?;
    if payer.is_active { Ok(payer) } else { refuse(Refusal::Inactive) }
}

fn check(details: &Details) -> Result<(), Refused> {
    if details.timely_filing_days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(Refused::field("out-of-range", "/timely_filing_days", "give 1 to 3650 days, or leave it out"));
    }
    Ok(())
}

impl Command for AddPayer {
    const NAME: &'static str = "add-payer";
    const PERMISSION: Permission = Permission::Create(Create::Payers);
    const REVERSED_BY: Option<&'static str> = Some(DeactivatePayer::NAME);
    type Aggregate = Payer;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&Payer>, _: &Context<'_>) -> Result<Decision<Payer>, Refused> {
        check(&self.details)?;
        Ok(Decision::event(Event::Added(self.details)))
    }
}

impl Command for ChangePayer {
    const NAME: &'static str = "change-payer";
    const PERMISSION: Permission = Permission::Update(Update::Payers);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Payer;

    fn target(&self) -> Target {
        Target::existing(self.payer_id)
    }

    fn decide(self, state: Option<&Payer>, _: &Context<'_>) -> Result<Decision<Payer>, Refused> {
        let payer = existing(state)?;
        let details = self.changes.apply(&payer.details)?;
        if details == payer.details {
            return Ok(Decision::nothing());
        }
        check(&details)?;
        Ok(Decision::event(Event::Changed(details)))
    }
}

#[cfg(test)]
mod tests;
