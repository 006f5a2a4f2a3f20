use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// How many states are kept in memory.
const STATES: u64 = 100_000;

/// When something was read from the log: in which timeline of the log, and after how many of the times at which this
/// process forgot everything. It is remembered no longer than that: another server may not have it, or somebody whom it
/// tells of was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Era {
    pub(crate) timeline: i32,
    forgotten: u64,
}

/// The version and state of a stream as this process last saw them.
#[derive(Clone)]
pub(crate) struct Cached {
    /// When the first of the events was read from which the state follows.
    pub(crate) era: Era,
    /// The version of the stream; 0 when the stream did not exist.
    pub(crate) version: i32,
    /// The state of the stream; `None` when the stream did not exist.
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
}

/// States that this process remembers. A remembered state may be outdated, so an append checks the version, and a
/// refusal is decided again on a fresh state.
pub(crate) struct StateCache {
    states: moka::sync::Cache<Uuid, Cached>,
    /// How many times everything was forgotten. A state that was read before, and is put here afterwards, is not given.
    forgotten: AtomicU64,
}

impl StateCache {
    pub(crate) fn new() -> Self {
        Self { states: moka::sync::Cache::new(STATES), forgotten: AtomicU64::new(0) }
    }

    /// The era of what is read from now on, in a timeline of the log.
    pub(crate) fn era(&self, timeline: i32) -> Era {
        Era { timeline, forgotten: self.forgotten.load(Ordering::SeqCst) }
    }

    /// What is remembered of a stream, if it was read in an era.
    pub(crate) fn get(&self, id: Uuid, era: Era) -> Option<Cached> {
        self.states.get(&id).filter(|it| it.era == era)
    }

    pub(crate) fn put(&self, id: Uuid, seen: Cached) {
        // Two appends to one stream may finish here in either order, so the state of the higher version is kept.
        self.states.entry(id).and_upsert_with(|entry| match entry.map(moka::Entry::into_value) {
            Some(cached) if (cached.era, cached.version) > (seen.era, seen.version) => cached,
            _ => seen,
        });
    }

    pub(crate) fn forget(&self, id: Uuid) {
        self.states.invalidate(&id);
    }

    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.states.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_state_that_was_read_before_everything_was_forgotten_is_not_remembered() {
        let cache = StateCache::new();
        let before = cache.era(1);
        let read = |era, version| Cached { era, version, state: None };
        let remembered = |era| cache.get(STREAM, era).map(|it| it.version);
        cache.put(STREAM, read(before, 7));
        assert_eq!(remembered(cache.era(1)), Some(7));
        cache.forget_all();
        // Read before, and put here afterwards.
        cache.put(STREAM, read(before, 7));
        assert_eq!(remembered(cache.era(1)), None);
        cache.put(STREAM, read(cache.era(1), 7));
        cache.put(STREAM, read(before, 8));
        assert_eq!((remembered(cache.era(1)), remembered(cache.era(2))), (Some(7), None));
    }
}
