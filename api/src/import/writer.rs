//! Executing the commands of an import, many at once, and counting what became of the resources.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use hims_commands::{Caller, Command, Executor, Failure, Request};
use hims_domain::Aggregate;
use hims_domain::patient::Patient;
use hims_domain::user::User;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::calendar::Calendar;
use super::gather::Found;
use super::identity::Alike;
use super::persons::Persons;
use super::practitioner;
use super::progress::Progress;
use super::reason::Reason;
use super::summary::{Fate, Place, Summary};
use super::{ImportError, Settings};

/// How many steps run at the same time. The log writes events that arrive together in one batch.
pub(super) const UNDER_WAY: usize = 64;

/// Why the import of a resource stops.
pub(super) enum Stop {
    /// The resource is skipped; the import goes on with the other resources.
    Skip(Reason),
    /// The whole import ends.
    Everything(ImportError),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Skip(reason)
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Everything(error)
    }
}

/// The result of one step: what became of its resources, each with the places of its copies.
pub(super) type Step = Vec<(Vec<Place>, Result<Fate, Stop>)>;

/// Steps that do not depend on one another. A step begins only when it is polled.
pub(super) type Steps<'s> = Box<dyn ExactSizeIterator<Item = BoxFuture<'s, Step>> + Send + 's>;

/// Executes the commands of an import.
pub(super) struct Writer<'a> {
    pub(super) executor: &'a Executor,
    pub(super) settings: &'a Settings,
    pub(super) calendar: Calendar,
    pub(super) persons: Persons,
    caller: Arc<Caller>,
    /// The caller of commands to whom "today" is a day of the departments.
    local: Arc<Caller>,
    nobody: OnceCell<Uuid>,
    written: Mutex<Written>,
}

/// How much the import added to the log.
#[derive(Default)]
struct Written {
    begun: BTreeMap<&'static str, u64>,
    events: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(executor: &'a Executor, settings: &'a Settings, calendar: Calendar, persons: Persons) -> Self {
        let caller = Arc::new(Caller::system("import"));
        let local = Arc::new(Caller { time_zone: calendar.zone, ..Caller::system("import") });
        Self {
            executor,
            settings,
            calendar,
            persons,
            caller,
            local,
            nobody: OnceCell::new(),
            written: Mutex::default(),
        }
    }

    /// The state of a record as it is in the log now; `None` when there is no record with this id.
    ///
    /// # Errors
    /// When the id belongs to a record of another kind.
    pub(super) async fn existing<A: Aggregate>(&self, id: Uuid) -> Result<Option<Arc<A>>, Stop> {
        let loaded = self.executor.load::<A>(id, true).await.map_err(ImportError::Log)?;
        if loaded.version > 0 && loaded.state.is_none() {
            return Err(Reason::IdTaken.into());
        }
        Ok(loaded.state)
    }

    /// Whether a record has its first event only. An import that was interrupted may leave a record in this state.
    pub(super) async fn has_only_begun<A: Aggregate>(&self, id: Uuid) -> Result<bool, Stop> {
        Ok(self.executor.load::<A>(id, true).await.map_err(ImportError::Log)?.version == 1)
    }

    /// The id and the state of a record that another resource refers to; `None` when there is no such record, or when
    /// the record with this id is about somebody or something else than the files say.
    pub(super) async fn referred<A: Aggregate>(&self, id: Option<Uuid>) -> Result<Option<(Uuid, Arc<A>)>, Stop> {
        let Some(id) = id.filter(|it| !self.persons.are_strangers(*it)) else { return Ok(None) };
        let loaded = self.executor.load::<A>(id, false).await.map_err(ImportError::Log)?;
        Ok(loaded.state.map(|it| (id, it)))
    }

    /// The patient whom another resource refers to, under the id of the record.
    pub(super) async fn patient(&self, id: Option<Uuid>) -> Result<(Uuid, Arc<Patient>), Stop> {
        self.recorded_patient(id.and_then(|it| self.persons.record(it))).await?.ok_or_else(|| Reason::NoPatient.into())
    }

