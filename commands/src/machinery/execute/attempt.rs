use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};
use hims_domain::Aggregate as _;
use uuid::Uuid;

use super::{Attempt, Executor};
use crate::access::password;
use crate::machinery::context::new_id;
use crate::{Command, Context, Decision, Failure, Found, Kind, Loaded, Reads, Refused, Request, Target};

/// One attempt to carry out a command: what stays the same from loading to appending.
pub(super) struct Trial<'a, C: Command> {
    pub(super) command: &'a C,
    pub(super) request: &'a Request,
    /// The id of the stream to which the command applies.
    pub(super) id: Uuid,
    /// The version and state of that stream.
    pub(super) loaded: Loaded<C::Aggregate>,
    /// The other streams and key owners that the command asked for.
    pub(super) found: Found,
    /// When the command happens: now, or the time at which an imported fact happened.
    pub(super) now: DateTime<Utc>,
    /// Random bits for new ids and numbers.
    pub(super) entropy: u128,
}

impl Executor {
    pub(super) async fn attempt<C: Command>(
        &self,
        command: &C,
        request: &Request,
        fresh: bool,
    ) -> Result<Attempt, Failure> {
        let entropy = self.entropy();
        let now = request.occurred_at.unwrap_or_else(|| self.now());
        let (id, loaded) = match command.target() {
            Target::New(None) => (new_id(self.now(), entropy, 0), Loaded { version: 0, state: None, fresh: true }),
            Target::New(Some(id)) | Target::Existing(id) => (id, self.load(id, fresh).await?),
        };
        let found = self.find(command, loaded.state.as_deref(), fresh).await?;
        let trial = Trial { command, request, id, loaded, found, now, entropy };
        let decided = decide(&trial).await?;
        let is_settled = trial.loaded.fresh && trial.found.all_fresh();
        let changes_nothing = decided.as_ref().map_or(true, Decision::is_nothing);
        if changes_nothing && !is_settled {
            // A remembered state may be outdated, so a refusal or an empty decision is decided again on fresh states.
            return Ok(Attempt::Again);
        }
        match decided {
            Err(refused) => Err(refused.into()),
            Ok(decision) if decision.is_nothing() => self.acknowledge(&trial).await,
            Ok(decision) => self.append(&trial, &decision).await,
        }
    }

    /// Looks up the streams and key owners that the command asks for, until the command asks for nothing new.
    async fn find<C: Command>(&self, command: &C, state: Option<&C::Aggregate>, fresh: bool) -> Result<Found, Failure> {
        let mut found = Found::default();
        loop {
            let Reads { streams, owners } = command.reads(state, &found);
            let mut is_new = false;
            for (scope, key, loader) in owners {
                if found.owners.contains_key(&(scope, key.clone())) {
                    continue;
                }
                is_new = true;
                let ids = self.store.owners(scope, &key).await?;
                for id in &ids {
                    found.streams.insert(*id, loader(self, *id, fresh).await?);
                }
                found.owners.insert((scope, key), ids);
            }
            for (id, loader) in streams {
                if let Entry::Vacant(unknown) = found.streams.entry(id) {
                    is_new = true;
                    unknown.insert(loader(self, id, fresh).await?);
                }
            }
            if !is_new {
                return Ok(found);
            }
        }
    }
}

/// Decides the command on the states that were found, after the checks that apply to every command.
async fn decide<C: Command>(trial: &Trial<'_, C>) -> Result<Result<Decision<C::Aggregate>, Refused>, Failure> {
    let Trial { command, request, id, loaded, found, now, entropy } = trial;
    match command.target() {
        Target::New(_) if loaded.version > 0 => return Ok(Err(Refused::exists())),
        Target::Existing(_) if loaded.state.is_none() => return Ok(Err(Refused::missing(C::Aggregate::STREAM))),
        Target::New(_) | Target::Existing(_) => {}
    }
    if request.expected_version.is_some_and(|expected| expected != loaded.version) {
        // The current version is not told: the caller may change the record without being allowed to read the record.
        let detail = "the record has changed since that version; read the record again";
        return Ok(Err(Refused::new(Kind::Stale, "stale-version", detail)));
    }
    let state = loaded.state.as_deref();
    let passwords = command.passwords(state);
    let password_matches = match passwords.compare {
        Some((password, hash)) => password::matches(password, hash).await.ok_or(Failure::Overloaded)?,
        None => false,
    };
    let password_hash = match passwords.set {
        Some(password) => Some(password::hash(password).await.ok_or(Failure::Overloaded)?),
        None => None,
    };
    let (now, entropy, id) = (*now, *entropy, *id);
    let ctx = Context { now, caller: &request.caller, found, password_hash, password_matches, entropy, id };
    Ok((*command).clone().decide(state, &ctx))
}
