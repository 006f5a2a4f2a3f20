//! Carries out commands: authorises, loads, decides and appends, and decides again when another append came first.

mod append;
mod attempt;
mod backlog;
mod course;
mod identity;
pub(crate) mod maintenance;
mod outdated;
mod probes;
mod reading;
mod record;
mod repeats;
mod replay;
mod telling;
mod turns;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use hims_domain::values::Currency;
use hims_domain::{Aggregate, access};
use hims_event_store::EventStore;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;
use uuid::Uuid;

use self::backlog::Backlog;
use self::course::Course;
use self::outdated::Outdated;
use self::turns::{Turn, Turns};
use super::cache::{Cached, Era, StateCache};
use super::load::{folded, load};
use super::reads::Need;
use super::sight::{Sight, Unlimited};
use crate::{Command, Failure, Kind, Loaded, Outcome, Permission, PhoneRegion, Refused, Request, Surroundings, Target};
use probes::Probes;

/// How often a command is decided before it is refused because appends of other nodes keep coming first.
const ATTEMPTS: u32 = 200;
/// How long a command takes at most before its last answer: its waits for an earlier request under its key, for its
/// turn at the streams that it writes and for its append, all together.
const PATIENCE: Duration = Duration::from_millis(7_500);
/// How long a command waits for its last answer after that, so that every command is over within eight seconds.
const LAST: Duration = Duration::from_millis(500);
/// The longest pause before a command is decided again because another node came first. It is shorter than the pause
/// in which the other node leaves the stream alone.
const BREATH: Duration = Duration::from_millis(2);

/// Carries out commands on an event log, and remembers the states of streams.
pub struct Executor {
    store: Arc<dyn EventStore>,
    surroundings: Surroundings,
    states: StateCache,
    /// Records refusals.
    backlog: Arc<Backlog>,
    /// The queues of the callers that write one stream.
    turns: Turns,
    /// The queues of the requests under one idempotency key.
    repetitions: Turns,
    repeats: repeats::Repeats,
    probes: Probes,
    phone_region: PhoneRegion,
    currency: Currency,
    time_zone: Tz,
    sight: Arc<dyn Sight>,
    outdated: Outdated,
}

/// The result of one attempt to carry out a command.
enum Attempt {
    Done(Outcome),
    /// A state may be outdated, or a drawn key was taken: decide again on fresh states from the log.
    Again,
    /// Another append came first: decide again on fresh states from the log.
    Overtaken,
    /// Other callers write these streams: wait for the turn, and decide again.
    Wait(BTreeSet<Uuid>),
}

impl Executor {
    /// Creates an executor that remembers no state yet.
    pub fn new(store: Arc<dyn EventStore>, surroundings: Surroundings) -> Self {
        let (turns, repetitions) = (Turns::default(), Turns::default());
        let backlog = Backlog::new(Arc::clone(&store), surroundings.clone());
        Self {
            store,
            surroundings,
            states: StateCache::new(),
            backlog,
            turns,
            repetitions,
            repeats: repeats::Repeats::default(),
            probes: Probes::new(),
            phone_region: PhoneRegion::default(),
            currency: Currency::default(),
            time_zone: Tz::UTC,
            sight: Arc::new(Unlimited),
            outdated: Outdated::default(),
        }
    }

    /// The executor, which reads phone numbers without a country code as numbers of a region.
    #[must_use]
    pub fn in_phone_region(self, phone_region: PhoneRegion) -> Self {
        Self { phone_region, ..self }
    }

    /// The executor of a hospital that charges in a currency.
    #[must_use]
    pub fn in_currency(self, currency: Currency) -> Self {
        Self { currency, ..self }
    }

    /// The currency in which the hospital charges.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The executor of a hospital in a time zone, which counts where nobody and no department says another.
    #[must_use]
    pub fn in_time_zone(self, time_zone: Tz) -> Self {
        Self { time_zone, ..self }
    }

    /// The executor, which tells callers only of records that they may read.
    #[must_use]
    pub fn with_sight(self, sight: Arc<dyn Sight>) -> Self {
        Self { sight, ..self }
    }

    /// Which records callers may read.
    pub(crate) fn sight(&self) -> &dyn Sight {
        self.sight.as_ref()
    }

    /// The time zone of the hospital.
    pub(crate) fn time_zone(&self) -> Tz {
        self.time_zone
    }

