//! What is materialised: the relational tables of the hospital, projected from the log and rebuilt from it at will.
//!
//! A table is a declaration of its columns ([`table!`](crate::table)) and one exhaustive `match` from events to row
//! changes. [`Runner`] keeps the tables at the end of the log; [`Rebuild`] makes them anew beside the old ones;
//! [`query`] reads them under row-level security.

mod audit;
mod batch;
mod changes;
mod column;
mod dispatch;
mod event;
pub mod migrations;
pub mod query;
mod rebuild;
mod runner;
pub(crate) mod table;

mod appointments;
mod consultations;
mod departments;
mod inventory;
mod medications;
mod patients;
mod prescriptions;
mod roles;
mod rooms;
mod sessions;
mod users;
mod vital_signs;

pub use column::{Column, Kind};
pub use dispatch::{TABLES, table_of};
pub use event::READ_SCHEMA;
pub use rebuild::{Rebuild, RebuildError, Rebuilt, Target};
pub use runner::{Runner, RunnerHandle};
pub(crate) use table::Row;
pub use table::Table;
