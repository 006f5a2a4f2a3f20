//! Processes: what follows, a moment later, from events of the log or from the time.
//!
//! A process names the events to which it reacts, and answers each with commands and timers. The runner
//! ([`Processes`]) gives the commands through the same executor as the API, exactly once, on one node at a time.

mod daily;
mod react;
mod runner;
mod tables;

use chrono::{DateTime, NaiveTime, Utc};
use futures::future::BoxFuture;
use hims_domain::{Aggregate as _, DomainEvent, UserId};
use hims_event_store::{Position, Timer};
use serde_json::Value;
use uuid::Uuid;

use crate::{Command, Executor, Failure, Outcome, Request};

pub use daily::{DailyWork, Day};
pub use runner::Processes;
pub use tables::{Part, Tables};

/// An event to which a process reacts.
#[derive(Debug, Clone)]
pub struct Happened {
    /// The position of the event in the log.
    pub position: Position,
    /// The stream of the event.
    pub stream_id: Uuid,
    /// The user who caused the event; `None` for a part of the system.
    pub user_id: Option<UserId>,
    /// When the event was recorded.
    pub recorded_at: DateTime<Utc>,
    /// When the event happened, which may be earlier than when it was recorded.
    pub occurred_at: DateTime<Utc>,
    /// The content of the event.
    pub event: DomainEvent,
}

/// Something that follows from events of the log or from the time, and that may come a moment later.
///
/// Nothing of the process itself is remembered but its position in the log and its timers. What a reaction depends on
/// is looked up and decided by its command, on the state of that moment. The command changes nothing when it is
/// repeated, by its own state: a process may be down for longer than receipts are kept.
pub trait Process: Send + Sync + 'static {
    /// The name of the process, in kebab-case. The name is stored, so it is never changed.
    const NAME: &'static str;
    /// The types of the events to which the process reacts, such as `patient.death_recorded`; none if the process only
    /// has daily work.
    const ON: &'static [&'static str] = &[];
    /// Whether the process reads the read tables. Such a process reacts to an event only when the tables show it.
    const READS_TABLES: bool = false;
    /// The time of the clock on the wall at which the process does its daily work, once a day in each time zone in
    /// which the hospital has departments; `None` if there is no such work.
    const DAILY_AT: Option<NaiveTime> = None;
    /// How many timers are fired at once. More than one is for a process that waits for somebody outside.
    const AT_ONCE: usize = 1;

    /// What follows from an event of one of the types [`ON`](Self::ON). The same event may be asked about again, and
    /// must have as many commands in the same order then.
    ///
    /// # Errors
    /// When something that the process needs to look up does not answer; the process is asked again later.
    fn react(&self, happened: &Happened) -> impl Future<Output = Result<Vec<Reaction>, Failure>> + Send {
        let _ = happened;
        async { Ok(Vec::new()) }
    }

    /// What follows when a timer fires, at its time or as soon as possible afterwards.
    ///
    /// # Errors
    /// As [`react`](Self::react).
    fn fire(&self, timer: &Timer) -> impl Future<Output = Result<Vec<Reaction>, Failure>> + Send {
        let _ = timer;
        async { Ok(Vec::new()) }
    }

    /// What follows on a day, at [`DAILY_AT`](Self::DAILY_AT) or as soon as possible afterwards. Of several days on
    /// which no node ran, only the last is asked about. When the process is asked about the same part of a day again,
    /// it may find other records than before.
    ///
    /// # Errors
    /// As [`react`](Self::react).
    fn daily(&self, day: &Day<'_>) -> impl Future<Output = Result<DailyWork, Failure>> + Send {
        let _ = day;
        async { Ok(DailyWork::default()) }
    }
}

/// What a process does: it gives a command or sets a timer.
pub struct Reaction(pub(crate) Kind);

pub(crate) enum Kind {
    Command(Box<dyn Given>),
    Timer { key: String, due_at: DateTime<Utc>, payload: Value },
}

impl Reaction {
    /// Gives a command, as the part of the system that is named like the process. A stream that the command begins has
    /// an id that is derived from what the process reacts to.
    pub fn command(command: impl Command) -> Self {
        Self(Kind::Command(Box::new(command)))
    }

    /// Sets a timer, in place of an earlier timer of the process with the same key. The payload is what
    /// [`Process::fire`] needs to know: ids and codes, never a personal value.
    pub fn timer(key: impl Into<String>, due_at: DateTime<Utc>, payload: Value) -> Self {
        Self(Kind::Timer { key: key.into(), due_at, payload })
    }
}

/// A command that a process gives, whatever its type.
pub(crate) trait Given: Send + Sync {
    fn name(&self) -> &'static str;
    /// The type and, unless the command begins a stream without saying its id, the id of the command's stream.
    fn stream(&self) -> (&'static str, Option<Uuid>);
    /// Carries the command out. A refusal is not recorded as an attempt, since the runner records it as a failure of
    /// the process.
    fn run<'a>(&self, executor: &'a Executor, request: Request) -> BoxFuture<'a, Result<Outcome, Failure>>;
    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any;
}

impl<C: Command> Given for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn stream(&self) -> (&'static str, Option<Uuid>) {
        (C::Aggregate::STREAM, self.target().id())
    }

    fn run<'a>(&self, executor: &'a Executor, request: Request) -> BoxFuture<'a, Result<Outcome, Failure>> {
        let command = self.clone();
        Box::pin(async move { executor.execute_unless_refused(command, request).await })
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
impl Reaction {
    /// The command, if the reaction is a command of this type.
    pub(crate) fn given<C: Command>(&self) -> Option<&C> {
        match &self.0 {
            Kind::Command(command) => command.as_any().downcast_ref(),
            Kind::Timer { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
