//! An append-only event log: gapless and hash-chained, with claims for the rules that hold across streams, such as
//! unique keys and bookings that do not overlap.
//!
//! - [`EventStore`] is the interface: append, load, read, follow. [`PgEventStore`] keeps the log in PostgreSQL 15 or
//!   later, [`MemoryEventStore`] in memory; one conformance suite holds for both.
//! - An [`Append`] is written as a whole or not at all: events of one or several streams, [`Claim`]s (unique keys,
//!   shared keys, bookings), [`Guard`]s (what the decision relied on), and the [`Receipt`] that makes a command
//!   idempotent.
//! - [`chain`] defines how the hash of an event is computed, so that anybody can recompute it; [`verify`] checks a whole
//!   log, and [`beside`] compares snapshots, receipts and keys with the log.
//! - [`archive`] checks a copy of a log in files, which [`Still`] and [`copy_events`] make and [`Restoring`] restores.
//! - [`Vault`] encrypts the values that identify a person with that person's own key. Destroying the key makes the
//!   values unreadable and leaves the log and its hash chain as they are.
//! - [`Upcasters`] convert stored events of older schema versions to the current form when they are read.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hims_event_store::{Append, EventStore, MasterKey, MemoryEventStore, NewEvent, StreamAppend, Upcasters};
//!
//! let store = MemoryEventStore::new(MasterKey::generate()?, Upcasters::default());
//! let opened = NewEvent::try_new("account", &serde_json::json!({"opened": {"owner": "Ann"}}))?;
//! let appended = store.append(Append::stream(StreamAppend::begin("account", uuid::Uuid::now_v7(), [opened]))).await?;
//! assert_eq!(appended.last, 1);
//! # Ok(()) }
//! ```
//!
//! This crate deliberately knows nothing of the meaning of events, HTTP, permissions or read tables.

mod append;
pub mod archive;
pub mod beside;
pub mod bounded;
pub mod chain;
mod clock;
mod error;
mod memory;
mod metadata;
mod postgres;
mod prepare;
mod process;
mod reached;
mod recorded;
mod recount;
mod snapshot;
mod store;
mod upcast;
mod vault;
pub mod verify;

pub use append::{Append, Appended, Claim, Guard, NewEvent, Receipt, StreamAppend};
pub use clock::{LogClock, NodeClock};
pub use error::{AppendError, StoreError};
pub use memory::MemoryEventStore;
pub use metadata::{Actor, Metadata, Subject};
pub use postgres::{
    BESIDE, Beside, KeptFile, MASTER_KEYS, MasterKeyUse, PgEventStore, PgFiles, PgLog, PgOptions, RestoreError,
    Restoring, Rotation, SUBJECT_KEYS, Still, Timeline, Timelines, copy_events, master_keys, restore_keys, timeline_of,
    waits_for_standby,
};
pub use process::{Leading, ProcessStore, Timer};
pub use reached::Reached;
pub use recorded::{Opened, Position, Recorded};
pub use recount::{ClaimDifference, ClaimsOf, ClaimsReport, Progress};
pub use store::{Booked, EventStore, Snapshot, Span, Wanted};
pub use upcast::{Upcast, Upcasters};
pub use vault::{KeyTable, MasterKey, MasterKeys, Vault, VaultError, Wrapped, WrappedRoot, reveal};
