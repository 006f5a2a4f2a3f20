use std::any::Any;
use std::sync::Arc;

use uuid::Uuid;

/// How many states are kept in memory.
const STATES: u64 = 100_000;

/// The version and state of a stream as this process last saw them.
#[derive(Clone)]
pub(crate) struct Cached {
    /// The timeline of the log in which the stream was read.
    pub(crate) timeline: i32,
    /// The version of the stream; 0 when the stream did not exist.
    pub(crate) version: i32,
    /// The state of the stream; `None` when the stream did not exist.
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
}

/// States that this process remembers. A remembered state may be outdated, so an append checks the version, and a
/// refusal is decided again on a fresh state.
pub(crate) struct StateCache(moka::sync::Cache<Uuid, Cached>);

impl StateCache {
    pub(crate) fn new() -> Self {
        Self(moka::sync::Cache::new(STATES))
    }

    /// What is remembered of a stream, if it was read in a timeline.
    pub(crate) fn get(&self, id: Uuid, timeline: i32) -> Option<Cached> {
        self.0.get(&id).filter(|it| it.timeline == timeline)
    }

    pub(crate) fn put(&self, id: Uuid, seen: Cached) {
        // Two appends to one stream may finish here in either order, so the state of the higher version is kept.
        self.0.entry(id).and_upsert_with(|entry| match entry.map(moka::Entry::into_value) {
            Some(cached) if (cached.timeline, cached.version) > (seen.timeline, seen.version) => cached,
            _ => seen,
        });
    }

    pub(crate) fn forget(&self, id: Uuid) {
        self.0.invalidate(&id);
    }
}
