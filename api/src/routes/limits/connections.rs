use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Network, limited};
use crate::problem::Problem;
use crate::routes::Proxies;

/// How soon a client with too many connections may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many connections are open, by network.
type Open = Arc<Mutex<HashMap<Network, usize>>>;

/// The connections that are open, by network. Proxies that are trusted and programs on the same machine have as many as
/// they like, since others speak through them.
pub(crate) struct Connections {
    open: Open,
    per_address: usize,
    proxies: Arc<Proxies>,
}

impl Connections {
    pub(crate) fn new(per_address: usize, proxies: Arc<Proxies>) -> Self {
        Self { open: Arc::default(), per_address: per_address.max(1), proxies }
    }

    /// Counts a new connection from an address.
    pub(crate) fn open(&self, address: IpAddr) -> Connection {
        let address = address.to_canonical();
        if address.is_loopback() || self.proxies.trust(address) {
            return Connection { counted: None, is_one_too_many: false };
        }
        let network = Network::of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        *count += 1;
        let is_one_too_many = *count > self.per_address;
        if is_one_too_many {
            limited("connections");
        }
        Connection { counted: Some((network, Arc::clone(&self.open))), is_one_too_many }
    }
}

/// A connection that counts as open until it is dropped.
pub(crate) struct Connection {
    counted: Option<(Network, Open)>,
    /// Whether the network had as many connections as it may have already: each request is refused then.
    pub(crate) is_one_too_many: bool,
}

impl Connection {
    /// The answer to a request on a connection too many.
    pub(crate) fn refused() -> Problem {
        Problem::too_many(RETRY_AFTER, "too many connections from this address are open; close some of them")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((network, open)) = self.counted.take() else { return };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_connections_and_a_proxy_any_number() {
        let proxies = Arc::new("192.0.2.0/24".parse().expect("a network"));
        let connections = Connections::new(2, proxies);
        let open = |address: &str| connections.open(address.parse().expect("an address"));
        let (first, second) = (open("203.0.113.1"), open("203.0.113.1"));
        assert!(!first.is_one_too_many && !second.is_one_too_many);
        assert!(open("::ffff:203.0.113.1").is_one_too_many);
        assert!(!open("203.0.113.2").is_one_too_many);
        drop(first);
        assert!(!open("203.0.113.1").is_one_too_many);
        drop(second);
        assert!(connections.open.lock().expect("no test panicked").is_empty());
        for free in ["192.0.2.7", "127.0.0.1", "::1"] {
            let held: Vec<_> = (0..5).map(|_| open(free)).collect();
            assert!(held.iter().all(|it| !it.is_one_too_many), "{free}");
        }
    }
}
