//! Disclosures: recording what was told of a patient to somebody outside, and taking back what was recorded by mistake
//! (45 CFR 164.528).

use hims_domain::disclosure::{Account, Disclosure, Event, Recorded, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::Create;
use hims_domain::values::Reason;
use hims_domain::{DisclosureId, PatientId, Personal, described};

use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::patient::check_not_erased;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RecordDisclosure>().add::<MarkDisclosureEnteredInError>();
}

refusals! {
    InTheFuture = Rule, "in-the-future",
        "a disclosure is recorded after it has happened; give the time at which it did";
}

described! {
    /// Records that something of a patient's record was disclosed to somebody outside of the hospital, for a purpose of
    /// which the patient may ask for an account. What serves treatment, payment or the hospital's own work, and what
    /// the patient agreed to, is not recorded.
    pub struct RecordDisclosure {
        /// The id of the new record; issued by the server if left out.
        pub id: Option<DisclosureId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// What was disclosed when, to whom and for what.
        #[serde(flatten)]
        pub account: Account,
    }
}

steps! {
    Disclosure by disclosure_id: DisclosureId, "Which disclosure.";

    /// Marks a disclosure that did not happen, or not so. The patient is not told of it any more.
    MarkDisclosureEnteredInError = "mark-disclosure-entered-in-error" needs Update::Disclosures
        with {
            /// What was mistaken.
            reason: Personal<Reason>,
        }
        moves status from [Status::Recorded] to [Status::EnteredInError] by Event::MarkedEnteredInError { reason };
}

/// The record of a disclosure holds nothing.
impl Claims for Disclosure {}

impl Command for RecordDisclosure {
    const NAME: &'static str = "record-disclosure";
    const PERMISSION: Permission = Permission::Create(Create::Disclosures);
    const REVERSED_BY: Option<&'static str> = Some(MarkDisclosureEnteredInError::NAME);
    type Aggregate = Disclosure;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Disclosure>, _: &Found) -> Reads {
        Reads::nothing().stream::<Patient>(self.patient_id)
    }

    fn decide(self, _: Option<&Disclosure>, ctx: &Context<'_>) -> Result<Decision<Disclosure>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        if self.account.disclosed_at > ctx.now {
            return refuse(Refused::from(Refusal::InTheFuture).at("/disclosed_at"));
        }
        let Self { id: _, patient_id, account } = self;
        Ok(Decision::event(Event::Recorded(Box::new(Recorded { patient_id, account }))))
    }
}

#[cfg(test)]
mod tests;
