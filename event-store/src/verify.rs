//! Checks the chain from the stored events alone.

use thiserror::Error;

use crate::chain::{GENESIS, Hash};
use crate::{EventStore, Position, StoreError};

/// Events fetched at a time.
const PAGE: i64 = 5_000;

/// The log as it was found to be: whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// First position checked.
    pub first: Position,
    /// Last position checked.
    pub last: Position,
    /// The hash of the last event.
    pub hash: Hash,
}

/// Why the log is not proved.
#[derive(Debug, Error)]
pub enum Broken {
    /// An event was altered, or its hash was.
    #[error("position {0}: the hash does not fit the event and the one before it")]
    Hash(Position),
    /// An event is missing.
    #[error("position {0}: the event is missing")]
    Missing(Position),
    /// There is an event that no append recorded.
    #[error("position {0}: the event lies beyond the recorded end of the log")]
    Beyond(Position),
    /// The check was to begin after the end of the log.
    #[error("there is nothing to check from there on: the log ends at position {0}")]
    NothingThere(Position),
    /// The log could not be read to its end.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recomputes every hash from a position on, telling `progress` how far it is.
///
/// # Errors
/// The first position that is not as it was recorded; or that the log cannot be read.
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
    // The head was read first: the log may have grown since, but not shrunk.
    if last < head {
        return Err(Broken::Missing(last + 1));
    }
    let head = store.current_head().await?;
    if last > head {
        return Err(Broken::Beyond(head + 1));
    }
    // Somebody who rewrote the end, hashes and all, may have forgotten what is noted beside it. While the log grows, the
    // note is of a later event; then the next check sees it.
    if last == head && last >= first && store.head_hash().await? != previous && store.current_head().await? == head {
        return Err(Broken::Hash(last));
    }
    Ok(Verified { first, last, hash: previous })
}
