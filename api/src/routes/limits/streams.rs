use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::limited;
use crate::problem::Problem;

/// How soon a client may ask again for an event stream.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The event streams that are open, by session.
pub(crate) struct OpenStreams {
    open: Arc<Mutex<HashMap<Uuid, usize>>>,
    per_session: usize,
}

impl OpenStreams {
    pub(super) fn new(per_session: usize) -> Self {
        Self { open: Arc::default(), per_session: per_session.max(1) }
    }

    /// Opens an event stream of a session, unless the session has as many as it may have.
    pub(crate) fn open(&self, session: Uuid) -> Result<OpenStream, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(session).or_default();
        if *count >= self.per_session {
            limited("streams");
            let detail = format!("a session may have {} event streams open; close one of them", self.per_session);
            return Err(Problem::too_many(RETRY_AFTER, detail));
        }
        *count += 1;
        Ok(OpenStream { session, open: Arc::clone(&self.open) })
    }
}

/// An event stream that counts as open until it is dropped.
pub(crate) struct OpenStream {
    session: Uuid,
    open: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_so_many_streams_and_no_more() {
        let streams = OpenStreams::new(2);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = streams.open(one).ok();
        let second = streams.open(one).ok();
        assert!(first.is_some() && second.is_some());
        assert!(streams.open(one).is_err());
        assert!(streams.open(other).is_ok());
        drop(first);
        assert!(streams.open(one).is_ok());
        drop(second);
        assert!(streams.open.lock().expect("no test panicked").is_empty());
    }
}
