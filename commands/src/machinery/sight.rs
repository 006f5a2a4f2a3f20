use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_event_store::StoreError;
use uuid::Uuid;

use crate::Caller;

/// Tells which records a caller may read, so that the answer to a command tells nothing else. Whoever may give a command
/// may give it for every record, in an emergency also for one that they may not read; only what opens a record to somebody
/// needs the sight of it ([`Command::opens`](crate::Command::opens)).
pub trait Sight: Send + Sync {
    /// Which of these ids belong to records, or to parts of records, that the caller may read. A stream type narrows
    /// the search down to the records of that type.
    fn seen<'a>(
        &'a self,
        caller: &'a Caller,
        stream_type: Option<&'static str>,
        ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, StoreError>>;

    /// The fields of the records of a type that the caller does not read, unless the record is about the caller.
    fn withheld(&self, caller: &Caller, stream_type: &'static str) -> Vec<&'static str>;
}

/// The sight of a program without read tables, such as a test of decisions: everybody sees everything.
pub(crate) struct Unlimited;

impl Sight for Unlimited {
    fn seen<'a>(
        &'a self,
        _: &'a Caller,
        _: Option<&'static str>,
        ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, StoreError>> {
        async { Ok(ids.iter().copied().collect()) }.boxed()
    }

    fn withheld(&self, _: &Caller, _: &'static str) -> Vec<&'static str> {
        Vec::new()
    }
}
