//! Carries out commands: authorises, loads, decides and appends, and decides again when another append came first.

mod append;
mod attempt;
pub(crate) mod maintenance;
mod record;
mod replay;

use std::any::Any;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::{Aggregate, Pointer, access};
use hims_event_store::EventStore;
use uuid::Uuid;

use super::cache::StateCache;
use super::load::load;
use crate::aggregates::user::ChangePassword;
use crate::{Command, Failure, Kind, Loaded, Outcome, Permission, Refused, Request, Surroundings, Target};

/// How often a command is decided before it is refused because other appends keep coming first.
const ATTEMPTS: u32 = 20;

/// Carries out commands on an event log, and remembers the states of streams.
pub struct Executor {
    store: Arc<dyn EventStore>,
    surroundings: Surroundings,
    states: StateCache,
}

/// The result of one attempt to carry out a command.
enum Attempt {
    Done(Outcome),
    /// A state may be outdated, or a drawn key was taken: decide again on fresh states from the log.
    Again,
}

impl Executor {
    /// Creates an executor that remembers no state yet.
    pub fn new(store: Arc<dyn EventStore>, surroundings: Surroundings) -> Self {
        Self { store, surroundings, states: StateCache::new() }
    }

    /// The event log.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The current time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.surroundings.clock)()
    }

    /// 128 random bits.
    pub fn entropy(&self) -> u128 {
        (self.surroundings.entropy)()
    }

    /// Loads a stream: the remembered state, or with `fresh` the state from the log.
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

    /// Carries out a command.
    ///
    /// # Errors
    /// The refusal, which is also recorded in the log for the audit; or a failure of the log.
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

    /// Carries out a command like [`execute`](Self::execute), but does not record a refusal in the log. For imports,
    /// which report what they skip and may be repeated.
    ///
    /// # Errors
    /// The refusal, or a failure of the log.
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
        self.authorise(command, request).await?;
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
        let detail = "other requests keep changing the records that the command relies on; try again";
        Err(Refused::new(Kind::Conflict, "version-conflict", detail).into())
    }

    /// Refuses a command unless the caller's roles allow the command or the command concerns the caller's own record.
    async fn authorise<C: Command>(&self, command: &C, request: &Request) -> Result<(), Failure> {
        let caller = &request.caller;
        let may = caller.may(C::PERMISSION);
        let is_own = async || match command.target() {
            Target::Existing(id) => {
                let loaded = self.load::<C::Aggregate>(id, true).await?;
                Ok::<_, Failure>(command.is_own(loaded.state.as_deref(), caller))
            }
            Target::New(_) => Ok(command.is_own(None, caller)),
        };
        if caller.must_change_password && !(C::NAME == ChangePassword::NAME && is_own().await?) {
            let detail = "the password was chosen by somebody else; change it with change-password first";
            return Err(Refused::new(Kind::Forbidden, "password-change-required", detail).into());
        }
        if may || is_own().await? {
            return Ok(());
        }
        let detail = match C::PERMISSION {
            Permission::Own => "the command is for the caller's own record only".to_owned(),
            Permission::System => "only the system itself may give the command".to_owned(),
            permission => format!("the caller's roles do not include the permission {permission}"),
        };
        Err(Refused::new(Kind::Forbidden, "forbidden", detail).into())
    }
}

#[cfg(test)]
mod tests;
