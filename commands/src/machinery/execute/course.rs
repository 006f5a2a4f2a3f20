use std::sync::atomic::{AtomicBool, Ordering};

use hims_event_store::{StoreError, VaultError};
use tokio::time::{Instant, timeout_at};

use super::LAST;
use crate::{Failure, Outcome};

/// The course of one command: by when it must be over, and whether it may be recorded by now.
pub(super) struct Course {
    /// When the command stops waiting for its turn and for its append.
    pub(super) deadline: Instant,
    /// Whether the log may hold the command: its append or its receipt was asked for and the answer is not there yet,
    /// or the answer is that the command is recorded.
    may_be_recorded: AtomicBool,
}

impl Course {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, may_be_recorded: AtomicBool::new(false) }
    }

    /// Takes note whether the log may hold the command.
    pub(super) fn note(&self, may_be_recorded: bool) {
        self.may_be_recorded.store(may_be_recorded, Ordering::SeqCst);
    }

    /// Carries the command out, and gives up a moment after its deadline. If the log did not answer and the command may
    /// be recorded, the failure says so.
    pub(super) async fn run(
        &self,
        command: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Result<Outcome, Failure> {
        let outcome = timeout_at(self.deadline + LAST, command).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the command was not carried out in time".to_owned()).into())
        });
        match outcome {
            Err(Failure::Store(error)) if self.may_be_recorded.load(Ordering::SeqCst) => {
                Err(Failure::Store(unsettled(error)))
            }
            outcome => outcome,
        }
    }
}

/// The error without the claim that nothing was recorded.
fn unsettled(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(reason) | StoreError::Vault(VaultError::Unavailable(reason)) => {
            StoreError::Unsettled(reason)
        }
        StoreError::DiskFull => StoreError::Unsettled(error.to_string()),
        error => error,
    }
}
