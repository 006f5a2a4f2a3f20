//! What is materialised: the relational tables of the hospital, projected from the log and rebuilt from it at will.
//!
//! A table is a declaration of its columns (`table!`) and one exhaustive `match` from events to row
//! changes. [`Runner`] keeps the tables at the end of the log; [`Rebuild`] makes them anew beside the old ones;
//! [`query`] reads them under row-level security.

mod machinery;
mod tables;

pub use machinery::column::{Column, Kind};
pub use machinery::event::READ_SCHEMA;
pub use machinery::form::{GOLDEN_ROWS, Standing};
pub use machinery::rebuild::{Rebuild, RebuildError, Rebuilt, Target};
pub use machinery::runner::{Runner, RunnerHandle};
pub(crate) use machinery::table::Row;
pub use machinery::table::{Part, Table};
pub use machinery::{migrations, query};
pub use tables::dispatch::{TABLES, table_of};
