//! The lists that people read every day, and the tables that they read them from.

mod fill;
mod lists;

pub use fill::{Subject, fill};
pub use lists::{List, lists, reads_of};
