//! What patients allow or forbid others to see.

use hims_domain::consent::{Consent, Event, Provision, Scope};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::{Reason, Text};
use hims_domain::{ConsentId, PatientId, Personal, UserId, described};
use uuid::Uuid;

use crate::aggregates::patient::{check_not_erased, reads_person, records_of};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RecordConsent>().add::<WithdrawConsent>();
}

refusals! {
    Recorded = Conflict, "recorded-already",
        "the patient has said this or the opposite before (see candidates); withdraw that first";
    NamesNobody = Rule, "invalid-fields",
        "for the treatment, name in user_id whom the patient forbids to see the records, with provision deny";
    Denied = Forbidden, "forbidden", "whom the patient forbids to see the records does not take that back; another must";
    NamesSomebody = Rule, "invalid-fields", "only for the treatment does a patient forbid a certain user; leave user_id out";
}

described! {
    /// Records what a patient allows or forbids: who may not see the records (`treatment`), whether they serve research
    /// (`research`), and whether callers and visitors are told that the patient is here (`directory`). Patients do so for
    /// themselves too.
    pub struct RecordConsent {
        /// The id of the new consent; issued by the server if left out.
        pub id: Option<ConsentId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// What the consent is about.
        pub scope: Scope,
        /// Whether it is allowed.
        pub provision: Provision,
        /// For the treatment: who may not see the records.
        pub user_id: Option<UserId>,
        /// Where the patient said so, such as the number of a signed form.
        pub source: Option<Personal<Text<200>>>,
    }

    /// Withdraws what a patient allowed or forbade.
    pub struct WithdrawConsent {
        /// Which consent.
        pub consent_id: ConsentId,
        /// Why, if the patient says so.
        pub reason: Option<Personal<Reason>>,
    }
}

/// The key by which a consent about the same matter is found.
fn matter(patient_id: PatientId, scope: Scope, user_id: Option<UserId>) -> String {
    let user = user_id.map(|it| it.to_string()).unwrap_or_default();
    scopes::key(&[&patient_id.to_string(), scope.as_str(), &user])
}

impl Claims for Consent {
    /// A consent that was not withdrawn is found by its patient and its matter.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if !self.is_withdrawn {
            held.share(scopes::CONSENTS, matter(self.patient_id, self.scope, self.user_id));
        }
    }
}

impl Command for RecordConsent {
    const NAME: &'static str = "record-consent";
    const PERMISSION: Permission = Permission::Create(Create::Consents);
    const REVERSED_BY: Option<&'static str> = Some(WithdrawConsent::NAME);
    type Aggregate = Consent;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn is_own(&self, _: Option<&Consent>, caller: &Caller) -> bool {
        caller.may(Permission::Update(Update::OwnProfile)) && caller.is_patient(self.patient_id)
    }

    fn reads(&self, _: Option<&Consent>, found: &Found) -> Reads {
        let person = reads_person(Reads::nothing().maybe::<User>(self.user_id), self.patient_id, found);
        records_of(self.patient_id, found)
            .into_iter()
            .fold(person, |reads, id| reads.owners::<Consent>(scopes::CONSENTS, matter(id, self.scope, self.user_id)))
    }

    fn decide(self, _: Option<&Consent>, ctx: &Context<'_>) -> Result<Decision<Consent>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        match (self.scope, self.user_id, self.provision) {
            (Scope::Treatment, Some(id), Provision::Deny) => drop(ctx.named::<User>(id, "/user_id")?),
            (Scope::Treatment, ..) => return refuse(Refusal::NamesNobody),
            (Scope::Research | Scope::Directory, Some(_), _) => return refuse(Refusal::NamesSomebody),
            (Scope::Research | Scope::Directory, None, _) => {}
        }
        let records = records_of(self.patient_id, ctx.found).into_iter();
        let said = records.flat_map(|id| {
            ctx.found.owners::<Consent>(scopes::CONSENTS, matter(id, self.scope, self.user_id)).map(|(id, _)| id)
        });
        let said: Vec<_> = said.collect();
        if !said.is_empty() {
            let refused: Refused = Refusal::Recorded.into();
            return Err(Refused { candidates: said, ..refused });
        }
        let Self { id: _, patient_id, scope, provision, user_id, source } = self;
        Ok(Decision::event(Event::Recorded { patient_id, scope, provision, user_id, source }))
    }
}

impl Command for WithdrawConsent {
    const NAME: &'static str = "withdraw-consent";
    const PERMISSION: Permission = Permission::Update(Update::Consents);
    type Aggregate = Consent;

    fn target(&self) -> Target {
        Target::existing(self.consent_id)
    }

    fn is_own(&self, state: Option<&Consent>, caller: &Caller) -> bool {
        caller.may(Permission::Update(Update::OwnProfile)) && state.is_some_and(|it| caller.is_patient(it.patient_id))
    }

    fn follows_on(state: &Consent) -> bool {
        !state.is_withdrawn
    }

    fn decide(self, state: Option<&Consent>, ctx: &Context<'_>) -> Result<Decision<Consent>, Refused> {
        let consent = existing(state)?;
        if consent.is_withdrawn {
            return Ok(Decision::nothing());
        }
        if consent.user_id.is_some() && consent.user_id == ctx.caller.user_id() {
            return refuse(Refusal::Denied);
        }
        Ok(Decision::event(Event::Withdrawn { reason: self.reason }))
    }
}

#[cfg(test)]
mod tests;
