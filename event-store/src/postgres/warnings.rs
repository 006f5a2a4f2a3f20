//! Hears whether PostgreSQL warned while it answered. A commit that waits for its standby is answered as a success, with
//! a warning, when somebody cancels the wait: the transaction is then recorded here, and nobody knows whether it is
//! recorded there. The library that speaks with PostgreSQL only logs such warnings, so they are caught as log records.

use std::cell::Cell;
use std::pin::pin;

use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

/// The target of the log records about what PostgreSQL said beside its answers.
const NOTICES: &str = "sqlx::postgres::notice";

thread_local! {
    /// Whether a warning was heard on this thread since the last poll of an answer began.
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// Hears warnings, and hands all log records on.
#[derive(Clone)]
pub(super) struct Warnings(Dispatch);

impl Warnings {
    /// Hands the log records on to the current subscriber.
    pub(super) fn new() -> Self {
        Self(Dispatch::new(Listener(dispatcher::get_default(Clone::clone))))
    }

    /// Waits for an answer. Tells whether PostgreSQL warned meanwhile.
    async fn heard<T>(&self, answer: impl Future<Output = T>) -> (T, bool) {
        let mut warned = false;
        let mut answer = pin!(answer.with_subscriber(self.0.clone()));
        let answer = std::future::poll_fn(|context| {
            WARNED.set(false);
            let polled = answer.as_mut().poll(context);
            warned |= WARNED.get();
            polled
        });
        (answer.await, warned)
    }

    /// Waits for the answer to a commit.
    ///
    /// # Errors
    /// The error of the answer; also when PostgreSQL warned, so that nobody knows whether a standby has what was
    /// committed.
    pub(super) async fn committed<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        match self.heard(answer).await {
            (Ok(_), true) => Err(cut_short()),
            (answer, _) => answer,
        }
    }
}

/// The error of a commit that no standby has confirmed.
fn cut_short() -> sqlx::Error {
    sqlx::Error::Protocol("the wait for the standby was cut short".to_owned())
}

/// A subscriber that notes warnings of PostgreSQL, and hands everything on.
struct Listener(Dispatch);

impl Listener {
    fn is_warning(metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICES && *metadata.level() <= Level::WARN
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::is_warning(metadata) { Interest::always() } else { self.0.register_callsite(metadata) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::is_warning(metadata) || self.0.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        if Self::is_warning(event.metadata()) {
            WARNED.set(true);
        }
        if self.0.enabled(event.metadata()) {
            self.0.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.0.try_close(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_warning_of_postgresql_is_heard_and_nothing_else() {
        let warnings = Warnings::new();
        let heard = async |level: Level| {
            let said = async {
                tokio::task::yield_now().await;
                match level {
                    Level::WARN => tracing::warn!(target: "sqlx::postgres::notice", "canceling wait"),
                    Level::INFO => tracing::info!(target: "sqlx::postgres::notice", "a notice"),
                    _ => tracing::warn!("something of our own"),
                }
                tokio::task::yield_now().await;
            };
            warnings.heard(said).await.1
        };
        assert!(heard(Level::WARN).await);
        assert!(!heard(Level::INFO).await);
        assert!(!heard(Level::ERROR).await);
        // What is said outside of an answer does not count.
        tracing::warn!(target: "sqlx::postgres::notice", "canceling wait");
        assert!(!heard(Level::INFO).await);
    }
}
