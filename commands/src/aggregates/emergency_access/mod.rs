//! Access in an emergency: taking it ("breaking the glass"), giving it back, and its review by somebody else.

mod telling;

use chrono::TimeDelta;
use hims_domain::emergency_access::{EmergencyAccess, Event, Finding, Review};
use hims_domain::patient::{Confidentiality, Patient};
use hims_domain::permission::{Create, Update};
use hims_domain::values::{LongText, Reason};
use hims_domain::{EmergencyAccessId, PatientId, Personal, derived, described};
use uuid::Uuid;

pub(crate) use telling::TellOfEmergencyAccess;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::patient::{check_not_erased, reads_person};
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<RequestEmergencyAccess>()
        .add::<SecondEmergencyAccess>()
        .add::<EndEmergencyAccess>()
        .add::<ReviewEmergencyAccess>();
}

refusals! {
    Minutes = Rule, "out-of-range", "the access lasts from 1 to 240 minutes; take it again if it was too short";
    NoUser = Rule, "not-a-person", "only a person who is logged in takes access in an emergency";
    OwnAccess = Rule, "own-access", "somebody who neither took nor allowed the access must review it";
    OwnSecond = Rule, "second-person-needed", "somebody other than the one who asked must allow the access";
    NotAwaited = Conflict, "wrong-status", "the access waits for no second person";
    AskedLongAgo = Conflict, "asked-too-long-ago", "the access was asked for more than an hour ago; ask again";
    Waits = Conflict, "wrong-status", "the access waits for a second person; there is nothing to review yet";
    Reviewed { review: Review } = Conflict, "wrong-status", "the access was reviewed as {review} already";
}

described! {
    /// Takes access to the records of a patient in an emergency, without being assigned to the patient. Who took it and
    /// why is told to the lead of the patient's care team and to the privacy officers, and somebody else reviews it. To
    /// records that are very restricted there is no access before a second person has allowed it.
    pub struct RequestEmergencyAccess {
        /// The id of the new access; issued by the server if left out.
        pub id: Option<EmergencyAccessId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// Why the records are needed.
        pub reason: Personal<Reason>,
        /// How many minutes the access lasts, from 1 to 240; 60 if left out.
        #[serde(default = "an_hour")]
        pub minutes: i32,
    }

    /// Allows somebody else the access to very restricted records that they asked for within the last hour.
    pub struct SecondEmergencyAccess {
        /// Which access.
        pub emergency_access_id: EmergencyAccessId,
    }

    /// Gives an access back before its time. Only whoever took it may do so.
    pub struct EndEmergencyAccess {
        /// Which access.
        pub emergency_access_id: EmergencyAccessId,
    }

    /// Records the review of an access: whether it was justified. Whoever took the access cannot review it.
    pub struct ReviewEmergencyAccess {
        /// Which access.
        pub emergency_access_id: EmergencyAccessId,
        /// What the review found.
        pub finding: Finding,
        /// What the reviewer notes.
        pub note: Option<Personal<LongText>>,
    }
}

/// For how long a second person may allow an access after it was asked for.
const AWAITS_FOR: TimeDelta = TimeDelta::hours(1);

fn an_hour() -> i32 {
    60
}

impl Claims for EmergencyAccess {
    /// Nobody takes access to a patient twice at a time, nor asks for it again as long as a second person may allow it.
    fn claims(&self, _: Uuid, held: &mut Held) {
        let place = derived("emergency-access", &[&self.patient_id.to_string(), &self.user_id.to_string()]);
        let until = if self.awaits_minutes.is_some() { self.granted_at + AWAITS_FOR } else { self.ends_at };
        if self.granted_at < until {
            held.book_span(place, self.granted_at, until)
                .or_refuse("already-open", "you have access to the patient, or asked for it within the hour")
                .named_by("/patient_id");
        }
    }
}

