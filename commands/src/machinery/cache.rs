use std::any::Any;
use std::sync::Arc;

use uuid::Uuid;

/// How many states are kept in memory.
const STATES: u64 = 100_000;

/// The version and state of a stream as this process last saw them.
#[derive(Clone)]
pub(crate) struct Cached {
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

    pub(crate) fn get(&self, id: Uuid) -> Option<Cached> {
        self.0.get(&id)
    }

    pub(crate) fn put(&self, id: Uuid, version: i32, state: Option<Arc<dyn Any + Send + Sync>>) {
        // Two appends to one stream may finish here in either order, so the state of the higher version is kept.
        self.0.entry(id).and_upsert_with(|entry| match entry.map(moka::Entry::into_value) {
            Some(cached) if cached.version > version => cached,
            _ => Cached { version, state },
        });
    }

    pub(crate) fn forget(&self, id: Uuid) {
        self.0.invalidate(&id);
    }
}
