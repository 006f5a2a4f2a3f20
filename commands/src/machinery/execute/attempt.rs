use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use hims_domain::values::Currency;
use hims_domain::{Aggregate as _, derived};
use hims_event_store::Claim;
use uuid::Uuid;

use super::{Attempt, Course, Executor, Turn};
use crate::access::password;
use crate::machinery::cache::Era;
use crate::machinery::context::{FoundState, new_id};
use crate::machinery::decision::Planned;
use crate::machinery::load::load_short;
use crate::machinery::own_record;
use crate::machinery::reads::{KeyRead, Loader, Need};
use crate::{
    Claims as _, Command, Context, Decision, Failure, Found, Kind, Loaded, Reads, Refused, Registry, Request, Target,
};

/// How many streams are read together at most.
const TOGETHER: usize = 64;

/// One attempt to carry out a command: what stays the same from loading to appending.
pub(super) struct Trial<'a, C: Command> {
    pub(super) command: &'a C,
    pub(super) request: &'a Request,
    pub(super) course: &'a Course,
    /// When the attempt began to read.
    pub(super) era: Era,
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
    /// The currency of the hospital.
    pub(super) currency: Currency,
    /// The time zone of the hospital.
    pub(super) time_zone: Tz,
}

/// A stream that is to be loaded for a decision.
struct WantedStream {
    id: Uuid,
    loader: Loader,
    /// Whether the decision relies on the version of the stream, which is only looked at otherwise.
    is_relied_on: bool,
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
        let (entropy, era) = (self.entropy(), self.era());
        let (id, loaded) = match command.target().id() {
            None => (new_id(self.now(), entropy, 0), Loaded { version: 0, state: None, fresh: true }),
            Some(id) => (id, self.load(id, fresh).await?),
        };
        let found = self.find((command, request), loaded.state.as_deref(), fresh).await?;
        // The time is taken after the states were loaded, so that a decision is never earlier than what it relies on.
        let now = request.occurred_at.unwrap_or_else(|| self.now());
        let (currency, time_zone) = (self.currency, self.time_zone);
        let trial = Trial { command, request, course, era, id, loaded, found, now, entropy, currency, time_zone };
        let decided = decide(&trial).await?;
        let is_settled = trial.loaded.fresh && trial.found.all_fresh();
        let changes_nothing = decided.as_ref().map_or(true, |it| it.is_nothing() || it.against.is_some());
        if changes_nothing && !is_settled {
            // A remembered state may be outdated, so a refusal or an empty decision is decided again on fresh states.
            return Ok(Attempt::Again);
        }
        let decision = match decided {
            Ok(decision) => decision,
            Err(refused) => return Err(self.naming_survivors(refused).await?.into()),
        };
        if decision.is_nothing() && decision.against.is_none() {
            // The answer that nothing had to be done tells what is in the record, so only its readers get the answer.
            if !self.sees(command, request).await? {
                return Err(Refused::missing(C::Aggregate::STREAM).into());
            }
            return self.acknowledge(&trial).await;
        }
        self.allow_to_open(command, request).await?;
        let Trial { loaded, found, .. } = &trial;
        let planned = decision.plan(id, loaded.version, loaded.state.as_deref(), found)?;
        own_record::check_planned(command, loaded.state.as_deref(), &planned, found, &request.caller)?;
        if let Some(against) = decision.against.clone() {
            // When others have booked something is not told to somebody who may not read the record.
            let is_told = self.sees(command, request).await?;
            let refused = if is_told { self.naming_bookings(request, against, &planned).await? } else { against };
            return Err(refused.into());
        }
        let ids = queues(&planned, found, careful);
        if !self.turns.try_extend(turn, &ids) {
            return Ok(Attempt::Wait(ids));
        }
        self.append(&trial, &decision, planned).await
    }

    /// Looks up the streams and key owners that the command asks for, and the records of the caller, until there is
    /// nothing new to look up.
    async fn find<C: Command>(
        &self,
        (command, request): (&C, &Request),
        state: Option<&C::Aggregate>,
        fresh: bool,
    ) -> Result<Found, Failure> {
        let asked_at = request.occurred_at.unwrap_or_else(|| self.now());
        let head = *self.store.head().borrow();
        let asked_by = request.caller.user_id();
        let mut found = Found { asked_at, asked_by, hospital_zone: self.time_zone, head, ..Found::default() };
        loop {
            let reads = own_record::reads::<C>(command.reads(state, &found), &request.caller, &found);
            let Reads { streams, owners, booked } = reads;
            let mut is_new = false;
            let relied_on = |id, loader| WantedStream { id, loader, is_relied_on: true };
            let mut wanted: Vec<_> = streams.into_iter().map(|(id, loader)| relied_on(id, loader)).collect();
            let unknown: Vec<_> = booked.into_iter().filter(|(span, _)| !found.booked.contains_key(span)).collect();
            if !unknown.is_empty() {
                is_new = true;
                let spans: Vec<_> = unknown.iter().map(|(span, _)| *span).collect();
                let bookings = self.store.bookings(&spans).await?;
                for (span, loader) in unknown {
                    let of_span: Vec<_> = bookings.iter().filter(|it| it.overlaps(&span)).cloned().collect();
                    wanted.extend(of_span.iter().map(|booked| relied_on(booked.owner, loader)));
                    found.booked.insert(span, of_span);
                }
            }
            for KeyRead { scope, key, loader, is_relied_on } in owners {
                let Entry::Vacant(unknown) = found.owners.entry((scope, key)) else { continue };
                is_new = true;
                let ids = self.store.owners(scope, &unknown.key().1).await?;
                let owner = |id: &Uuid| loader.map(|loader| WantedStream { id: *id, loader, is_relied_on });
                wanted.extend(ids.iter().filter_map(owner));
                unknown.insert(ids);
            }
            is_new |= self.load_wanted(wanted, fresh, &mut found).await?;
            if !is_new {
                return Ok(found);
            }
        }
    }

    /// Loads the streams that were not found yet. Answers whether there was such a stream. Of the streams that this
    /// process remembers, one question to the log tells which are still as they are remembered; all others are read
    /// together, so that many streams cost hardly more time than one.
    async fn load_wanted(&self, wanted: Vec<WantedStream>, fresh: bool, found: &mut Found) -> Result<bool, Failure> {
        let era = self.era();
        let (mut remembered, mut missing) = (HashMap::new(), BTreeSet::new());
        for id in wanted.iter().map(|it| it.id).filter(|id| !found.streams.contains_key(id)) {
            match self.states.get(id, era) {
                Some(state) => drop(remembered.insert(id, state.version)),
                None => drop(missing.insert(id)),
            }
        }
        let mut versions = HashMap::new();
        if fresh && !remembered.is_empty() {
            versions = self.store.versions(&remembered.keys().copied().collect::<Vec<_>>()).await?;
            missing.extend(remembered.iter().filter(|(id, it)| versions.get(id) != Some(it)).map(|(id, _)| *id));
        }
        let missing: Vec<_> = missing.into_iter().collect();
        let mut events = HashMap::new();
        if missing.len() > 1 {
            for some in missing.chunks(TOGETHER) {
                events.extend(load_short(self.store.as_ref(), some).await?);
            }
        }
        let mut is_new = false;
        for WantedStream { id, loader, is_relied_on } in wanted {
            let need = match (events.remove(&id), versions.get(&id)) {
                (Some(events), _) => Need::Of(events, era),
                (None, Some(version)) => Need::At(*version),
                (None, None) if fresh => Need::Fresh,
                (None, None) => Need::Remembered,
            };
            match found.streams.entry(id) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.is_relied_on |= is_relied_on;
                    // Whoever looks up bookings may find streams of another type, which have no state then.
                    if known.state.is_none() && known.version > 0 {
                        let again = loader(self, id, need).await?;
                        is_new |= again.state.is_some();
                        *known = FoundState { is_relied_on: known.is_relied_on, ..again };
                    }
                }
                Entry::Vacant(unknown) => {
                    is_new = true;
                    unknown.insert(FoundState { is_relied_on, ..loader(self, id, need).await? });
                }
            }
        }
        Ok(is_new)
    }
}

