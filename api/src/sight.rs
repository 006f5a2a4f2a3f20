//! Which records a caller of a command may read: those whose rows in the read tables they may read.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use hims_commands::{Caller, Sight};
use hims_domain::permission::{Read, Word};
use hims_event_store::{EventStore, Position, StoreError};
use hims_projections::query::Identity;
use hims_projections::{TABLES, Table, table_of};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::Readers;

/// How long an answer waits for the read tables to show a record that was recorded just now.
const PATIENCE: Duration = Duration::from_secs(2);

/// The caller as row-level security sees them.
pub(crate) fn identity(caller: &Caller) -> Identity {
    Identity {
        user_id: caller.user_id().map(Uuid::from),
        role: caller.role.clone(),
        patient_id: caller.patient_id.map(Uuid::from),
        department_id: caller.department_id.map(Uuid::from),
        reads: caller.permissions.read.iter().map(Word::as_str).collect::<Vec<_>>().join(","),
    }
}

/// Whether the caller's roles allow reading what at least one of the permission words names.
pub(crate) fn reads_any(caller: &Caller, words: &[Read]) -> bool {
    words.iter().any(|word| caller.reads(*word))
}

/// Whether the caller may ask for a table at all. Row-level security decides which rows the caller sees.
pub(crate) fn may_ask(caller: &Caller, table: &Table) -> bool {
    table.readers.is_empty() || reads_any(caller, table.readers)
}

/// Looks records up in the read tables, as their reader.
#[derive(Clone)]
pub(crate) struct TableSight {
    pub(crate) readers: Arc<Readers>,
    pub(crate) store: Arc<dyn EventStore>,
    /// The position of the read tables.
    pub(crate) position: watch::Receiver<Position>,
}

impl TableSight {
    /// Looks the ids up now, and once more after the read tables have caught up with the log if one was not seen: a
    /// record may be so new that the tables do not show it yet.
    async fn search(
        mut self,
        tables: Vec<&'static Table>,
        ids: Vec<Uuid>,
        who: Identity,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let seen = self.look(&tables, &ids, &who).await?;
        if ids.iter().all(|id| seen.contains(id)) {
            return Ok(seen);
        }
        let head = self.store.current_head().await?;
        if timeout(PATIENCE, self.position.wait_for(|it| *it >= head)).await.is_err() {
            tracing::warn!("the read tables are behind, so a caller is told less of a record than they may read");
        }
        self.look(&tables, &ids, &who).await
    }

    /// Looks the ids up in the tables of the streams that they are, which is much cheaper than to ask all tables, and only
    /// those that are not seen there in all of the tables.
    async fn search_streams(
        self,
        tables: Vec<&'static Table>,
        ids: Vec<Uuid>,
        who: Identity,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let first = self.store.load_all(&ids, 1).await?;
        let own: HashSet<_> = first.iter().filter_map(|it| table_of(&it.stream_type)).map(|it| it.name).collect();
        let own: Vec<_> = tables.iter().copied().filter(|it| own.contains(it.name)).collect();
        if own.is_empty() {
            return self.search(tables, ids, who).await;
        }
        let mut seen = self.clone().search(own, ids.clone(), who.clone()).await?;
        let others: Vec<_> = ids.into_iter().filter(|id| !seen.contains(id)).collect();
        if !others.is_empty() {
            seen.extend(self.look(&tables, &others, &who).await?);
        }
        Ok(seen)
    }

    async fn look(&self, tables: &[&'static Table], ids: &[Uuid], who: &Identity) -> Result<HashSet<Uuid>, StoreError> {
        let known = self.readers.known(tables, ids, who).await;
        known.map_err(|error| StoreError::Unavailable(format!("the read tables did not answer: {error}")))
    }
}

impl Sight for TableSight {
    fn seen<'a>(
        &'a self,
        caller: &'a Caller,
        stream_type: Option<&'static str>,
        ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, StoreError>> {
        let every = || ready(Ok(ids.iter().copied().collect())).boxed();
        let tables: Vec<_> = match stream_type.map(table_of) {
            // A stream of a type without such a table has no readers, so whoever may give its commands is told of it.
            Some(None) => return every(),
            Some(Some(table)) => vec![table],
            None => TABLES.iter().collect(),
        };
        if caller.reads(Read::AllData) {
            // A record that the tables do not show yet is not hidden: only what is closed to the caller is.
            let (sight, ids, who) = (self.clone(), ids.to_vec(), identity(caller));
            return async move { sight.look(&tables, &ids, &who).await }.boxed();
        }
        let tables: Vec<_> = tables.into_iter().filter(|table| may_ask(caller, table)).collect();
        if tables.is_empty() {
            return ready(Ok(HashSet::new())).boxed();
        }
        let (ids, who) = (ids.to_vec(), identity(caller));
        match stream_type {
            Some(_) => self.clone().search(tables, ids, who).boxed(),
            None => self.clone().search_streams(tables, ids, who).boxed(),
        }
    }

    fn withheld(&self, caller: &Caller, stream_type: &'static str) -> Vec<&'static str> {
        let narrowed = table_of(stream_type).map_or(&[][..], |table| table.narrowed);
        let withheld = narrowed.iter().filter(|group| !reads_any(caller, group.readers));
        withheld.flat_map(|group| group.columns.iter().copied()).collect()
    }
}
