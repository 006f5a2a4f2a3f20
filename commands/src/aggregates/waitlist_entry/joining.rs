//! Joining, changing and leaving: what patients wait for, and until when.

use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::Reason;
use hims_domain::waitlist_entry::{Event, Status, WaitlistEntry, Wish};
use hims_domain::{PatientId, Personal, WaitlistEntryId, described};

use super::{is_of, left, wish};
use crate::department::zone_named;
use crate::machinery::command::existing;
use crate::patient::{check_alive, check_not_erased};
use crate::{Caller, Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target};

described! {
    /// Puts a patient on the waiting list. When a time is free that suits the patient, it is offered to them. Patients
    /// may join themselves.
    pub struct JoinWaitlist {
        /// The id of the new entry; issued by the server if left out.
        pub id: Option<WaitlistEntryId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// What the patient waits for.
        #[serde(flatten)]
        pub wish: Wish,
    }

    /// Changes what a patient waits for, as long as nothing is offered. Patients may change entries of their own.
    pub struct ChangeWaitlistEntry {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Wish>,
    }

    /// Takes a patient off the waiting list. What was held for the patient is free again. Patients may take themselves
    /// off.
    pub struct LeaveWaitlist {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
        /// Why the patient does not wait any more.
        pub reason: Option<Personal<Reason>>,
    }

    /// Ends the waiting of a patient when the last day that suits them is over. Does nothing before, or if something is
    /// offered. The process `waitlist` gives the command.
    pub struct LapseWaitlistEntry {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
    }
}

impl Command for JoinWaitlist {
    const NAME: &'static str = "join-waitlist";
    const PERMISSION: Permission = Permission::Create(Create::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(LeaveWaitlist::NAME);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn is_own(&self, _: Option<&WaitlistEntry>, caller: &Caller) -> bool {
        caller.is_patient(self.patient_id)
    }

    fn reads(&self, _: Option<&WaitlistEntry>, found: &Found) -> Reads {
        wish::reads(self.patient_id, &self.wish, found)
    }

    fn decide(self, _: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let Self { id: _, patient_id, wish } = self;
        check_not_erased(ctx.named::<Patient>(patient_id, "/patient_id")?)?;
        check_alive(patient_id, ctx)?;
        wish::check_priority(&wish, None, ctx.caller.may(Self::PERMISSION))?;
        let time_zone = wish::checked(&wish, patient_id, ctx)?;
        let wish = Box::new(wish);
        Ok(Decision::event(Event::Joined { patient_id, wish, time_zone, joined_at: ctx.now }))
    }
}

impl Command for ChangeWaitlistEntry {
    const NAME: &'static str = "change-waitlist-entry";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn is_own(&self, state: Option<&WaitlistEntry>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        state.status == Status::Waiting
    }

    fn reads(&self, state: Option<&WaitlistEntry>, found: &Found) -> Reads {
        let Some(entry) = state else { return Reads::nothing() };
        let after = self.changes.clone().apply(&entry.wish);
        after.map_or_else(|_| Reads::nothing(), |after| wish::reads(entry.patient_id, &after, found))
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        if entry.status != Status::Waiting {
            return Err(Refused::wrong_status::<WaitlistEntry>(entry.status));
        }
        let after = self.changes.apply(&entry.wish)?;
        if after == entry.wish {
            return Ok(Decision::nothing());
        }
        wish::check_priority(&after, Some(&entry.wish), ctx.caller.may(Self::PERMISSION))?;
        let time_zone = wish::checked(&after, entry.patient_id, ctx)?;
        Ok(Decision::event(Event::Changed { wish: Box::new(after), time_zone }))
    }
}

impl Command for LeaveWaitlist {
    const NAME: &'static str = "leave-waitlist";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn is_own(&self, state: Option<&WaitlistEntry>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        matches!(state.status, Status::Waiting | Status::Offered)
    }

    fn decide(self, state: Option<&WaitlistEntry>, _: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        match entry.status {
            Status::Withdrawn => Ok(Decision::nothing()),
            Status::Waiting | Status::Offered => Ok(Decision::event(left(entry, self.reason))),
            status => Err(Refused::wrong_status::<WaitlistEntry>(status)),
        }
    }
}

impl Command for LapseWaitlistEntry {
    const NAME: &'static str = "lapse-waitlist-entry";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        let is_over = entry.wish.over_at(&zone_named(&entry.time_zone)) <= ctx.now;
        if entry.status == Status::Waiting && is_over {
            return Ok(Decision::event(Event::Lapsed { opening: None }));
        }
        Ok(Decision::nothing())
    }
}
