use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::{Aggregate, UserId};
use uuid::Uuid;

use crate::{Caller, Kind, Loaded, Refused};

/// The clock and the randomness of the world; given once, at the edge.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// 128 random bits.
    pub entropy: Arc<dyn Fn() -> u128 + Send + Sync>,
}

/// What a decision may know beside the state and the command.
pub struct Context<'a> {
    /// When it happens: the clock, or for an imported fact its own time.
    pub now: DateTime<Utc>,
    /// Who asks.
    pub caller: &'a Caller,
    /// What was looked up.
    pub found: &'a Found,
    /// The hash of the password to be set.
    pub password_hash: Option<String>,
    /// Whether the password to be compared is the right one.
    pub password_matches: bool,
    /// Where new ids and numbers come from.
    pub entropy: u128,
    /// The stream that the command is for.
    pub id: Uuid,
}

impl Context<'_> {
    /// A new id (UUID version 7) of this moment; another for every `nth`.
    pub fn new_id(&self, nth: u64) -> Uuid {
        new_id(self.now, self.entropy, nth)
    }

    /// The day it is where the caller works.
    pub fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.caller.time_zone).date_naive()
    }

    /// A random draw for a number to be issued.
    pub fn draw(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is as random as the whole")]
        let draw = (self.entropy ^ (self.entropy >> 64)) as u64;
        draw
    }

    /// A stream that the request names in a field.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn named<A: Aggregate>(&self, id: impl Into<Uuid>, field: &str) -> Result<&A, Refused> {
        self.found.get(id.into()).ok_or_else(|| unknown::<A>(field))
    }

    /// The user who asks, where a user must have done it.
    ///
    /// # Errors
    /// When a part of the system asks and names nobody.
    pub fn user(&self, named: Option<UserId>, field: &str) -> Result<UserId, Refused> {
        named.or(self.caller.user_id()).ok_or_else(|| Refused::field("who-did-it", field, "name the user who did it"))
    }
}

pub(crate) fn new_id(now: DateTime<Utc>, entropy: u128, nth: u64) -> Uuid {
    // An odd factor moves every bit, so that neighbours share nothing.
    let random = entropy.wrapping_add(u128::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let mut bytes = [0_u8; 10];
    bytes.copy_from_slice(&random.to_be_bytes()[..10]);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

fn unknown<A: Aggregate>(field: &str) -> Refused {
    let message = format!("there is no {} with this id", super::refusal::spoken(A::STREAM));
    Refused { kind: Kind::Rule, ..Refused::field("unknown-reference", field, message) }
}

/// What was looked up for a decision.
#[derive(Default)]
pub struct Found {
    pub(crate) streams: HashMap<Uuid, FoundState>,
    pub(crate) owners: HashMap<(&'static str, String), Vec<Uuid>>,
}

/// A stream as it was found.
pub(crate) struct FoundState {
    pub(crate) version: i32,
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) fresh: bool,
}

impl FoundState {
    pub(crate) fn of<A: Aggregate>(loaded: Loaded<A>) -> Self {
        let state = loaded.state.map(|it| it as Arc<dyn Any + Send + Sync>);
        Self { version: loaded.version, state, fresh: loaded.fresh }
    }
}

impl Found {
    /// A stream, if it exists and was asked for.
    pub fn get<A: Aggregate>(&self, id: impl Into<Uuid>) -> Option<&A> {
        self.streams.get(&id.into())?.state.as_ref()?.downcast_ref()
    }

    /// The owners of a key that was asked for.
    pub fn owners<A: Aggregate>(
        &self,
        scope: &'static str,
        key: impl Into<String>,
    ) -> impl Iterator<Item = (Uuid, &A)> {
        let ids = self.owners.get(&(scope, key.into())).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    pub(crate) fn all_fresh(&self) -> bool {
        self.streams.values().all(|it| it.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
