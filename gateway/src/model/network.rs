//! Ranges of addresses, as `10.0.0.0/8` writes them (RFC 4632).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses: all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// Neither an address nor an address with a number of bits.
    Form,
    /// The address has more than the bits that count; probably this range was meant.
    Beyond(Network),
}

impl Network {
    /// Whether an address is in the range. An IPv4 address that is written as IPv6 is an IPv4 address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let apart = match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => u128::from(first.to_bits() ^ address.to_bits()),
            (IpAddr::V6(first), IpAddr::V6(address)) => first.to_bits() ^ address.to_bits(),
            _ => return false,
        };
        // To shift all bits out is no shift for the machine.
        apart.checked_shr(width(self.first) - self.bits).unwrap_or(0) == 0
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits beyond the first `bits` cleared.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    let beyond = width(address) - bits;
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits().checked_shr(beyond).unwrap_or(0).checked_shl(beyond).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits().checked_shr(beyond).unwrap_or(0).checked_shl(beyond).unwrap_or(0)).into())
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    /// `10.0.0.0/8`, `fd00::/8`, or one address alone.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork::Form)?;
        let bits = match bits {
            // `parse` would take a sign.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= width(address)).ok_or(NotANetwork::Form)?
            }
            Some(_) => return Err(NotANetwork::Form),
            None => width(address),
        };
        let network = Self { first: first(address, bits), bits };
        if network.first == address { Ok(network) } else { Err(NotANetwork::Beyond(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_range_or_not() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "127.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
            ("10.128.0.0/9", "10.127.255.255", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["10.0.0.0/8", "192.0.2.7", "::1", "fd00::/8", "0.0.0.0/0", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "example.com", "10.0.0.0/8/8"]
        {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::Form), "{text}");
        }
        let meant = "10.0.0.0/8".parse().unwrap();
        assert_eq!("10.1.0.0/8".parse::<Network>(), Err(NotANetwork::Beyond(meant)));
    }
}
