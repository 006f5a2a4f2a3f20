//! Tests of decisions without a store: given past events, when a command is decided, then these events follow.
#![expect(clippy::needless_pass_by_value, reason = "tests read better without ampersands")]

use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::appointment::Slot;
use hims_domain::values::Currency;
use hims_domain::{Aggregate, Pointer, fold};
use hims_event_store::{Actor, Booked};
use uuid::Uuid;

use crate::machinery::context::{Found, FoundState};
use crate::machinery::decision::{Other, Planned};
use crate::machinery::own_record;
use crate::machinery::reads::KeyRead;
use crate::{Caller, Claims, Command, Context, Decision, Reads, Refused};

pub(crate) mod alone;
mod claimed;
pub(crate) mod samples;
pub(crate) mod world;

pub(crate) use claimed::{Claimed, books, of, releases, shares, takes, unbooks, unshares};

/// The position at which the log of all tests ends.
pub(crate) const HEAD: i64 = 1_000;

/// The time of all tests: a Monday morning.
pub(crate) fn now() -> DateTime<Utc> {
    at("2026-11-23T10:00:00Z")
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// An id made from a small number.
pub(crate) fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// The id of a new stream when the command gives none.
pub(crate) const ISSUED: Uuid = Uuid::from_u128(1000);

/// The user who gives the commands, unless a test names another caller.
pub(crate) const ASKING: Uuid = Uuid::from_u128(99);

/// The hash of every password.
pub(crate) const HASH: &str = "$argon2id$test";

/// The past events and the circumstances in which a command is decided.
pub(crate) struct Given<A: Aggregate> {
    events: Vec<A::Event>,
    found: Found,
    bookings: Vec<Booked>,
    now: DateTime<Utc>,
    caller: Caller,
    hash: Option<String>,
    password_matches: bool,
}

/// The past events of the command's stream.
pub(crate) fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        events: events.into_iter().collect(),
        found: Found::default(),
        bookings: Vec::new(),
        now: now(),
        caller: Caller { actor: Actor::User { id: ASKING }, ..Caller::system("test") },
        hash: Some(HASH.to_owned()),
        password_matches: true,
    }
}

impl<A: Aggregate> Given<A> {
    /// Adds another stream with its past events.
    pub(crate) fn and<B: Aggregate>(mut self, id: impl Into<Uuid>, events: impl IntoIterator<Item = B::Event>) -> Self {
        let events: Vec<_> = events.into_iter().collect();
        let state = fold::<B>(&events).map(|it| Arc::new(it) as _);
        let version = i32::try_from(events.len()).unwrap();
        self.found.streams.insert(id.into(), FoundState { version, state, fresh: true, is_relied_on: true });
        self
    }

    /// The streams that were added.
    pub(crate) fn found(&self) -> &Found {
        &self.found
    }

    /// Adds an owner of a key.
    pub(crate) fn owner(mut self, scope: &'static str, key: impl ToString, owner: impl Into<Uuid>) -> Self {
        self.found.owners.entry((scope, key.to_string())).or_default().push(owner.into());
        self
    }

    /// Adds the booking of a resource by a stream, which is added by [`and`](Self::and).
    pub(crate) fn booked(mut self, resource: impl Into<Uuid>, slot: Slot, owner: impl Into<Uuid>) -> Self {
        let (resource, owner) = (resource.into(), owner.into());
        self.bookings.push(Booked { resource, from: slot.starts_at, until: slot.ends_at(), owner });
        self
    }

    pub(crate) fn at(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    /// Sets the caller.
    pub(crate) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// Makes the comparison of the password fail.
    pub(crate) fn but_the_password_is_wrong(self) -> Self {
        Self { password_matches: false, ..self }
    }

    /// Makes the hashing of passwords fail.
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
        let id = command.target().id().unwrap_or(ISSUED);
        let all = Found { asked_at: self.now, asked_by: self.caller.user_id(), ..self.found };
        let found = looked_up(&command, state.as_ref(), all, &self.bookings);
        let ctx = Context {
            now: self.now,
            caller: &self.caller,
            hospital_zone: found.hospital_zone,
            found: &found,
            password_hash: self.hash.filter(|_| command.passwords(state.as_ref()).set.is_some()),
            password_matches: self.password_matches,
            entropy: 42,
            id,
            currency: Currency::default(),
        };
        if state.as_ref().is_some_and(|it| it.is_hidden_from(&self.caller)) {
            return Then(Err(Refused::missing(A::STREAM)), Vec::new());
        }
        let asked = command.clone();
        let decided = own_record::check_existing(&asked, id, state.as_ref(), &found, &self.caller)
            .and_then(|()| command.decide(state.as_ref(), &ctx));
        let planned = decided.and_then(|decision| {
            let version = i32::try_from(self.events.len()).unwrap();
            let planned = decision.plan(id, version, state.as_ref(), &found).unwrap();
            own_record::check_planned(&asked, state.as_ref(), &planned, &found, &self.caller)?;
            if let Some(against) = &decision.against {
                return Err(against.clone());
            }
            let claims = planned.iter().flat_map(Planned::claims).map(|claim| Claimed::of(claim, id)).collect();
            Ok((decision, claims))
        });
        match planned {
            Ok((decision, claims)) => Then(Ok(decision), claims),
            Err(refused) => Then(Err(refused), Vec::new()),
        }
    }
}

