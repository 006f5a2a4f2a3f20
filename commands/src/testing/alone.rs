//! Deciding a command alone: on a state of its stream, while no record is known beside it but those that a test names.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use hims_domain::values::Currency;
use hims_domain::{Aggregate, Field, Shape};
use hims_event_store::Actor;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::machinery::context::{Found, FoundState};
use crate::testing::now;
use crate::{Caller, Command, Context, read};

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decided {
    /// Events follow.
    Recorded,
    /// Nothing is left to do.
    Quiet,
    /// The status of the record forbids the command.
    WrongStatus,
    /// The command is refused for another reason, with this code.
    Refused(&'static str),
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recorded => "recorded",
            Self::Quiet => "quiet",
            Self::WrongStatus => "-",
            Self::Refused(code) => code,
        })
    }
}

/// The circumstances in which commands are decided alone: a caller who may do everything, and the records that are
/// known.
pub(crate) struct Alone {
    caller: Caller,
    found: Found,
}

impl Default for Alone {
    fn default() -> Self {
        Self { caller: Caller::system("test"), found: Found::default() }
    }
}

impl Alone {
    /// The caller is this user.
    pub(crate) fn by(self, user: impl Into<Uuid>) -> Self {
        Self { caller: Caller { actor: Actor::User { id: user.into() }, ..self.caller }, ..self }
    }

    /// A record is known besides that of the command.
    pub(crate) fn knowing<A: Aggregate>(mut self, id: impl Into<Uuid>, state: A) -> Self {
        let state: Option<Arc<dyn Any + Send + Sync>> = Some(Arc::new(state));
        self.found.streams.insert(id.into(), FoundState { version: 1, state, fresh: true, is_relied_on: false });
        self
    }

    /// Decides a command on a state.
    pub(crate) fn decide<C: Command>(&self, command: C, state: &C::Aggregate) -> Decided {
        let ctx = Context {
            now: now(),
            caller: &self.caller,
            hospital_zone: chrono_tz::Tz::UTC,
            found: &self.found,
            password_hash: None,
            password_matches: false,
            entropy: 1,
            id: Uuid::from_u128(1),
            currency: Currency::default(),
        };
        match command.decide(Some(state), &ctx) {
            Ok(decision) if decision.is_nothing() => Decided::Quiet,
            Ok(_) => Decided::Recorded,
            Err(refused) if refused.is_of_status => Decided::WrongStatus,
            Err(refused) => Decided::Refused(refused.code),
        }
    }
}

/// Decides a command on a state, while no other record is known.
pub(crate) fn decided<C: Command>(command: C, state: &C::Aggregate) -> Decided {
    Alone::default().decide(command, state)
}

/// As [`Alone::decide`], for a command of any type, which is read from a request.
pub(crate) fn decided_by_name<C: Command>(state: &dyn Any, body: Value, alone: &Alone) -> Decided {
    let command: C = read(body).unwrap_or_else(|error| panic!("{}: {error:?}", C::NAME));
    alone.decide(command, state.downcast_ref().unwrap_or_else(|| panic!("{} applies to another aggregate", C::NAME)))
}

/// A request of a shape, with every field that it must have.
pub(crate) fn least(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!(true),
        Shape::Integer => json!(1),
        Shape::Decimal => json!("1"),
        Shape::Id { .. } => json!(Uuid::from_u128(1)),
        Shape::Date | Shape::PartialDate => json!("2026-11-23"),
        Shape::Timestamp => json!(now()),
        Shape::Text { max, .. } | Shape::Secret { max, .. } => {
            json!("As the doctor said".get(..*max).unwrap_or("As the doctor said"))
        }
        Shape::OneOf { codes, .. } => json!(codes.first()),
        Shape::List(of) => json!([least(of)]),
        Shape::Map(of) => json!({"key": least(of)}),
        Shape::Optional(_) => Value::Null,
        Shape::Patch(_) | Shape::Json => json!({}),
        Shape::Object(fields) => Value::Object(least_of(fields)),
    }
}

fn least_of(fields: &[Field]) -> Map<String, Value> {
    let mut members = Map::new();
    for field in fields.iter().filter(|it| !it.default) {
        match (field.flatten, &field.shape) {
            (_, Shape::Optional(_)) => {}
            (true, shape) => members.extend(least(shape).as_object().cloned().unwrap_or_default()),
            (false, shape) => drop(members.insert(field.name.to_owned(), least(shape))),
        }
    }
    members
}
