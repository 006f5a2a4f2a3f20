use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use uuid::Uuid;

use crate::problem::Problem;

/// Who tries a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Guesser {
    /// Somebody who logs in from an IP address.
    Address(IpAddr),
    /// A user who is logged in and has to give the current password again.
    User(Uuid),
}

/// Slows down the guessing of passwords: after too many wrong passwords within a minute, further attempts are refused
/// without comparing the password.
pub(crate) struct Guesses {
    wrong: Cache<Guesser, Arc<AtomicU32>>,
    per_minute: u32,
}

const MINUTE: Duration = Duration::from_mins(1);

impl Guesses {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { wrong: Cache::builder().max_capacity(100_000).time_to_live(MINUTE).build(), per_minute }
    }

    /// Counts an attempt as wrong before the password is compared, so that attempts at the same time cannot exceed the
    /// limit.
    pub(super) fn begin(&self, guesser: Guesser) -> Result<Guess, Problem> {
        let wrong = self.wrong.get_with(guesser, Arc::default);
        if wrong.fetch_add(1, Ordering::Relaxed) < self.per_minute {
            return Ok(Guess(wrong));
        }
        wrong.fetch_sub(1, Ordering::Relaxed);
        Err(Problem::too_many(u32::try_from(MINUTE.as_secs()).unwrap_or(u32::MAX)))
    }
}

/// An attempt that is counted as wrong until it is forgiven.
pub(super) struct Guess(Arc<AtomicU32>);

impl Guess {
    /// No longer counts the attempt as wrong.
    pub(super) fn forgive(self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
