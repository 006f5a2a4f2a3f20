//! The lists that people read every day, and the tables that they read them from.

mod fill;
mod lists;
mod reader;

pub use fill::{Subject, fill};
pub use lists::lists;
pub use reader::{List, Reader, reads_of};
