use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::prepare::{Key, PreparedClaim};
use crate::recount::{ClaimDifference, ClaimsReport, EXAMPLES};
use crate::{AppendError, Booked, Span};

/// Which stream has which unique keys, shared keys and bookings.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) unique: HashMap<Key, Uuid>,
    pub(super) shared: HashMap<Key, BTreeSet<Uuid>>,
    pub(super) bookings: Vec<Booked>,
}

/// The owners of some keys, and the bookings if they are concerned.
struct Concerned {
    keys: Vec<Owners>,
    bookings: Option<Vec<Booked>>,
}

/// The owners of a key.
struct Owners {
    key: Key,
    unique: Option<Uuid>,
    shared: Option<BTreeSet<Uuid>>,
}

impl Claimed {
    /// Applies the claims of an append, or none of them. What is given back goes before what is taken.
    pub(super) fn apply(&mut self, claims: &[PreparedClaim]) -> Result<(), AppendError> {
        let before = self.concerned(claims);
        for claim in claims {
            self.give_back(claim);
        }
        let taken = claims.iter().try_for_each(|claim| self.take(claim));
        if taken.is_err() {
            self.restore(before);
        }
        taken
    }

    /// What some claims can change, as it is.
    fn concerned(&self, claims: &[PreparedClaim]) -> Concerned {
        let key = |claim: &PreparedClaim| match claim {
            PreparedClaim::Take(key, _)
            | PreparedClaim::Share(key, _)
            | PreparedClaim::Release(key, _)
            | PreparedClaim::Unshare(key, _) => Some(key.clone()),
            PreparedClaim::Book(_) | PreparedClaim::Unbook { .. } => None,
        };
        let owners =
            |key: Key| Owners { unique: self.unique.get(&key).copied(), shared: self.shared.get(&key).cloned(), key };
        let has_bookings = claims.iter().any(|claim| key(claim).is_none());
        Concerned {
            keys: claims.iter().filter_map(key).map(owners).collect(),
            bookings: has_bookings.then(|| self.bookings.clone()),
        }
    }

    fn restore(&mut self, before: Concerned) {
        for Owners { key, unique, shared } in before.keys {
            match unique {
                Some(owner) => drop(self.unique.insert(key.clone(), owner)),
                None => drop(self.unique.remove(&key)),
            }
            match shared {
                Some(owners) => drop(self.shared.insert(key, owners)),
                None => drop(self.shared.remove(&key)),
            }
        }
        self.bookings = before.bookings.unwrap_or_else(|| std::mem::take(&mut self.bookings));
    }

    fn give_back(&mut self, claim: &PreparedClaim) {
        match claim {
            PreparedClaim::Release(key, owner) if self.unique.get(key) == Some(owner) => drop(self.unique.remove(key)),
            PreparedClaim::Unshare(key, owner) => drop(self.shared.get_mut(key).map(|owners| owners.remove(owner))),
            PreparedClaim::Unbook { owner } => self.bookings.retain(|booking| booking.owner != *owner),
            _ => {}
        }
    }

    /// The bookings that overlap any of the spans, in the order of their beginnings.
    pub(super) fn booked(&self, spans: &[Span]) -> Vec<Booked> {
        let is_asked = |booking: &&Booked| spans.iter().any(|span| booking.overlaps(span));
        let mut found: Vec<_> = self.bookings.iter().filter(is_asked).cloned().collect();
        found.sort_by_key(|it| (it.from, it.resource));
        found
    }

    fn take(&mut self, claim: &PreparedClaim) -> Result<(), AppendError> {
        match claim {
            PreparedClaim::Take(key, owner) => match self.unique.get(key) {
                Some(other) if other != owner => Err(AppendError::Taken { scope: key.scope.to_owned(), owner: *other }),
                _ => {
                    self.unique.insert(key.clone(), *owner);
                    Ok(())
                }
            },
            PreparedClaim::Share(key, owner) => {
                self.shared.entry(key.clone()).or_default().insert(*owner);
                Ok(())
            }
            PreparedClaim::Book(wanted) => {
                let span = wanted.span();
                if let Some(other) = self.bookings.iter().find(|it| it.overlaps(&span)) {
                    return Err(AppendError::DoubleBooked { resource: span.resource, owner: other.owner });
                }
                self.bookings.push(wanted.clone());
                Ok(())
            }
            PreparedClaim::Release(..) | PreparedClaim::Unshare(..) | PreparedClaim::Unbook { .. } => Ok(()),
        }
    }
}

