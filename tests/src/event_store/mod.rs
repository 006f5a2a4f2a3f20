//! What the event log promises: one suite for the log in memory and the log in PostgreSQL, and what only the latter can
//! be asked.

mod fixture;

// On every log.
mod appends;
mod bookings;
mod claims;
mod history;
mod personal;
mod properties;
mod races;
mod receipts;
mod recount;
mod shutdown;
mod snapshots;

// On PostgreSQL.
mod append_only;
mod crash;
mod lost;
mod nodes;
mod queue;
mod tampering;
mod text;
