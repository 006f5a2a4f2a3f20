//! Tests of what the event log promises: one suite that runs on the log in memory and on the log in PostgreSQL, and
//! tests that need PostgreSQL.

mod fixture;

// Tests that run on the log in memory and on the log in PostgreSQL.
mod appends;
mod beside;
mod bookings;
mod claims;
mod history;
mod personal;
mod processes;
mod properties;
mod races;
mod receipts;
mod recount;
mod shutdown;
mod snapshots;

// Tests that run on PostgreSQL only.
mod append_only;
mod clocks;
mod crash;
mod lost;
mod nodes;
mod queue;
mod stalled;
mod standby;
mod tampering;
mod text;
