//! The tests that need a PostgreSQL and several crates.
#![cfg(test)]

mod embedded;
mod migrations;
mod support;
