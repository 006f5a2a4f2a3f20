//! From where a request comes, also when it comes through proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, USER_AGENT, X_FORWARDED_FOR};
use actix_web::web;
use serde::Deserialize;
use sqlx::types::ipnetwork::IpNetwork;

/// The proxies whose word about the address of a client is believed: addresses and networks, separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Proxies(Vec<IpNetwork>);

impl TryFrom<String> for Proxies {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Proxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let network = |it: &str| {
            it.parse().map_err(|_| format!("{it} is no address such as 10.0.0.1 and no network such as 10.0.0.0/8"))
        };
        named.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Proxies {
    /// Whether the address is one of a trusted proxy.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|it| it.contains(address))
    }

    /// The address of the client. Each proxy adds the address that it was asked from at the end of a header, so the
    /// client is the last address in the header that is no trusted proxy. A proxy that writes one of the two headers
    /// lets the other one of its clients pass: headers that contradict each other are not believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        let said = [(FORWARDED, forwarded as fn(&str) -> _), (X_FORWARDED_FOR, |it| it.trim().to_owned())]
            .map(|(name, read)| self.last_stranger(peer, &hops(headers, &name, read)));
        match said {
            [Some(one), None] | [None, Some(one)] => one,
            [Some(one), Some(other)] if one == other => one,
            [None, None] | [Some(_), Some(_)] => peer,
        }
    }

    /// The last of the hops that is no trusted proxy; `None` without hops. A hop that names no address, such as
    /// `unknown`, hides what is before it: the proxy that was asked from there stands for the client.
    fn last_stranger(&self, peer: IpAddr, hops: &[String]) -> Option<IpAddr> {
        let mut last = None;
        for hop in hops.iter().rev() {
            let Some(address) = address(hop) else { return Some(last.unwrap_or(peer)) };
            last = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        last
    }
}

/// The elements of a header that is a list, in order, each read with `read`.
fn hops(headers: &HeaderMap, name: &HeaderName, read: fn(&str) -> String) -> Vec<String> {
    let lines = headers.get_all(name).map(|it| it.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(read).collect()
}

/// The node that an element of `Forwarded` names with `for=` (RFC 7239).
fn forwarded(element: &str) -> String {
    let mut parameters = element.split(';').filter_map(|it| it.trim().split_once('='));
    let node = parameters.find(|(name, _)| name.eq_ignore_ascii_case("for"));
    node.map(|(_, node)| node.trim_matches('"').to_owned()).unwrap_or_default()
}

/// An address with or without a port, an IPv6 address with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let address: IpAddr = bare().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))?;
    Some(address.to_canonical())
}

/// The IP address of the client, and the program that it uses (`User-Agent`).
pub(super) fn origin(request: &HttpRequest) -> (Option<IpAddr>, Option<String>) {
    const LONGEST: usize = 500;
    let agent = request.headers().get(USER_AGENT).and_then(|it| it.to_str().ok());
    let proxies = request.app_data::<web::Data<Proxies>>();
    let ip = request.peer_addr().map(|peer| match proxies {
        Some(proxies) => proxies.client(peer.ip(), request.headers()),
        None => peer.ip().to_canonical(),
    });
    (ip, agent.map(|agent| agent.chars().take(LONGEST).collect()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let proxies: Proxies = "10.0.0.0/8, 192.0.2.1,2001:db8:1::/48".parse().expect("networks");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        proxies.client(peer.parse().expect("an address"), &map).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let forged = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(client("203.0.113.5", &forged), "203.0.113.5");
        assert_eq!(client("10.1.2.3", &forged), "198.51.100.1");
        assert_eq!(client("::ffff:10.1.2.3", &forged[..1]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        let list = [("x-forwarded-for", "1.1.1.1, 198.51.100.7"), ("x-forwarded-for", "10.9.9.9")];
        assert_eq!(client("192.0.2.1", &list), "198.51.100.7");
        let inside = [("x-forwarded-for", "10.2.2.2, 10.9.9.9")];
        assert_eq!(client("192.0.2.1", &inside), "10.2.2.2");
    }

    #[test]
    fn the_forms_of_rfc_7239_are_read() {
        for (header, expected) in [
            ("for=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
            ("For=\"198.51.100.7:4711\"", "198.51.100.7"),
            ("proto=https; for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=\"[2001:db8:cafe::17]\", for=10.3.3.3", "2001:db8:cafe::17"),
            ("for=unknown", "10.1.1.1"),
            ("for=1.1.1.1, for=_hidden, for=10.3.3.3", "10.3.3.3"),
            ("nonsense", "10.1.1.1"),
        ] {
            assert_eq!(client("10.1.1.1", &[("forwarded", header)]), expected, "{header}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_are_not_believed() {
        let both = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=203.0.113.66")];
        assert_eq!(client("10.1.1.1", &both), "10.1.1.1");
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = "10.0.0.0/8, proxy.example".parse::<Proxies>().expect_err("a name is no network");
        assert!(error.contains("proxy.example"), "{error}");
        assert_eq!("".parse::<Proxies>(), Ok(Proxies::default()));
    }
}
