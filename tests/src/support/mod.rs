//! What the tests need: a temporary PostgreSQL for each run, a migrated database for each test, and a proxy that breaks
//! connections.

mod cluster;
mod database;
mod proxy;

pub(crate) use cluster::{cluster, scratch};
pub(crate) use database::{TestDatabase, database, empty_database, pool_as};
pub(crate) use proxy::Proxy;
