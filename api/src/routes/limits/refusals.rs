use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use uuid::Uuid;

use super::limited;
use crate::problem::Problem;

/// Limits how many commands of a user may be refused, since each refusal is an event and stays in the log for good. A
/// user whose commands are refused more often is answered 429 until the minute's share grows again.
pub(crate) struct Refusals {
    left: Cache<Uuid, Arc<Mutex<Left>>>,
    per_minute: f64,
}

/// How many more commands of a user may be refused, at an instant.
struct Left {
    refusals: f64,
    at: Instant,
}

impl Refusals {
    pub(super) fn new(per_minute: u32) -> Self {
        let left = Cache::builder().max_capacity(100_000).time_to_idle(Duration::from_mins(2)).build();
        Self { left, per_minute: f64::from(per_minute.max(1)) }
    }

    /// Refuses a command of a user who has no refusal left.
    pub(crate) fn check(&self, user: Uuid, now: Instant) -> Result<(), Problem> {
        let left = self.change(user, now, 0.0);
        if left >= 1.0 {
            return Ok(());
        }
        limited("refusals");
        let detail = "too many commands of this user were refused; wait as long as Retry-After says";
        Err(Problem::too_many(Duration::from_secs_f64((1.0 - left) * 60.0 / self.per_minute), detail))
    }

    /// Counts a command that was refused.
    pub(crate) fn count(&self, user: Uuid, now: Instant) {
        self.change(user, now, 1.0);
    }

    /// Takes refusals from what a user has left, and gives what is left then. The share grows with time.
    fn change(&self, user: Uuid, now: Instant, taken: f64) -> f64 {
        let full = || Arc::new(Mutex::new(Left { refusals: self.per_minute, at: now }));
        let left = self.left.get_with(user, full);
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = now.saturating_duration_since(left.at).as_secs_f64() * self.per_minute / 60.0;
        left.refusals = (left.refusals + grown).min(self.per_minute) - taken;
        left.at = left.at.max(now);
        left.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_share_of_refusals_that_grows_again() {
        let (refusals, now) = (Refusals::new(60), Instant::now());
        let (rosa, ivan) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for _ in 0..60 {
            assert!(refusals.check(rosa, now).is_ok());
            refusals.count(rosa, now);
        }
        assert!(refusals.check(rosa, now).is_err());
        assert!(refusals.check(ivan, now).is_ok());
        let later = now + Duration::from_millis(1_001);
        assert!(refusals.check(rosa, later).is_ok());
        refusals.count(rosa, later);
        assert!(refusals.check(rosa, later).is_err());
    }

    #[test]
    fn commands_that_are_done_take_nothing() {
        let (refusals, now) = (Refusals::new(1), Instant::now());
        for _ in 0..100 {
            assert!(refusals.check(Uuid::nil(), now).is_ok());
        }
    }
}
