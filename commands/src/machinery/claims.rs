use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use hims_domain::appointment::Slot;
use hims_domain::{Aggregate, Invalid, for_each_aggregate};
use hims_event_store::{Booked, Claim, Opened, Span, StoreError};
use uuid::Uuid;

use crate::Caller;

/// The keys and times that a stream holds, so that other streams cannot have them: a pure function of the state.
///
/// The executor compares what a stream holds before and after its new events, and takes and gives back the difference
/// in the same append. So a decision cannot forget to give a claim back, and all claims can be recomputed from the log
/// (`hims verify --deep`, `hims rebuild --claims`).
pub trait Claims: Aggregate {
    /// Adds the keys and times that the stream `id` holds in this state to `held`. By default a stream holds nothing.
    fn claims(&self, id: Uuid, held: &mut Held) {
        let _ = (id, held);
    }

    /// Whether the caller may not read the record in this state, as far as state and caller tell. A command on a hidden
    /// record is answered as if there were no such record, whatever the permissions of the caller. By default nothing
    /// is hidden.
    fn is_hidden_from(&self, caller: &Caller) -> bool {
        let _ = caller;
        false
    }

    /// The stream into which this stream was merged as a duplicate. A request that names this stream is refused then.
    fn merged_into(&self) -> Option<Uuid> {
        None
    }
}

/// The time for which a stream has booked a resource, such as a room.
#[derive(Debug, Clone, PartialEq)]
struct Booking {
    resource: Uuid,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// The refusal code for another command that books the resource at an overlapping time.
    refusal: &'static str,
    /// What stands against that command, in words.
    told: &'static str,
    /// The field of commands that names the resource, as a JSON pointer; empty if no field does.
    field: &'static str,
}

impl Booking {
    fn span(&self) -> Span {
        Span { resource: self.resource, from: self.from, until: self.until }
    }
}

/// The keys and times that a stream holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    unique: BTreeSet<(&'static str, String)>,
    shared: BTreeSet<(&'static str, String)>,
    booked: Vec<Booking>,
}

/// The refusal code of a double booking, unless the booking names another code.
const DOUBLE_BOOKING: &str = "double-booking";
const IS_BOOKED: &str = "what is asked for is booked at an overlapping time: choose another";

impl Held {
    /// What a stream holds in a state; a stream that does not exist holds nothing.
    pub(crate) fn of<A: Claims>(id: Uuid, state: Option<&A>) -> Self {
        let mut held = Self::default();
        if let Some(state) = state {
            state.claims(id, &mut held);
        }
        held
    }

    /// Holds a unique key, which no other stream may have.
    pub fn take(&mut self, scope: &'static str, key: impl Into<String>) -> &mut Self {
        self.unique.insert((scope, key.into()));
        self
    }

    /// Holds a unique key, if there is one.
    pub fn take_if(&mut self, scope: &'static str, key: Option<impl Into<String>>) -> &mut Self {
        self.unique.extend(key.map(|key| (scope, key.into())));
        self
    }

    /// Holds a shared key, by which the stream can be found; other streams may have the same key.
    pub fn share(&mut self, scope: &'static str, key: impl Into<String>) -> &mut Self {
        self.shared.insert((scope, key.into()));
        self
    }

    /// Holds a shared key, if there is one.
    pub fn share_if(&mut self, scope: &'static str, key: Option<impl Into<String>>) -> &mut Self {
        self.shared.extend(key.map(|key| (scope, key.into())));
        self
    }

    /// Books a resource for the time of a slot; no other stream may book the resource at an overlapping time.
    pub fn book(&mut self, resource: impl Into<Uuid>, slot: Slot) -> &mut Self {
        self.book_span(resource, slot.starts_at, slot.ends_at())
    }

    /// Books a resource from an instant up to, but not including, another instant.
    pub fn book_span(&mut self, resource: impl Into<Uuid>, from: DateTime<Utc>, until: DateTime<Utc>) -> &mut Self {
        let (resource, refusal, told) = (resource.into(), DOUBLE_BOOKING, IS_BOOKED);
        self.booked.push(Booking { resource, from, until, refusal, told, field: "" });
        self
    }

    /// Sets the refusal code for a conflict with the booking that was added last, in place of `double-booking`, and what
    /// the refusal tells.
    pub fn or_refuse(&mut self, code: &'static str, told: &'static str) -> &mut Self {
        if let Some(last) = self.booked.last_mut() {
            (last.refusal, last.told) = (code, told);
        }
        self
    }