/// What the command asks for. A decision does not find a stream that `reads` does not name.
fn looked_up<C: Command>(command: &C, state: Option<&C::Aggregate>, mut all: Found, bookings: &[Booked]) -> Found {
    let (asked_at, asked_by, hospital_zone) = (all.asked_at, all.asked_by, all.hospital_zone);
    let mut found = Found { asked_at, asked_by, hospital_zone, head: HEAD, ..Found::default() };
    loop {
        let Reads { mut streams, owners, booked } = command.reads(state, &found);
        let before = found.streams.len() + found.owners.len() + found.booked.len();
        for (span, loader) in booked {
            let of_span: Vec<_> = bookings.iter().filter(|it| it.overlaps(&span)).cloned().collect();
            streams.extend(of_span.iter().map(|it| (it.owner, loader)));
            found.booked.insert(span, of_span);
        }
        for KeyRead { scope, key, loader, .. } in owners {
            if let Some(ids) = all.owners.remove(&(scope, key.clone())) {
                streams.extend(loader.iter().flat_map(|loader| ids.iter().map(|id| (*id, *loader))));
                found.owners.insert((scope, key), ids);
            }
        }
        for (id, _) in streams {
            found.streams.extend(all.streams.remove(&id).map(|it| (id, it)));
        }
        if found.streams.len() + found.owners.len() + found.booked.len() == before {
            return found;
        }
    }
}

/// A decision or a refusal, with the claims that are taken and given back.
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

    /// The refusal, for a closer look.
    #[track_caller]
    pub(crate) fn into_refused(self) -> Refused {
        self.refused().clone()
    }

    /// Whether the command was not refused; it may have decided nothing.
    pub(crate) fn is_accepted(&self) -> bool {
        self.0.is_ok()
    }

    /// The code of the refusal, if the command was refused.
    pub(crate) fn code(&self) -> Option<&'static str> {
        self.0.as_ref().err().map(|refused| refused.code)
    }

    /// The people whose keys are destroyed.
    #[track_caller]
    pub(crate) fn erased(&self) -> &[Uuid] {
        &self.decided().erases
    }

    /// Whether a unique key of this scope is given back, by whichever stream.
    pub(crate) fn gives_back(&self, scope: &str) -> bool {
        self.1.iter().any(|it| it.released_scope() == Some(scope))
    }

    /// Asserts exactly these events of the command's own stream.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) -> Self {
        assert_eq!(self.events(), events.into_iter().collect::<Vec<_>>());
        self
    }

    /// Asserts exactly these events of another stream.
    #[track_caller]
    pub(crate) fn then_also<B: Claims>(self, id: impl Into<Uuid>, events: impl IntoIterator<Item = B::Event>) -> Self {
        assert_eq!(self.events_of::<B>(id), events.into_iter().collect::<Vec<_>>());
        self
    }

    /// Asserts that no other stream has new events.
    #[track_caller]
    pub(crate) fn then_nothing_else(self) -> Self {
        assert!(self.decided().others.is_empty(), "{} events of other streams", self.decided().others.len());
        self
    }

    /// Asserts exactly these claims, in any order.
    #[track_caller]
    pub(crate) fn then_claims(self, claims: impl IntoIterator<Item = Claimed>) -> Self {
        let sorted = |mut claims: Vec<Claimed>| {
            claims.sort_by_key(|it| format!("{it:?}"));
            claims
        };
        assert_eq!(sorted(self.1.clone()), sorted(claims.into_iter().collect()));
        self
    }

    /// The new events of the command's own stream.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<A::Event> {
        self.decided().events.clone()
    }

    /// The new events of another stream.
    #[track_caller]
    pub(crate) fn events_of<B: Claims>(&self, id: impl Into<Uuid>) -> Vec<B::Event> {
        let id = id.into();
        let others = self.decided().others.iter().filter_map(|it| it.as_any().downcast_ref::<Other<B>>());
        others.filter(|other| other.id == id).map(|other| other.event.clone()).collect()
    }

    /// The only new event of the command's own stream, for a closer look.
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

    /// Asserts only the code of the refusal.
    #[track_caller]
    pub(crate) fn then_code(self, code: &str) {
        assert_eq!(self.refused().code, code, "{:?}", self.refused());
    }

    /// Asserts what the refusal tells people.
    #[track_caller]
    pub(crate) fn then_says(self, detail: &str) {
        assert_eq!(self.refused().detail, detail);
    }

    /// Asserts the code of the refusal and the one field at fault.
    #[track_caller]
    pub(crate) fn then_field(self, code: &str, pointer: &str) {
        let refused = self.refused();
        let pointers: Vec<_> = refused.errors.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!((refused.code, pointers), (code, vec![pointer]), "{refused:?}");
    }

    /// Asserts the code of the refusal and all fields at fault, in their order.
    #[track_caller]
    pub(crate) fn then_fields(self, code: &str, pointers: &[&str]) {
        let refused = self.refused();
        let found: Vec<_> = refused.errors.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!((refused.code, found.as_slice()), (code, pointers), "{refused:?}");
    }

    /// Asserts the one field at fault and what is said about the field.
    #[track_caller]
    pub(crate) fn then_error(self, pointer: &str, message: &str) {
        let errors: Vec<_> =
            self.refused().errors.iter().map(|it| (it.pointer.as_str(), it.message.as_str())).collect();
        assert_eq!(errors, [(pointer, message)]);
    }

    /// Asserts the candidates of the refusal.
    #[track_caller]
    pub(crate) fn then_candidates(self, candidates: impl IntoIterator<Item = impl Into<Uuid>>) {
        assert_eq!(self.refused().candidates, candidates.into_iter().map(Into::into).collect::<Vec<_>>());
    }
}
