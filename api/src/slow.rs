//! What takes long, in the log: one line each, with the name of the table or of the command and the id of the request,
//! and never a value.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hims_event_store::Position;
use hims_projections::query::{Contents, Emergencies, Found, Page};
use tracing_actix_web::RequestId;
use uuid::Uuid;

/// From which duration on something is slow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow(pub(crate) Duration);

/// What a read answers.
pub trait Rows {
    /// How many rows it has.
    fn rows(&self) -> usize;
}

tokio::task_local! {
    /// The id of the request that the task answers.
    static REQUEST: RequestId;
}

/// Answers a request. What takes long meanwhile is told of with the id of the request, also where the log has no spans.
pub(crate) async fn answering<T>(request: Option<RequestId>, answer: impl Future<Output = T>) -> T {
    match request {
        Some(request) => REQUEST.scope(request, answer).await,
        None => answer.await,
    }
}

fn request_id() -> Option<String> {
    REQUEST.try_with(ToString::to_string).ok()
}

impl Slow {
    /// Tells the log of a read of a table, if it was slow.
    pub(crate) fn tell_read(self, table: &str, started: Instant, rows: Option<usize>) {
        if let Some(milliseconds) = self.exceeded(started) {
            tracing::warn!(table, milliseconds, rows, request_id = request_id(), "a read was slow");
        }
    }

    /// Tells the log of a command, if it was slow.
    pub(crate) fn tell_command(self, command: &str, started: Instant, events: Option<usize>) {
        if let Some(milliseconds) = self.exceeded(started) {
            tracing::warn!(command, milliseconds, events, request_id = request_id(), "a command was slow");
        }
    }

    /// The milliseconds since an instant, if these are too many.
    fn exceeded(self, started: Instant) -> Option<u64> {
        let took = started.elapsed();
        (took >= self.0).then(|| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Rows for Page {
    fn rows(&self) -> usize {
        self.items.len()
    }
}

impl Rows for Found {
    fn rows(&self) -> usize {
        usize::from(self.row.is_some())
    }
}

/// What is asked once for each caller.
impl Rows for Emergencies {
    fn rows(&self) -> usize {
        1
    }
}

impl Rows for Vec<Position> {
    fn rows(&self) -> usize {
        self.len()
    }
}

impl<S> Rows for HashSet<Uuid, S> {
    fn rows(&self) -> usize {
        self.len()
    }
}

/// The contents of a table, in short.
impl Rows for Contents {
    fn rows(&self) -> usize {
        1
    }
}

/// A number, such as a position.
impl Rows for i64 {
    fn rows(&self) -> usize {
        1
    }
}

/// Whether there is something.
impl Rows for bool {
    fn rows(&self) -> usize {
        1
    }
}
