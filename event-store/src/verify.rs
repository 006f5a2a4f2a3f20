//! Checks the log from the stored events alone: the hash chain, the versions of each stream and the times. The check
//! needs no key.

use async_trait::async_trait;
use thiserror::Error;

use crate::chain::{GENESIS, Hash};
use crate::{EventStore, Position, Recorded, StoreError};

/// How many events are fetched at a time.
const PAGE: i64 = 5_000;

/// What the check reads of a log. Every [`EventStore`] offers this; [`PgLog`](crate::PgLog) offers nothing else, and
/// needs only the right to read the log.
#[async_trait]
pub trait Chained: Send + Sync {
    /// At most `limit` events after a position.
    async fn events(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError>;

    /// The position and the hash of the newest event, as the head of the log keeps them beside the events.
    async fn end(&self) -> Result<(Position, Hash), StoreError>;

    /// The first event, after one position and up to another, that does not follow the event with the previous version
    /// of its stream, or has a version that an earlier event has too.
    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError>;
}

#[async_trait]
impl<S: EventStore + ?Sized> Chained for S {
    async fn events(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        self.read(after, limit).await
    }

    async fn end(&self) -> Result<(Position, Hash), StoreError> {
        EventStore::end(self).await
    }

    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError> {
        EventStore::misplaced(self, after, last).await
    }
}

/// The part of the log that was checked and found intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first position that was checked.
    pub first: Position,
    /// The last position that was checked; `first - 1` when there was no event to check.
    pub last: Position,
    /// The hash of the last event; the hash before the first event when the log is empty.
    pub hash: Hash,
}

/// Why the check of the log failed.
#[derive(Debug, Error)]
pub enum Broken {
    /// An event or its hash was altered.
    #[error("position {0}: the hash does not fit the event and the hash of the previous event")]
    Hash(Position),
    /// An event is missing.
    #[error("position {0}: the event is missing")]
    Missing(Position),
    /// An event stands after the position at which the head says that the log ends.
    #[error("position {0}: the event lies beyond the recorded end of the log")]
    Beyond(Position),
    /// An event was recorded earlier than the event before it.
    #[error("position {0}: the event was recorded earlier than the event before it")]
    Time(Position),
    /// A stream has a version twice, or lacks a version.
    #[error("position {0}: the version of the event is not the next version of its stream")]
    Version(Position),
    /// The first position to check lies after the end of the log.
    #[error("there is nothing to check: the log ends at position {0}; begin at an earlier position")]
    NothingThere(Position),
    /// The log could not be read to its end.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recomputes the hash of every event from a position on, checks that times never go back and that the versions of each
/// stream have no gap, and calls `progress` with the last position checked so far.
///
/// # Errors
/// The first position whose event is missing, altered or not recorded by an append; or that the log cannot be read.
pub async fn verify<L: Chained + ?Sized>(
    log: &L,
    from: Position,
    mut progress: impl FnMut(Position) + Send,
) -> Result<Verified, Broken> {
    let first = from.max(1);
    let head = log.end().await?.0;
    if first > head.saturating_add(1) {
        return Err(Broken::NothingThere(head));
    }
    let mut last = first - 1;
    let mut previous = GENESIS;
    let mut time = None;
    if last > 0 {
        let before = log.events(last - 1, 1).await?;
        let before = before.first().filter(|event| event.position == last).ok_or(Broken::Missing(last))?;
        (previous, time) = (before.hash, Some(before.recorded_at));
    }
    loop {
        let events = log.events(last, PAGE).await?;
        if events.is_empty() {
            break;
        }
        let before = last;
        for event in events {
            if event.position != last + 1 {
                return Err(Broken::Missing(last + 1));
            }
            if event.expected_hash(&previous) != event.hash {
                return Err(Broken::Hash(event.position));
            }
            if time.is_some_and(|time| event.recorded_at < time) {
                return Err(Broken::Time(event.position));
            }
            (previous, time) = (event.hash, Some(event.recorded_at));
            last = event.position;
        }
        if let Some(position) = log.misplaced(before, last).await? {
            return Err(Broken::Version(position));
        }
        progress(last);
    }
    // The head was read before the events, so the log may have grown since then but cannot be shorter.
    if last < head {
        return Err(Broken::Missing(last + 1));
    }
    let (head, hash) = log.end().await?;
    if last > head {
        return Err(Broken::Beyond(head + 1));
    }
    // Somebody who rewrote the last events together with their hashes may have left the hash in the head as it was. The
    // comparison is skipped when the log grew in the meantime: the head then has the hash of a later event.
    if last == head && hash != previous {
        return Err(Broken::Hash(last));
    }
    Ok(Verified { first, last, hash: previous })
}
