//! The `hims` binary as a library.

pub mod import;
