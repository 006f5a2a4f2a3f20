//! Answers whose time tells nothing about rows that the caller may not read.

use std::time::{Duration, Instant};

use hims_projections::query::EVERY_PATIENT;

use super::caller::LoggedIn;

/// The time of an answer is a multiple of this time. In `patients`, PostgreSQL does the same work for a patient who is
/// hidden as for one who is not there, but for finding the key in an index. In other tables, looking up a row and finding
/// that the caller may not read the row takes less than a millisecond longer than finding no row. Such differences
/// disappear in the multiple.
const STEP: Duration = Duration::from_millis(5);

/// Waits for an answer. A caller who may not identify every patient then waits until the next multiple of [`STEP`], so
/// that the time of the answer does not tell whether a patient with a name, an e-mail address or a key exists.
pub(super) async fn evenly<T>(logged_in: &LoggedIn, answer: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let answer = answer.await;
    if !identifies_everybody(logged_in) {
        tokio::time::sleep(until_next_step(started.elapsed())).await;
    }
    answer
}

/// Waits for an answer to somebody who is not logged in, and then until the next multiple of [`STEP`].
pub(super) async fn always_evenly<T>(answer: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let answer = answer.await;
    tokio::time::sleep(until_next_step(started.elapsed())).await;
    answer
}

/// Waits for the outcome of a command. A caller who may not identify every patient waits for a refusal until the next
/// multiple of [`STEP`]: a record that the caller may not read is refused like one that there is not. A command that
/// was carried out tells of the record by itself.
pub(super) async fn refusing_evenly<T, E>(
    identifies_everybody: bool,
    outcome: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    let outcome = outcome.await;
    if outcome.is_err() && !identifies_everybody {
        tokio::time::sleep(until_next_step(started.elapsed())).await;
    }
    outcome
}

/// Whether a caller may identify every patient.
pub(super) fn identifies_everybody(logged_in: &LoggedIn) -> bool {
    logged_in.reads_any(&EVERY_PATIENT)
}

/// How long to wait so that the time of the answer is a multiple of [`STEP`].
fn until_next_step(passed: Duration) -> Duration {
    let nanoseconds = STEP.as_nanos() - passed.as_nanos() % STEP.as_nanos();
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_work_ends_at_the_same_time() {
        for (passed, end) in [(0, 5_000), (400, 5_000), (4_999, 5_000), (5_000, 10_000), (7_300, 10_000)] {
            let passed = Duration::from_micros(passed);
            assert_eq!(passed + until_next_step(passed), Duration::from_micros(end));
        }
    }
}