/// The claims of all streams, recomputed from their events.
#[derive(Default)]
pub(super) struct Recounted {
    streams: u64,
    claims: Vec<PreparedClaim>,
    /// The streams whose claims cannot be recomputed.
    unknown: HashSet<Uuid>,
}

/// A claim in comparable form: the scope, the blinded key or the booking in bytes, and the owner.
type Row = (String, Vec<u8>, Uuid);

fn booking_row(booked: &Booked) -> Row {
    let time = [booked.from, booked.until].map(|it| it.timestamp_micros().to_be_bytes()).concat();
    ("booking".to_owned(), [booked.resource.as_bytes().as_slice(), &time].concat(), booked.owner)
}

impl Recounted {
    /// Adds a stream with its claims; `None` when the claims cannot be recomputed.
    pub(super) fn add(&mut self, stream_id: Uuid, claims: Option<Vec<PreparedClaim>>) {
        match claims {
            Some(claims) => {
                self.streams += 1;
                self.claims.extend(claims);
            }
            None => drop(self.unknown.insert(stream_id)),
        }
    }

    pub(super) fn compare(&self, claimed: &Claimed) -> ClaimsReport {
        let (held, claimed) = (self.rows(), self.rows_of(claimed));
        let difference =
            |(set, _, owner): &Row, is_missing| ClaimDifference { set: set.clone(), owner: *owner, is_missing };
        let missing = held.difference(&claimed).map(|row| difference(row, true));
        let extra = claimed.difference(&held).map(|row| difference(row, false));
        let mut examples: Vec<_> = missing.chain(extra).collect();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (streams, skipped, differing) = (self.streams, count(self.unknown.len()), count(examples.len()));
        examples.sort();
        examples.truncate(EXAMPLES);
        ClaimsReport { streams, skipped, differing, examples }
    }

    /// Replaces the stored claims by the recomputed ones, except the claims of streams that could not be recomputed. A
    /// claim that another stream already has is not taken from that stream.
    pub(super) fn mend(&self, claimed: &mut Claimed) {
        claimed.unique.retain(|_, owner| self.unknown.contains(owner));
        claimed.shared.values_mut().for_each(|owners| owners.retain(|owner| self.unknown.contains(owner)));
        claimed.bookings.retain(|booking| self.unknown.contains(&booking.owner));
        for claim in &self.claims {
            drop(claimed.take(claim));
        }
    }

    fn rows(&self) -> BTreeSet<Row> {
        let row = |claim: &PreparedClaim| match claim {
            PreparedClaim::Take(Key { scope, key }, owner) | PreparedClaim::Share(Key { scope, key }, owner) => {
                Some(((*scope).to_owned(), key.clone(), *owner))
            }
            PreparedClaim::Book(booked) => Some(booking_row(booked)),
            PreparedClaim::Release(..) | PreparedClaim::Unshare(..) | PreparedClaim::Unbook { .. } => None,
        };
        self.claims.iter().filter_map(row).collect()
    }

    /// The stored claims of the streams whose claims could be recomputed.
    fn rows_of(&self, claimed: &Claimed) -> BTreeSet<Row> {
        let unique = claimed.unique.iter().map(|(key, owner)| (key, *owner));
        let shared = claimed.shared.iter().flat_map(|(key, owners)| owners.iter().map(move |owner| (key, *owner)));
        let keys = unique.chain(shared).map(|(key, owner)| (key.scope.to_owned(), key.key.clone(), owner));
        let times = claimed.bookings.iter().map(booking_row);
        keys.chain(times).filter(|(_, _, owner)| !self.unknown.contains(owner)).collect()
    }
}
