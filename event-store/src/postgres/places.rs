use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many urgent appends may wait or be written when all other places are taken.
const URGENT: usize = 256;

/// The places of the queue: one for each append that waits or is being written, and some more for urgent appends.
pub(super) struct Places {
    all: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(all: usize) -> Self {
        let [all, urgent] = [all, URGENT].map(|it| Arc::new(Semaphore::new(it)));
        Self { all, urgent }
    }

    /// A place, if there is one. An urgent append takes one of those that are kept for it only when there is no other.
    pub(super) fn take(&self, is_urgent: bool) -> Option<OwnedSemaphorePermit> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        take(&self.all).or_else(|| if is_urgent { take(&self.urgent) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_urgent_finds_a_place_where_all_others_are_taken() {
        let places = Places::new(1);
        let only = places.take(false);
        assert!(only.is_some() && places.take(false).is_none());
        let urgent: Vec<_> = (0..URGENT).map(|_| places.take(true)).collect();
        assert!(urgent.iter().all(Option::is_some), "what is not urgent has taken none of these");
        assert!(places.take(true).is_none());
        drop(only);
        assert!(places.take(true).is_some() && places.take(false).is_some());
    }
}
