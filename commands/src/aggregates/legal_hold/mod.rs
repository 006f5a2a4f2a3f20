//! Legal holds, which keep the records of a person from being erased.

use hims_domain::erasure::Person;
use hims_domain::legal_hold::{Event, LegalHold};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::{Reason, Text};
use hims_domain::{LegalHoldId, PatientId, Personal, UserId, described};
use uuid::Uuid;

use crate::aggregates::patient::check_not_erased;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<PlaceLegalHold>().add::<ReleaseLegalHold>();
}

refusals! {
    Whom = Rule, "invalid-fields", "name one person whose records are held: give patient_id or user_id, and not both";
    Held = Conflict, "legal-hold", "the records are under a legal hold (see candidates); it must be released first";
    UserErased = Conflict, "erased", "the user was erased; there is nothing left to hold";
}

described! {
    /// Holds the records of a patient or a user, so that they cannot be erased until the hold is released.
    pub struct PlaceLegalHold {
        /// The id of the new hold; issued by the server if left out.
        pub id: Option<LegalHoldId>,
        /// The patient whose records are held.
        pub patient_id: Option<PatientId>,
        /// The user whose records are held.
        pub user_id: Option<UserId>,
        /// The number of the case for which the records are held.
        pub case_number: Option<Personal<Text<100>>>,
        /// Why the records are held.
        pub reason: Personal<Reason>,
    }

    /// Releases a legal hold.
    pub struct ReleaseLegalHold {
        /// Which hold.
        pub legal_hold_id: LegalHoldId,
        /// Why the hold ends.
        pub reason: Personal<Reason>,
    }
}

impl Claims for LegalHold {
    /// The holds on the records of a person are found by the id of the person until they are released.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if !self.is_released {
            held.share(scopes::HOLDS_OF_PERSON, self.person.to_string());
        }
    }
}

/// Also looks up the legal holds on the records of a person.
pub(crate) fn reads_holds(reads: Reads, person: Uuid) -> Reads {
    reads.owners::<LegalHold>(scopes::HOLDS_OF_PERSON, person.to_string())
}

/// Refuses what would erase records that are held.
pub(crate) fn check_not_held(person: Uuid, found: &Found) -> Result<(), Refused> {
    let holds = found.owners::<LegalHold>(scopes::HOLDS_OF_PERSON, person.to_string());
    let candidates: Vec<_> = holds.map(|(id, _)| id).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let refused: Refused = Refusal::Held.into();
    Err(Refused { candidates, ..refused })
}

impl Command for PlaceLegalHold {
    const NAME: &'static str = "place-legal-hold";
    const PERMISSION: Permission = Permission::Create(Create::LegalHolds);
    const REVERSED_BY: Option<&'static str> = Some(ReleaseLegalHold::NAME);
    type Aggregate = LegalHold;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&LegalHold>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Patient>(self.patient_id).maybe::<User>(self.user_id)
    }

    fn decide(self, _: Option<&LegalHold>, ctx: &Context<'_>) -> Result<Decision<LegalHold>, Refused> {
        let person = match (self.patient_id, self.user_id) {
            (Some(id), None) => {
                check_not_erased(ctx.named::<Patient>(id, "/patient_id")?)?;
                Person::Patient(id)
            }
            (None, Some(id)) => {
                if ctx.named::<User>(id, "/user_id")?.is_erased() {
                    return refuse(Refusal::UserErased);
                }
                Person::User(id)
            }
            (None, None) | (Some(_), Some(_)) => return refuse(Refusal::Whom),
        };
        let Self { case_number, reason, .. } = self;
        Ok(Decision::event(Event::Placed { person, case_number, reason }))
    }
}

impl Command for ReleaseLegalHold {
    const NAME: &'static str = "release-legal-hold";
    const PERMISSION: Permission = Permission::Update(Update::LegalHolds);
    type Aggregate = LegalHold;

    fn target(&self) -> Target {
        Target::existing(self.legal_hold_id)
    }

    fn follows_on(state: &LegalHold) -> bool {
        !state.is_released
    }

    fn decide(self, state: Option<&LegalHold>, _: &Context<'_>) -> Result<Decision<LegalHold>, Refused> {
        match existing(state)?.is_released {
            true => Ok(Decision::nothing()),
            false => Ok(Decision::event(Event::Released { reason: self.reason })),
        }
    }
}

#[cfg(test)]
mod tests;
