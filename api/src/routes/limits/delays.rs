use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::turns::{Claimant, KEPT_FOR, Turns};

/// After how long without a failure the failures of a key are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);

/// How long an attempt waits for others of its key that are under way. No turn is kept for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts failures by key. The first failures cost nothing; after each further one, the key has to pause for twice as
/// long as after the one before, up to a longest pause. No key is ever locked.
///
/// An attempt that is under way may become a failure. So that attempts at the same time cannot exceed the limit, no
/// more of them are under way than failures are free. Others wait for these: an attempt that does not fail costs nobody
/// more than this wait. After a pause, those come first who have failed least ([`Turns`]).
pub(super) struct Delays<K> {
    keys: Cache<K, Arc<Attempts>>,
    free: u32,
    first: Duration,
    longest: Duration,
}

/// The attempts of a key.
struct Attempts {
    counts: Mutex<Counts>,
    /// Wakes those who wait for the attempts that are under way.
    settled: Notify,
}

struct Counts {
    failed: u32,
    last_failure: Instant,
    under_way: u32,
    turns: Turns,
}

/// An attempt that is under way. It has failed when it is dropped, unless it is forgiven.
pub(super) struct Attempt {
    attempts: Arc<Attempts>,
    who: Claimant,
    has_failed: bool,
}

/// What an attempt has to do before it begins.
enum Turn {
    Begin(Attempt),
    Pause(Duration),
    WaitForOthers,
    /// Somebody else who has failed as seldom asked first. Their turn is kept until this instant.
    WaitUntil(Instant),
}

impl<K: Hash + Eq + Send + Sync + 'static> Delays<K> {
    pub(super) fn new(free: u32, first: Duration, longest: Duration) -> Self {
        let keys = Cache::builder().max_capacity(100_000).time_to_idle(FORGOTTEN_AFTER).build();
        Self { keys, free: free.max(1), first, longest }
    }

    /// Begins an attempt of one of those who share the key, after a wait for others of the key; an error with the rest
    /// of the pause while the key has to pause, or while the turn is kept for somebody else.
    pub(super) async fn begin(&self, key: K, who: Claimant) -> Result<Attempt, Duration> {
        let attempts = self.attempts(key);
        let until = Instant::now() + PATIENCE;
        loop {
            let mut settled = pin!(attempts.settled.notified());
            settled.as_mut().enable();
            match self.turn(&attempts, who) {
                Turn::Begin(attempt) => return Ok(attempt),
                Turn::Pause(pause) => return Err(pause),
                Turn::WaitForOthers => timeout_at(until, settled).await.map_err(|_| self.first)?,
                Turn::WaitUntil(kept_until) => drop(timeout_at(kept_until, settled).await),
            }
        }
    }

    /// Begins an attempt, after a wait for others of the key and for the end of its pause. The wait is never longer
    /// than the longest pause.
    pub(super) async fn begin_later(&self, key: K) -> Attempt {
        let attempts = self.attempts(key);
        let until = Instant::now() + self.longest;
        while Instant::now() < until {
            let mut settled = pin!(attempts.settled.notified());
            settled.as_mut().enable();
            match self.turn(&attempts, None) {
                Turn::Begin(attempt) => return attempt,
                Turn::Pause(pause) => sleep_until(until.min(Instant::now() + pause)).await,
                // When the time is over, the attempt begins all the same.
                Turn::WaitForOthers => drop(timeout_at(until, settled).await),
                Turn::WaitUntil(kept_until) => drop(timeout_at(until.min(kept_until), settled).await),
            }
        }
        begin(&attempts, &mut attempts.lock(), None)
    }

    /// Keeps no turn for somebody any more, who needs none.
    pub(super) fn give_up(&self, key: &K, who: Claimant) {
        if let Some(attempts) = self.keys.get(key) {
            attempts.lock().turns.give_up(who);
            attempts.settled.notify_waiters();
        }
    }

    /// How long a key has to pause.
    pub(super) fn pause(&self, key: &K) -> Duration {
        self.keys.get(key).map_or(Duration::ZERO, |it| self.pause_of(&it.lock(), Instant::now()))
    }

    /// Forgets the failures of a key.
    pub(super) fn clear(&self, key: &K) {
        if let Some(attempts) = self.keys.get(key) {
            let mut counts = attempts.lock();
            counts.failed = 0;
            counts.turns.forget();
            drop(counts);
            attempts.settled.notify_waiters();
        }
    }

    fn attempts(&self, key: K) -> Arc<Attempts> {
        self.keys.get_with(key, || {
            let counts = Counts { failed: 0, last_failure: Instant::now(), under_way: 0, turns: Turns::default() };
            Arc::new(Attempts { counts: Mutex::new(counts), settled: Notify::new() })
        })
    }

    fn turn(&self, attempts: &Arc<Attempts>, who: Claimant) -> Turn {
        let (mut counts, now) = (attempts.lock(), Instant::now());
        if now.saturating_duration_since(counts.last_failure) > FORGOTTEN_AFTER {
            counts.failed = 0;
            counts.turns.forget();
        }
        let pause = self.pause_of(&counts, now);
        if !pause.is_zero() {
            counts.turns.keep(who, now, now + pause + KEPT_FOR);
            return Turn::Pause(pause);
        }
        match counts.turns.before(who, now) {
            Some(first) if first.is_equal => return Turn::WaitUntil(first.until),
            Some(first) => return Turn::Pause(first.until.saturating_duration_since(now)),
            None => {}
        }
        // After a pause, one attempt at a time shows whether there is another failure.
        if counts.under_way == 0 || counts.failed.saturating_add(counts.under_way) < self.free {
            return Turn::Begin(begin(attempts, &mut counts, who));
        }
        Turn::WaitForOthers
    }

    /// How long the key of these counts has to pause.
    fn pause_of(&self, counts: &Counts, now: Instant) -> Duration {
        let pause = match counts.failed.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => self.first.saturating_mul(1 << over.min(16)).min(self.longest),
        };
        pause.saturating_sub(now.saturating_duration_since(counts.last_failure))
    }
}