    /// The patient of a record, whomever the files mean by the id of the record; `None` when there is no such record.
    pub(super) async fn recorded_patient(&self, record: Option<Uuid>) -> Result<Option<(Uuid, Arc<Patient>)>, Stop> {
        let Some(id) = record else { return Ok(None) };
        let loaded = self.executor.load::<Patient>(id, false).await.map_err(ImportError::Log)?;
        Ok(loaded.state.map(|it| (id, it)))
    }

    /// The user of a practitioner, and whether the practitioner is known. Where nobody is named, or the practitioner is
    /// not in the record, the user is one that stands for nobody in particular.
    pub(super) async fn practitioner(&self, id: Option<Uuid>) -> Result<(Uuid, bool), Stop> {
        match self.referred::<User>(id).await? {
            Some((id, _)) => Ok((id, true)),
            None => Ok((*self.nobody.get_or_try_init(|| practitioner::nobody(self)).await?, false)),
        }
    }

    /// The records that hold a key of a scope.
    pub(super) async fn owners(&self, scope: &'static str, key: &str) -> Result<Vec<Uuid>, ImportError> {
        self.executor.store().owners(scope, key).await.map_err(|error| ImportError::Log(error.into()))
    }

    /// Refuses a resource, and everything that refers to the resource: its id must not lead to the record that has it.
    pub(super) fn refuse(&self, id: Uuid, reason: Reason) -> Stop {
        self.persons.is_stranger(id);
        Stop::Skip(reason)
    }

    /// Checks that the copies of a resource can be versions of one resource.
    pub(super) fn check_copies<R: Alike>(&self, found: &Found<R>) -> Result<(), Stop> {
        found.check_copies().map_err(|reason| self.refuse(found.id, reason))
    }

    /// Whether a time is in the future.
    pub(super) fn is_future(&self, at: DateTime<Utc>) -> bool {
        at > self.calendar.now
    }

    /// Executes a command about something that happened at the time `at`, or now if the time is not known.
    ///
    /// # Errors
    /// When the command is refused, in which case nothing was added to the log, or when the log does not answer.
    pub(super) async fn execute<C: Command>(&self, command: C, at: Option<DateTime<Utc>>) -> Result<(), Stop> {
        self.execute_as(&self.caller, command, at).await
    }

    /// Executes a command that keeps its own day, which is that of the departments at the time `at`.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub(super) async fn execute_on_day<C: Command>(&self, command: C, at: DateTime<Utc>) -> Result<(), Stop> {
        self.execute_as(&self.local, command, Some(at)).await
    }

    async fn execute_as<C: Command>(
        &self,
        caller: &Arc<Caller>,
        command: C,
        at: Option<DateTime<Utc>>,
    ) -> Result<(), Stop> {
        if at.is_some_and(|it| self.is_future(it)) {
            return Err(Reason::InTheFuture.into());
        }
        let request = Request { occurred_at: at, ..Request::of(Arc::clone(caller)) };
        match self.executor.execute_unless_refused(command, request).await {
            Ok(outcome) => {
                let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                written.events += u64::try_from(outcome.events.len()).unwrap_or(u64::MAX);
                if outcome.began {
                    *written.begun.entry(outcome.stream_type).or_default() += 1;
                }
                Ok(())
            }
            Err(Failure::Refused(refused)) => Err(Reason::Refused(refused.code).into()),
            Err(failure) => Err(ImportError::Log(failure).into()),
        }
    }

    /// Runs steps that do not depend on one another, many at once, and counts their results.
    pub(super) async fn take(
        &self,
        resource_type: &str,
        steps: Steps<'_>,
        (summary, progress): (&mut Summary, &dyn Progress),
    ) -> Result<(), ImportError> {
        progress.begin(resource_type, u64::try_from(steps.len()).unwrap_or(u64::MAX));
        let mut under_way = futures::stream::iter(steps).buffer_unordered(UNDER_WAY);
        while let Some(step) = under_way.next().await {
            progress.advance();
            for (places, became) in step {
                match became {
                    Ok(fate) => summary.count(resource_type, places, fate),
                    Err(Stop::Skip(reason)) => summary.count(resource_type, places, Fate::Skipped(reason)),
                    Err(Stop::Everything(error)) => return Err(error),
                }
            }
        }
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        summary.events = written.events;
        summary.begun.clone_from(&written.begun);
        Ok(())
    }
}
