//! The tests that need a PostgreSQL and several crates.
#![cfg(test)]

mod checker;
mod embedded;
mod event_store;
mod fuzz;
mod golden_rows;
mod hospital;
mod migrations;
mod packaging;
mod support;
