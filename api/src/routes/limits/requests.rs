use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_commands::{Allowances, Caller, Share};
use uuid::Uuid;

use super::{Limit, Network, Uncounted};
use crate::Settings;
use crate::problem::Problem;

/// How many requests an address and a user may send per minute, so that a program that asks without a pause takes nobody
/// else's place. Log-ins have limits of their own, and are not counted.
pub(crate) struct Requests {
    addresses: Limit<Network>,
    users: Limit<Uuid>,
    uncounted: Uncounted,
}

fn per_minute<K: Copy + Eq + Hash>(name: &'static str, whose: &str, most: u32) -> Limit<K> {
    let detail = format!("too many requests of this {whose}; wait as long as Retry-After says");
    Limit { name, detail, allowances: Allowances::within(Duration::from_mins(1), most) }
}

impl Requests {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            addresses: per_minute("requests_of_address", "address", settings.requests_per_minute_of_address),
            users: per_minute("requests_of_user", "user", settings.requests_per_minute_of_user),
            uncounted: Uncounted::new(settings),
        }
    }

    /// Counts a request from an address, or refuses it.
    pub(crate) fn count_address(&self, address: IpAddr, now: DateTime<Utc>) -> Result<(), Problem> {
        if self.uncounted.has(address) {
            return Ok(());
        }
        self.addresses.take(Network::of(address), now).map(Share::spend)
    }

    /// Counts a request of a caller, or refuses it.
    pub(crate) fn count_user(&self, caller: &Caller, now: DateTime<Utc>) -> Result<(), Problem> {
        self.users.take(caller.whose_share(), now).map(Share::spend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_sends_so_many_requests_a_minute_and_a_proxy_any_number() {
        let settings = Settings {
            requests_per_minute_of_address: 2,
            trusted_proxies: "192.0.2.0/24".parse().expect("a network"),
            ..Settings::default()
        };
        let (requests, now) = (Requests::new(&settings), DateTime::UNIX_EPOCH);
        let send = |address: &str, now| requests.count_address(address.parse().expect("an address"), now).is_ok();
        assert!(send("203.0.113.1", now) && send("203.0.113.1", now) && !send("203.0.113.1", now));
        assert!(send("203.0.113.2", now), "another address");
        assert!(send("203.0.113.1", now + Duration::from_secs(30)), "half of it has come back");
        assert!(!send("203.0.113.1", now + Duration::from_secs(30)));
        for free in ["192.0.2.7", "127.0.0.1", "::1"] {
            assert!((0..5).all(|_| send(free, now)), "{free}");
        }
    }
}
