//! Given what has happened, when something is asked, then this follows: decisions without a store.
#![expect(clippy::needless_pass_by_value, reason = "tests read better without ampersands")]

use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::appointment::Slot;
use hims_domain::{Aggregate, Pointer, fold};
use hims_event_store::{Actor, Claim};
use uuid::Uuid;

use crate::machinery::context::{Found, FoundState};
use crate::machinery::decision::{Other, Planned};
use crate::{Caller, Claims, Command, Context, Decision, Reads, Refused, Target};

pub(crate) mod samples;
pub(crate) mod world;

/// A weekday morning.
pub(crate) fn now() -> DateTime<Utc> {
    at("2026-11-23T10:00:00Z")
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// An id for a small number.
pub(crate) fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// The id of what begins without an id of the caller's.
pub(crate) const ISSUED: Uuid = Uuid::from_u128(1000);

/// Who asks unless a test says otherwise.
pub(crate) const ASKING: Uuid = Uuid::from_u128(99);

/// What a password hashes to while deciding.
pub(crate) const HASH: &str = "$argon2id$test";

pub(crate) struct Given<A: Aggregate> {
    events: Vec<A::Event>,
    found: Found,
    now: DateTime<Utc>,
    caller: Caller,
    hash: Option<String>,
    password_matches: bool,
}

/// What has happened to what the command is for.
pub(crate) fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        events: events.into_iter().collect(),
        found: Found::default(),
        now: now(),
        caller: Caller { actor: Actor::User { id: ASKING }, ..Caller::system("test") },
        hash: Some(HASH.to_owned()),
        password_matches: true,
    }
}

impl<A: Aggregate> Given<A> {
    /// What has happened elsewhere.
    pub(crate) fn and<B: Aggregate>(mut self, id: impl Into<Uuid>, events: impl IntoIterator<Item = B::Event>) -> Self {
        let events: Vec<_> = events.into_iter().collect();
        let state = fold::<B>(&events).map(|it| Arc::new(it) as _);
        let version = i32::try_from(events.len()).unwrap();
        self.found.streams.insert(id.into(), FoundState { version, state, fresh: true });
        self
    }

    /// Who has a key.
    pub(crate) fn owner(mut self, scope: &'static str, key: impl ToString, owner: impl Into<Uuid>) -> Self {
        self.found.owners.entry((scope, key.to_string())).or_default().push(owner.into());
        self
    }

    pub(crate) fn at(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    /// Who asks.
    pub(crate) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// The password that is to be compared is another one.
    pub(crate) fn but_the_password_is_wrong(self) -> Self {
        Self { password_matches: false, ..self }
    }

    /// No password can be hashed.
    pub(crate) fn but_nothing_is_hashed(self) -> Self {
        Self { hash: None, ..self }
    }

    pub(crate) fn when<C: Command<Aggregate = A>>(self, command: C) -> Then<A>
    where
        A: Claims,
    {
        let mut invalid = Vec::new();
        command.check(&Pointer::Root, &mut invalid);
        if !invalid.is_empty() {
            return Then(Err(Refused::invalid(invalid)), Vec::new());
        }
        let state = fold::<A>(&self.events);
        let id = match command.target() {
            Target::Existing(id) | Target::New(Some(id)) => id,
            Target::New(None) => ISSUED,
        };
        let found = looked_up(&command, state.as_ref(), self.found);
        let ctx = Context {
            now: self.now,
            caller: &self.caller,
            found: &found,
            password_hash: self.hash.filter(|_| command.passwords(state.as_ref()).set.is_some()),
            password_matches: self.password_matches,
            entropy: 42,
            id,
        };
        let decided = command.decide(state.as_ref(), &ctx);
        let claims = match &decided {
            Ok(decision) => {
                let version = i32::try_from(self.events.len()).unwrap();
                let planned = decision.plan(id, version, state.as_ref(), &found).unwrap();
                planned.iter().flat_map(Planned::claims).map(|claim| Claimed::of(claim, id)).collect()
            }
            Err(_) => Vec::new(),
        };
        Then(decided, claims)
    }
}

/// Of all that there is, what the command asks for: a decision that needs more does not find it.
fn looked_up<C: Command>(command: &C, state: Option<&C::Aggregate>, mut all: Found) -> Found {
    let mut found = Found::default();
    loop {
        let Reads { mut streams, owners } = command.reads(state, &found);
        let before = found.streams.len() + found.owners.len();
        for (scope, key, loader) in owners {
            if let Some(ids) = all.owners.remove(&(scope, key.clone())) {
                streams.extend(ids.iter().map(|id| (*id, loader)));
                found.owners.insert((scope, key), ids);
            }
        }
        for (id, _) in streams {
            found.streams.extend(all.streams.remove(&id).map(|it| (id, it)));
        }
        if found.streams.len() + found.owners.len() == before {
            return found;
        }
    }
}

/// What followed, and what was claimed or given back with it.
pub(crate) struct Then<A: Claims>(Result<Decision<A>, Refused>, Vec<Claimed>);

impl<A: Claims> Then<A> {
    #[track_caller]
    fn decided(&self) -> &Decision<A> {
        match &self.0 {
            Ok(decision) => decision,
            Err(refused) => panic!("refused: {refused:?}"),
        }
    }

