//! Checks the hash chain from the stored events alone.

use thiserror::Error;

use crate::chain::{GENESIS, Hash};
use crate::{EventStore, Position, StoreError};

/// How many events are fetched at a time.
const PAGE: i64 = 5_000;

/// The part of the log whose hash chain was checked and found intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first position that was checked.
    pub first: Position,
    /// The last position that was checked.
    pub last: Position,
    /// The hash of the last event.
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
    /// The first position to check lies after the end of the log.
    #[error("there is nothing to check: the log ends at position {0}; begin at an earlier position")]
    NothingThere(Position),
    /// The log could not be read to its end.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recomputes the hash of every event from a position on, and calls `progress` with the last position checked so far.
///
/// # Errors
/// The first position whose event is missing, altered or not recorded by an append; or that the log cannot be read.
pub async fn verify(
    store: &dyn EventStore,
    from: Position,
    mut progress: impl FnMut(Position) + Send,
) -> Result<Verified, Broken> {
    let first = from.max(1);
    let head = store.current_head().await?;
    if first > head + 1 {
        return Err(Broken::NothingThere(head));
    }
    let mut last = first - 1;
    let mut previous = GENESIS;
    if last > 0 {
        let before = store.read(last - 1, 1).await?;
        previous = before.first().filter(|it| it.position == last).ok_or(Broken::Missing(last))?.hash;
    }
    loop {
        let events = store.read(last, PAGE).await?;
        if events.is_empty() {
            break;
        }
        for event in events {
            if event.position != last + 1 {
                return Err(Broken::Missing(last + 1));
            }
            if event.expected_hash(&previous) != event.hash {
                return Err(Broken::Hash(event.position));
            }
            previous = event.hash;
            last = event.position;
        }
        progress(last);
    }
    // The head was read before the events, so the log may have grown since then but cannot be shorter.
    if last < head {
        return Err(Broken::Missing(last + 1));
    }
    let head = store.current_head().await?;
    if last > head {
        return Err(Broken::Beyond(head + 1));
    }
    // Somebody who rewrote the last events together with their hashes may have left the hash in the head as it was. The
    // comparison is skipped when the log grew in the meantime: the head then has the hash of a later event.
    if last == head && last >= first && store.head_hash().await? != previous && store.current_head().await? == head {
        return Err(Broken::Hash(last));
    }
    Ok(Verified { first, last, hash: previous })
}
