use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::Entry;
use moka::sync::Cache;
use uuid::Uuid;

/// For how long a change is remembered: longer than a look-up takes and its result is kept, together.
const REMEMBERED_FOR: Duration = Duration::from_mins(2);

/// The changes of streams in the order in which this node learnt of them. What was looked up before a stream changed
/// may be outdated; what rests on other streams is not.
pub(super) struct Changes {
    /// How many changes there were.
    count: AtomicU64,
    /// The number of the last change that may have concerned every stream.
    of_everything: AtomicU64,
    /// The number of the last change of a stream.
    of_streams: Cache<Uuid, u64>,
}

impl Changes {
    pub(super) fn new() -> Self {
        let of_streams = Cache::builder().time_to_live(REMEMBERED_FOR).build();
        Self { count: AtomicU64::new(0), of_everything: AtomicU64::new(0), of_streams }
    }

    /// How many changes there were so far. Whoever looks something up asks before.
    pub(super) fn so_far(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Notes that a stream has changed.
    pub(super) fn note(&self, stream: Uuid) {
        let number = self.next();
        // Two changes of a stream may be noted in either order: the later one counts.
        self.of_streams.entry(stream).and_upsert_with(|noted| noted.map_or(0, Entry::into_value).max(number));
    }

    /// Notes that any stream may have changed.
    pub(super) fn note_everything(&self) {
        self.of_everything.fetch_max(self.next(), Ordering::SeqCst);
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether one of the streams has changed since there were so many changes.
    pub(super) fn since(&self, so_far: u64, streams: &[Uuid]) -> bool {
        self.of_everything.load(Ordering::SeqCst) > so_far
            || streams.iter().any(|it| self.of_streams.get(it).is_some_and(|number| number > so_far))
    }
}
