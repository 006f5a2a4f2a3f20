//! Patience with a database that is too busy to answer when a server starts, as when every node comes back at once.

use std::time::Duration;

use hims_commands::Failure;
use hims_event_store::StoreError;
use tokio::time::{Instant, sleep};

use super::HospitalError;

/// How long the set-up is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Carries out a set-up, and carries it out again for 30 seconds while the database is too busy to answer. The set-up
/// must do only what is still missing.
///
/// # Errors
/// Those of the set-up, at once unless the database is too busy.
pub(crate) async fn patiently<T>(set_up: impl AsyncFn() -> Result<T, HospitalError>) -> Result<T, HospitalError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match set_up().await {
            Err(error) if is_of_a_busy_database(&error) && Instant::now() < until => {
                tracing::warn!(%error, "the database is busy; trying again");
                sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether nothing was recorded, only because the database did not answer in time.
fn is_of_a_busy_database(error: &HospitalError) -> bool {
    let (HospitalError::Store(of_log) | HospitalError::SetUp(Failure::Store(of_log))) = error else { return false };
    matches!(of_log, StoreError::Unavailable(_))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn busy() -> HospitalError {
        StoreError::Unavailable("pool timed out".to_owned()).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_database_is_asked_again() {
        let asked = Cell::new(0);
        let third = async || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(busy()) } else { Ok(asked.get()) }
        };
        assert_eq!(patiently(third).await.expect("an answer"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_another_error_is_told_at_once() {
        let began = Instant::now();
        let told = patiently(async || Err::<(), _>(busy())).await.expect_err("still busy");
        assert_eq!(told.to_string(), busy().to_string());
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());

        let asked = Cell::new(0);
        let full = async || {
            asked.set(asked.get() + 1);
            Err::<(), HospitalError>(StoreError::DiskFull.into())
        };
        assert!(patiently(full).await.is_err());
        assert_eq!(asked.get(), 1);
    }
}
