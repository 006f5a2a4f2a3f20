use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use hims_domain::values::Currency;
use hims_domain::{Aggregate, UserId};
use hims_event_store::{Booked, Position, Span};
use uuid::Uuid;

use crate::{Caller, Claims, Kind, Loaded, Refused};

/// The clock and the source of randomness, given once by the program, so that tests can set them.
#[derive(Clone)]
pub struct Surroundings {
    /// Reads the current time. A server gives the executor the time of the log, which is the same on every node.
    pub clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// Draws 128 random bits.
    pub entropy: Arc<dyn Fn() -> u128 + Send + Sync>,
}

/// What a decision may use besides the command and the state of its stream.
pub struct Context<'a> {
    /// When the command happens: the current time, or the time at which an imported fact happened.
    pub now: DateTime<Utc>,
    /// Who gives the command.
    pub caller: &'a Caller,
    /// The time zone of the hospital, which counts where nobody and no department says another.
    pub hospital_zone: Tz,
    /// The streams and key owners that were looked up.
    pub found: &'a Found,
    /// The hash of [`Passwords::set`](crate::Passwords::set), if a password is to be set.
    pub password_hash: Option<String>,
    /// Whether the password of [`Passwords::compare`](crate::Passwords::compare) matches its hash.
    pub password_matches: bool,
    /// Random bits for new ids and numbers.
    pub entropy: u128,
    /// The id of the stream to which the command applies.
    pub id: Uuid,
    /// The currency of the hospital.
    pub currency: Currency,
}

impl Context<'_> {
    /// A new id (UUID version 7) for the time of the command; each `nth` gives another id.
    pub fn new_id(&self, nth: u64) -> Uuid {
        new_id(self.now, self.entropy, nth)
    }

    /// The id of a new part of the record, such as a line: the named id, or else a new one.
    ///
    /// # Errors
    /// When the record has a part with this id already.
    pub fn part_id<I: From<Uuid> + Copy>(
        &self,
        named: Option<I>,
        is_known: impl FnOnce(I) -> bool,
    ) -> Result<I, Refused> {
        let id = named.unwrap_or_else(|| self.new_id(1).into());
        if is_known(id) { Err(Refused::exists()) } else { Ok(id) }
    }

    /// The date of the command in the time zone of the caller's department.
    pub fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.caller.time_zone).date_naive()
    }

    /// A random draw, from which a number such as a medical record number is made.
    pub fn draw(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is as random as the whole")]
        let draw = (self.entropy ^ (self.entropy >> 64)) as u64;
        draw
    }

    /// The state of a stream that the request names in a field.
    ///
    /// # Errors
    /// A refusal that names the field, when the stream does not exist; another, when it was merged into a stream.
    pub fn named<A: Claims>(&self, id: impl Into<Uuid>, field: &str) -> Result<&A, Refused> {
        let state: &A = self.found.get(id.into()).ok_or_else(|| unknown::<A>(field))?;
        match state.merged_into() {
            Some(survivor) => Err(Refused::merged(A::STREAM, survivor)),
            None => Ok(state),
        }
    }

    /// As [`named`](Self::named), for a stream that the caller must be able to read: one that is hidden from the caller
    /// is refused like one that does not exist.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn shown<A: Claims>(&self, id: impl Into<Uuid>, field: &str) -> Result<&A, Refused> {
        let state = self.named::<A>(id, field)?;
        if state.is_hidden_from(self.caller) { Err(unknown::<A>(field)) } else { Ok(state) }
    }

    /// The user who did something: the named user, or else the caller.
    ///
    /// # Errors
    /// When nobody is named and the caller is a part of the system.
    pub fn user(&self, named: Option<UserId>, field: &str) -> Result<UserId, Refused> {
        let message = "name the acting user, since the caller is not a user";
        named.or(self.caller.user_id()).ok_or_else(|| Refused::field("who-did-it", field, message))
    }
}

