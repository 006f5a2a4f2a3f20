//! Deciding a command alone: on a state of its stream, while no other record is known.

use std::any::Any;
use std::fmt;

use hims_domain::values::Currency;
use hims_domain::{Field, Shape};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::machinery::context::Found;
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

/// Decides a command on a state.
pub(crate) fn decided<C: Command>(command: C, state: &C::Aggregate) -> Decided {
    let (caller, found) = (Caller::system("test"), Found::default());
    let ctx = Context {
        now: now(),
        caller: &caller,
        hospital_zone: chrono_tz::Tz::UTC,
        found: &found,
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

/// As [`decided`], for a command of any type, which is read from a request.
pub(crate) fn decided_by_name<C: Command>(state: &dyn Any, body: Value) -> Decided {
    let command: C = read(body).unwrap_or_else(|error| panic!("{}: {error:?}", C::NAME));
    decided(command, state.downcast_ref().unwrap_or_else(|| panic!("{} applies to another aggregate", C::NAME)))
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
        Shape::Patch(_) => json!({}),
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
