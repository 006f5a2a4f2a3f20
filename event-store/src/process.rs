//! What the log keeps for processes: how far each has followed the log, which node runs it, and its timers.
//!
//! A process reacts to events. Its position is moved behind the events by compare-and-set, together with the timers
//! that the reactions set, once everything else that follows from them is recorded. The lease only saves work: what
//! keeps two nodes from reacting twice to one event are the ids of the reactions' commands and the compare-and-set.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{Position, StoreError};

/// A timer of a process: at its time, the process is asked what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// The id of the timer.
    pub id: Uuid,
    /// What the timer stands for, unique in its process: a new timer with the same key replaces the old one.
    pub key: String,
    /// When the timer fires.
    pub due_at: DateTime<Utc>,
    /// What the process needs to know when the timer fires: ids and codes, never a personal value.
    pub payload: Value,
}

/// What the node knows that leads a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leading {
    /// The last position that the process has reacted to.
    pub position: Position,
    /// When the next timer of the process fires; `None` if the process has no timer.
    pub next_timer: Option<DateTime<Utc>>,
}

/// What an event log keeps for the processes that follow the log.
#[async_trait]
pub trait ProcessStore: Send + Sync {
    /// Takes or extends the lease of a process for a node; `None` while another node holds the lease. The lease lapses
    /// by itself unless it is extended every few seconds. A process that the log does not know begins at the end of the
    /// log, so that it reacts to nothing that happened before.
    async fn lead(&self, process: &'static str, node: Uuid) -> Result<Option<Leading>, StoreError>;

    /// Gives the lease of a process back, so that another node need not wait for it to lapse.
    async fn resign(&self, process: &'static str, node: Uuid) -> Result<(), StoreError>;

    /// Moves the position of a process and sets its timers, all or nothing; `false` if the process is at another
    /// position. No two of the timers may have the same key.
    async fn advance(
        &self,
        process: &'static str,
        from: Position,
        to: Position,
        timers: &[Timer],
    ) -> Result<bool, StoreError>;

    /// Sets the timers of a process whose keys have no timer yet, and leaves the timers that are there as they are. No two
    /// of the timers may have the same key.
    async fn set_missing_timers(&self, process: &'static str, timers: &[Timer]) -> Result<(), StoreError>;

    /// At most `limit` timers of a process that are due, in the order of their times.
    async fn due_timers(&self, process: &'static str, now: DateTime<Utc>, limit: i64)
    -> Result<Vec<Timer>, StoreError>;

    /// Ends a timer that has fired and sets the timers that follow from it, all or nothing; `false` if the timer has
    /// been ended or replaced before. No two of the timers may have the same key.
    async fn end_timer(&self, process: &'static str, id: Uuid, timers: &[Timer]) -> Result<bool, StoreError>;

    /// Every process that the log knows, with its position.
    async fn processes(&self) -> Result<Vec<(String, Position)>, StoreError>;
}
