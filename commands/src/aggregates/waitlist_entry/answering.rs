//! Answers to offers: accepting, declining, and not answering in time.

use chrono::{DateTime, Utc};
use hims_domain::appointment::{self, Appointment, Scheduled};
use hims_domain::permission::Update;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_domain::waitlist_entry::{Ended, Event, MOST_UNANSWERED, Offer, Status, WaitlistEntry};
use hims_domain::{AppointmentId, Personal, WaitlistEntryId, described};

use super::{Refusal, is_of, visit};
use crate::machinery::command::existing;
use crate::provider_schedule::{check_hours, reads_schedule};
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Accepts an offer: the appointment is made, and a later one that the patient gives up is cancelled. Patients may
    /// accept offers to themselves.
    pub struct AcceptWaitlistOffer {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
    }

    /// Declines an offer. What was held is free again, and the patient waits on. Patients may decline offers to
    /// themselves.
    pub struct DeclineWaitlistOffer {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
    }

    /// Ends an offer that was not answered in time. What was held is free again. The patient waits on; after three
    /// offers without an answer, the patient is no longer waited for. The process `waitlist` gives the command at the
    /// right moment.
    pub struct ExpireWaitlistOffer {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
        /// Which offer: the one that expires at this time. Nothing happens if there is another one by now. The present
        /// offer if left out.
        pub expires_at: Option<DateTime<Utc>>,
    }
}

/// The refusal to answer when nothing is offered.
fn no_offer(entry: &WaitlistEntry) -> Refusal {
    if entry.ended == Some(Ended::Expired) { Refusal::OfferExpired } else { Refusal::NotOffered }
}

/// An appointment that the patient gives up, if it is still to come.
fn given_up(entry: &WaitlistEntry, found: &Found) -> Option<AppointmentId> {
    let id = entry.wish.gives_up_appointment_id?;
    let is_open =
        |it: &Appointment| matches!(it.status, appointment::Status::Scheduled | appointment::Status::Confirmed);
    found.get::<Appointment>(id).is_some_and(is_open).then_some(id)
}

/// The appointment that follows from an offer, if provider, room and patient can still be booked. Hours that were
/// changed since the offer do not matter, but a leave does.
fn appointment_of(entry: &WaitlistEntry, offer: &Offer, ctx: &Context<'_>) -> Result<Scheduled, Refused> {
    let it = visit(entry, &offer.opening, ctx.found).schedule(offer.slot, ctx)?;
    let schedule = ctx.found.get::<ProviderSchedule>(ProviderSchedule::stream_of(it.provider_id));
    if !offer.outside_hours && schedule.is_some_and(|known| known.is_on_leave(offer.slot)) {
        return refuse(Refusal::ProviderAway);
    }
    let outside_hours = check_hours(ctx, it.provider_id, it.department_id, (it.slot, &it.time_zone), true)?;
    Ok(Scheduled { outside_hours, ..it })
}

impl Command for AcceptWaitlistOffer {
    const NAME: &'static str = "accept-waitlist-offer";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn is_own(&self, state: Option<&WaitlistEntry>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        state.status == Status::Offered
    }

    fn reads(&self, state: Option<&WaitlistEntry>, found: &Found) -> Reads {
        let Some((entry, offer)) = state.and_then(|it| Some((it, it.offer.as_ref()?))) else { return Reads::nothing() };
        let reads = visit(entry, &offer.opening, found).reads(found);
        let reads = reads.maybe::<Appointment>(entry.wish.gives_up_appointment_id);
        reads_schedule(reads, offer.opening.provider_id)
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        let offer = match (&entry.offer, entry.status) {
            (Some(offer), _) if ctx.now < offer.expires_at => offer,
            (Some(_), _) => return refuse(Refusal::OfferExpired),
            (None, Status::Fulfilled) => return Ok(Decision::nothing()),
            (None, _) => return refuse(no_offer(entry)),
        };
        let scheduled = appointment_of(entry, offer, ctx)?;
        let appointment_id = WaitlistEntry::appointment_of(ctx.id);
        let accepted = Decision::event(Event::Accepted { appointment_id })
            .begin::<Appointment>(appointment_id, appointment::Event::Scheduled(scheduled));
        Ok(match given_up(entry, ctx.found) {
            Some(id) => {
                let reason = Personal::Known("an offer from the waiting list was accepted".into());
                accepted.also::<Appointment>(id, appointment::Event::Cancelled { reason })
            }
            None => accepted,
        })
    }
}

impl Command for DeclineWaitlistOffer {
    const NAME: &'static str = "decline-waitlist-offer";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn is_own(&self, state: Option<&WaitlistEntry>, caller: &Caller) -> bool {
        is_of(state, caller)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        state.status == Status::Offered
    }

    fn decide(self, state: Option<&WaitlistEntry>, _: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        match &entry.offer {
            Some(offer) => Ok(Decision::event(Event::Declined { opening: offer.opening.clone() })),
            None if entry.status == Status::Waiting && entry.ended == Some(Ended::Declined) => Ok(Decision::nothing()),
            None => refuse(no_offer(entry)),
        }
    }
}

impl Command for ExpireWaitlistOffer {
    const NAME: &'static str = "expire-waitlist-offer";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        state.status == Status::Offered
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        let is_meant = |it: &&Offer| self.expires_at.is_none_or(|at| at == it.expires_at);
        let Some(offer) = entry.offer.as_ref().filter(is_meant) else {
            let was_meant = self.expires_at.is_some() || entry.ended == Some(Ended::Expired);
            return if was_meant { Ok(Decision::nothing()) } else { refuse(Refusal::NotOffered) };
        };
        if ctx.now < offer.expires_at {
            return refuse(Refusal::NotExpired);
        }
        let opening = offer.opening.clone();
        Ok(Decision::event(if entry.unanswered + 1 >= MOST_UNANSWERED {
            Event::Lapsed { opening: Some(opening) }
        } else {
            Event::Expired { opening }
        }))
    }
}