    /// Sets the field that names the resource of the booking that was added last, as a JSON pointer. A refusal points
    /// to the field.
    pub fn named_by(&mut self, field: &'static str) -> &mut Self {
        if let Some(last) = self.booked.last_mut() {
            last.field = field;
        }
        self
    }

    /// The times for which resources are booked.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        self.booked.iter().map(Booking::span)
    }

    /// The faults of a command that cannot book what is booked by others already: one for each of these bookings. Of the
    /// bookings of streams that are not among `seen`, the times are not told.
    pub(crate) fn faults(&self, others: &[Booked], seen: &HashSet<Uuid>) -> Vec<Invalid> {
        let fault = |wanted: &Booking, other: &Booked| {
            let times = [wanted.from, other.from, other.until].map(|it| it.to_rfc3339_opts(SecondsFormat::Secs, true));
            let [begin, from, until] = times;
            let (is_booking, is_seen) = (wanted.refusal == DOUBLE_BOOKING, seen.contains(&other.owner));
            let message = match (is_booking, is_seen) {
                (true, true) => {
                    format!("what begins at {begin} meets what is booked from {from} to {until}; see candidates")
                }
                (true, false) => format!("what begins at {begin} meets what is booked already"),
                (false, true) => format!("{}; that one counts from {from} to {until}, see candidates", wanted.told),
                (false, false) => wanted.told.to_owned(),
            };
            Invalid::coded(wanted.refusal, wanted.field, message)
        };
        let faults = self.booked.iter().flat_map(|wanted| {
            let span = wanted.span();
            others.iter().filter(move |other| other.overlaps(&span)).map(move |other| fault(wanted, other))
        });
        faults.collect()
    }

    /// What a refusal with this code tells of the bookings that stand against the command.
    pub(crate) fn told(&self, code: &str) -> Option<&'static str> {
        self.booked.iter().find(|it| it.refusal == code).map(|it| it.told)
    }

    /// The claims that the owner gives back and takes in order to hold `after` instead of `self`.
    pub(crate) fn until(&self, after: &Self, owner: Uuid) -> Vec<Claim> {
        let text = |(scope, key): &(&'static str, String)| (*scope, key.clone());
        let mut claims = Vec::new();
        for (scope, key) in self.unique.difference(&after.unique).map(text) {
            claims.push(Claim::Release { scope, key, owner });
        }
        for (scope, key) in self.shared.difference(&after.shared).map(text) {
            claims.push(Claim::Unshare { scope, key, owner });
        }
        if self.booked != after.booked && !self.booked.is_empty() {
            claims.push(Claim::Unbook { owner });
        }
        for (scope, key) in after.unique.difference(&self.unique).map(text) {
            claims.push(Claim::Take { scope, key, owner });
        }
        for (scope, key) in after.shared.difference(&self.shared).map(text) {
            claims.push(Claim::Share { scope, key, owner });
        }
        if self.booked != after.booked {
            let booked = after.booked.iter();
            claims.extend(booked.map(|it| Claim::Book {
                resource: it.resource,
                from: it.from,
                until: it.until,
                owner,
            }));
        }
        claims
    }
}

/// The claims that a stream takes in order to be in a state, if it held nothing before.
pub(crate) fn claimed_by<A: Claims>(id: Uuid, state: Option<&A>) -> Vec<Claim> {
    Held::default().until(&Held::of(id, state), id)
}

/// The claims that a stream of any aggregate holds after its events. The log recomputes all claims with this function.
///
/// # Errors
/// When an event cannot be read.
pub fn claims_of(events: &[Opened]) -> Result<Vec<Claim>, StoreError> {
    fn held<A: Claims>(id: Uuid, events: &[Opened]) -> Result<Vec<Claim>, StoreError> {
        let mut state = None;
        for event in events {
            state = A::evolve(state, &event.decode()?);
        }
        Ok(claimed_by(id, state.as_ref()))
    }
    let Some(first) = events.first() else { return Ok(Vec::new()) };
    let (stream_type, id) = (first.recorded.stream_type.as_str(), first.recorded.stream_id);
    macro_rules! held_if {
        ($aggregate:ty) => {
            if stream_type == <$aggregate as Aggregate>::STREAM {
                return held::<$aggregate>(id, events);
            }
        };
    }
    for_each_aggregate!(held_if);
    // A stream type that this release does not know claims nothing.
    Ok(Vec::new())
}
