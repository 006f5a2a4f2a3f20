//! What callers read, recorded before they are shown it.

use hims_domain::access::{self, Access};
use hims_domain::{Aggregate as _, Subject, derived};
use hims_event_store::{Append, AppendError, NewEvent, StreamAppend};
use tokio::time::Instant;

use super::append::malformed;
use super::record::metadata;
use super::{Executor, PATIENCE};
use crate::machinery::context::new_id;
use crate::machinery::decision::stored_subject;
use crate::{Caller, Failure, Request};

/// The name with which the metadata of events tell of reads.
const READ: &str = "read";

impl Executor {
    /// Records what a caller is about to be shown. Nothing may be shown unless this succeeds.
    ///
    /// # Errors
    /// When the log does not take the event.
    pub async fn record_read(&self, read: access::Read, caller: &Caller) -> Result<(), Failure> {
        let (id, subject) = (new_id(self.now(), self.entropy(), 0), Subject::User(read.user_id.0));
        let stream = StreamAppend::begin(Access::STREAM, id, [event_of(&access::Event::Read(read))?]);
        let stream = StreamAppend { subject: Some(stored_subject(subject)), ..stream };
        self.append_access(stream, caller).await?.map_err(failed)
    }

    /// Records that a caller was refused a read. One that repeats a refusal of the last minute is only counted.
    pub async fn record_refused_read(&self, source: &str, code: &str, caller: &Caller) {
        let refused = access::Event::ReadRefused { source: source.to_owned(), code: code.to_owned() };
        let until = Instant::now() + PATIENCE;
        self.record_attempt(READ, &Request::of(caller.clone()), &refused, None, Some(until)).await;
    }

    /// Records whether reads are recorded from now on, unless the log says so already.
    ///
    /// # Errors
    /// When the log does not answer, or does not take the event.
    pub async fn record_whether_reads_are_recorded(&self, is_on: bool) -> Result<(), Failure> {
        let id = derived("access", &["read-recording"]);
        loop {
            let known = self.load::<Access>(id, true).await?;
            // A hospital begins with reads that are recorded.
            if known.state.and_then(|it| it.records_reads).unwrap_or(true) == is_on {
                return Ok(());
            }
            let event = event_of(&access::Event::ReadRecordingChanged { is_on })?;
            let stream = StreamAppend::at(Access::STREAM, id, known.version, [event]);
            match self.append_access(stream, &Caller::system("server")).await? {
                // Another node that starts came first.
                Err(AppendError::Conflict { .. }) => {}
                appended => return appended.map_err(failed),
            }
        }
    }

    async fn append_access(&self, stream: StreamAppend, caller: &Caller) -> Result<Result<(), AppendError>, Failure> {
        if self.is_outdated() {
            return Err(Failure::Outdated);
        }
        let now = self.now();
        let metadata = metadata(READ, new_id(now, self.entropy(), 1), now, &Request::of(caller.clone()));
        let append = Append { metadata, until: Some(Instant::now() + PATIENCE), ..Append::stream(stream) };
        Ok(self.store.append(append).await.map(drop))
    }
}

fn event_of(event: &access::Event) -> Result<NewEvent, Failure> {
    NewEvent::try_new(Access::STREAM, event).map_err(failed)
}

fn failed(error: AppendError) -> Failure {
    match error {
        AppendError::Overloaded | AppendError::Closed => Failure::Overloaded,
        AppendError::Store(error) => Failure::Store(error),
        error => malformed(error),
    }
}
