//! What the tests need: a temporary PostgreSQL for each run, a migrated database for each test, a proxy that breaks
//! connections, a standby, and a mail server.

mod cluster;
mod database;
mod mail;
mod proxy;
mod standby;

pub(crate) use cluster::{cluster, scratch, scratch_on_disk};
pub(crate) use database::{TestDatabase, copy_of, database, empty_database, pool_as};
pub(crate) use mail::MailServer;
pub(crate) use proxy::Proxy;
pub(crate) use standby::{Standby, until};
