//! Payers: adding and changing payers, taking payers out of use and back into use.

use hims_domain::PayerId;
use hims_domain::payer::{Details, Event, Payer};
use uuid::Uuid;

use crate::machinery::catalogue::catalogue;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Context, Held, Refused, Registry, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddPayer>().add::<ChangePayer>().add::<DeactivatePayer>().add::<ReactivatePayer>();
}

refusals! {
    Inactive = Conflict, "inactive-payer", "the payer is out of use; choose another, or take it back into use";
}

catalogue! {
    Payer by payer_id: PayerId, "Which payer.";
    details: Details, "The payer's details.", checked by check;

    /// Adds a payer, such as an insurer.
    AddPayer = "add-payer" needs Create::Payers
        with {
            /// The id of the new payer; issued by the server if left out.
            id
        }
        by Event::Added(details), undone by DeactivatePayer;

    /// Changes a payer's details.
    ChangePayer = "change-payer" needs Update::Payers
        with {
            /// The fields to change; a field that is left out stays, null empties a field.
            changes
        }
        by Event::Changed(details);
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

fn check(details: &Details, _: Option<&Details>, _: &Context<'_>) -> Result<(), Refused> {
    if details.timely_filing_days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(Refused::field("out-of-range", "/timely_filing_days", "give 1 to 3650 days, or leave it out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
