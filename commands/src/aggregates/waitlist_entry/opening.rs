//! Who of those who wait is offered what has become free: the most urgent, and of these the one who has waited longest.
//! Who joins later is not offered it, also if a process comes to the same event once more.

use std::cmp::Reverse;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use hims_domain::appointment::{self, Appointment, Opening, Slot};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::waitlist_entry::{Event, Offer, WaitlistEntry};
use hims_domain::{AppointmentId, WaitlistEntryId};
use serde::Deserialize;
use uuid::Uuid;

use super::{span, visit};
use crate::department::zone_named;
use crate::machinery::command::{existing, never_sent};
use crate::notification::{reads_patient, told_at};
use crate::patient::{check_not_erased, person, records_of};
use crate::provider_schedule::{check_hours, reads_schedule};
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Target, scopes};

/// How far ahead a time must be to be offered.
const SHORTEST_NOTICE: TimeDelta = TimeDelta::hours(2);
/// How long a patient has for an answer, counted from the end of their quiet hours.
const TO_ANSWER: TimeDelta = TimeDelta::hours(2);
/// How long before its beginning a time is no longer held.
const BEFORE_VISIT: TimeDelta = TimeDelta::hours(1);

/// Offers what an appointment gave back that was cancelled or moved. Does nothing if the time is taken, or if it suits
/// nobody who waits. The process `waitlist` gives the command.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OfferFreedTime {
    /// The appointment.
    pub(crate) appointment_id: AppointmentId,
    /// What the appointment gave back when it was moved; `None` if it was cancelled.
    pub(crate) moved_from: Option<Opening>,
    /// When the appointment gave it back.
    pub(crate) freed_at: DateTime<Utc>,
}

/// Offers what an entry gave back that was offered to its patient. Does nothing if the time is taken, or if it suits
/// nobody who waits. The process `waitlist` gives the command.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OfferAgain {
    /// The entry whose patient did not take the offer.
    pub(crate) entry_id: WaitlistEntryId,
    /// What is free again.
    pub(crate) opening: Opening,
    /// Since when it is free.
    pub(crate) freed_at: DateTime<Utc>,
}

never_sent!(OfferFreedTime, OfferAgain);

/// Whether an opening begins too soon to be offered to anybody.
fn is_too_soon(opening: &Opening, now: DateTime<Utc>) -> bool {
    opening.slot.starts_at < now + SHORTEST_NOTICE
}

/// Those who waited already when an opening became free, and may want it, in the order in which they get it.
fn waiting<'a>(opening: &Opening, freed_at: DateTime<Utc>, found: &'a Found) -> Vec<(Uuid, &'a WaitlistEntry)> {
    let of_department = opening.department_id.map(|it| (scopes::WAITLIST_OF_DEPARTMENT, it.to_string()));
    let of_provider = (scopes::WAITLIST_OF_PROVIDER, opening.provider_id.to_string());
    let places = of_department.into_iter().chain([of_provider]);
    let mut entries: Vec<_> = places
        .flat_map(|(scope, place)| found.owners::<WaitlistEntry>(scope, place))
        .filter(|(_, it)| it.joined_at <= freed_at)
        .filter(|(_, it)| !it.passed_up.contains(&(opening.provider_id, opening.slot.starts_at)))
        .filter(|(_, it)| it.wish.is_met_by(opening, &zone_named(&it.time_zone)))
        .collect();
    entries.sort_by_key(|(id, it)| (Reverse(it.wish.priority), it.joined_at, *id));
    entries
}

/// Whether a patient who waits is free at a time and can be offered it; `None` as long as not everything was looked up.
fn is_free(entry: &WaitlistEntry, opening: &Opening, now: DateTime<Utc>, found: &Found) -> Option<bool> {
    found.get::<Patient>(entry.patient_id)?;
    let slot = entry.wish.slot_of(opening);
    let (from, until) = span(slot);
    let person = person(entry.patient_id, found);
    if person.iter().any(|it| it.is_deceased(now) || check_not_erased(it).is_err()) {
        return Some(false);
    }
    // Nobody treats themselves.
    let own = found.get::<User>(opening.provider_id)?.patient_id;
    if own.is_some_and(|own| records_of(entry.patient_id, found).contains(&own)) {
        return Some(false);
    }
    for record in records_of(entry.patient_id, found) {
        if !found.bookings(record, from, until)?.is_empty() {
            return Some(false);
        }
    }
    let is_earlier = |it: &Appointment| {
        let is_open = matches!(it.status, appointment::Status::Scheduled | appointment::Status::Confirmed);
        !is_open || slot.starts_at < it.slot.starts_at
    };
    match entry.wish.gives_up_appointment_id {
        Some(id) => Some(is_earlier(found.get::<Appointment>(id)?)),
        None => Some(true),
    }
}

/// What decides whether a patient is free at the time of an opening, and can be booked then.
fn reads_of(entry: &WaitlistEntry, opening: &Opening, found: &Found) -> Reads {
    let (from, until) = span(entry.wish.slot_of(opening));
    let reads = reads_patient(visit(entry, opening, found).reads(found), entry.patient_id, found);
    let reads = reads.maybe::<Appointment>(entry.wish.gives_up_appointment_id);
    let records = records_of(entry.patient_id, found).into_iter();
    records.fold(reads, |reads, record| reads.booked::<Appointment>(record, from, until))
}

