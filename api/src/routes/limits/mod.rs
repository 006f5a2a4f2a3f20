//! Limits of what one network, login, session or connection may use of a server. Each node counts for itself.

mod connections;
mod delays;
mod guesses;
mod load;
mod requests;
mod turns;

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_commands::{Allowances, Caller, Failure, Share};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;

pub(crate) use connections::{Connection, Connections};
pub(crate) use guesses::{Guess, Guesses, KNOWN_FOR};
pub(crate) use load::shed;

use self::load::Load;
use self::requests::Requests;
use crate::Settings;
use crate::problem::Problem;
use crate::routes::Proxies;

/// The limits of a server.
pub(crate) struct Limits {
    /// How fast passwords may be guessed.
    pub(crate) guesses: Guesses,
    /// How fast new passwords may be asked for, counted apart from logins.
    pub(crate) resets: Guesses,
    /// How many commands of a user may be refused, since each refusal is an event and stays in the log for good.
    pub(crate) refusals: Limit<Uuid>,
    /// How many requests an address and a user may send.
    pub(crate) requests: Requests,
    /// How many event streams a session may have open.
    pub(crate) streams: Limit<Uuid>,
    /// How much the node is working on.
    pub(crate) load: Load,
}

impl Limits {
    /// The limits that the settings name.
    pub(crate) fn new(settings: &Settings) -> Self {
        let streams = settings.streams_per_session;
        Self {
            guesses: Guesses::new(settings.free_wrong_passwords),
            resets: Guesses::new(settings.free_wrong_passwords),
            refusals: Limit {
                name: "refusals",
                detail: "too many commands of this user were refused; wait as long as Retry-After says".to_owned(),
                allowances: Allowances::within(Duration::from_mins(1), settings.refusals_per_minute),
            },
            requests: Requests::new(settings),
            streams: Limit {
                name: "streams",
                detail: format!("a session may have {streams} event streams open; close one of them"),
                allowances: Allowances::at_once(streams),
            },
            load: Load::new(settings),
        }
    }

    /// Carries out what a caller asked for, unless too many commands of the caller were refused. A refusal counts.
    pub(crate) async fn counting<T>(
        &self,
        caller: Caller,
        now: DateTime<Utc>,
        attempt: impl AsyncFnOnce(Caller) -> Result<T, Failure>,
    ) -> Result<T, Problem> {
        let user = caller.whose_share();
        self.refusals.check(user, now)?;
        let done = attempt(caller).await;
        if let Err(Failure::Refused(_)) = &done {
            self.refusals.spend(user, now);
        }
        done.map_err(|failure| Problem::of_command(failure, false))
    }
}

/// A limit of what each key may use: its name in the metrics, what is said to those whom it refuses, and what is used.
pub(crate) struct Limit<K> {
    name: &'static str,
    detail: String,
    allowances: Allowances<K>,
}

impl<K: Copy + Eq + Hash> Limit<K> {
    /// Refuses a key that has no share left.
    pub(crate) fn check(&self, key: K, now: DateTime<Utc>) -> Result<(), Problem> {
        self.allowances.check(key, now).map_err(|wait| self.refused(wait))
    }

    /// Takes a share of a key until the share is dropped, or refuses a key that has none left.
    pub(crate) fn take(&self, key: K, now: DateTime<Utc>) -> Result<Share<K>, Problem> {
        self.allowances.take(key, now).map_err(|wait| self.refused(wait))
    }

    /// Spends a share of a key, which comes back with time.
    pub(crate) fn spend(&self, key: K, now: DateTime<Utc>) {
        self.allowances.spend(key, now);
    }

    fn refused(&self, wait: Duration) -> Problem {
        limited(self.name);
        Problem::too_many(wait, self.detail.clone())
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

    /// All addresses of the network.
    pub(crate) fn addresses(self) -> IpNetwork {
        let bits = if self.0.is_ipv4() { 32 } else { 64 };
        IpNetwork::new(self.0, bits).unwrap_or_else(|_| IpNetwork::from(self.0))
    }
}

/// The addresses that no limit counts: programs on the same machine, and trusted proxies, through which others speak.
struct Uncounted {
    proxies: Proxies,
    counts_this_machine: bool,
}

impl Uncounted {
    fn new(settings: &Settings) -> Self {
        Self { proxies: settings.trusted_proxies.clone(), counts_this_machine: settings.counts_this_machine }
    }

    fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() && !self.counts_this_machine || self.proxies.trust(address)
    }
}

/// Counts a request that a limit refused.
fn limited(limit: &'static str) {
    metrics::counter!("hims_limited_total", "limit" => limit).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_all_its_addresses() {
        for (address, network) in
            [("192.0.2.7", "192.0.2.7/32"), ("::ffff:192.0.2.7", "192.0.2.7/32"), ("2001:db8::7", "2001:db8::/64")]
        {
            let address = address.parse().expect("an address");
            assert_eq!(Network::of(address).addresses(), network.parse().expect("a network"));
        }
    }
}
