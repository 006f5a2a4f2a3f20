//! Long work that waits for nothing, and lets other tasks work meanwhile.

/// Lets other tasks work from time to time, in the middle of work on the nth of many events.
pub async fn give_way(nth: usize) {
    /// How many events take a fraction of a millisecond.
    const EVENTS: usize = 100;
    if nth % EVENTS == EVENTS - 1 {
        tokio::task::yield_now().await;
    }
}
