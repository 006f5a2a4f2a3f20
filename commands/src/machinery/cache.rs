use std::any::Any;
use std::sync::Arc;

use uuid::Uuid;

/// How many streams' states are kept.
const STATES: u64 = 100_000;

/// A stream as this process last saw it.
#[derive(Clone)]
pub(crate) struct Cached {
    pub(crate) version: i32,
    pub(crate) state: Arc<dyn Any + Send + Sync>,
}

/// States that were folded before. Never trusted: an append checks the version, a refusal is decided again on a fresh
/// state.
pub(crate) struct StateCache(moka::sync::Cache<Uuid, Cached>);

impl StateCache {
    pub(crate) fn new() -> Self {
        Self(moka::sync::Cache::new(STATES))
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Cached> {
        self.0.get(&id)
    }

    pub(crate) fn put(&self, id: Uuid, version: i32, state: Arc<dyn Any + Send + Sync>) {
        // Two appends may finish in either order: the newer state stays.
        self.0.entry(id).and_upsert_with(|entry| match entry.map(moka::Entry::into_value) {
            Some(cached) if cached.version > version => cached,
            _ => Cached { version, state },
        });
    }

    pub(crate) fn forget(&self, id: Uuid) {
        self.0.invalidate(&id);
    }
}
