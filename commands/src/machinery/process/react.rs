//! One reaction of a process, from what it reacts to up to the commands that are carried out and the timers to be set.

use std::sync::Arc;

use hims_domain::process_failure::Failed;
use hims_domain::{DomainEvent, Read, UserId, derived};
use hims_event_store::{Actor, Metadata, Opened, ProcessStore, StoreError, Timer};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Given, Happened, Kind, Process, Reaction, Tables};
use crate::aggregates::process_failure::RecordProcessFailure;
use crate::{Caller, Cause, Executor, Failure, Kind as RefusalKind, Request};

/// The parts of the system whose events no process reacts to: what happened before or elsewhere, or is made up, causes
/// no mail, no bill and no alarm.
const PASSED_OVER: [&str; 4] = ["import", "generate", "demo", "set-up"];
/// How many reactions may follow from each other. A longer chain goes round in a circle.
const LONGEST_CHAIN: u32 = 8;

/// A process with all that its reactions need.
pub(super) struct Reacting<P> {
    pub(super) process: P,
    pub(super) executor: Arc<Executor>,
    pub(super) store: Arc<dyn ProcessStore>,
    pub(super) tables: Arc<dyn Tables>,
    pub(super) caller: Arc<Caller>,
}

/// To what a process reacts: what identifies it, and the circumstances of the commands that follow.
pub(super) struct Occasion {
    /// What makes the ids of the reactions: the position of the event, or the id of the timer.
    id: String,
    position: Option<i64>,
    timer_id: Option<Uuid>,
    cause: Cause,
    correlation_id: Option<Uuid>,
}

/// A stored event, read as the event of any aggregate.
struct Stored<'a>(&'a Opened);

impl Read for Stored<'_> {
    type Error = StoreError;
    fn read<E: DeserializeOwned>(self) -> Result<E, StoreError> {
        self.0.decode()
    }
}

impl<P: Process> Reacting<P> {
    /// Does what follows from an event, and returns the timers to be set.
    ///
    /// # Errors
    /// When the log does not answer; nothing is lost then if the event is tried again.
    pub(super) async fn to_event(&self, opened: &Opened) -> Result<Vec<Timer>, Failure> {
        let stored = &opened.recorded;
        let metadata = stored.circumstances().unwrap_or_default();
        if matches!(&metadata.actor, Actor::System { name } if PASSED_OVER.contains(&name.as_str())) {
            return Ok(Vec::new());
        }
        let occasion = Occasion::event(stored.position, &metadata);
        let Some(Ok(event)) = DomainEvent::read(&stored.stream_type, Stored(opened)) else {
            let about = (stored.stream_type.as_str(), Some(stored.stream_id));
            self.keep_failure(&occasion, 0, None, about, "unreadable").await?;
            return Ok(Vec::new());
        };
        let happened = Happened {
            position: stored.position,
            stream_id: stored.stream_id,
            user_id: match &metadata.actor {
                Actor::User { id } => Some(UserId(*id)),
                Actor::System { .. } => None,
            },
            recorded_at: stored.recorded_at,
            occurred_at: metadata.occurred_at,
            event,
        };
        let reactions = self.process.react(&happened).await?;
        self.carry_out(&occasion, reactions).await
    }

    /// Does what follows from a timer that is due, and returns the timers to be set.
    ///
    /// # Errors
    /// As [`to_event`](Self::to_event).
    pub(super) async fn to_timer(&self, timer: &Timer) -> Result<Vec<Timer>, Failure> {
        if let Some(timers) = self.to_day(timer).await? {
            return Ok(timers);
        }
        let reactions = self.process.fire(timer).await?;
        self.carry_out(&Occasion::timer(timer.id), reactions).await
    }

    /// Gives the commands of a reaction, and returns the timers to be set.
    pub(super) async fn carry_out(&self, occasion: &Occasion, reactions: Vec<Reaction>) -> Result<Vec<Timer>, Failure> {
        let mut timers = Vec::new();
        for (nth, Reaction(reaction)) in reactions.into_iter().enumerate() {
            match reaction {
                Kind::Command(command) => self.give(occasion, nth, command.as_ref()).await?,
                Kind::Timer { key, due_at, payload } => {
                    let id = occasion.derived::<P>("timer", nth);
                    timers.push(Timer { id, key, due_at, payload });
                }
            }
        }
        Ok(timers)
    }