fn begin(attempts: &Arc<Attempts>, counts: &mut Counts, who: Claimant) -> Attempt {
    counts.under_way += 1;
    counts.turns.give_up(who);
    Attempt { attempts: Arc::clone(attempts), who, has_failed: true }
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// Ends an attempt that has not failed.
    pub(super) fn forgive(mut self) {
        self.has_failed = false;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut counts = self.attempts.lock();
        counts.under_way = counts.under_way.saturating_sub(1);
        if self.has_failed {
            counts.failed = counts.failed.saturating_add(1);
            counts.last_failure = Instant::now();
            counts.turns.has_failed(self.who);
        }
        drop(counts);
        self.attempts.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn delays() -> Delays<&'static str> {
        Delays::new(3, seconds(5), seconds(60))
    }

    async fn fails(delays: &Delays<&'static str>, key: &'static str) -> Result<(), Duration> {
        delays.begin(key, None).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_and_never_becomes_a_lock() {
        let delays = delays();
        for _ in 0..3 {
            assert_eq!(fails(&delays, "a").await, Ok(()));
        }
        for pause in [5, 10, 20, 40, 60, 60, 60] {
            assert_eq!(fails(&delays, "a").await, Err(seconds(pause)));
            advance(seconds(pause - 1)).await;
            assert_eq!((fails(&delays, "a").await, delays.pause(&"a")), (Err(seconds(1)), seconds(1)));
            advance(seconds(1)).await;
            assert_eq!(fails(&delays, "a").await, Ok(()), "after {pause} s");
        }
        assert_eq!(fails(&delays, "b").await, Ok(()), "another key does not pause");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_forgiven_was_none() {
        let delays = delays();
        for _ in 0..10 {
            delays.begin("a", None).await.expect("nothing failed").forgive();
        }
        for _ in 0..3 {
            assert_eq!(fails(&delays, "a").await, Ok(()));
        }
        advance(seconds(5)).await;
        delays.begin("a", None).await.expect("the pause is over").forgive();
        assert_eq!(fails(&delays, "a").await, Ok(()), "the forgiven attempt began no pause");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_at_the_same_time_wait_for_each_other_and_none_is_refused_that_does_not_fail() {
        let delays = delays();
        let right = async || {
            let attempt = delays.begin("a", None).await?;
            sleep(Duration::from_millis(75)).await;
            attempt.forgive();
            Ok::<_, Duration>(())
        };
        let done = join_all((0..60).map(|_| right())).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        // Of wrong ones, no more get through than are free.
        let wrong = async || {
            let attempt = delays.begin("a", None).await?;
            sleep(Duration::from_millis(75)).await;
            drop(attempt);
            Ok::<_, Duration>(())
        };
        let done = join_all((0..60).map(|_| wrong())).await;
        assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_for_others_is_endless() {
        let delays = delays();
        let mut under_way = Vec::new();
        for _ in 0..3 {
            under_way.push(delays.begin("a", None).await);
        }
        assert_eq!(fails(&delays, "a").await, Err(seconds(5)));
        let began = Instant::now();
        delays.begin_later("a").await.forgive();
        assert_eq!(began.elapsed(), seconds(60));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_begin_later_wait_for_the_pause_but_never_longer_than_the_longest() {
        let delays = delays();
        for _ in 0..3 {
            drop(delays.begin_later("a").await);
        }
        let began = Instant::now();
        join_all((0..20).map(|_| async { drop(delays.begin_later("a").await) })).await;
        assert!(began.elapsed() >= seconds(5) && began.elapsed() <= seconds(60), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten() {
        let delays = delays();
        for _ in 0..3 {
            assert_eq!(fails(&delays, "a").await, Ok(()));
        }
        assert!(fails(&delays, "a").await.is_err());
        advance(FORGOTTEN_AFTER + seconds(1)).await;
        for _ in 0..3 {
            assert_eq!(fails(&delays, "a").await, Ok(()));
        }
        delays.clear(&"a");
        assert_eq!(fails(&delays, "a").await, Ok(()));
    }

    const NEWCOMER: Claimant = Some([1; 32]);
    const STRANGER: Claimant = Some([2; 32]);

    /// Fails once more than is free, so that the key has to pause.
    async fn guessed_by_a_stranger() -> Delays<&'static str> {
        let delays = delays();
        for _ in 0..3 {
            drop(delays.begin("a", STRANGER).await);
        }
        delays
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_whoever_has_failed_least_comes_first_however_fast_others_are() {
        let delays = guessed_by_a_stranger().await;
        for pause in [5, 10, 20, 40, 60, 60] {
            // The stranger asks first, and then ten times in a second.
            assert_eq!(delays.begin("a", STRANGER).await.map(drop), Err(seconds(pause)));
            assert_eq!(delays.begin("a", NEWCOMER).await.map(drop), Err(seconds(pause)));
            for _ in 0..10 * pause + 5 {
                advance(Duration::from_millis(100)).await;
                assert!(delays.begin("a", STRANGER).await.is_err());
            }
            delays.begin("a", NEWCOMER).await.expect("the turn of the newcomer").forgive();
            // The stranger goes on when the newcomer is through.
            assert!(delays.begin("a", STRANGER).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_kept_for_a_while_and_no_longer() {
        let delays = guessed_by_a_stranger().await;
        assert!(delays.begin("a", NEWCOMER).await.is_err());
        advance(seconds(5)).await;
        assert_eq!(delays.begin("a", STRANGER).await.map(drop), Err(KEPT_FOR));
        advance(KEPT_FOR).await;
        assert!(delays.begin("a", STRANGER).await.is_ok());
        // Whoever needs no turn keeps nobody out.
        assert!(delays.begin("a", NEWCOMER).await.is_err());
        delays.give_up(&"a", NEWCOMER);
        advance(seconds(10)).await;
        assert!(delays.begin("a", STRANGER).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_wait_for_each_other_and_none_is_refused() {
        let delays = guessed_by_a_stranger().await;
        let newcomer = async |number| {
            let who = Some([number; 32]);
            let pause = delays.begin("a", who).await.map(drop).expect_err("the key pauses");
            sleep(pause).await;
            let attempt = delays.begin("a", who).await?;
            sleep(Duration::from_millis(75)).await;
            attempt.forgive();
            Ok::<_, Duration>(())
        };
        let done = join_all((10..30).map(newcomer)).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
    }
}
