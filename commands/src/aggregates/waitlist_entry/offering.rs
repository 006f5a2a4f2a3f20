//! Offers of the front desk: a time that somebody on the telephone chooses for a patient who waits.

use chrono::{DateTime, SubsecRound as _, Utc};
use hims_domain::appointment::{Opening, Slot};
use hims_domain::permission::Update;
use hims_domain::room::Room;
use hims_domain::waitlist_entry::{Event, Offer, Status, WaitlistEntry};
use hims_domain::{DepartmentId, RoomId, UserId, WaitlistEntryId, described};

use super::{DeclineWaitlistOffer, visit};
use crate::appointment::check_start;
use crate::machinery::command::existing;
use crate::provider_schedule::{check_hours, reads_schedule};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

described! {
    /// Offers a time to a patient who waits, and holds provider, room and patient until the patient answers or the
    /// offer expires. Offers whatever is free, also what the patient did not wish for.
    pub struct OfferWaitlistSlot {
        /// Which entry.
        pub entry_id: WaitlistEntryId,
        /// The provider: a user who may start consultations.
        pub provider_id: UserId,
        /// The room, if one is held.
        pub room_id: Option<RoomId>,
        /// The start of the appointment, which is as long as the patient waits for.
        pub starts_at: DateTime<Utc>,
        /// From when on the offer can no longer be accepted: the start of the appointment at the latest.
        pub expires_at: DateTime<Utc>,
        /// Whether the time may be outside the provider's hours or in their leave; false if left out.
        pub outside_hours: Option<bool>,
    }
}

impl OfferWaitlistSlot {
    /// When the offer expires: as exactly as the database keeps the timer that ends it.
    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at.trunc_subsecs(6)
    }

    fn slot(&self, entry: &WaitlistEntry) -> Slot {
        Slot { starts_at: self.starts_at, duration_minutes: entry.wish.duration_minutes }
    }

    /// The department of the room, or else the one in which the patient waits.
    fn department(&self, entry: &WaitlistEntry, found: &Found) -> Option<DepartmentId> {
        let of_room = || found.get::<Room>(self.room_id?).map(|it| it.details.department_id);
        of_room().or(entry.wish.department_id)
    }

    /// What is offered. The time zone is not known before everything was looked up.
    fn opening(&self, entry: &WaitlistEntry, found: &Found) -> Opening {
        Opening {
            provider_id: self.provider_id,
            department_id: self.department(entry, found),
            room_id: self.room_id,
            appointment_type: entry.wish.appointment_type.clone(),
            slot: self.slot(entry),
            time_zone: entry.time_zone.clone(),
        }
    }
}

impl Command for OfferWaitlistSlot {
    const NAME: &'static str = "offer-waitlist-slot";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(DeclineWaitlistOffer::NAME);
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn follows_on(state: &WaitlistEntry) -> bool {
        state.status == Status::Waiting
    }

    fn reads(&self, state: Option<&WaitlistEntry>, found: &Found) -> Reads {
        let Some(entry) = state else { return Reads::nothing() };
        let visit = visit(entry, &self.opening(entry, found), found);
        reads_schedule(visit.reads(found), self.provider_id)
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        let entry = existing(state)?;
        let is_same = |it: &Offer| {
            let offered = (it.opening.provider_id, it.opening.room_id, it.slot.starts_at, it.expires_at);
            offered == (self.provider_id, self.room_id, self.starts_at, self.expires_at())
        };
        match entry.status {
            Status::Waiting => {}
            Status::Offered if entry.offer.as_ref().is_some_and(is_same) => return Ok(Decision::nothing()),
            status => return Err(Refused::wrong_status::<WaitlistEntry>(status)),
        }
        let slot = self.slot(entry);
        check_start(slot, ctx.now)?;
        let expires_at = self.expires_at();
        if expires_at <= ctx.now || expires_at > slot.starts_at {
            let message = "give a time that is still to come, at the latest the start of the appointment";
            return Err(Refused::field("out-of-range", "/expires_at", message));
        }
        let opening = self.opening(entry, ctx.found);
        let it = visit(entry, &opening, ctx.found).schedule(slot, ctx)?;
        let at = (slot, &it.time_zone);
        let outside_hours = check_hours(ctx, it.provider_id, it.department_id, at, self.outside_hours == Some(true))?;
        let opening = Opening { department_id: it.department_id, time_zone: it.time_zone, ..opening };
        let offer = Offer { opening, slot, expires_at, outside_hours };
        Ok(Decision::event(Event::Offered(Box::new(offer))))
    }
}
