//! Given what has happened, when something is asked, then this follows: decisions without a store.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::{Aggregate, Pointer, fold};
use hims_event_store::Actor;
use uuid::Uuid;

use crate::context::{Found, FoundState};
use crate::decision::Other;
use crate::{Caller, Command, Context, Decision, Refused, Target};

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

pub(crate) struct Given<A: Aggregate> {
    events: Vec<A::Event>,
    found: Found,
    now: DateTime<Utc>,
}

/// What has happened to what the command is for.
pub(crate) fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { events: events.into_iter().collect(), found: Found::default(), now: now() }
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
    pub(crate) fn owner(mut self, scope: &'static str, key: impl Into<String>, owner: impl Into<Uuid>) -> Self {
        self.found.owners.entry((scope, key.into())).or_default().push(owner.into());
        self
    }

    pub(crate) fn at(self, now: DateTime<Utc>) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn when<C: Command<Aggregate = A>>(self, command: C) -> Then<A> {
        let caller = Caller { actor: Actor::User { id: Uuid::from_u128(99) }, ..Caller::system("test") };
        let mut invalid = Vec::new();
        command.check(&Pointer::Root, &mut invalid);
        if !invalid.is_empty() {
            return Then(Err(Refused::invalid(invalid)));
        }
        let state = fold::<A>(&self.events);
        let id = match command.target() {
            Target::Existing(id) | Target::New(Some(id)) => id,
            Target::New(None) => Uuid::from_u128(1000),
        };
        let ctx = Context {
            now: self.now,
            caller: &caller,
            found: &self.found,
            password_hash: Some("$argon2id$test".to_owned()),
            password_matches: true,
            entropy: 42,
            id,
        };
        Then(command.decide(state.as_ref(), &ctx))
    }
}

pub(crate) struct Then<A: Aggregate>(Result<Decision<A>, Refused>);

impl<A: Aggregate> Then<A> {
    #[track_caller]
    fn decided(self) -> Decision<A> {
        match self.0 {
            Ok(decision) => decision,
            Err(refused) => panic!("refused: {refused:?}"),
        }
    }

    /// Exactly these events of its own.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.decided().events, events.into_iter().collect::<Vec<_>>());
    }

    /// Exactly these events of another stream.
    #[track_caller]
    pub(crate) fn then_also<B: Aggregate>(self, id: impl Into<Uuid>, events: impl IntoIterator<Item = B::Event>) {
        let id = id.into();
        let decision = self.decided();
        let others: HashMap<Uuid, Vec<B::Event>> = decision
            .others
            .iter()
            .filter_map(|it| it.as_any().downcast_ref::<Other<B>>())
            .fold(HashMap::new(), |mut map, it| {
                map.entry(it.id).or_default().push(it.event.clone());
                map
            });
        assert_eq!(others.get(&id).cloned().unwrap_or_default(), events.into_iter().collect::<Vec<_>>());
    }

    /// Its only event, for a closer look.
    #[track_caller]
    pub(crate) fn then_event(self) -> A::Event {
        let mut events = self.decided().events;
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
        match self.0 {
            Ok(decision) => panic!("not refused: {:?}", decision.events),
            Err(refused) => assert_eq!(refused, refusal.into()),
        }
    }

    /// The code of the refusal, where it names more than a test needs to repeat.
    #[track_caller]
    pub(crate) fn then_code(self) -> &'static str {
        match self.0 {
            Ok(decision) => panic!("not refused: {:?}", decision.events),
            Err(refused) => refused.code,
        }
    }
}
