//! Confirming an erasure, which destroys the keys of the person in the same append.

use hims_domain::consultation::Consultation;
use hims_domain::erasure::{Erasure, Event, Person, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::Update;
use hims_domain::session::{self, EndReason, Session};
use hims_domain::user::User;
use hims_domain::{ErasureId, PatientId, UserId, described, patient, user};
use uuid::Uuid;

use super::{Refusal, reads_against, reads_patient};
use crate::access::role_id;
use crate::aggregates::legal_hold::{check_not_held, reads_holds};
use crate::aggregates::patient::{check_not_erased, records_of};
use crate::aggregates::user::{administrators, check_administrator_stays};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Confirms an erasure that somebody else asked for, and erases the person for good: what was said about them can
    /// never be read again, by nobody. The claims on their names, numbers and addresses are given back.
    pub struct ConfirmErasure {
        /// Which erasure.
        pub erasure_id: ErasureId,
    }
}

/// Also looks up a user's sessions.
fn reads_user(reads: Reads, id: Uuid) -> Reads {
    reads_holds(reads, id).stream::<User>(id).owners::<Session>(scopes::USER_SESSIONS, id.to_string())
}

/// The logins that are linked to one of the records of a patient.
fn logins_of(id: PatientId, found: &Found) -> Vec<(Uuid, &User)> {
    let records = records_of(id, found).into_iter();
    records.flat_map(|it| found.owners::<User>(scopes::USER_PATIENT, it.to_string())).collect()
}

/// Whether a login serves the patient only, so that nothing is left of it without the patient.
fn is_portal(login: &User) -> bool {
    login.role_ids().all(|it| it == role_id("patient"))
}

/// Erases a user: the login, and what is said about the person behind it.
fn erase_user(decision: Decision<Erasure>, id: Uuid, erasure_id: ErasureId, found: &Found) -> Decision<Erasure> {
    let open = found.owners::<Session>(scopes::USER_SESSIONS, id.to_string()).filter(|(_, it)| it.ended.is_none());
    let ended = session::Event::Ended { reason: EndReason::Revoked };
    open.fold(decision.also::<User>(id, user::Event::Erased { erasure_id }), |decision, (session, _)| {
        decision.also::<Session>(session, ended.clone())
    })
    .erasing(id)
}

impl ConfirmErasure {
    fn erase_patient(&self, id: PatientId, ctx: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        let found = ctx.found;
        check_not_erased(ctx.named::<Patient>(id, "/erasure_id")?)?;
        let records = records_of(id, found);
        let open = records
            .iter()
            .flat_map(|it| found.owners::<Consultation>(scopes::OPEN_CONSULTATIONS, it.to_string()))
            .map(|(id, _)| id);
        let open: Vec<_> = open.collect();
        if !open.is_empty() {
            let refused: Refused = Refusal::InTreatment.into();
            return Err(Refused { candidates: open, ..refused });
        }
        let erasure_id = self.erasure_id;
        let mut decision = Decision::event(Event::Confirmed);
        for record in &records {
            check_not_held(record.0, found)?;
            decision = decision.also::<Patient>(*record, patient::Event::Erased { erasure_id }).erasing(*record);
        }
        for (login, user) in logins_of(id, found) {
            decision = if is_portal(user) {
                check_not_held(login, found)?;
                erase_user(decision, login, erasure_id, found)
            } else {
                decision.also::<User>(login, user::Event::UnlinkedFromPatient)
            };
        }
        Ok(decision)
    }

    fn erase_user(&self, id: UserId, ctx: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        let user = ctx.named::<User>(id, "/erasure_id")?;
        if user.is_erased() {
            return refuse(Refusal::UserErased);
        }
        check_not_held(id.0, ctx.found)?;
        check_administrator_stays(ctx.found, (id, user), std::iter::empty())?;
        Ok(erase_user(Decision::event(Event::Confirmed), id.0, self.erasure_id, ctx.found))
    }
}

impl Command for ConfirmErasure {
    const NAME: &'static str = "confirm-erasure";
    const PERMISSION: Permission = Permission::Update(Update::Erasures);
    const NEEDS_IDENTITY: bool = true;
    type Aggregate = Erasure;

    fn target(&self) -> Target {
        Target::existing(self.erasure_id)
    }

    fn follows_on(state: &Erasure) -> bool {
        state.status == Status::Requested
    }

    fn reads(&self, state: Option<&Erasure>, found: &Found) -> Reads {
        match state.map(|it| it.person) {
            None => Reads::nothing(),
            Some(Person::User(id)) => administrators(reads_user(reads_against(Reads::nothing(), id.0), id.0)),
            Some(Person::Patient(id)) => {
                let reads = records_of(id, found).into_iter().fold(reads_patient(id, found), |reads, it| {
                    reads
                        .owners::<Consultation>(scopes::OPEN_CONSULTATIONS, it.to_string())
                        .owners::<User>(scopes::USER_PATIENT, it.to_string())
                });
                logins_of(id, found).into_iter().fold(reads, |reads, (login, _)| reads_user(reads, login))
            }
        }
    }

    fn decide(self, state: Option<&Erasure>, ctx: &Context<'_>) -> Result<Decision<Erasure>, Refused> {
        let erasure = existing(state)?;
        match erasure.status {
            Status::Requested => {}
            Status::Confirmed => return Ok(Decision::nothing()),
            status @ Status::Declined => return refuse(Refusal::Decided { status }),
        }
        let Some(caller) = ctx.caller.user_id() else { return refuse(Refusal::NoUser) };
        if caller == erasure.requested_by {
            return refuse(Refusal::SecondPerson);
        }
        let is_oneself = match erasure.person {
            Person::User(id) => caller == id,
            Person::Patient(id) => records_of(id, ctx.found).into_iter().any(|it| ctx.caller.is_patient(it)),
        };
        if is_oneself {
            return refuse(Refusal::Oneself);
        }
        match erasure.person {
            Person::Patient(id) => self.erase_patient(id, ctx),
            Person::User(id) => self.erase_user(id, ctx),
        }
    }
}
