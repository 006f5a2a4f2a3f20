//! The waiting list: joining and leaving it, what is offered to those who wait, and what they answer.

mod answering;
mod joining;
mod offering;
mod opening;
mod telling;
mod wish;

use chrono::{DateTime, Utc};
use hims_domain::appointment::{Opening, Slot};
use hims_domain::values::Reason;
use hims_domain::waitlist_entry::{Event, Offer, Status, WaitlistEntry};
use hims_domain::{PatientId, Personal};
use uuid::Uuid;

pub use answering::{AcceptWaitlistOffer, DeclineWaitlistOffer, ExpireWaitlistOffer};
pub(crate) use joining::LapseWaitlistEntry;
pub use joining::{ChangeWaitlistEntry, JoinWaitlist, LeaveWaitlist};
pub use offering::OfferWaitlistSlot;
pub(crate) use opening::{OfferAgain, OfferFreedTime};
pub(crate) use telling::TellOfOffer;

use crate::appointment::{Visit, is_hidden};
use crate::machinery::refusal::refusals;
use crate::patient::survivor_of;
use crate::{Caller, Claims, Found, Held, Reads, Registry, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<JoinWaitlist>()
        .add::<ChangeWaitlistEntry>()
        .add::<LeaveWaitlist>()
        .add::<OfferWaitlistSlot>()
        .add::<AcceptWaitlistOffer>()
        .add::<DeclineWaitlistOffer>()
        .add::<ExpireWaitlistOffer>();
}

refusals! {
    OnePlace = Rule, "one-place", "name either a department or a provider, and leave the other out";
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the end comes before the beginning; exchange the two";
    InThePast = Rule, "in-the-past", "the last day that suits the patient is over; choose a later one";
    PriorityOfTheDesk = Rule, "priority-of-the-desk",
        "only the hospital makes an entry more urgent; leave the priority out, and call the front desk";
    NotOffered = Conflict, "not-offered", "nothing is offered; wait for an offer";
    OfferExpired = Conflict, "offer-expired", "the offer has expired; wait for the next one, or call the front desk";
    NotExpired = Conflict, "not-expired", "the offer has not expired yet; decline it for the patient to end it now";
    ProviderAway = Conflict, "on-leave",
        "the provider will be away at that time after all; decline the offer, and wait for another";
}

impl Claims for WaitlistEntry {
    /// An entry is found by its patient until it is over, and by its department or provider while the patient waits. An
    /// offer books provider, patient and room, so that nobody is offered what somebody else takes.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if matches!(self.status, Status::Waiting | Status::Offered) {
            held.share(scopes::WAITLIST_OF_PATIENT, self.patient_id.to_string());
        }
        if self.status == Status::Waiting {
            held.share_if(scopes::WAITLIST_OF_DEPARTMENT, self.wish.department_id.map(|it| it.to_string()))
                .share_if(scopes::WAITLIST_OF_PROVIDER, self.wish.provider_id.map(|it| it.to_string()));
        }
        if let Some(Offer { opening, slot, .. }) = &self.offer {
            held.book(opening.provider_id, *slot).named_by("/provider_id");
            held.book(self.patient_id, *slot).named_by("/entry_id");
            if let Some(room_id) = opening.room_id {
                held.book(room_id, *slot).named_by("/room_id");
            }
        }
    }

    fn is_hidden_from(&self, caller: &Caller) -> bool {
        is_hidden(self.patient_id, self.wish.provider_id, self.wish.department_id, caller)
    }
}

/// Whether an entry is one of the caller's own as a patient.
fn is_of(state: Option<&WaitlistEntry>, caller: &Caller) -> bool {
    state.is_some_and(|it| caller.is_patient(it.patient_id))
}

/// The visit of a patient who waits, with the provider and the room of an opening. Of a record that was merged into
/// another, the other record gets the visit.
fn visit(entry: &WaitlistEntry, opening: &Opening, found: &Found) -> Visit {
    Visit {
        patient_id: survivor_of(entry.patient_id, found),
        provider_id: opening.provider_id,
        department_id: opening.department_id,
        room_id: opening.room_id,
        appointment_type: entry.wish.appointment_type.clone(),
        priority: entry.wish.priority,
        reason_for_visit: None,
        special_instructions: None,
        insurance_verified: false,
    }
}

/// The event with which a patient leaves the waiting list.
fn left(entry: &WaitlistEntry, reason: Option<Personal<Reason>>) -> Event {
    Event::Left { opening: entry.offer.as_ref().map(|it| it.opening.clone()), reason }
}

/// Also looks up the entries of a patient's record who waits or has an offer.
pub(crate) fn reads_open(reads: Reads, patient_id: PatientId) -> Reads {
    reads.owners::<WaitlistEntry>(scopes::WAITLIST_OF_PATIENT, patient_id.to_string())
}

/// The events that end every entry of a patient's record who waits or has an offer, with the ids of the entries.
pub(crate) fn endings<'a>(
    patient_id: PatientId,
    reason: &'a Personal<Reason>,
    found: &'a Found,
) -> impl Iterator<Item = (Uuid, Event)> + use<'a> {
    let entries = found.owners::<WaitlistEntry>(scopes::WAITLIST_OF_PATIENT, patient_id.to_string());
    entries.map(|(id, entry)| (id, left(entry, Some(reason.clone()))))
}

/// The time of an opening, as the bookings of it are looked up.
fn span(slot: Slot) -> (DateTime<Utc>, DateTime<Utc>) {
    (slot.starts_at, slot.ends_at())
}

#[cfg(test)]
mod tests;
