//! The relational tables of the hospital, projected from the event log and rebuilt from the log at any time.
//!
//! A table is a declaration of its columns (`table!`) and one exhaustive `match` from events to row changes. [`Runner`]
//! keeps the tables up to date with the log; [`Rebuild`] makes new tables beside the old ones; [`query`] reads the
//! tables under row-level security.

mod machinery;
pub mod reports;
mod tables;

pub use machinery::column::{Codes, Column, Kind};
pub use machinery::event::{READ_SCHEMA, REBUILD_SCHEMA};
pub use machinery::form::{FORM, GOLDEN_ROWS, Standing};
pub use machinery::rebuild::{Rebuild, RebuildError, Rebuilt, Target};
pub use machinery::runner::{Runner, RunnerHandle};
pub(crate) use machinery::table::Row;
pub use machinery::table::{Entries, Narrowed, Part, Table};
pub use machinery::{archive, indexes, migrations, presence, query, roles};
pub use tables::dispatch::{TABLES, table_of, tables_changed_by};
