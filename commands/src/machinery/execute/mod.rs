use std::any::Any;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::patient::Patient;
use hims_domain::{Aggregate, Pointer, Subject, access};
use hims_event_store::{
    Append, AppendError, EventStore, Guard, Metadata, NewEvent, Position, Receipt, StoreError, StreamAppend, VaultError,
};
use uuid::Uuid;

use crate::access::password;
use crate::machinery::cache::StateCache;
use crate::machinery::context::{Found, new_id};
use crate::machinery::decision::{Planned, plan};
use crate::machinery::load::{SNAPSHOT_EVERY, keep_snapshot, load};
use crate::machinery::outcome::{EventRef, Failure, Outcome, Request};
use crate::{
    Caller, Command, Context, Decision, Kind, Loaded, Permission, Reads, Refused, Surroundings, Target, scopes,
};

/// How often a command is decided again because somebody else was faster.
const ATTEMPTS: u32 = 20;

/// Carries commands out.
pub struct Executor {
    store: Arc<dyn EventStore>,
    surroundings: Surroundings,
    states: StateCache,
}

/// What became of one attempt.
enum Attempt {
    Done(Outcome),
    /// Somebody was faster; decide again on what is there now.
    Again,
}

impl Executor {
    /// An executor over a log.
    pub fn new(store: Arc<dyn EventStore>, surroundings: Surroundings) -> Self {
        Self { store, surroundings, states: StateCache::new() }
    }