pub(crate) fn new_id(now: DateTime<Utc>, entropy: u128, nth: u64) -> Uuid {
    // The odd factor changes all the bits, so that the ids of one command do not resemble each other.
    let random = entropy.wrapping_add(u128::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let mut bytes = [0_u8; 10];
    bytes.copy_from_slice(&random.to_be_bytes()[..10]);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// The refusal of a request that names a stream which does not exist, or which is hidden from the caller.
pub(crate) fn unknown<A: Aggregate>(field: &str) -> Refused {
    let message = format!("there is no {} with this id", super::refusal::spoken(A::STREAM));
    Refused { kind: Kind::Rule, ..Refused::field("unknown-reference", field, message) }
}

/// The streams and key owners that were looked up for a decision.
#[derive(Default)]
pub struct Found {
    /// When the look-up began, at most a moment before [`Context::now`].
    pub(crate) asked_at: DateTime<Utc>,
    /// The calling user; `None` for a part of the system.
    pub(crate) asked_by: Option<UserId>,
    /// The time zone of the hospital.
    pub(crate) hospital_zone: Tz,
    /// The end of the log when the look-up began, as far as this node knew.
    pub(crate) head: Position,
    pub(crate) streams: HashMap<Uuid, FoundState>,
    pub(crate) owners: HashMap<(&'static str, String), Vec<Uuid>>,
    pub(crate) booked: HashMap<Span, Vec<Booked>>,
}

/// The version and state of a stream that was looked up.
pub(crate) struct FoundState {
    pub(crate) version: i32,
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) fresh: bool,
    /// Whether the decision relies on the version. If not, the stream was only looked at.
    pub(crate) is_relied_on: bool,
}

impl FoundState {
    pub(crate) fn of<A: Aggregate>(loaded: Loaded<A>) -> Self {
        let state = loaded.state.map(|it| it as Arc<dyn Any + Send + Sync>);
        Self { version: loaded.version, state, fresh: loaded.fresh, is_relied_on: true }
    }
}

impl Found {
    /// The state of a stream, if the stream exists and was looked up.
    pub fn get<A: Aggregate>(&self, id: impl Into<Uuid>) -> Option<&A> {
        self.streams.get(&id.into())?.state.as_ref()?.downcast_ref()
    }

    /// About when the command happens, for a look-up that depends on it. The decision itself has [`Context::now`].
    pub fn asked_at(&self) -> DateTime<Utc> {
        self.asked_at
    }

    /// The calling user, for a decision that rests on what the user is at this moment; `None` for a part of the system.
    pub fn asked_by(&self) -> Option<UserId> {
        self.asked_by
    }

    /// The time zone of the hospital, for a look-up that depends on it, as [`Context::hospital_zone`].
    pub fn hospital_zone(&self) -> Tz {
        self.hospital_zone
    }

    /// The position at which the log ended when the command was decided, as far as the node knew. Other nodes may have
    /// recorded more.
    pub fn head(&self) -> Position {
        self.head
    }

    /// The streams that own a key which was looked up, with their states.
    pub fn owners<A: Aggregate>(
        &self,
        scope: &'static str,
        key: impl Into<String>,
    ) -> impl Iterator<Item = (Uuid, &A)> {
        self.holders(scope, key).iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The ids of the streams that own a key which was looked up.
    pub fn holders(&self, scope: &'static str, key: impl Into<String>) -> &[Uuid] {
        self.owners.get(&(scope, key.into())).map_or(&[], Vec::as_slice)
    }

    /// The bookings that overlap a time which was looked up, in the order of their beginnings, each with the state of
    /// the stream that has booked the resource. Bookings of streams of another type are left out.
    pub fn booked<A: Aggregate>(
        &self,
        resource: impl Into<Uuid>,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = (&Booked, &A)> {
        let bookings = self.bookings(resource, from, until);
        bookings.into_iter().flatten().filter_map(|it| Some((it, self.get(it.owner)?)))
    }

    /// The bookings that overlap a time which was looked up, whatever stream holds them; `None` if nobody looked.
    pub fn bookings(&self, resource: impl Into<Uuid>, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<&[Booked]> {
        self.booked.get(&Span { resource: resource.into(), from, until }).map(Vec::as_slice)
    }

    /// Whether a decision looked up what is booked at the time of a booking, and did not find the booking.
    pub(crate) fn missed(&self, other: &Booked) -> bool {
        self.booked.iter().any(|(span, found)| other.overlaps(span) && found.iter().all(|it| it.owner != other.owner))
    }

    /// The streams on whose versions the decision relies.
    pub(crate) fn relied_on(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.streams.iter().filter(|(_, it)| it.is_relied_on).map(|(id, it)| (*id, it.version))
    }

    pub(crate) fn all_fresh(&self) -> bool {
        self.streams.values().all(|it| it.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_was_missed_if_its_time_was_looked_up_and_it_was_not_there() {
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let booking = |resource, from, until, owner| Booked {
            resource: Uuid::from_u128(resource),
            from: at(from),
            until: at(until),
            owner: Uuid::from_u128(owner),
        };
        let looked_up = Span { resource: Uuid::from_u128(1), from: at(10), until: at(12) };
        let found = Found { booked: HashMap::from([(looked_up, vec![booking(1, 10, 11, 7)])]), ..Found::default() };
        for (other, is_missed) in [
            (booking(1, 11, 12, 8), true),
            (booking(1, 9, 13, 8), true),
            (booking(1, 10, 11, 7), false),
            (booking(1, 12, 13, 8), false),
            (booking(1, 9, 10, 8), false),
            (booking(2, 11, 12, 8), false),
        ] {
            assert_eq!(found.missed(&other), is_missed, "{other:?}");
        }
        assert!(!Found::default().missed(&booking(1, 11, 12, 8)), "nothing was looked up");
    }

    #[test]
    fn ids_are_of_their_moment_and_differ() {
        let now = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        let ids: Vec<_> = (0..100).map(|nth| new_id(now, 7, nth)).collect();
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), 100);
        assert!(ids.iter().all(|it| it.get_version_num() == 7));
        assert_eq!(ids[0].get_timestamp().unwrap().to_unix().0, 1_700_000_000);
    }
}