    /// Gives one command, under an id that is the same at every repetition. A refusal is recorded and left.
    async fn give(&self, occasion: &Occasion, nth: usize, command: &dyn Given) -> Result<(), Failure> {
        let (stream_type, stream_id) = command.stream();
        // The stream makes sure that a repetition which finds other records than before leaves none of them out.
        let of_stream = stream_id.map(|it| it.to_string()).unwrap_or_default();
        let occasion_and_place = [P::NAME, &occasion.id, &nth.to_string(), stream_type, &of_stream];
        let id = derived("reaction", &occasion_and_place);
        let request = Request {
            idempotency_key: Some(id),
            fingerprint: self.executor.store().vault().blind("receipt", format!("{id} {}", command.name()).as_bytes()),
            correlation_id: occasion.correlation_id,
            cause: Some(occasion.cause),
            ..Request::of(Arc::clone(&self.caller))
        };
        let refused = if occasion.cause.reactions > LONGEST_CHAIN {
            Some("chain-too-long")
        } else {
            code_of(command.run(&self.executor, request).await)?
        };
        let outcome = if refused.is_some() { "refused" } else { "done" };
        metrics::counter!("hims_process_reactions_total", "process" => P::NAME, "outcome" => outcome).increment(1);
        match refused {
            Some(code) => self.keep_failure(occasion, nth, Some(command.name()), command.stream(), code).await,
            None => Ok(()),
        }
    }

    /// Records what the process could not do. A repetition finds the record there.
    async fn keep_failure(
        &self,
        occasion: &Occasion,
        nth: usize,
        command: Option<&str>,
        (resource_type, resource_id): (&str, Option<Uuid>),
        code: &str,
    ) -> Result<(), Failure> {
        tracing::warn!(process = P::NAME, occasion = occasion.id, command, code, "a process could not do its work");
        let failed = Failed {
            process: P::NAME.to_owned(),
            position: occasion.position,
            timer_id: occasion.timer_id,
            command: command.map(str::to_owned),
            code: code.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id,
        };
        let id = occasion.derived::<P>("process-failure", nth);
        let request = Request {
            correlation_id: occasion.correlation_id,
            cause: Some(occasion.cause),
            ..Request::of(Arc::clone(&self.caller))
        };
        let recorded = self.executor.execute_unless_refused(RecordProcessFailure { id, failed }, request).await;
        code_of(recorded.map(drop)).map(drop)
    }
}

impl Occasion {
    fn event(position: i64, metadata: &Metadata) -> Self {
        Self {
            id: position.to_string(),
            position: Some(position),
            timer_id: None,
            cause: Cause { id: metadata.command_id, reactions: metadata.reactions.saturating_add(1) },
            correlation_id: Some(metadata.correlation_id),
        }
    }

    /// A timer begins a new chain: it waits, so it cannot go round in a circle as fast as events can.
    pub(super) fn timer(id: Uuid) -> Self {
        let cause = Cause { id, reactions: 1 };
        Self { id: id.to_string(), position: None, timer_id: Some(id), cause, correlation_id: None }
    }

    /// The id of the `nth` thing that follows from the occasion.
    fn derived<P: Process>(&self, kind: &str, nth: usize) -> Uuid {
        derived(kind, &[P::NAME, &self.id, &nth.to_string()])
    }
}

/// The code of a refusal that trying again would not change; `None` if the command was carried out.
///
/// # Errors
/// A failure that passes, after which the command is to be tried again.
fn code_of<T>(outcome: Result<T, Failure>) -> Result<Option<&'static str>, Failure> {
    match outcome {
        Ok(_) => Ok(None),
        Err(Failure::Refused(refused))
            if refused.kind != RefusalKind::TooMany && refused.code != "version-conflict" =>
        {
            Ok(Some(refused.code))
        }
        Err(Failure::Mistake(mistake)) => {
            tracing::error!(%mistake, "a command has a mistake in its program");
            Ok(Some("mistake-in-the-program"))
        }
        Err(Failure::Malformed(_)) => Ok(Some("malformed-request")),
        Err(Failure::Store(StoreError::Unreadable { .. })) => Ok(Some("unreadable")),
        Err(failure) => Err(failure),
    }
}
