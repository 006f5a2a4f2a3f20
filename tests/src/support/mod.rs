//! What the tests need: a temporary PostgreSQL for each run, a migrated database for each test, a proxy that breaks
//! connections, a standby, a mail server, an OpenID provider, a device with passkeys, a Redis, a receiver of telemetry, certificates, and spoilt
//! values.

mod certificate;
mod cluster;
mod database;
mod device;
mod mail;
mod openid;
mod pair;
mod proxy;
mod receiver;
mod redis;
mod spoil;
mod standby;

pub(crate) use certificate::make_certificate;
pub(crate) use cluster::{cluster, scratch, scratch_on_disk};
pub(crate) use database::{TestDatabase, copy_of, database, empty_database, pool_as};
pub(crate) use device::Device;
pub(crate) use mail::MailServer;
pub(crate) use openid::OpenIdProvider;
pub(crate) use pair::{Pair, Place, STRANDINGS, Stranding, standby_of};
pub(crate) use proxy::Proxy;
pub(crate) use receiver::{Receiver, Taken, attribute};
pub(crate) use redis::Redis;
pub(crate) use spoil::{broken, changed, strange};
pub(crate) use standby::{Standby, until};
