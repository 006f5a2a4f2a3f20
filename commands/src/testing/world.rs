//! A hospital with an event log in memory and a clock that tests move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::{Aggregate, UserId};
use hims_event_store::{Actor, Append, EventStore, MasterKey, MemoryEventStore, Opened, ProcessStore as _, Recorded};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{ASKING, Given, now};
use crate::machinery::decision::plan;
use crate::{
    Caller, Claims, Command, Executor, Failure, Outcome, Refused, Request, Surroundings, system_roles, upcasters,
};

pub(crate) struct World {
    pub(crate) executor: Arc<Executor>,
    pub(crate) surroundings: Surroundings,
    pub(crate) log: Arc<MemoryEventStore>,
    clock: Arc<Mutex<DateTime<Utc>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let drawn = AtomicU64::new(1);
        Self::drawing(move || {
            // The odd factor changes all the bits, so that draws do not resemble each other.
            u128::from(drawn.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        })
    }

    /// A hospital whose random bits come from the test.
    pub(crate) fn drawing(entropy: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        let clock = Arc::new(Mutex::new(now()));
        let hands = Arc::clone(&clock);
        let surroundings = Surroundings { clock: Arc::new(move || *hands.lock().unwrap()), entropy: Arc::new(entropy) };
        let log = Arc::new(MemoryEventStore::new(MasterKey::generate().unwrap(), upcasters()));
        let executor = Arc::new(Executor::new(Arc::clone(&log) as _, surroundings.clone()));
        Self { executor, surroundings, log, clock }
    }

    /// Another node on the same log, which remembers no states yet.
    pub(crate) fn another_node(&self) -> Executor {
        Executor::new(Arc::clone(self.store()), self.surroundings.clone())
    }

    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        self.executor.store()
    }

    /// Moves the clock.
    pub(crate) fn after(&self, passed: TimeDelta) {
        *self.clock.lock().unwrap() += passed;
    }

    /// Appends events to a new stream without a command.
    pub(crate) async fn has<A: Claims>(&self, id: impl Into<Uuid>, events: impl IntoIterator<Item = A::Event>) {
        let events: Vec<_> = events.into_iter().collect();
        let planned = plan::<A>(id.into(), 0, None, &events).unwrap();
        self.store().append(Append::stream(planned.append)).await.unwrap();
    }

    /// Executes a command of the system.
    pub(crate) async fn execute<C: Command>(&self, command: C) -> Result<Outcome, Failure> {
        self.executor.execute(command, Request::of(Caller::system("test"))).await
    }

    /// Executes a command of the system, which must succeed.
    #[track_caller]
    pub(crate) fn done<C: Command>(&self, command: C) -> impl Future<Output = Outcome> {
        let carried_out = Box::pin(self.execute(command));
        async move { carried_out.await.unwrap() }
    }

    pub(crate) async fn state<A: Aggregate>(&self, id: impl Into<Uuid>) -> Arc<A> {
        self.executor.load::<A>(id.into(), true).await.unwrap().state.unwrap()
    }

    /// Waits until a process has reacted to the whole log, and none of its timers is due.
    pub(crate) async fn settled(&self, process: &'static str) {
        loop {
            let head = *self.log.head().borrow();
            let position = self.log.processes().await.unwrap().into_iter().find(|it| it.0 == process).map(|it| it.1);
            let due = self.log.due_timers(process, self.executor.now(), 1).await.unwrap();
            if position == Some(head) && due.is_empty() && *self.log.head().borrow() == head {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All events of the log, in order.
    pub(crate) async fn log(&self) -> Vec<Recorded> {
        self.store().read(0, i64::MAX).await.unwrap()
    }

    /// The number of events of a type in the log.
    pub(crate) async fn count(&self, event_type: &str) -> usize {
        self.log().await.iter().filter(|it| it.event_type == event_type).count()
    }

    /// The last event of the log.
    pub(crate) async fn last(&self) -> Opened {
        let last = self.log().await.pop().unwrap();
        self.store().open(vec![last]).await.unwrap().remove(0)
    }

    /// The last event of the log, decoded.
    pub(crate) async fn last_event<E: DeserializeOwned>(&self) -> E {
        self.last().await.decode().unwrap()
    }
}

impl<A: Aggregate> Given<A> {
    /// Sets the time zone of the hospital, which is UTC otherwise.
    pub(crate) fn in_zone(mut self, hospital_zone: chrono_tz::Tz) -> Self {
        self.found.hospital_zone = hospital_zone;
        self
    }
}

/// A caller who has a role that every hospital begins with.
pub(crate) fn somebody(role: &str) -> Caller {
    let (_, definition) = system_roles().into_iter().find(|(_, it)| it.name.as_str() == role).unwrap();
    Caller {
        actor: Actor::User { id: ASKING },
        role: Some(role.to_owned()),
        permissions: Arc::new(definition.permissions),
        is_system: false,
        ..Caller::system("")
    }
}

/// A certain user as the caller, with a role that every hospital begins with.
pub(crate) fn user(id: UserId, role: &str) -> Caller {
    Caller { actor: Actor::User { id: id.0 }, ..somebody(role) }
}

/// The refusal of a command that must be refused.
#[track_caller]
pub(crate) fn refused(outcome: Result<Outcome, Failure>) -> Refused {
    match outcome {
        Err(Failure::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

/// The stored metadata of an event.
pub(crate) fn metadata(event: &Recorded) -> Value {
    serde_json::from_str(&event.metadata).unwrap()
}
