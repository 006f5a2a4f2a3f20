use std::net::IpAddr;

use chrono::{DateTime, Utc};
use hims_commands::{Allowances, Share};

use super::{Limit, Network, Uncounted};
use crate::Settings;
use crate::problem::Problem;

/// How many connections a network may have open. Proxies that are trusted and programs on the same machine have as many
/// as they like, since others speak through them.
pub(crate) struct Connections {
    limit: Limit<Network>,
    uncounted: Uncounted,
}

/// A connection: its share of what its network may have open, or the answer to each request on a connection too many.
pub(crate) struct Connection(Result<Option<Share<Network>>, Problem>);

impl Connections {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limit = Limit {
            name: "connections",
            detail: "too many connections from this address are open; close some of them".to_owned(),
            allowances: Allowances::at_once(settings.connections_per_address),
        };
        Self { limit, uncounted: Uncounted::new(settings) }
    }

    /// Counts a new connection from an address until the connection is dropped.
    pub(crate) fn open(&self, address: IpAddr, now: DateTime<Utc>) -> Connection {
        let address = address.to_canonical();
        if self.uncounted.has(address) {
            return Connection(Ok(None));
        }
        Connection(self.limit.take(Network::of(address), now).map(Some))
    }
}

impl Connection {
    /// The answer to a request, if the connection is one too many.
    pub(crate) fn refused(&self) -> Option<Problem> {
        self.0.as_ref().err().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_connections_and_a_proxy_any_number() {
        let settings = Settings {
            connections_per_address: 2,
            trusted_proxies: "192.0.2.0/24".parse().expect("a network"),
            ..Settings::default()
        };
        let connections = Connections::new(&settings);
        let open = |address: &str| connections.open(address.parse().expect("an address"), DateTime::UNIX_EPOCH);
        let (first, second) = (open("203.0.113.1"), open("203.0.113.1"));
        assert!(first.refused().is_none() && second.refused().is_none());
        assert!(open("::ffff:203.0.113.1").refused().is_some());
        assert!(open("203.0.113.2").refused().is_none());
        drop(first);
        assert!(open("203.0.113.1").refused().is_none());
        for free in ["192.0.2.7", "127.0.0.1", "::1"] {
            let held: Vec<_> = (0..5).map(|_| open(free)).collect();
            assert!(held.iter().all(|it| it.refused().is_none()), "{free}");
        }
    }
}
