//! The erasure of a patient or a user: asked for by one user, confirmed or declined by another.

mod confirming;

use hims_domain::erasure::{Erasure, Event, Ground, Person, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::Reason;
use hims_domain::{ErasureId, PatientId, Personal, UserId, described};
use uuid::Uuid;

pub(crate) use confirming::ConfirmErasure;

use crate::aggregates::legal_hold::{check_not_held, reads_holds};
use crate::aggregates::patient::{self, reads_person, records_of};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<ErasePatient>().add::<EraseUser>().add::<ConfirmErasure>().add::<DeclineErasure>();
}

refusals! {
    NoUser = Rule, "not-a-person", "only a person who is logged in asks for an erasure";
    Oneself = Rule, "own-erasure", "somebody else must decide about the erasure of your own record";
    AskedFor = Conflict, "asked-for-already",
        "this erasure was asked for already (see candidates); confirm or decline it";
    SecondPerson = Rule, "second-person-needed", "somebody other than the one who asked must confirm the erasure";
    Decided { status: Status } = Conflict, "wrong-status", "the erasure is {status} already";
    InTreatment = Conflict, "in-treatment",
        "a consultation of the patient is in progress (see candidates); complete or cancel it first";
    UserErased = Conflict, "erased", "the user was erased already";
}

described! {
    /// Asks that a patient be erased, with the records that were merged into theirs and the login with which the patient
    /// uses the portal. Nothing happens until somebody else confirms it. What is not personal stays: codes, measured
    /// values, amounts and times, under ids that lead to nobody.
    pub struct ErasePatient {
        /// The id of the new erasure; issued by the server if left out.
        pub id: Option<ErasureId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// On which ground the patient is erased.
        pub ground: Ground,
        /// Why the patient is erased; erased with the patient.
        pub reason: Personal<Reason>,
    }

    /// Asks that a user be erased. Nothing happens until somebody else confirms it. What the user did stays, under an id
    /// that leads to nobody.
    pub struct EraseUser {
        /// The id of the new erasure; issued by the server if left out.
        pub id: Option<ErasureId>,
        /// Which user.
        pub user_id: UserId,
        /// On which ground the user is erased.
        pub ground: Ground,
        /// Why the user is erased; erased with the user.
        pub reason: Personal<Reason>,
    }

    /// Declines an erasure that was asked for. Whoever asked for it can take it back in this way.
    pub struct DeclineErasure {
        /// Which erasure.
        pub erasure_id: ErasureId,
        /// Why the person is not erased.
        pub reason: Personal<Reason>,
    }
}

impl Claims for Erasure {
    /// The erasures of a person that were not declined are found by the id of the person.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status != Status::Declined {
            held.share(scopes::ERASURES_OF_PERSON, self.person.to_string());
        }
    }
}

/// Also looks up what can stand against the erasure of a person by one of their ids: holds, and other erasures.
fn reads_against(reads: Reads, id: Uuid) -> Reads {
    reads_holds(reads, id).owners::<Erasure>(scopes::ERASURES_OF_PERSON, id.to_string())
}

/// Also looks up the records of a patient, and what can stand against their erasure.
fn reads_patient(id: PatientId, found: &Found) -> Reads {
    let reads = reads_person(Reads::nothing(), id, found);
    records_of(id, found).into_iter().fold(reads, |reads, id| reads_against(reads, id.0))
}

/// Refuses a second erasure of a person beside one that was asked for.
fn check_first(id: Uuid, found: &Found) -> Result<(), Refused> {
    let asked: Vec<_> = found.owners::<Erasure>(scopes::ERASURES_OF_PERSON, id.to_string()).map(|(id, _)| id).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let refused: Refused = Refusal::AskedFor.into();
    Err(Refused { candidates: asked, ..refused })
}

fn requested(person: Person, ground: Ground, reason: Personal<Reason>, ctx: &Context<'_>) -> Result<Event, Refused> {
    let Some(requested_by) = ctx.caller.user_id() else { return refuse(Refusal::NoUser) };
    Ok(Event::Requested { person, requested_by, ground, reason })
}

impl Command for ErasePatient {
    const NAME: &'static str = "erase-patient";
    const PERMISSION: Permission = Permission::Create(Create::Erasures);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(DeclineErasure::NAME);
    type Aggregate = Erasure;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Erasure>, found: &Found) -> Reads {
        reads_patient(self.patient_id, found)
    }

    fn decide(self, _: Option<&Erasure>, ctx: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        patient::check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        if ctx.caller.is_patient(self.patient_id) {
            return refuse(Refusal::Oneself);
        }
        for id in records_of(self.patient_id, ctx.found) {
            check_not_held(id.0, ctx.found)?;
            check_first(id.0, ctx.found)?;
        }
        let Self { id: _, patient_id, ground, reason } = self;
        requested(Person::Patient(patient_id), ground, reason, ctx).map(Decision::event)
    }
}

impl Command for EraseUser {
    const NAME: &'static str = "erase-user";
    const PERMISSION: Permission = Permission::Create(Create::Erasures);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(DeclineErasure::NAME);
    type Aggregate = Erasure;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Erasure>, _: &Found) -> Reads {
        reads_against(Reads::nothing().stream::<User>(self.user_id), self.user_id.0)
    }

    fn decide(self, _: Option<&Erasure>, ctx: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        if ctx.named::<User>(self.user_id, "/user_id")?.is_erased() {
            return refuse(Refusal::UserErased);
        }
        if ctx.caller.user_id() == Some(self.user_id) {
            return refuse(Refusal::Oneself);
        }
        check_not_held(self.user_id.0, ctx.found)?;
        check_first(self.user_id.0, ctx.found)?;
        let Self { id: _, user_id, ground, reason } = self;
        requested(Person::User(user_id), ground, reason, ctx).map(Decision::event)
    }
}

impl Command for DeclineErasure {
    const NAME: &'static str = "decline-erasure";
    const PERMISSION: Permission = Permission::Update(Update::Erasures);
    type Aggregate = Erasure;

    fn target(&self) -> Target {
        Target::existing(self.erasure_id)
    }

    fn is_own(&self, state: Option<&Erasure>, caller: &Caller) -> bool {
        state.is_some_and(|it| caller.user_id() == Some(it.requested_by))
    }

    fn follows_on(state: &Erasure) -> bool {
        state.status == Status::Requested
    }

    fn decide(self, state: Option<&Erasure>, _: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        match existing(state)?.status {
            Status::Requested => Ok(Decision::event(Event::Declined { reason: self.reason })),
            Status::Declined => Ok(Decision::nothing()),
            status @ Status::Confirmed => refuse(Refusal::Decided { status }),
        }
    }
}

#[cfg(test)]
mod tests;
