//! How far something has come along the log, as far as a process knows.

use std::sync::atomic::{AtomicI32, Ordering};

use tokio::sync::watch;

use crate::Position;

/// The furthest position that was seen of something that goes along the log, such as the log's own end or the read
/// tables. What is seen grows only, and an older sight arrives late at times; but where another server is promoted, what
/// is seen there counts, even if it is less.
#[derive(Debug)]
pub struct Reached {
    position: watch::Sender<Position>,
    /// The timeline in which the position was seen.
    timeline: AtomicI32,
}

impl Reached {
    /// A position that was seen in a timeline.
    pub fn new(timeline: i32, position: Position) -> Self {
        Self { position: watch::Sender::new(position), timeline: AtomicI32::new(timeline) }
    }

    /// Takes note of a position that was seen in a timeline. Answers whether the known position changes.
    pub fn see(&self, timeline: i32, position: Position) -> bool {
        // The lock of the sender keeps both together.
        self.position.send_if_modified(|known| {
            let before = self.timeline.fetch_max(timeline, Ordering::AcqRel);
            (timeline, position) > (before, *known) && std::mem::replace(known, position) != position
        })
    }

    /// Whether a position that was seen in a timeline would be news.
    pub fn is_news(&self, timeline: i32, position: Position) -> bool {
        (timeline, position) > (self.timeline(), self.position())
    }

    /// The position as it is known now.
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// The timeline in which the position was seen.
    pub fn timeline(&self) -> i32 {
        self.timeline.load(Ordering::Acquire)
    }

    /// A receiver that is woken when the known position changes.
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_grows_in_a_timeline_and_begins_anew_in_the_next() {
        let reached = Reached::new(1, 5);
        assert!(!reached.see(1, 4) && !reached.see(1, 5) && reached.see(1, 7));
        assert!(reached.is_news(2, 3) && reached.see(2, 6), "the promoted server lacks an event");
        assert!(!reached.is_news(1, 6) && !reached.see(1, 9), "the former primary says something late");
        assert_eq!(reached.position(), 6);
        assert!(!reached.see(3, 6) && !reached.see(2, 8), "nothing is missing in the third timeline");
        assert_eq!(*reached.subscribe().borrow(), 6);
    }
}
