use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::MemoryEventStore;
use crate::{Leading, Position, ProcessStore, StoreError, Timer};

/// How long a lease lasts unless it is extended.
const LEASE: Duration = Duration::from_secs(4);

/// The processes that the log knows, by name.
pub(super) type Processes = BTreeMap<&'static str, Process>;

/// What the log keeps for one process.
pub(super) struct Process {
    position: Position,
    /// The node that holds the lease, and until when.
    held: Option<(Uuid, Instant)>,
    /// The timers, by key.
    timers: BTreeMap<String, Timer>,
}

impl Process {
    fn set(&mut self, timers: &[Timer]) {
        self.timers.extend(timers.iter().map(|it| (it.key.clone(), it.clone())));
    }
}

impl MemoryEventStore {
    fn known(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ProcessStore for MemoryEventStore {
    async fn lead(&self, process: &'static str, node: Uuid) -> Result<Option<Leading>, StoreError> {
        let (head, now) = (*self.head.borrow(), Instant::now());
        let mut known = self.known();
        let begun = || Process { position: head, held: None, timers: BTreeMap::new() };
        let process = known.entry(process).or_insert_with(begun);
        if process.held.is_some_and(|(holder, until)| holder != node && until > now) {
            return Ok(None);
        }
        process.held = Some((node, now + LEASE));
        let next_timer = process.timers.values().map(|it| it.due_at).min();
        Ok(Some(Leading { position: process.position, next_timer }))
    }

    async fn resign(&self, process: &'static str, node: Uuid) -> Result<(), StoreError> {
        if let Some(process) = self.known().get_mut(process) {
            process.held = process.held.filter(|(holder, _)| *holder != node);
        }
        Ok(())
    }

    async fn advance(
        &self,
        process: &'static str,
        from: Position,
        to: Position,
        timers: &[Timer],
    ) -> Result<bool, StoreError> {
        let mut known = self.known();
        let Some(process) = known.get_mut(process).filter(|it| it.position == from) else { return Ok(false) };
        process.position = to;
        process.set(timers);
        Ok(true)
    }

    async fn set_missing_timers(&self, process: &'static str, timers: &[Timer]) -> Result<(), StoreError> {
        if let Some(process) = self.known().get_mut(process) {
            for timer in timers {
                process.timers.entry(timer.key.clone()).or_insert_with(|| timer.clone());
            }
        }
        Ok(())
    }

    async fn due_timers(
        &self,
        process: &'static str,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Timer>, StoreError> {
        let known = self.known();
        let timers = known.get(process).into_iter().flat_map(|it| it.timers.values());
        let mut due: Vec<_> = timers.filter(|it| it.due_at <= now).cloned().collect();
        due.sort_by_key(|it| (it.due_at, it.id));
        due.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(due)
    }

    async fn end_timer(&self, process: &'static str, id: Uuid, timers: &[Timer]) -> Result<bool, StoreError> {
        let mut known = self.known();
        let Some(process) = known.get_mut(process) else { return Ok(false) };
        let Some(key) = process.timers.values().find(|it| it.id == id).map(|it| it.key.clone()) else {
            return Ok(false);
        };
        process.timers.remove(&key);
        process.set(timers);
        Ok(true)
    }

    async fn processes(&self) -> Result<Vec<(String, Position)>, StoreError> {
        Ok(self.known().iter().map(|(name, it)| ((*name).to_owned(), it.position)).collect())
    }
}