    /// The log.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        (self.surroundings.clock)()
    }

    /// 128 random bits.
    pub fn entropy(&self) -> u128 {
        (self.surroundings.entropy)()
    }

    /// A stream: remembered, or `fresh` from the log.
    ///
    /// # Errors
    /// When the log does not answer or an event of the stream cannot be read.
    pub async fn load<A: Aggregate>(&self, id: Uuid, fresh: bool) -> Result<Loaded<A>, Failure> {
        if !fresh
            && let Some(cached) = self.states.get(id)
            && let Ok(state) = cached.state.downcast::<A>()
        {
            return Ok(Loaded { version: cached.version, state: Some(state), fresh: false });
        }
        let loaded = load::<A>(self.store.as_ref(), id).await?;
        if let Some(state) = &loaded.state {
            self.states.put(id, loaded.version, Arc::clone(state) as Arc<dyn Any + Send + Sync>);
        }
        Ok(loaded)
    }

    /// Carries a command out: authorise, load, decide, append; again when somebody else was faster.
    ///
    /// # Errors
    /// The refusal, which is recorded for the audit; or that the log did not answer.
    pub async fn execute<C: Command>(&self, command: C, request: Request) -> Result<Outcome, Failure> {
        let outcome = self.measured(&command, &request).await;
        if let Err(Failure::Refused(refused)) = &outcome {
            let refusal = access::Event::CommandRefused {
                command: C::NAME.to_owned(),
                code: refused.code.to_owned(),
                stream_type: C::Aggregate::STREAM.to_owned(),
                stream_id: match command.target() {
                    Target::Existing(id) | Target::New(Some(id)) => id,
                    Target::New(None) => Uuid::nil(),
                },
            };
            let patient = self.patient_of(&command).await;
            self.record_attempt(C::NAME, &request, &refusal, patient).await;
        }
        outcome
    }

    /// As [`execute`](Self::execute), but a refusal is only answered and adds nothing to the log: for an import, which
    /// reports what it skipped and may be repeated.
    ///
    /// # Errors
    /// The refusal, or that the log did not answer.
    pub async fn execute_unless_refused<C: Command>(&self, command: C, request: Request) -> Result<Outcome, Failure> {
        self.measured(&command, &request).await
    }

    async fn measured<C: Command>(&self, command: &C, request: &Request) -> Result<Outcome, Failure> {
        let started = std::time::Instant::now();
        let outcome = self.carry_out(command, request).await;
        let label = match &outcome {
            Ok(outcome) if outcome.replayed => "replayed",
            Ok(_) => "done",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Malformed(_)) => "malformed",
            Err(Failure::Overloaded) => "overloaded",
            Err(Failure::Store(_)) => "failed",
        };
        metrics::counter!("hims_commands_total", "command" => C::NAME, "outcome" => label).increment(1);
        metrics::histogram!("hims_command_seconds", "command" => C::NAME).record(started.elapsed().as_secs_f64());
        outcome
    }

    async fn carry_out<C: Command>(&self, command: &C, request: &Request) -> Result<Outcome, Failure> {
        authorise(command, &request.caller)?;
        let mut invalid = Vec::new();
        command.check(&Pointer::Root, &mut invalid);
        if !invalid.is_empty() {
            return Err(Refused::invalid(invalid).into());
        }
        if let Some(key) = request.idempotency_key
            && let Some(receipt) = self.store.receipt(key).await?
        {
            return self.replay::<C::Aggregate>(&receipt, request).await;
        }
        let mut fresh = false;
        for _ in 0..ATTEMPTS {
            match self.attempt(command, request, fresh).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Again => fresh = true,
            }
        }
        let detail = "others keep changing what it relies on; try again";
        Err(Refused::new(Kind::Conflict, "version-conflict", detail).into())
    }

    async fn attempt<C: Command>(&self, command: &C, request: &Request, fresh: bool) -> Result<Attempt, Failure> {
        let entropy = self.entropy();
        let now = request.occurred_at.unwrap_or_else(|| self.now());
        let (id, is_new) = match command.target() {
            Target::New(Some(id)) => (id, true),
            Target::New(None) => (new_id(self.now(), entropy, 0), true),
            Target::Existing(id) => (id, false),
        };
        let loaded: Loaded<C::Aggregate> = match command.target() {
            Target::New(None) => Loaded { version: 0, state: None, fresh: true },
            _ => self.load(id, fresh).await?,
        };
        let state = loaded.state.as_deref();
        let found = self.find(command, state, fresh).await?;
        let decided = self.decide(command, (id, is_new), &loaded, &found, request, (now, entropy)).await?;
        let settled = loaded.fresh && found.all_fresh();
        let undone = decided.as_ref().map_or(true, Decision::is_nothing);
        if undone && !settled {
            // What was remembered may be outdated: refuse on a fresh look only.
            return Ok(Attempt::Again);
        }
        match decided {
            Err(refused) => Err(refused.into()),
            Ok(decision) if decision.is_nothing() => {
                self.acknowledge::<C::Aggregate>(id, loaded.version, request).await
            }
            Ok(decision) => self.append::<C>(id, &loaded, &decision, &found, request, (now, entropy)).await,
        }
    }

    async fn decide<C: Command>(
        &self,
        command: &C,
        (id, is_new): (Uuid, bool),
        loaded: &Loaded<C::Aggregate>,
        found: &Found,
        request: &Request,
        (now, entropy): (DateTime<Utc>, u128),
    ) -> Result<Result<Decision<C::Aggregate>, Refused>, Failure> {
        if is_new && loaded.version > 0 {
            return Ok(Err(Refused::exists()));
        }
        if !is_new && loaded.state.is_none() {
            return Ok(Err(Refused::missing(C::Aggregate::STREAM)));
        }
        if request.expected_version.is_some_and(|it| it != loaded.version) {
            let detail = format!("it is at version {} by now; read it again", loaded.version);
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
        let ctx = Context { now, caller: &request.caller, found, password_hash, password_matches, entropy, id };
        Ok(command.clone().decide(state, &ctx))
    }

    /// Looks up what the command asks for, until it asks for nothing new.
    async fn find<C: Command>(&self, command: &C, state: Option<&C::Aggregate>, fresh: bool) -> Result<Found, Failure> {
        let mut found = Found::default();
        loop {
            let Reads { streams, owners } = command.reads(state, &found);
            let mut new = false;
            for (scope, key, loader) in owners {
                if found.owners.contains_key(&(scope, key.clone())) {
                    continue;
                }
                new = true;
                let ids = self.store.owners(scope, &key).await?;
                for id in &ids {
                    found.streams.insert(*id, loader(self, *id, fresh).await?);
                }
                found.owners.insert((scope, key), ids);
            }
            for (id, loader) in streams {
                if let Entry::Vacant(unknown) = found.streams.entry(id) {
                    new = true;
                    unknown.insert(loader(self, id, fresh).await?);
                }
            }
            if !new {
                return Ok(found);
            }
        }
    }

    async fn append<C: Command>(
        &self,
        id: Uuid,
        loaded: &Loaded<C::Aggregate>,
        decision: &Decision<C::Aggregate>,
        found: &Found,
        request: &Request,
        (now, entropy): (DateTime<Utc>, u128),
    ) -> Result<Attempt, Failure> {
        let command_id = request.idempotency_key.unwrap_or_else(|| new_id(self.now(), entropy, u64::MAX));
        let malformed = |error: AppendError| Failure::Store(StoreError::Unavailable(error.to_string()));
        let mut planned: Vec<Planned> = Vec::with_capacity(1 + decision.others.len());
        planned.push(plan(id, loaded.version, loaded.state.as_deref(), &decision.events).map_err(malformed)?);
        for other in &decision.others {
            let before = planned.iter().position(|it| it.append.stream_id == other.id()).map(|it| planned.remove(it));
            planned.push(other.plan(found, before).map_err(malformed)?);
        }
        let written = |id: &Uuid| planned.iter().any(|it| it.append.stream_id == *id);
        let versions = found.streams.iter().filter(|(id, _)| !written(id));
        let owners = found.owners.iter().map(|((scope, key), owners)| Guard::Owners {
            scope,
            key: key.clone(),
            count: i64::try_from(owners.len()).unwrap_or(i64::MAX),
        });
        let append = Append {
            streams: planned.iter().map(|it| it.append.clone()).collect(),
            guards: versions
                .map(|(id, it)| Guard::Version { stream_id: *id, version: it.version })
                .chain(owners)
                .collect(),
            claims: decision.claims_of(id),
            receipt: request.idempotency_key.map(|it| Receipt::new(it, request.fingerprint.clone())),
            metadata: metadata(C::NAME, command_id, now, request),
        };
        match self.store.append(append).await {
            Ok(appended) => Ok(Attempt::Done(self.remember::<C::Aggregate>(id, planned, appended.first).await)),
            Err(AppendError::Conflict { .. } | AppendError::GuardFailed) => {
                self.states.forget(id);
                found.streams.keys().for_each(|it| self.states.forget(*it));
                Ok(Attempt::Again)
            }
            Err(AppendError::Taken { scope, .. }) if scopes::is_drawn(&scope) => Ok(Attempt::Again),
            Err(AppendError::Taken { scope, owner }) => {
                let what = scope.replace(['.', '_'], " ");
                let refused =
                    Refused::new(Kind::Conflict, "already-taken", format!("this {what} belongs to another already"));
                Err(Refused { candidates: vec![owner], ..refused }.into())
            }
            Err(AppendError::DoubleBooked { resource, .. }) => {
                let detail = "the provider, the room or the patient is booked at an overlapping time; choose another";
                let refused = Refused::new(Kind::Conflict, "double-booking", detail);
                Err(Refused { candidates: vec![resource], ..refused }.into())
            }
            Err(AppendError::Repeated { command_id }) => self.repeated::<C::Aggregate>(command_id, request).await,
            Err(AppendError::Overloaded | AppendError::Closed) => Err(Failure::Overloaded),
            Err(AppendError::Store(StoreError::Vault(VaultError::Erased))) => {
                let detail = "the person was erased; nothing more can be recorded about them";
                Err(Refused::new(Kind::Conflict, "erased", detail).into())
            }
            Err(AppendError::Store(error)) => Err(Failure::Store(error)),
            Err(error @ AppendError::Malformed(_)) => Err(malformed(error)),
        }
    }

    /// Says that nothing had to be done, and keeps a receipt of that: later, something might.
    async fn acknowledge<A: Aggregate>(&self, id: Uuid, version: i32, request: &Request) -> Result<Attempt, Failure> {
        let position = match request.idempotency_key {
            None => *self.store.head().borrow(),
            Some(key) => {
                let receipt = Receipt::new(key, request.fingerprint.clone());
                match self.store.acknowledge(receipt, id, version).await? {
                    Some(position) => position,
                    None => return self.repeated::<A>(key, request).await,
                }
            }
        };
        let (stream_type, events) = (A::STREAM, Vec::new());
        Ok(Attempt::Done(Outcome { id, stream_type, version, position, events, replayed: false, began: false }))
    }

    /// The command was recorded in the meantime.
    async fn repeated<A: Aggregate>(&self, command_id: Uuid, request: &Request) -> Result<Attempt, Failure> {
        match self.store.receipt(command_id).await? {
            Some(receipt) => self.replay::<A>(&receipt, request).await.map(Attempt::Done),
            None => Ok(Attempt::Again),
        }
    }

    /// Keeps the states after an append, and says what was appended.
    async fn remember<A: Aggregate>(&self, id: Uuid, planned: Vec<Planned>, first: Position) -> Outcome {
        let mut outcome = Outcome {
            id,
            stream_type: A::STREAM,
            version: 0,
            position: first - 1,
            events: Vec::new(),
            replayed: false,
            began: false,
        };
        for Planned { append, state } in planned {
            let mut version = append.expected_version;
            for event in append.events {
                version += 1;
                outcome.position += 1;
                outcome.events.push(EventRef { event_type: event.event_type, version, position: outcome.position });
            }
            let is_own = append.stream_id == id;
            if is_own {
                outcome.version = version;
                outcome.began = append.expected_version == 0;
            }
            if let Some(state) = state {
                let grown = version / SNAPSHOT_EVERY > append.expected_version / SNAPSHOT_EVERY;
                if let Some(state) = state.downcast_ref::<A>().filter(|_| is_own && grown) {
                    keep_snapshot(self.store.as_ref(), id, version, state).await;
                }
                self.states.put(append.stream_id, version, state);
            }
        }
        outcome
    }

    /// The answer that was given before.
    async fn replay<A: Aggregate>(&self, receipt: &Receipt, request: &Request) -> Result<Outcome, Failure> {
        if receipt.fingerprint != request.fingerprint {
            let detail = "the Idempotency-Key was used with another request; use a new one";
            return Err(Refused::new(Kind::Rule, "idempotency-key-reused", detail).into());
        }
        let changed = receipt.first <= receipt.last;
        let after = receipt.first.min(receipt.last) - 1;
        let mut events = self.store.read(after, receipt.last - after).await?;
        let Some(first) = events.first().cloned() else {
            return Err(StoreError::Unavailable("the events of a receipt are missing".to_owned()).into());
        };
        let own = events.iter().filter(|it| it.stream_id == first.stream_id);
        let version = own.map(|it| it.version).max().unwrap_or(first.version);
        if !changed {
            events.clear();
        }
        Ok(Outcome {
            id: first.stream_id,
            stream_type: A::STREAM,
            version,
            position: receipt.last,
            events: events
                .into_iter()
                .map(|it| EventRef { event_type: it.event_type, version: it.version, position: it.position })
                .collect(),
            replayed: true,
            began: changed && first.version == 1,
        })
    }

    /// The patient whom a command is about: that of its stream, or whom it looks up.
    async fn patient_of<C: Command>(&self, command: &C) -> Option<Subject> {
        let is_patient = |it: &Subject| matches!(it, Subject::Patient(_));
        if let Target::Existing(id) = command.target() {
            let state = self.load::<C::Aggregate>(id, false).await.ok()?.state?;
            return state.subject(id).filter(is_patient);
        }
        for (id, _) in command.reads(None, &Found::default()).streams {
            if self.load::<Patient>(id, false).await.is_ok_and(|it| it.state.is_some()) {
                return Some(Subject::Patient(id));
            }
        }
        None
    }

    /// Records an attempt for the audit. The answer does not depend on it: nothing was done.
    pub(crate) async fn record_attempt(
        &self,
        command: &'static str,
        request: &Request,
        event: &access::Event,
        patient: Option<Subject>,
    ) {
        let entropy = self.entropy();
        let now = self.now();
        let stream = NewEvent::new(access::Access::STREAM, event)
            .map(|event| StreamAppend::begin(access::Access::STREAM, new_id(now, entropy, 0), [event]))
            .map(|stream| StreamAppend { subject: patient.map(crate::machinery::decision::stored_subject), ..stream });
        let recorded = match stream {
            Ok(stream) => {
                let metadata = metadata(command, new_id(now, entropy, 1), now, request);
                self.store.append(Append { metadata, ..Append::stream(stream) }).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = recorded {
            tracing::error!(%error, command, "a refusal was not recorded for the audit");
        }
    }
}

fn authorise<C: Command>(command: &C, caller: &Caller) -> Result<(), Refused> {
    let own = command.is_own(caller);
    if caller.must_change_password && !(own && C::NAME == crate::user::ChangePassword::NAME) {
        let detail = "the password was chosen by somebody else; change it first";
        return Err(Refused::new(Kind::Forbidden, "password-change-required", detail));
    }
    if caller.may(C::PERMISSION) || own {
        return Ok(());
    }
    let detail = match C::PERMISSION {
        Permission::Own => "nobody may do that for somebody else".to_owned(),
        permission => format!("the caller's roles do not include {permission}"),
    };
    Err(Refused::new(Kind::Forbidden, "forbidden", detail))
}

fn metadata(command: &str, command_id: Uuid, occurred_at: DateTime<Utc>, request: &Request) -> Metadata {
    let caller = &request.caller;
    Metadata {
        actor: caller.actor.clone(),
        role: caller.role.clone(),
        session_id: caller.session_id,
        ip: caller.ip,
        user_agent: caller.user_agent.clone(),
        command_id,
        command: command.to_owned(),
        correlation_id: request.correlation_id.unwrap_or(command_id),
        causation_id: None,
        occurred_at,
        subject: None,
    }
}

#[cfg(test)]
mod tests;
