use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::Personal;
use hims_event_store::{
    Append, AppendError, Appended, Claim, EventStore, MasterKey, MemoryEventStore, NewEvent, PgEventStore, PgOptions,
    Recorded, StreamAppend, Subject, Upcasters,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{TestDatabase, database};

/// Runs each test on a log in memory and on a log in PostgreSQL.
macro_rules! on_every_log {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::event_store::fixture::Log::in_memory()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::event_store::fixture::Log::in_postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_every_log;

/// A log, with one event store for each process that uses the log.
pub(crate) struct Log {
    pub(crate) stores: Vec<Arc<dyn EventStore>>,
    pub(crate) database: Option<TestDatabase>,
}

impl Log {
    pub(crate) fn in_memory() -> Self {
        Self::in_memory_with(Upcasters::default())
    }

    pub(crate) fn in_memory_with(upcasters: Upcasters) -> Self {
        Self { stores: vec![Arc::new(MemoryEventStore::new(key(), upcasters))], database: None }
    }

    pub(crate) async fn in_postgres() -> Self {
        Self::in_postgres_with(Upcasters::default()).await
    }

    pub(crate) async fn in_postgres_with(upcasters: Upcasters) -> Self {
        let database = database().await;
        Self { stores: vec![connect(&database, upcasters, PgOptions::default()).await], database: Some(database) }
    }

    /// A log in PostgreSQL with two event stores, as two processes would have.
    pub(crate) async fn of_two_nodes() -> Self {
        let mut log = Self::in_postgres().await;
        log.stores.push(connect(log.database(), Upcasters::default(), PgOptions::default()).await);
        log
    }

    pub(crate) fn store(&self) -> &dyn EventStore {
        self.stores[0].as_ref()
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        self.database.as_ref().expect("a log in PostgreSQL")
    }

    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store().append(append).await
    }

    /// All events of the log.
    pub(crate) async fn events(&self) -> Vec<Recorded> {
        self.store().read(0, 1_000_000).await.expect("the log is readable")
    }

    /// The number of events in the log. Asserts that their positions have no gap and that the hash chain is intact.
    pub(crate) async fn proved_length(&self) -> i64 {
        let events = self.events().await;
        let last = i64::try_from(events.len()).expect("a short log");
        assert!(events.iter().map(|event| event.position).eq(1..=last), "positions have a gap");
        let verified = hims_event_store::verify::verify(self.store(), 1, |_| {}).await.expect("the chain is whole");
        assert_eq!((verified.first, verified.last), (1, last));
        assert!(events.is_sorted_by_key(|event| event.recorded_at));
        last
    }
}

pub(crate) async fn connect(database: &TestDatabase, upcasters: Upcasters, options: PgOptions) -> Arc<dyn EventStore> {
    let store = PgEventStore::connect(database.pool_as("hims_writer"), key(), upcasters, options);
    Arc::new(store.await.expect("the log is there"))
}

/// The master key that all event stores of the tests share.
pub(crate) fn key() -> MasterKey {
    MasterKey::new(&[7; 32])
}

/// The events of an account, the aggregate of these tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Opened { owner: Personal<String> },
    Credited { amount: i64 },
    Closed,
}

/// A new id, unique within the run of the tests.
pub(crate) fn id() -> Uuid {
    static LAST: AtomicU64 = AtomicU64::new(0);
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + u128::from(LAST.fetch_add(1, Ordering::Relaxed)))
}

pub(crate) fn event(event: &Event) -> NewEvent {
    NewEvent::try_new("account", event).expect("an event")
}

pub(crate) fn credited(amount: i64) -> NewEvent {
    event(&Event::Credited { amount })
}

/// An append of one event that begins a stream.
pub(crate) fn begin(stream: Uuid) -> Append {
    at(stream, 0)
}

/// An append of one event to a stream at a version.
pub(crate) fn at(stream: Uuid, version: i32) -> Append {
    Append::stream(StreamAppend::at("account", stream, version, [credited(1)]))
}

/// An append of one event that begins a stream, with claims.
pub(crate) fn claiming(stream: Uuid, claims: impl Into<Vec<Claim>>) -> Append {
    Append { claims: claims.into(), ..begin(stream) }
}

/// An append of one event that begins a stream and holds the name of a person.
pub(crate) fn opened(stream: Uuid, subject: Uuid, owner: &str) -> Append {
    let opened = event(&Event::Opened { owner: Personal::Known(owner.to_owned()) });
    let subject = Some(Subject { kind: "patient".to_owned(), id: subject });
    Append::stream(StreamAppend { subject, ..StreamAppend::begin("account", stream, [opened]) })
}

/// A full hour, counted from the Unix epoch.
pub(crate) fn hour(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
}

pub(crate) fn book(resource: Uuid, from: i64, until: i64, owner: Uuid) -> Claim {
    Claim::Book { resource, from: hour(from), until: hour(until), owner }
}