/// Looks up the provider and the place of an opening, those who wait for it, and of these one after the other until
/// somebody is free.
fn reads(opening: &Opening, freed_at: DateTime<Utc>, found: &Found) -> Reads {
    if is_too_soon(opening, found.asked_at()) {
        return Reads::nothing();
    }
    let (from, until) = span(opening.slot);
    let mut reads = Reads::nothing()
        .booked::<Appointment>(opening.provider_id, from, until)
        .candidates::<WaitlistEntry>(scopes::WAITLIST_OF_PROVIDER, opening.provider_id.to_string());
    if let Some(room_id) = opening.room_id {
        reads = reads.booked::<Appointment>(room_id, from, until);
    }
    if let Some(id) = opening.department_id {
        reads = reads.candidates::<WaitlistEntry>(scopes::WAITLIST_OF_DEPARTMENT, id.to_string());
    }
    reads = reads_schedule(reads, opening.provider_id);
    for (_, entry) in waiting(opening, freed_at, found) {
        reads = reads.and(reads_of(entry, opening, found));
        if is_free(entry, opening, found.asked_at(), found) != Some(false) {
            break;
        }
    }
    reads
}

/// Whether provider and room of an opening are free during a part of it.
fn is_open(opening: &Opening, slot: Slot, found: &Found) -> bool {
    let (from, until) = span(opening.slot);
    [Some(opening.provider_id.into()), opening.room_id.map(Uuid::from)].into_iter().flatten().all(|resource| {
        let mut bookings = found.bookings(resource, from, until).into_iter().flatten();
        bookings.all(|it| slot.ends_at() <= it.from || it.until <= slot.starts_at)
    })
}

/// The offer of an opening to a patient who waits, if provider, place and patient can be booked.
fn offer(entry: &WaitlistEntry, opening: &Opening, ctx: &Context<'_>) -> Option<Offer> {
    let slot = entry.wish.slot_of(opening);
    if !is_open(opening, slot, ctx.found) || is_free(entry, opening, ctx.now, ctx.found) != Some(true) {
        return None;
    }
    let visit = visit(entry, opening, ctx.found);
    let patient_id = visit.patient_id;
    let it = visit.schedule(slot, ctx).ok()?;
    check_hours(ctx, it.provider_id, it.department_id, (slot, &it.time_zone), false).ok()?;
    let told_at = told_at(patient_id, zone_named(&it.time_zone), ctx);
    // In microseconds, as the database keeps the timer that ends the offer.
    let expires_at = (told_at + TO_ANSWER).min(slot.starts_at - BEFORE_VISIT).trunc_subsecs(6);
    Some(Offer { opening: opening.clone(), slot, expires_at, outside_hours: false })
}

/// Offers an opening to the first who can take it; does nothing if nobody can.
fn next<A: Claims>(opening: &Opening, freed_at: DateTime<Utc>, ctx: &Context<'_>) -> Decision<A> {
    if is_too_soon(opening, ctx.now) {
        return Decision::nothing();
    }
    let mut waiting = waiting(opening, freed_at, ctx.found).into_iter();
    match waiting.find_map(|(id, entry)| Some((id, offer(entry, opening, ctx)?))) {
        Some((id, offer)) => Decision::nothing().also::<WaitlistEntry>(id, Event::Offered(Box::new(offer))),
        None => Decision::nothing(),
    }
}

impl OfferFreedTime {
    /// What is free, unless the appointment is not there or does not give anything back.
    fn opening(&self, state: Option<&Appointment>) -> Option<Opening> {
        let cancelled = state.filter(|it| it.status == appointment::Status::Cancelled);
        self.moved_from.clone().or_else(|| cancelled.map(Appointment::opening))
    }
}

impl Command for OfferFreedTime {
    const NAME: &'static str = "offer-freed-time";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Appointment;

    fn target(&self) -> Target {
        Target::existing(self.appointment_id)
    }

    fn reads(&self, state: Option<&Appointment>, found: &Found) -> Reads {
        self.opening(state).map_or_else(Reads::nothing, |it| reads(&it, self.freed_at, found))
    }

    fn decide(self, state: Option<&Appointment>, ctx: &Context<'_>) -> Result<Decision<Appointment>, Refused> {
        existing(state)?;
        Ok(self.opening(state).map_or_else(Decision::nothing, |it| next(&it, self.freed_at, ctx)))
    }
}

impl Command for OfferAgain {
    const NAME: &'static str = "offer-again";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = WaitlistEntry;

    fn target(&self) -> Target {
        Target::existing(self.entry_id)
    }

    fn reads(&self, _: Option<&WaitlistEntry>, found: &Found) -> Reads {
        reads(&self.opening, self.freed_at, found)
    }

    fn decide(self, state: Option<&WaitlistEntry>, ctx: &Context<'_>) -> Result<Decision<WaitlistEntry>, Refused> {
        existing(state)?;
        Ok(next(&self.opening, self.freed_at, ctx))
    }
}