impl Command for RequestEmergencyAccess {
    const NAME: &'static str = "request-emergency-access";
    const PERMISSION: Permission = Permission::Create(Create::EmergencyAccess);
    const REVERSED_BY: Option<&'static str> = Some(EndEmergencyAccess::NAME);
    type Aggregate = EmergencyAccess;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&EmergencyAccess>, found: &Found) -> Reads {
        reads_person(Reads::nothing(), self.patient_id, found)
    }

    fn decide(self, _: Option<&EmergencyAccess>, ctx: &Context<'_>) -> Result<Decision<EmergencyAccess>, Refused> {
        let patient = ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        check_not_erased(patient)?;
        let Some(user_id) = ctx.caller.user_id() else { return refuse(Refusal::NoUser) };
        if !(1..=240).contains(&self.minutes) {
            return refuse(Refusal::Minutes);
        }
        let Self { id: _, patient_id, reason, minutes } = self;
        if patient.confidentiality == Confidentiality::VeryRestricted {
            return Ok(Decision::event(Event::Asked { patient_id, user_id, reason, asked_at: ctx.now, minutes }));
        }
        let (granted_at, ends_at) = (ctx.now, ctx.now + TimeDelta::minutes(minutes.into()));
        Ok(Decision::event(Event::Granted { patient_id, user_id, reason, granted_at, ends_at }))
    }
}

impl Command for SecondEmergencyAccess {
    const NAME: &'static str = "second-emergency-access";
    const PERMISSION: Permission = Permission::Create(Create::EmergencyAccess);
    const REVERSED_BY: Option<&'static str> = Some(EndEmergencyAccess::NAME);
    type Aggregate = EmergencyAccess;

    fn target(&self) -> Target {
        Target::existing(self.emergency_access_id)
    }

    fn follows_on(state: &EmergencyAccess) -> bool {
        state.awaits_minutes.is_some()
    }

    fn decide(self, state: Option<&EmergencyAccess>, ctx: &Context<'_>) -> Result<Decision<EmergencyAccess>, Refused> {
        let access = existing(state)?;
        let Some(minutes) = access.awaits_minutes else { return refuse(Refusal::NotAwaited) };
        let Some(seconded_by) = ctx.caller.user_id() else { return refuse(Refusal::NoUser) };
        if seconded_by == access.user_id {
            return refuse(Refusal::OwnSecond);
        }
        if ctx.now - access.granted_at > AWAITS_FOR {
            return refuse(Refusal::AskedLongAgo);
        }
        let (granted_at, ends_at) = (ctx.now, ctx.now + TimeDelta::minutes(minutes.into()));
        Ok(Decision::event(Event::Seconded { seconded_by, granted_at, ends_at }))
    }
}

impl Command for EndEmergencyAccess {
    const NAME: &'static str = "end-emergency-access";
    const PERMISSION: Permission = Permission::Own;
    type Aggregate = EmergencyAccess;

    fn target(&self) -> Target {
        Target::existing(self.emergency_access_id)
    }

    fn is_own(&self, state: Option<&EmergencyAccess>, caller: &Caller) -> bool {
        state.is_some_and(|it| Some(it.user_id) == caller.user_id())
    }

    fn decide(self, state: Option<&EmergencyAccess>, ctx: &Context<'_>) -> Result<Decision<EmergencyAccess>, Refused> {
        let access = existing(state)?;
        if access.awaits_minutes.is_some() {
            // Nobody allowed the access: it had no time.
            return Ok(Decision::event(Event::Ended { ended_at: access.granted_at }));
        }
        let is_over = access.ends_at <= ctx.now;
        Ok(if is_over { Decision::nothing() } else { Decision::event(Event::Ended { ended_at: ctx.now }) })
    }
}

impl Command for ReviewEmergencyAccess {
    const NAME: &'static str = "review-emergency-access";
    const PERMISSION: Permission = Permission::Update(Update::EmergencyReviews);
    type Aggregate = EmergencyAccess;

    fn target(&self) -> Target {
        Target::existing(self.emergency_access_id)
    }

    fn follows_on(state: &EmergencyAccess) -> bool {
        state.review == Review::Open && state.awaits_minutes.is_none()
    }

    fn decide(self, state: Option<&EmergencyAccess>, ctx: &Context<'_>) -> Result<Decision<EmergencyAccess>, Refused> {
        let access = existing(state)?;
        if [Some(access.user_id), access.seconded_by].iter().any(|it| it.is_some() && *it == ctx.caller.user_id()) {
            return refuse(Refusal::OwnAccess);
        }
        let Self { emergency_access_id: _, finding, note } = self;
        if access.awaits_minutes.is_some() {
            return refuse(Refusal::Waits);
        }
        if access.review == Review::from(finding) {
            return Ok(Decision::nothing());
        }
        if access.review != Review::Open {
            return refuse(Refusal::Reviewed { review: access.review });
        }
        Ok(Decision::event(Event::Reviewed { finding, note, reviewed_at: ctx.now }))
    }
}

#[cfg(test)]
mod tests;
