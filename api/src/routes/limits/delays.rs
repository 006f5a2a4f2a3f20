use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

/// After how long without a failure the failures of a key are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);

/// Counts failures by key. The first failures cost nothing; after each further one, the key has to pause for twice as
/// long as after the one before, up to a longest pause. No key is ever locked.
pub(super) struct Delays<K> {
    failures: Cache<K, Arc<Mutex<Failures>>>,
    free: u32,
    first: Duration,
    longest: Duration,
}

/// The failures of a key.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// An attempt, which counts as a failure until it is forgiven: attempts at the same time cannot exceed the limit.
pub(super) struct Attempt {
    failures: Arc<Mutex<Failures>>,
    before: Failures,
    /// How long the key would have had to pause before this attempt.
    pub(super) pause: Duration,
}

impl<K: Hash + Eq + Send + Sync + 'static> Delays<K> {
    pub(super) fn new(free: u32, first: Duration, longest: Duration) -> Self {
        let failures = Cache::builder().max_capacity(100_000).time_to_idle(FORGOTTEN_AFTER).build();
        Self { failures, free, first, longest }
    }

    /// Begins an attempt; an error with the rest of the pause while the key has to pause.
    pub(super) fn begin(&self, key: K, now: Instant) -> Result<Attempt, Duration> {
        let attempt = self.count(key, now);
        if attempt.pause.is_zero() {
            return Ok(attempt);
        }
        let pause = attempt.pause;
        attempt.forgive();
        Err(pause)
    }

    /// Begins an attempt even while the key has to pause: the caller lets the attempt wait for the pause.
    pub(super) fn count(&self, key: K, now: Instant) -> Attempt {
        let failures = self.failures.get_with(key, || Arc::new(Mutex::new(Failures { count: 0, last: now })));
        let mut entry = failures.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(entry.last) > FORGOTTEN_AFTER {
            entry.count = 0;
        }
        let before = *entry;
        let pause = self.pause(before.count).saturating_sub(now.saturating_duration_since(before.last));
        *entry = Failures { count: before.count.saturating_add(1), last: now };
        drop(entry);
        Attempt { failures, before, pause }
    }

    /// Forgets the failures of a key.
    pub(super) fn clear(&self, key: &K) {
        self.failures.invalidate(key);
    }

    /// How long a key has to pause after so many failures.
    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => self.first.saturating_mul(1 << over.min(16)).min(self.longest),
        }
    }
}

impl Attempt {
    /// No longer counts the attempt as a failure.
    pub(super) fn forgive(self) {
        let mut entry = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        entry.count = entry.count.saturating_sub(1);
        if entry.count == self.before.count {
            entry.last = self.before.last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn delays() -> Delays<&'static str> {
        Delays::new(3, seconds(5), seconds(60))
    }

    #[test]
    fn the_pause_grows_and_never_becomes_a_lock() {
        let (delays, mut now) = (delays(), Instant::now());
        for _ in 0..3 {
            assert!(delays.begin("a", now).is_ok());
        }
        for pause in [5, 10, 20, 40, 60, 60, 60] {
            assert_eq!(delays.begin("a", now).err(), Some(seconds(pause)));
            assert_eq!(delays.begin("a", now + seconds(pause - 1)).err(), Some(seconds(1)));
            now += seconds(pause);
            assert!(delays.begin("a", now).is_ok(), "after {pause} s");
        }
        assert!(delays.begin("b", now).is_ok(), "another key does not pause");
    }

    #[test]
    fn an_attempt_that_is_forgiven_was_none() {
        let (delays, now) = (delays(), Instant::now());
        for _ in 0..10 {
            delays.begin("a", now).expect("nothing failed").forgive();
        }
        for _ in 0..3 {
            assert!(delays.begin("a", now).is_ok());
        }
        let later = now + seconds(5);
        delays.begin("a", later).expect("the pause is over").forgive();
        assert!(delays.begin("a", later).is_ok(), "the forgiven attempt began no pause");
    }

    #[test]
    fn attempts_at_the_same_time_count_before_they_fail() {
        let (delays, now) = (delays(), Instant::now());
        let begun: Vec<_> = (0..10).map(|_| delays.begin("a", now)).collect();
        assert_eq!(begun.iter().filter(|it| it.is_ok()).count(), 3);
    }

    #[test]
    fn failures_are_forgotten() {
        let (delays, now) = (delays(), Instant::now());
        for _ in 0..3 {
            assert!(delays.begin("a", now).is_ok());
        }
        assert!(delays.begin("a", now).is_err());
        let later = now + FORGOTTEN_AFTER + seconds(1);
        for _ in 0..3 {
            assert!(delays.begin("a", later).is_ok());
        }
        delays.clear(&"a");
        assert!(delays.begin("a", later).is_ok());
    }
}
