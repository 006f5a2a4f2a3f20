use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};
use hims_domain::{Aggregate as _, derived};
use uuid::Uuid;

use super::{Attempt, Course, Executor, Turn};
use crate::access::password;
use crate::machinery::context::new_id;
use crate::machinery::decision::Planned;
use crate::{Command, Context, Decision, Failure, Found, Kind, Loaded, Reads, Refused, Request, Target};

/// One attempt to carry out a command: what stays the same from loading to appending.
pub(super) struct Trial<'a, C: Command> {
    pub(super) command: &'a C,
    pub(super) request: &'a Request,
    pub(super) course: &'a Course,
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
    /// Attempts to carry out a command. `fresh` asks for states from the log instead of remembered ones. `careful` asks
    /// for the turn at everything that the decision relies on, since something of it changed during an earlier attempt.
    pub(super) async fn attempt<C: Command>(
        &self,
        (command, request): (&C, &Request),
        course: &Course,
        fresh: bool,
        careful: bool,
        turn: &mut Turn,
    ) -> Result<Attempt, Failure> {
        let entropy = self.entropy();
        let (id, loaded) = match command.target() {
            Target::New(None) => (new_id(self.now(), entropy, 0), Loaded { version: 0, state: None, fresh: true }),
            Target::New(Some(id)) | Target::Existing(id) | Target::Either(id) => (id, self.load(id, fresh).await?),
        };
        let found = self.find(command, loaded.state.as_deref(), fresh).await?;
        // The time is taken after the states were loaded, so that a decision is never earlier than what it relies on.
        let now = request.occurred_at.unwrap_or_else(|| self.now());
        let trial = Trial { command, request, course, id, loaded, found, now, entropy };
        let decided = decide(&trial).await?;
        let is_settled = trial.loaded.fresh && trial.found.all_fresh();
        let changes_nothing = decided.as_ref().map_or(true, Decision::is_nothing);
        if changes_nothing && !is_settled {
            // A remembered state may be outdated, so a refusal or an empty decision is decided again on fresh states.
            return Ok(Attempt::Again);
        }
        let decision = decided?;
        if decision.is_nothing() {
            return self.acknowledge(&trial).await;
        }
        let Trial { loaded, found, .. } = &trial;
        let planned = decision.plan(id, loaded.version, loaded.state.as_deref(), found)?;
        let ids = queues(&planned, found, careful);
        if !turn.covers(&ids) {
            // A caller who has a turn already gives it back before waiting for more.
            let taken = if turn.is_empty() { self.turns.try_take(&ids) } else { None };
            let Some(taken) = taken else { return Ok(Attempt::Wait(ids)) };
            *turn = taken;
        }
        self.append(&trial, &decision, planned).await
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
                if let Some(loader) = loader {
                    for id in &ids {
                        found.streams.insert(*id, loader(self, *id, fresh).await?);
                    }
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

/// The queues in which a command waits for its turn: those of the existing streams that it writes, and for a `careful`
/// command also those of the streams and keys that it relies on.
fn queues(planned: &[Planned], found: &Found, careful: bool) -> BTreeSet<Uuid> {
    let read = found.streams.iter().map(|(id, it)| (*id, it.version)).filter(|_| careful);
    let keys = found.owners.keys().map(|(scope, key)| derived("turn", &[scope, key])).filter(|_| careful);
    let streams = planned.iter().map(Planned::at).chain(read);
    streams.filter(|(_, version)| *version > 0).map(|(id, _)| id).chain(keys).collect()
}

/// Decides the command on the states that were found, after the checks that apply to every command.
async fn decide<C: Command>(trial: &Trial<'_, C>) -> Result<Result<Decision<C::Aggregate>, Refused>, Failure> {
    let Trial { command, request, id, loaded, found, now, entropy, .. } = trial;
    match command.target() {
        Target::New(_) if loaded.version > 0 => return Ok(Err(Refused::exists())),
        Target::Existing(_) if loaded.state.is_none() => return Ok(Err(Refused::missing(C::Aggregate::STREAM))),
        // A stream of another type has the id.
        Target::Either(_) if loaded.version > 0 && loaded.state.is_none() => return Ok(Err(Refused::exists())),
        Target::New(_) | Target::Existing(_) | Target::Either(_) => {}
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
