//! Limits of what one network, login, session or connection may use of a server. Each node counts for itself.

mod connections;
mod delays;
mod guesses;
mod refusals;
mod streams;

use std::net::{IpAddr, Ipv6Addr};

pub(crate) use connections::{Connection, Connections};
pub(crate) use guesses::{Guess, Guesses};
pub(crate) use refusals::Refusals;
pub(crate) use streams::{OpenStream, OpenStreams};

use crate::Settings;

/// The limits of a server.
pub(crate) struct Limits {
    /// How fast passwords may be guessed.
    pub(crate) guesses: Guesses,
    /// How many commands of a user may be refused.
    pub(crate) refusals: Refusals,
    /// How many event streams a session may have open.
    pub(crate) streams: OpenStreams,
}

impl Limits {
    /// The limits that the settings name.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            guesses: Guesses::new(settings.logins_per_minute.max(1)),
            refusals: Refusals::new(settings.refusals_per_minute),
            streams: OpenStreams::new(settings.streams_per_session),
        }
    }
}

/// Where a request comes from, as the limits count: an IPv4 address, or the /64 network of an IPv6 address, since a
/// single customer of a provider is given at least a whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(it) => IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Counts a request that a limit refused.
fn limited(limit: &'static str) {
    metrics::counter!("hims_limited_total", "limit" => limit).increment(1);
}
