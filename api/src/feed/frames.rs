use std::sync::{Arc, Mutex, PoisonError};

use hashlink::LruCache;
use tokio::sync::{OnceCell, Semaphore};

/// How many answers are remembered. Followers of one login ask for the same answer within a moment.
const REMEMBERED: usize = 128;
/// How many answers are made at the same time, so that lists and rows find free connections beside many event streams.
const AT_ONCE: usize = 2;

/// What followers are sent, made once for all followers who ask for the same.
pub(crate) struct Frames {
    made: Mutex<LruCache<String, Arc<OnceCell<Arc<str>>>>>,
    turns: Semaphore,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { made: Mutex::new(LruCache::new(REMEMBERED)), turns: Semaphore::new(AT_ONCE) }
    }

    /// Forgets what was made: it may say what must not be read any more.
    pub(crate) fn forget_all(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is sent for this question: remembered, or else made now. Whoever asks for the same meanwhile waits for it.
    pub(crate) async fn get<E>(
        &self,
        asked: String,
        make: impl AsyncFnOnce() -> Result<Arc<str>, E>,
    ) -> Result<Arc<str>, E> {
        let cell = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(made.entry(asked).or_insert_with(Arc::default))
        };
        let made = cell.get_or_try_init(async || {
            // The semaphore is never closed; without a turn, the answer would be made all the same.
            let _turn = self.turns.acquire().await.ok();
            make().await
        });
        made.await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_many_ask_for_is_made_once_and_what_failed_is_made_again() {
        let (frames, times) = (Frames::new(), AtomicU32::new(0));
        let ask = |asked: &str, fails: bool| {
            let times = &times;
            frames.get(asked.to_owned(), async move || {
                let nth = times.fetch_add(1, Ordering::Relaxed);
                if fails { Err(nth) } else { Ok(Arc::from(format!("frame {nth}"))) }
            })
        };
        assert_eq!(ask("a", true).await, Err(0));
        let (one, two) = tokio::join!(ask("a", false), ask("a", false));
        assert_eq!((one.as_deref(), two.as_deref()), (Ok("frame 1"), Ok("frame 1")));
        assert_eq!(ask("b", false).await.as_deref(), Ok("frame 2"));
    }
}
