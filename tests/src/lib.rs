//! The tests that need a PostgreSQL and several crates.
#![cfg(test)]

mod hospital;
mod support;
