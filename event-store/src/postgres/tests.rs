//! A database that accepts connections and never says a word.

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;

use super::database::Database;
use super::*;
use crate::MasterKey;
use crate::chain::GENESIS;
use crate::{NewEvent, StreamAppend, Subject};

/// An event store on a database that never answers. The listener keeps the port open.
async fn silent() -> (TcpListener, PgEventStore) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = PgConnectOptions::new().host("127.0.0.1").port(listener.local_addr().unwrap().port());
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(3)).connect_lazy_with(options);
    let database = PgDatabase { pool: pool.clone(), warnings: Warnings::new() };
    (listener, store_on(database, pool, Timelines::default(), NodeClock::default()))
}

/// An event store that writes to a database, and reads with a pool.
pub(super) fn store_on(database: impl Database, pool: PgPool, timelines: Timelines, clock: NodeClock) -> PgEventStore {
    let clock = Arc::new(LogClock::new(clock));
    let (stop, stopped) = watch::channel(false);
    let (queue, requests) = mpsc::unbounded_channel();
    let (trouble, shared) = (Arc::new(watch::Sender::new(None)), Arc::new(AtomicBool::new(false)));
    let head = Arc::new(Reached::new(0, 0));
    let known = Known {
        head: Arc::clone(&head),
        clock: Arc::clone(&clock),
        shared: Arc::clone(&shared),
        trouble: Arc::clone(&trouble),
        timelines: timelines.clone(),
    };
    let start = read::Head { position: 0, hash: GENESIS, recorded_at: clock.now(), fence: 0 };
    let tasks = Mutex::new(vec![tokio::spawn(Writer::new(database, requests, start, known, stopped).run())]);
    let keys = Arc::new(keys::PgKeys::new(pool.clone()));
    let vault = Vault::in_memory(MasterKey::new(&[7; 32]).into(), keys);
    PgEventStore {
        history: pool.clone(),
        pool,
        queue,
        places: Places::new(64),
        head,
        trouble,
        clock,
        shared,
        timelines,
        warnings: Warnings::new(),
        receipt_retention: Duration::from_hours(1),
        vault,
        upcasters: Upcasters::default(),
        stop,
        tasks,
    }
}

/// An append with a personal value, for which a key is fetched first, or without one.
fn append(is_personal: bool, until: Option<Instant>) -> Append {
    let data = if is_personal { json!({"name": {"$personal": "Ann"}}) } else { json!({}) };
    let event = NewEvent { event_type: "thing.seen".to_owned(), data };
    let subject = Some(Subject { kind: "patient".to_owned(), id: Uuid::from_u128(1) });
    let stream = StreamAppend::begin("thing", Uuid::from_u128(2), [event]);
    Append { until, ..Append::stream(StreamAppend { subject, ..stream }) }
}

#[tokio::test]
async fn an_append_is_answered_by_the_time_that_its_caller_gives_it() {
    let (_listener, store) = silent().await;
    let began = Instant::now();
    let until = began + Duration::from_millis(1_500);
    let outcomes = tokio::join!(
        store.append(append(false, Some(until))),
        store.append(append(true, Some(until))),
        store.append(append(false, Some(began))),
    );
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, AppendError::Store(StoreError::Unavailable(_))), "nothing was sent: {error:?}");
    }
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
}
