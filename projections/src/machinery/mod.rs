//! The machinery of the read tables: declarations, the changes that events make, batches, the rebuild, the queries.

pub mod archive;
pub(crate) mod batch;
pub(crate) mod changes;
pub(crate) mod column;
pub(crate) mod erasing;
pub(crate) mod event;
pub(crate) mod form;
pub mod indexes;
pub(crate) mod lease;
pub(crate) mod living;
pub mod migrations;
pub mod presence;
pub mod query;
pub(crate) mod reason;
pub(crate) mod rebuild;
pub(crate) mod renewal;
pub mod roles;
pub(crate) mod runner;
pub(crate) mod stamps;
pub(crate) mod statements;
pub(crate) mod table;
pub(crate) mod text;
