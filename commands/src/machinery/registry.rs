use std::collections::BTreeMap;

use futures::future::BoxFuture;
use hims_domain::{Aggregate, Shape};
use serde_json::Value;

use super::schema;
use crate::machinery::execute::Executor;
use crate::machinery::outcome::{Failure, Outcome, Request};
use crate::{Command, Permission};

type Run = for<'a> fn(&'a Executor, Value, Request) -> BoxFuture<'a, Result<Outcome, Failure>>;

/// A command as outsiders know it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name in the API.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What the caller's roles must allow.
    pub permission: Permission,
    /// The name of the command that takes back what this one did, where there is one.
    pub reversed_by: Option<&'static str>,
    /// Whether it compares a password, so that repeating it would be guessing.
    pub compares_password: bool,
    /// The form of its request.
    pub shape: Shape,
    /// What it is about.
    pub stream_type: &'static str,
    run: Run,
}

impl Entry {
    /// Reads the request and executes it.
    ///
    /// # Errors
    /// As [`Executor::execute`], and when the request is not of the command's form.
    pub async fn run(&self, executor: &Executor, body: Value, request: Request) -> Result<Outcome, Failure> {
        (self.run)(executor, body, request).await
    }
}

/// Every command, by name. Endpoints, documentation and permissions are drawn from it.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Entry>);

impl Registry {
    /// All commands of the hospital.
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
            shape: C::SHAPE,
            stream_type: C::Aggregate::STREAM,
            run: run::<C>,
        };
        self.0.insert(C::NAME, entry);
        self
    }

    /// A command.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// Every command, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }
}

fn run<C: Command>(executor: &Executor, body: Value, mut request: Request) -> BoxFuture<'_, Result<Outcome, Failure>> {
    Box::pin(async move {
        let fingerprinted = request.idempotency_key.map(|_| format!("{:?}\n{}\n{body}", request.caller.actor, C::NAME));
        let command: C = schema::read(body).map_err(malformed::<C>)?;
        if let Some(text) = fingerprinted {
            request.fingerprint = executor.store().vault().blind("receipt", text.as_bytes());
        }
        executor.execute(command, request).await
    })
}

fn malformed<C: Command>(malformed: schema::Malformed) -> Failure {
    metrics::counter!("hims_commands_total", "command" => C::NAME, "outcome" => "malformed").increment(1);
    Failure::Malformed(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_command_back_is_a_command() {
        let registry = Registry::hospital();
        let reversed: Vec<_> = registry.iter().filter_map(|it| Some((it.name, it.reversed_by?))).collect();
        assert!(reversed.contains(&("suspend-room", "reactivate-room")) && reversed.len() > 20, "{reversed:?}");
        for (name, by) in reversed {
            assert!(registry.get(by).is_some(), "{name} is said to be taken back by {by}");
        }
    }
}
