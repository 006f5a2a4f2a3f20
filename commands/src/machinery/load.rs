use std::collections::HashMap;
use std::sync::Arc;

use hims_domain::Aggregate;
use hims_event_store::{EventStore, Opened, Snapshot, StoreError};
use uuid::Uuid;

/// The number of events after which a snapshot of a stream is kept.
pub(crate) const SNAPSHOT_EVERY: i32 = 100;

/// The version and state of a stream, as they were loaded.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The version of the stream; 0 when the stream does not exist.
    pub version: i32,
    /// The state of the stream; `None` when the stream does not exist or has another type.
    pub state: Option<Arc<A>>,
    /// Whether the state was just read from the log, rather than taken from this process's cache.
    pub fresh: bool,
}

/// Loads a stream from the log: folds its events from the newest usable snapshot, or from the first event.
pub(crate) async fn load<A: Aggregate>(store: &dyn EventStore, id: Uuid) -> Result<Loaded<A>, StoreError> {
    let (mut version, mut state) = (0, None);
    let mut events = store.load(id, 0, SNAPSHOT_EVERY).await?;
    let is_long = i32::try_from(events.len()) == Ok(SNAPSHOT_EVERY);
    let is_of_type = events.first().is_some_and(|it| it.stream_type == A::STREAM);
    if is_long
        && is_of_type
        && let Some((at, snapshot)) = usable_snapshot::<A>(store, id).await?
    {
        (version, state) = (at, Some(snapshot));
        events.clear();
    }
    if is_long {
        let after = events.last().map_or(version, |it| it.version);
        events.extend(store.load_rest(id, after).await?);
    }
    folded((version, state), &store.open(events).await?)
}

/// The version and state of a stream after these events, which follow on a version and state.
pub(crate) fn folded<A: Aggregate>(
    (mut version, mut state): (i32, Option<A>),
    events: &[Opened],
) -> Result<Loaded<A>, StoreError> {
    for event in events {
        if event.recorded.stream_type != A::STREAM {
            // The version is that of the whole stream, since a decision may rely on the stream all the same.
            let version = events.last().map_or(version, |it| it.recorded.version);
            return Ok(Loaded { version, state: None, fresh: true });
        }
        state = A::evolve(state, &event.decode()?);
        version = event.recorded.version;
    }
    Ok(Loaded { version, state: state.map(Arc::new), fresh: true })
}

/// The events of several streams, opened, of each stream all of them; a long stream, which may have a snapshot, is left
/// out. Two questions to the log instead of two for each stream.
pub(crate) async fn load_short(
    store: &dyn EventStore,
    streams: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Opened>>, StoreError> {
    let mut short: HashMap<Uuid, Vec<Opened>> = streams.iter().map(|id| (*id, Vec::new())).collect();
    for event in store.open(store.load_all(streams, SNAPSHOT_EVERY).await?).await? {
        short.entry(event.recorded.stream_id).or_default().push(event);
    }
    short.retain(|_, events| i32::try_from(events.len()).is_ok_and(|it| it < SNAPSHOT_EVERY));
    Ok(short)
}

async fn usable_snapshot<A: Aggregate>(store: &dyn EventStore, id: Uuid) -> Result<Option<(i32, A)>, StoreError> {
    let snapshot = store.snapshot(A::STREAM, id).await?.filter(|it| it.state_version == A::STATE_VERSION);
    Ok(snapshot.and_then(|it| Some((it.version, serde_json::from_value(it.state).ok()?))))
}

/// Stores a state as a snapshot, so that the next load reads fewer events. A failure is only logged.
pub(crate) async fn keep_snapshot<A: Aggregate>(store: &dyn EventStore, id: Uuid, version: i32, state: &A) {
    let subject = state.subject(id).map(|it| crate::machinery::decision::stored_subject(it).id);
    let saved = match serde_json::to_value(state) {
        Ok(state) => {
            let snapshot = Snapshot { version, state_version: A::STATE_VERSION, state };
            store.save_snapshot(A::STREAM, id, subject, snapshot).await.map_err(|it| it.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = saved {
        tracing::warn!(%error, stream = %id, "the snapshot was not stored; the next load reads more events");
    }
}
