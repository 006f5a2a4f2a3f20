//! What the tests stand on: a throw-away PostgreSQL per test run, and a migrated database per test.

mod cluster;
mod database;
mod proxy;

pub(crate) use cluster::{cluster, scratch};
pub(crate) use database::{TestDatabase, database, empty_database, pool_as};
pub(crate) use proxy::Proxy;
