use std::sync::Arc;

use hims_domain::Aggregate;
use hims_event_store::{EventStore, Snapshot, StoreError};
use uuid::Uuid;

/// A snapshot is taken whenever a stream has grown by so many events.
pub(crate) const SNAPSHOT_EVERY: i32 = 100;

/// A stream as it was loaded.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// Its version; 0 when it does not exist.
    pub version: i32,
    /// Its state; `None` when it does not exist, or is a stream of another type.
    pub state: Option<Arc<A>>,
    /// Read from the log just now, not remembered.
    pub fresh: bool,
}

/// Folds a stream from its newest snapshot, or from its beginning.
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
        events.extend(store.load(id, after, i32::MAX).await?);
    }
    for event in store.open(events).await? {
        if event.recorded.stream_type != A::STREAM {
            return Ok(Loaded { version: event.recorded.version, state: None, fresh: true });
        }
        state = A::evolve(state, &event.decode()?);
        version = event.recorded.version;
    }
    Ok(Loaded { version, state: state.map(Arc::new), fresh: true })
}

async fn usable_snapshot<A: Aggregate>(store: &dyn EventStore, id: Uuid) -> Result<Option<(i32, A)>, StoreError> {
    let snapshot = store.snapshot(A::STREAM, id).await?.filter(|it| it.state_version == A::STATE_VERSION);
    Ok(snapshot.and_then(|it| Some((it.version, serde_json::from_value(it.state).ok()?))))
}

/// Keeps the state for the next time, if the stream is long enough for that to pay.
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
        tracing::warn!(%error, stream = %id, "no snapshot was kept; the stream is folded from its beginning");
    }
}
