//! Whether a newer release works with the log. What this program decides and records, that release may not expect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hims_event_store::Recorded;

use super::Executor;
use crate::machinery::upcasters::is_known;

/// What an executor knows of a newer release.
pub(super) struct Outdated {
    /// Whether the database is that of a newer release.
    by_database: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Whether an event of a newer release was met in the log.
    by_event: AtomicBool,
}

impl Default for Outdated {
    fn default() -> Self {
        Self { by_database: Arc::new(|| false), by_event: AtomicBool::new(false) }
    }
}

impl Executor {
    /// The executor, which records nothing any more once the database is that of a newer release.
    #[must_use]
    pub fn until_outdated(mut self, by_database: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        self.outdated.by_database = by_database;
        self
    }

    /// Whether a newer release works with the log.
    pub fn is_outdated(&self) -> bool {
        self.outdated.by_event.load(Ordering::Relaxed) || (self.outdated.by_database)()
    }

    /// Looks at new events of the log. After the first one that only a newer release writes, this executor records
    /// nothing any more, since it cannot know what the event says.
    pub fn note_new_events(&self, events: &[Recorded]) {
        let newer = events.iter().find(|it| !is_known(&it.event_type, it.schema_version));
        if let Some(newer) = newer.filter(|_| !self.outdated.by_event.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                position = newer.position,
                event = newer.event_type,
                schema_version = newer.schema_version,
                "a newer release records events that this program does not know; this program records nothing any more"
            );
        }
    }
}
