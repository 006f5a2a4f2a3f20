//! What a failed request that records something says: what is known about its outcome, and what to do next.

use hims_commands::Failure;
use hims_event_store::{StoreError, VaultError};

use super::Problem;

/// What the problem of a request that records something says, depending on what is known.
struct Advice {
    disk_full: &'static str,
    nothing_recorded: &'static str,
    outcome_unknown: &'static str,
}

impl Advice {
    const KEYED: Self = Self {
        disk_full: "the disk of the event log is full, so nothing was recorded; tell an operator",
        nothing_recorded: "the event log did not answer, and nothing was recorded; repeat with the same \
                           Idempotency-Key",
        outcome_unknown: "the event log did not answer in time, so the command may have been recorded or not; repeat \
                          it with the same Idempotency-Key",
    };
    const UNKEYED: Self = Self {
        nothing_recorded: "the event log did not answer, and nothing was recorded; try again",
        outcome_unknown: "the event log did not answer in time, so the command may have been recorded or not; read \
                          the record before you repeat it (with an Idempotency-Key, a command can be repeated safely)",
        ..Self::KEYED
    };
    const OF_SESSIONS: Self = Self {
        disk_full: "the disk of the event log is full, so that no session begins or ends; tell an operator",
        nothing_recorded: "the event log did not answer, so no session has begun or ended; try again",
        outcome_unknown: "the event log did not answer in time, so it is not known whether a session has begun or \
                          ended; try again",
    };

    fn on(&self, failure: Failure) -> Problem {
        let (code, detail) = match &failure {
            Failure::Store(StoreError::DiskFull) => ("unavailable", self.disk_full),
            Failure::Store(StoreError::Unavailable(_) | StoreError::Vault(VaultError::Unavailable(_))) => {
                ("unavailable", self.nothing_recorded)
            }
            Failure::Store(StoreError::Unsettled(_)) => ("outcome-unknown", self.outcome_unknown),
            _ => return failure.into(),
        };
        Problem { code, detail: detail.to_owned(), ..failure.into() }
    }
}

impl Problem {
    /// A command that was not carried out, with or without an idempotency key. Unlike the problem of a read, the
    /// problem says what is known about the outcome.
    pub(crate) fn of_command(failure: Failure, has_key: bool) -> Self {
        if has_key { Advice::KEYED.on(failure) } else { Advice::UNKEYED.on(failure) }
    }

    /// A login or logout that failed.
    pub(crate) fn of_session(failure: Failure) -> Self {
        Advice::OF_SESSIONS.on(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_is_known_to_have_failed_is_told_that_nothing_was_recorded() {
        let speaks = |problem: Problem| (problem.code, problem.detail.contains("recorded"));
        let down = || StoreError::Unavailable("down".to_owned());
        assert_eq!(speaks(down().into()), ("unavailable", false), "a read records nothing anyway");
        assert_eq!(speaks(Failure::Store(down()).into()), ("unavailable", false), "the session was not found out");
        assert_eq!(speaks(StoreError::DiskFull.into()), ("unavailable", false));
        let vault = StoreError::Vault(VaultError::Unavailable("down".to_owned()));
        for error in [down(), StoreError::DiskFull, vault] {
            let problem = Problem::of_command(Failure::Store(error), true);
            assert!(problem.detail.contains("nothing was recorded"), "{problem}");
        }
        let unknown = Problem::of_command(Failure::Store(unsettled()), true);
        assert_eq!(unknown.code, "outcome-unknown");
        assert!(!unknown.detail.contains("nothing was recorded"), "{unknown}");
    }

    fn unsettled() -> StoreError {
        StoreError::Unsettled("down".to_owned())
    }

    #[test]
    fn the_advice_fits_the_request() {
        let down = || StoreError::Unavailable("down".to_owned());
        for error in [down, || StoreError::DiskFull, unsettled] {
            let key = |problem: &Problem| problem.detail.contains("the same Idempotency-Key");
            let keyed = Problem::of_command(Failure::Store(error()), true);
            let (unkeyed, session) =
                (Problem::of_command(Failure::Store(error()), false), Problem::of_session(Failure::Store(error())));
            assert!(key(&keyed) || matches!(error(), StoreError::DiskFull), "{keyed}");
            assert!(!key(&unkeyed) && unkeyed.detail.contains("recorded"), "{unkeyed}");
            assert!(!session.detail.contains("Idempotency-Key") && session.detail.contains("session"), "{session}");
            let read = Problem::from(error());
            assert!(!read.detail.contains("Idempotency-Key") && read.code == "unavailable", "{read}");
            assert_eq!((keyed.code, keyed.code), (unkeyed.code, session.code));
        }
    }
}
