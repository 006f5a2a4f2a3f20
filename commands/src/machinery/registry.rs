use std::any::Any;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use futures::future::BoxFuture;
use hims_domain::{Aggregate, Shape};
use hims_event_store::Actor;
use serde_json::Value;

use super::phone::read_phones;
use super::schema;
use crate::machinery::execute::Executor;
use crate::machinery::outcome::{Failure, Outcome, Request};
use crate::{Command, Permission};

type Run = for<'a> fn(&'a Executor, Value, Request) -> BoxFuture<'a, Result<Outcome, Failure>>;

/// A command as the API describes and runs it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The command's name in the API.
    pub name: &'static str,
    /// What the command does, for the API documentation.
    pub about: &'static str,
    /// The permission that the caller's roles must include.
    pub permission: Permission,
    /// The name of the command that reverses this command, if there is one.
    pub reversed_by: Option<&'static str>,
    /// Whether the command compares a password. Such commands are rate-limited, since repeating them guesses passwords.
    pub compares_password: bool,
    /// Whether a caller in a session must have proved lately who they are.
    pub needs_identity: bool,
    /// The shape of the request body.
    pub shape: Shape,
    /// The type of the stream to which the command applies.
    pub stream_type: &'static str,
    run: Run,
    follows_on: fn(&dyn Any) -> bool,
    /// Decides the command on a state of its stream, when little else is known.
    #[cfg(test)]
    pub(crate) decided: fn(&dyn Any, Value, &crate::testing::alone::Alone) -> crate::testing::alone::Decided,
}

impl Entry {
    /// Reads the request body as the command and executes the command.
    ///
    /// # Errors
    /// As [`Executor::execute`], and when the request body does not match the command's shape.
    pub async fn run(&self, executor: &Executor, body: Value, request: Request) -> Result<Outcome, Failure> {
        (self.run)(executor, body, request).await
    }
}

/// Every command by name. The API takes its endpoints, documentation and permission checks from this registry.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Entry>);

impl Registry {
    /// A registry with all commands of a hospital.
    pub fn hospital() -> Self {
        let mut registry = Self::default();
        crate::aggregates::register(&mut registry);
        registry
    }

    pub(crate) fn add<C: Command>(&mut self) -> &mut Self {
        let entry = Entry {
            name: C::NAME,
            about: C::ABOUT,
            permission: C::PERMISSION,
            reversed_by: C::REVERSED_BY,
            compares_password: C::COMPARES_PASSWORD,
            needs_identity: C::NEEDS_IDENTITY,
            shape: C::SHAPE,
            stream_type: C::Aggregate::STREAM,
            run: run::<C>,
            follows_on: |state| state.downcast_ref().is_some_and(C::follows_on),
            #[cfg(test)]
            decided: crate::testing::alone::decided_by_name::<C>,
        };
        self.0.insert(C::NAME, entry);
        self
    }

    /// The command with a name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// The names of the commands of an aggregate that its status allows in this state, in the order of the alphabet.
    pub(crate) fn following<A: Aggregate>(state: &A) -> Vec<&'static str> {
        static HOSPITAL: LazyLock<Registry> = LazyLock::new(Registry::hospital);
        let of_aggregate = HOSPITAL.iter().filter(|it| it.stream_type == A::STREAM);
        of_aggregate.filter(|it| (it.follows_on)(state)).map(|it| it.name).collect()
    }

    /// Every command, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }
}

fn run<C: Command>(
    executor: &Executor,
    mut body: Value,
    mut request: Request,
) -> BoxFuture<'_, Result<Outcome, Failure>> {
    Box::pin(async move {
        let fingerprinted = request.idempotency_key.map(|_| fingerprinted(&request.caller.actor, C::NAME, &body));
        let withheld = executor.sight().withheld(&request.caller, C::Aggregate::STREAM);
        request.withheld = withheld.into_iter().filter(|name| body.get(name).is_some()).collect();
        read_phones(&C::SHAPE, &mut body, executor.phone_region());
        let command: C = schema::read(body).map_err(malformed::<C>)?;
        if let Some(text) = fingerprinted {
            request.fingerprint = executor.store().vault().blind("receipt", text.as_bytes());
        }
        executor.execute(command, request).await
    })
}

/// What the receipt of a request tells apart: who sent which command with which body. The text is the same in every
/// release, since a receipt outlives the program that wrote it.
fn fingerprinted(actor: &Actor, command: &str, body: &Value) -> String {
    serde_json::json!([actor, command, body]).to_string()
}

fn malformed<C: Command>(malformed: schema::Malformed) -> Failure {
    metrics::counter!("hims_commands_total", "command" => C::NAME, "outcome" => "malformed").increment(1);
    Failure::Malformed(malformed)
}

#[cfg(test)]
mod tests {
    use hims_domain::Field;

    use super::*;

    /// Adds the fields of a request that have a default, except for those of changes (merge patches) and confirmations.
    fn defaults(shape: &Shape, found: &mut Vec<&'static str>) {
        match shape {
            Shape::List(of) | Shape::Map(of) | Shape::Optional(of) => defaults(of, found),
            Shape::Object(fields) => {
                for field in *fields {
                    if field.default && !field.name.starts_with("confirm_") {
                        found.push(field.name);
                    }
                    defaults(&field.shape, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn in_no_command_that_changes_something_does_a_default_stand_for_what_was_not_said() {
        // A command that begins a record, or a part of a record, takes the id of what begins, and may leave it out.
        let is_new = |field: &Field| {
            let is_of_part = matches!(&field.shape, Shape::Optional(Shape::Id { part, .. }) if !part.is_empty());
            field.name == "id" || is_of_part
        };
        let begins = |shape: &Shape| matches!(shape, Shape::Object(of) if of.iter().any(is_new));
        for command in Registry::hospital().iter().filter(|it| !begins(&it.shape)) {
            let mut found = Vec::new();
            defaults(&command.shape, &mut found);
            assert!(found.is_empty(), "{}: {found:?} have defaults; use `Option` or `Patch`", command.name);
        }
    }

    #[test]
    fn a_request_is_told_apart_by_a_text_that_stays_the_same() {
        let user = Actor::User { id: uuid::Uuid::from_u128(7) };
        let body = serde_json::json!({"b": "1.50", "a": null});
        let expected =
            r#"[{"id":"00000000-0000-0000-0000-000000000007","type":"user"},"open-room",{"a":null,"b":"1.50"}]"#;
        assert_eq!(fingerprinted(&user, "open-room", &body), expected);
    }

    #[test]
    fn what_takes_a_command_back_is_a_command() {
        let registry = Registry::hospital();
        let reversed: Vec<_> = registry.iter().filter_map(|it| Some((it.name, it.reversed_by?))).collect();
        assert!(reversed.contains(&("suspend-room", "reactivate-room")) && reversed.len() > 20, "{reversed:?}");
        for (name, by) in reversed {
            assert!(registry.get(by).is_some(), "{name} names {by} as its reverse, but there is no such command");
        }
    }
}