/// The queues in which a command waits for its turn: those of the existing streams that it writes, and of the keys that
/// it looks up and whose owners it changes. For a `careful` command also those of the streams and keys that it relies
/// on.
fn queues(planned: &[Planned], found: &Found, careful: bool) -> BTreeSet<Uuid> {
    let claims: Vec<_> = planned.iter().flat_map(Planned::claims).collect();
    let changed: BTreeSet<_> = claims.iter().filter_map(Claim::key).collect();
    let keys = found.owners.keys().filter(|(scope, key)| careful || changed.contains(&(*scope, key.as_str())));
    let keys = keys.map(|(scope, key)| derived("turn", &[scope, key]));
    let streams = planned.iter().map(Planned::at).chain(found.relied_on().filter(|_| careful));
    streams.filter(|(_, version)| *version > 0).map(|(id, _)| id).chain(keys).collect()
}

/// Decides the command on the states that were found, after the checks that apply to every command.
async fn decide<C: Command>(trial: &Trial<'_, C>) -> Result<Result<Decision<C::Aggregate>, Refused>, Failure> {
    let Trial { command, request, id, loaded, found, now, entropy, currency, time_zone, .. } = trial;
    match command.target() {
        Target::New(_) if loaded.version > 0 => return Ok(Err(Refused::exists())),
        Target::Existing(_) if loaded.state.as_ref().is_none_or(|it| it.is_hidden_from(&request.caller)) => {
            return Ok(Err(Refused::missing(C::Aggregate::STREAM)));
        }
        // A stream of another type has the id.
        Target::Either(_) if loaded.version > 0 && loaded.state.is_none() => return Ok(Err(Refused::exists())),
        Target::Either(_) if loaded.state.as_ref().is_some_and(|it| it.is_hidden_from(&request.caller)) => {
            return Ok(Err(Refused::missing(C::Aggregate::STREAM)));
        }
        Target::New(_) | Target::Existing(_) | Target::Either(_) => {}
    }
    if let Err(refused) = own_record::check_existing(*command, *id, loaded.state.as_deref(), found, &request.caller) {
        return Ok(Err(refused));
    }
    if request.expected_version.is_some_and(|expected| expected != loaded.version) {
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
    let ctx = Context {
        now: *now,
        caller: &request.caller,
        currency: *currency,
        hospital_zone: *time_zone,
        found,
        password_hash,
        password_matches,
        entropy: *entropy,
        id: *id,
    };
    let decided = (*command).clone().decide(state, &ctx);
    Ok(decided.map_err(|refused| refused.followed_by(|| state.map(Registry::following).unwrap_or_default())))
}