    #[track_caller]
    fn refused(&self) -> &Refused {
        match &self.0 {
            Ok(decision) => panic!("not refused: {:?}", decision.events),
            Err(refused) => refused,
        }
    }

    /// Whether anything was decided, quiet or not.
    pub(crate) fn is_accepted(&self) -> bool {
        self.0.is_ok()
    }

    /// Exactly these events of its own.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) -> Self {
        assert_eq!(self.events(), events.into_iter().collect::<Vec<_>>());
        self
    }

    /// Exactly these events of another stream.
    #[track_caller]
    pub(crate) fn then_also<B: Claims>(self, id: impl Into<Uuid>, events: impl IntoIterator<Item = B::Event>) -> Self {
        assert_eq!(self.events_of::<B>(id), events.into_iter().collect::<Vec<_>>());
        self
    }

    /// Nothing of any other stream.
    #[track_caller]
    pub(crate) fn then_nothing_else(self) -> Self {
        assert!(self.decided().others.is_empty(), "{} events of other streams", self.decided().others.len());
        self
    }

    /// Exactly these claims, in any order.
    #[track_caller]
    pub(crate) fn then_claims(self, claims: impl IntoIterator<Item = Claimed>) -> Self {
        let sorted = |mut claims: Vec<Claimed>| {
            claims.sort_by_key(|it| format!("{it:?}"));
            claims
        };
        assert_eq!(sorted(self.1.clone()), sorted(claims.into_iter().collect()));
        self
    }

    /// Its own events.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<A::Event> {
        self.decided().events.clone()
    }

    /// Its events of another stream.
    #[track_caller]
    pub(crate) fn events_of<B: Claims>(&self, id: impl Into<Uuid>) -> Vec<B::Event> {
        let id = id.into();
        let others = self.decided().others.iter().filter_map(|it| it.as_any().downcast_ref::<Other<B>>());
        others.filter(|it| it.id == id).map(|it| it.event.clone()).collect()
    }

    /// Its only event, for a closer look.
    #[track_caller]
    pub(crate) fn then_event(self) -> A::Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    #[track_caller]
    pub(crate) fn then_nothing(self) {
        let decision = self.decided();
        assert!(decision.is_nothing(), "{:?}", decision.events);
    }

    #[track_caller]
    pub(crate) fn then_refused(self, refusal: impl Into<Refused> + Debug) {
        assert_eq!(*self.refused(), refusal.into());
    }

    /// The code of the refusal, where it names more than a test needs to repeat.
    #[track_caller]
    pub(crate) fn then_code(self, code: &str) {
        assert_eq!(self.refused().code, code, "{:?}", self.refused());
    }

    /// The code of the refusal and the one field at fault.
    #[track_caller]
    pub(crate) fn then_field(self, code: &str, pointer: &str) {
        let refused = self.refused();
        let pointers: Vec<_> = refused.errors.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!((refused.code, pointers), (code, vec![pointer]), "{refused:?}");
    }

    /// The streams that the refusal points to.
    #[track_caller]
    pub(crate) fn then_candidates(self, candidates: impl IntoIterator<Item = impl Into<Uuid>>) {
        assert_eq!(self.refused().candidates, candidates.into_iter().map(Into::into).collect::<Vec<_>>());
    }
}

/// A claim of the command's own stream, or that another stream is no longer found by a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claimed {
    Take(&'static str, String),
    Release(&'static str, String),
    Share(&'static str, String),
    Unshare(&'static str, String),
    Book(Uuid, DateTime<Utc>, DateTime<Utc>),
    Unbook,
    OfOther(Uuid, Box<Claimed>),
}

impl Claimed {
    fn of(claim: Claim, own: Uuid) -> Self {
        let (claimed, owner) = match claim {
            Claim::Take { scope, key, owner } => (Self::Take(scope, key), owner),
            Claim::Release { scope, key, owner } => (Self::Release(scope, key), owner),
            Claim::Share { scope, key, owner } => (Self::Share(scope, key), owner),
            Claim::Unshare { scope, key, owner } => (Self::Unshare(scope, key), owner),
            Claim::Book { resource, from, until, owner } => (Self::Book(resource, from, until), owner),
            Claim::Unbook { owner } => (Self::Unbook, owner),
        };
        if owner == own { claimed } else { Self::OfOther(owner, Box::new(claimed)) }
    }
}

/// A key that nobody else may have is taken.
pub(crate) fn takes(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Take(scope, key.to_string())
}

/// Such a key is given back.
pub(crate) fn releases(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Release(scope, key.to_string())
}

/// The stream can be found by a key.
pub(crate) fn shares(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Share(scope, key.to_string())
}

/// The stream is no longer found by a key.
pub(crate) fn unshares(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Unshare(scope, key.to_string())
}

/// A claim of another stream than the command's.
pub(crate) fn of(owner: impl Into<Uuid>, claimed: Claimed) -> Claimed {
    Claimed::OfOther(owner.into(), Box::new(claimed))
}

/// A time of a resource is booked.
pub(crate) fn books(resource: impl Into<Uuid>, slot: Slot) -> Claimed {
    Claimed::Book(resource.into(), slot.starts_at, slot.ends_at())
}

/// What was booked before is free again.
pub(crate) fn unbooks() -> Claimed {
    Claimed::Unbook
}