    /// The region of phone numbers without a country code.
    pub fn phone_region(&self) -> PhoneRegion {
        self.phone_region
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

    /// When what is read from now on is read.
    fn era(&self) -> Era {
        self.states.era(self.store.timeline())
    }

    /// Loads a stream: the remembered state, or with `fresh` the state from the log.
    ///
    /// # Errors
    /// When the log does not answer or an event of the stream cannot be read.
    pub async fn load<A: Aggregate>(&self, id: Uuid, fresh: bool) -> Result<Loaded<A>, Failure> {
        self.load_as(id, if fresh { Need::Fresh } else { Need::Remembered }).await
    }

    /// Loads the state of a stream that is needed.
    pub(crate) async fn load_as<A: Aggregate>(&self, id: Uuid, need: Need) -> Result<Loaded<A>, Failure> {
        let at = if let Need::At(version) = need { Some(version) } else { None };
        let (era, loaded) = match need {
            Need::Of(events, era) => (era, folded((0, None), &events)?),
            Need::Remembered | Need::Fresh | Need::At(_) => {
                let era = self.era();
                if let Some(Cached { version, state, .. }) = self.states.get(id, era)
                    && (matches!(need, Need::Remembered) || at == Some(version))
                {
                    let fresh = at.is_some();
                    match state.map(Arc::downcast::<A>) {
                        Some(Ok(state)) => return Ok(Loaded { version, state: Some(state), fresh }),
                        None => return Ok(Loaded { version, state: None, fresh }),
                        Some(Err(_)) => {}
                    }
                }
                (era, load::<A>(self.store.as_ref(), id).await?)
            }
        };
        if loaded.state.is_some() || loaded.version == 0 {
            let state = loaded.state.clone().map(|state| state as Arc<dyn Any + Send + Sync>);
            self.states.put(id, Cached { era, version: loaded.version, state });
        }
        Ok(loaded)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The refusal, which is also recorded in the log for the audit; or a failure of the log.
    pub async fn execute<C: Command>(&self, command: C, request: Request) -> Result<Outcome, Failure> {
        let probe = self.probes.begin(&command, &request, self.now())?;
        let deadline = Instant::now() + PATIENCE;
        let outcome = self.measured(&command, &request, deadline).await;
        if let Some(probe) = probe {
            probe.settle(&outcome);
        }
        if let Err(Failure::Refused(refused)) = &outcome {
            let refusal = access::Event::CommandRefused {
                command: C::NAME.to_owned(),
                code: refused.code.to_owned(),
                stream_type: C::Aggregate::STREAM.to_owned(),
                stream_id: command.target().id().unwrap_or_default(),
            };
            let patient = timeout_at(deadline + LAST, self.patient_of(&command)).await.unwrap_or_default();
            self.record_attempt(C::NAME, &request, &refusal, patient, Some(deadline)).await;
        }
        outcome
    }

    /// Carries out a command like [`execute`](Self::execute), but does not record a refusal in the log. For imports,
    /// which report what they skip and may be repeated.
    ///
    /// # Errors
    /// The refusal, or a failure of the log.
    pub async fn execute_unless_refused<C: Command>(&self, command: C, request: Request) -> Result<Outcome, Failure> {
        self.measured(&command, &request, Instant::now() + PATIENCE).await
    }

    async fn measured<C: Command>(
        &self,
        command: &C,
        request: &Request,
        deadline: Instant,
    ) -> Result<Outcome, Failure> {
        let started = std::time::Instant::now();
        let course = Course::until(deadline);
        let span = tracing::debug_span!("command", command = C::NAME, outcome = tracing::field::Empty);
        let outcome = course.run(self.carry_out(command, request, &course)).instrument(span.clone()).await;
        let label = match &outcome {
            Ok(outcome) if outcome.replayed => "replayed",
            Ok(_) => "done",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Malformed(_)) => "malformed",
            Err(Failure::Overloaded) => "overloaded",
            Err(Failure::Outdated) => "outdated",
            Err(Failure::Mistake(_) | Failure::Store(_)) => "failed",
        };
        span.record("outcome", label);
        metrics::counter!("hims_commands_total", "command" => C::NAME, "outcome" => label).increment(1);
        metrics::histogram!("hims_command_seconds", "command" => C::NAME).record(started.elapsed().as_secs_f64());
        outcome
    }

    /// Carries out a command, or repeats the answer to an earlier request with the same idempotency key. A repetition
    /// waits for a request that this node is carrying out; another node may be carrying out the same request, so a
    /// refusal is answered only if there is no receipt after it either.
    async fn carry_out<C: Command>(&self, command: &C, request: &Request, course: &Course) -> Result<Outcome, Failure> {
        if self.is_outdated() {
            return Err(Failure::Outdated);
        }
        let Some(key) = request.idempotency_key else { return self.pursue(command, request, course).await };
        let _turn = self.repetitions.take(&BTreeSet::from([key]), false, course.deadline).await?;
        let timeline = self.store.timeline();
        if let Some(receipt) = self.receipt(key, course).await? {
            // Only a caller who may give the command learns that the key was used for another request.
            if receipt.fingerprint != request.fingerprint {
                self.allow(command, request).await?;
            }
            return self.replay::<C::Aggregate>(&receipt, request, timeline).await;
        }
        match self.pursue(command, request, course).await {
            Err(Failure::Refused(refused)) => match self.receipt(key, course).await? {
                Some(receipt) if receipt.fingerprint == request.fingerprint => {
                    self.replay::<C::Aggregate>(&receipt, request, timeline).await
                }
                _ => Err(refused.into()),
            },
            outcome => outcome,
        }
    }

    /// Attempts to carry out a command until it succeeds or is refused.
    async fn pursue<C: Command>(&self, command: &C, request: &Request, course: &Course) -> Result<Outcome, Failure> {
        self.allow(command, request).await?;
        self.allow_to_compare(command, request).await?;
        let (mut turn, mut fresh, mut overtaken) = (Turn::default(), false, 0);
        for _ in 0..ATTEMPTS {
            // The attempt is on the heap, so that the futures of all who carry commands out stay small.
            let attempt = Box::pin(self.attempt((command, request), course, fresh, overtaken > 0, &mut turn));
            let attempt = match attempt.await {
                Err(Failure::Refused(refused)) => {
                    drop(turn);
                    return Err(self.as_told(command, request, refused).await?.into());
                }
                attempt => attempt?,
            };
            match attempt {
                Attempt::Done(outcome) => {
                    turn.count();
                    return Ok(outcome);
                }
                Attempt::Again => fresh = true,
                Attempt::Overtaken => {
                    turn.restart();
                    fresh = true;
                    overtaken += 1;
                    if overtaken > 1 {
                        sleep(self.breath()).await;
                    }
                }
                Attempt::Wait(mut ids) => {
                    ids.extend(turn.ids());
                    // The turn is given back first, since the turns at several streams are taken in the order of their
                    // ids.
                    drop(turn);
                    turn = self.turns.take(&ids, self.store.is_shared(), course.deadline).await?;
                    fresh = false;
                }
            }
            if Instant::now() > course.deadline {
                break;
            }
        }
        let detail = "other requests keep changing the records that the command relies on; try again";
        Err(Refused::new(Kind::Conflict, "version-conflict", detail).into())
    }

    /// A random pause, so that nodes which were overtaken together do not come back together.
    fn breath(&self) -> Duration {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are as random as the others")]
        let draw = self.entropy() as u32;
        BREATH.mul_f64(f64::from(draw) / f64::from(u32::MAX))
    }

    /// Refuses a command that the caller may not give, or whose values break their rules.
    async fn allow<C: Command>(&self, command: &C, request: &Request) -> Result<(), Failure> {
        self.authorise(command, request).await?;
        Ok(Refused::unless_valid(command)?)
    }

    /// Refuses a command unless the caller's roles allow the command or the command concerns the caller's own record.
    async fn authorise<C: Command>(&self, command: &C, request: &Request) -> Result<(), Failure> {
        let caller = &request.caller;
        let may = caller.may(C::PERMISSION) || command.or_permission().is_some_and(|it| caller.may(it));
        let is_own = async || match command.target() {
            Target::Existing(id) | Target::Either(id) => {
                let loaded = self.load::<C::Aggregate>(id, true).await?;
                Ok::<_, Failure>(command.is_own(loaded.state.as_deref(), caller))
            }
            Target::New(_) => Ok(command.is_own(None, caller)),
        };
        if let Some(duty) = caller.duty()
            && !(duty.is_done_by(C::NAME) && is_own().await?)
        {
            return Err(Refused::new(Kind::Forbidden, duty.code(), duty.detail()).into());
        }
        if may || is_own().await? {
            return if C::NEEDS_IDENTITY { self.require_identity(caller).await } else { Ok(()) };
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
