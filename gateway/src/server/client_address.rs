//! Where a request comes from: the peer, or what proxies say that the operator trusts. What others say of
//! themselves is not looked at, because anybody can say anything.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{FORWARDED, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

use crate::config::section::{AddressHeader, ProxyProtocol, ServerConfig};
use crate::model::{ClientAddress, Network};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Whose word is taken for where a client is, and where they say it.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<Network>,
    header: AddressHeader,
    protocol: ProxyProtocol,
}

impl Proxies {
    /// As `[server]` has it. The default trusts nobody.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        Self {
            trusted: config.trusted_proxies.clone(),
            header: config.client_address_header,
            protocol: config.proxy_protocol,
        }
    }

    /// Whether a PROXY header comes before everything else.
    #[must_use]
    pub fn protocol(&self) -> ProxyProtocol {
        self.protocol
    }

    /// Whether this address is a trusted proxy's.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Where a request comes from that `peer` has brought.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let peer = peer.to_canonical();
        ClientAddress(match self.header {
            _ if !self.trust(peer) => peer,
            AddressHeader::Off => peer,
            AddressHeader::XForwardedFor => self.walk(peer, headers, &X_FORWARDED_FOR, node),
            AddressHeader::Forwarded => self.walk(peer, headers, &FORWARDED, forwarded_for),
            AddressHeader::XRealIp => only(headers, &X_REAL_IP).and_then(node).unwrap_or(peer),
        })
    }

    /// From the nearest entry to the farthest, as long as proxies of ours have written them: each names the one
    /// before it. What is left of the first stranger may be invented. An entry that is no address ends it, too:
    /// then the proxy that wrote it is all that is known.
    fn walk(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        name: &HeaderName,
        read: impl Fn(&str) -> Option<IpAddr>,
    ) -> IpAddr {
        let mut nearest = peer;
        let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        for line in lines.into_iter().rev() {
            let Ok(line) = line.to_str() else { return nearest };
            // Commas within quotes are taken for ends of entries: no proxy of ours writes such, and to look for
            // the other quote would let whoever wrote the left part hide the right one.
            for entry in line.rsplit(',') {
                let Some(address) = read(entry.trim()) else { return nearest };
                nearest = address;
                if !self.trust(nearest) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

/// The value of a header that is there once; none if it is missing, doubled or no text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239, 4), which names it once.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (Some(value), None) = (named.next(), named.next()) else { return None };
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with or without a port; IPv6 in brackets or without.
fn node(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: AddressHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).to_vec();
        Proxies { trusted, header, protocol: ProxyProtocol::Off }
    }

    fn client(header: AddressHeader, peer: &str, lines: &[(&HeaderName, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies(header).client(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn a_list_is_read_from_the_right_to_the_first_stranger() {
        for (peer, lines, expected) in [
            // Who is not trusted speaks for nobody, not even for itself.
            ("203.0.113.9", vec!["127.0.0.1"], "203.0.113.9"),
            ("203.0.113.9", vec!["10.0.0.1"], "203.0.113.9"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", vec!["203.0.113.9"], "203.0.113.9"),
            // The client wrote the first, a proxy of ours the second.
            ("10.0.0.1", vec!["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["10.0.0.2, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["198.51.100.1,203.0.113.9 , 10.7.7.7"], "203.0.113.9"),
            ("10.0.0.1", vec!["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["203.0.113.9", "10.0.0.3"], "203.0.113.9"),
            // All of them ours: somebody within.
            ("10.0.0.1", vec!["10.0.0.9, 10.0.0.3"], "10.0.0.9"),
            // What is no address ends the walk at whoever wrote it.
            ("10.0.0.1", vec!["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec!["203.0.113.9, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", vec!["203.0.113.9,"], "10.0.0.1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
            ("10.0.0.1", vec!["\u{fc}"], "10.0.0.1"),
            // Ports, brackets, IPv6.
            ("10.0.0.1", vec!["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::1", vec!["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", vec!["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["[203.0.113.9]"], "10.0.0.1"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (&X_FORWARDED_FOR, *line)).collect();
            assert_eq!(client(AddressHeader::XForwardedFor, peer, &lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_the_same_way() {
        for (line, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"203.0.113.9:47\";proto=https;by=10.0.0.1", "203.0.113.9"),
            ("proto=https;for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=127.0.0.1, for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            ("for=203.0.113.9;for=198.51.100.1", "10.0.0.1"),
            ("for=_hidden", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("by=203.0.113.9", "10.0.0.1"),
            // An open quote hides nothing of what a proxy has added.
            ("for=\"x, for=203.0.113.9", "203.0.113.9"),
            ("for=127.0.0.1, for=203.0.113.9\"", "10.0.0.1"),
        ] {
            assert_eq!(client(AddressHeader::Forwarded, "10.0.0.1", &[(&FORWARDED, line)]), expected, "{line}");
        }
    }

    #[test]
    fn only_the_configured_header_counts() {
        let all = [(&X_FORWARDED_FOR, "203.0.113.1"), (&FORWARDED, "for=203.0.113.2"), (&X_REAL_IP, "203.0.113.3")];
        for (header, expected) in [
            (AddressHeader::XForwardedFor, "203.0.113.1"),
            (AddressHeader::Forwarded, "203.0.113.2"),
            (AddressHeader::XRealIp, "203.0.113.3"),
            (AddressHeader::Off, "10.0.0.1"),
        ] {
            assert_eq!(client(header, "10.0.0.1", &all), expected);
            assert_eq!(client(header, "192.0.2.1", &all), "192.0.2.1");
        }
        // Doubled: one of them is not the proxy's.
        let doubled = [(&X_REAL_IP, "127.0.0.1"), (&X_REAL_IP, "203.0.113.3")];
        assert_eq!(client(AddressHeader::XRealIp, "10.0.0.1", &doubled), "10.0.0.1");
    }
}
