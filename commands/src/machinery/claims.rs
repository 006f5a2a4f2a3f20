use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::appointment::Slot;
use hims_domain::{Aggregate, for_each_aggregate};
use hims_event_store::{Claim, Opened, StoreError};
use uuid::Uuid;

/// What a stream holds against all others: a pure function of its state.
///
/// The executor compares what a stream holds before and after its new events, and takes and gives back the difference
/// in the append itself. So a decision cannot forget to give something back, and all claims can be recomputed from the
/// log (`hims verify --deep`, `hims rebuild --claims`).
pub trait Claims: Aggregate {
    /// Says which keys and times the stream `id` holds in this state. Nothing, unless told.
    fn claims(&self, id: Uuid, held: &mut Held) {
        let _ = (id, held);
    }
}

/// A time of a resource that a stream holds.
#[derive(Debug, Clone, PartialEq)]
struct Booking {
    resource: Uuid,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// The code with which a command is refused that books the resource at an overlapping time.
    refusal: &'static str,
}

/// The keys and times that a stream holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    unique: BTreeSet<(&'static str, String)>,
    shared: BTreeSet<(&'static str, String)>,
    booked: Vec<Booking>,
}

/// The code of a double booking, unless the booking names another.
const DOUBLE_BOOKING: &str = "double-booking";

impl Held {
    /// What a state holds; a stream that does not exist holds nothing.
    pub(crate) fn of<A: Claims>(id: Uuid, state: Option<&A>) -> Self {
        let mut held = Self::default();
        if let Some(state) = state {
            state.claims(id, &mut held);
        }
        held
    }

    /// A key that no other stream may have.
    pub fn take(&mut self, scope: &'static str, key: impl Into<String>) -> &mut Self {
        self.unique.insert((scope, key.into()));
        self
    }

    /// Such a key, if there is one.
    pub fn take_if(&mut self, scope: &'static str, key: Option<impl Into<String>>) -> &mut Self {
        self.unique.extend(key.map(|key| (scope, key.into())));
        self
    }

    /// A key by which the stream can be found; others may have it too.
    pub fn share(&mut self, scope: &'static str, key: impl Into<String>) -> &mut Self {
        self.shared.insert((scope, key.into()));
        self
    }

    /// Such a key, if there is one.
    pub fn share_if(&mut self, scope: &'static str, key: Option<impl Into<String>>) -> &mut Self {
        self.shared.extend(key.map(|key| (scope, key.into())));
        self
    }

    /// The time of a slot, of a resource that nobody else may have then.
    pub fn book(&mut self, resource: impl Into<Uuid>, slot: Slot) -> &mut Self {
        self.book_span(resource, slot.starts_at, slot.ends_at())
    }

    /// The time of a slot, of a resource if there is one.
    pub fn book_if(&mut self, resource: Option<impl Into<Uuid>>, slot: Slot) -> &mut Self {
        match resource {
            Some(resource) => self.book(resource, slot),
            None => self,
        }
    }

    /// The time from an instant up to, and without, another, of a resource that nobody else may have then.
    pub fn book_span(&mut self, resource: impl Into<Uuid>, from: DateTime<Utc>, until: DateTime<Utc>) -> &mut Self {
        self.booked.push(Booking { resource: resource.into(), from, until, refusal: DOUBLE_BOOKING });
        self
    }

    /// The code with which a command is refused that books the last resource at an overlapping time, in place of
    /// `double-booking`.
    pub fn or_refuse(&mut self, code: &'static str) -> &mut Self {
        if let Some(last) = self.booked.last_mut() {
            last.refusal = code;
        }
        self
    }

    /// The code of a command that cannot book a resource, since another stream has it at that time.
    pub(crate) fn refusal_of(&self, resource: Uuid) -> Option<&'static str> {
        self.booked.iter().find(|it| it.resource == resource).map(|it| it.refusal)
    }

    /// What the owner gives back and takes so that it holds `after` instead of this.
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

/// What a stream of any aggregate holds by its events: with this the log recomputes every claim.
///
/// # Errors
/// When an event cannot be read.
pub fn claims_of(events: &[Opened]) -> Result<Vec<Claim>, StoreError> {
    fn held<A: Claims>(id: Uuid, events: &[Opened]) -> Result<Vec<Claim>, StoreError> {
        let mut state = None;
        for event in events {
            state = A::evolve(state, &event.decode()?);
        }
        Ok(Held::default().until(&Held::of::<A>(id, state.as_ref()), id))
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
    // Nothing is claimed by a stream that no aggregate of this release knows.
    Ok(Vec::new())
}
