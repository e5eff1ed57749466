//! Who connects to what, and from where.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::wire::Wire;

/// Connections from one address of this machine. It has some 28,000 ports, but when half of them are taken, the
/// kernel looks through all those before it finds one for the next connection.
const PER_SOURCE: usize = 10_000;

/// Who opens connections to what.
#[derive(Clone)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub wire: Arc<dyn Wire>,
    /// What everybody subscribes to; `{n}` stands for the member's number.
    pub channel: String,
    /// What tokens are signed with.
    pub secret: String,
    /// How many connections.
    pub members: usize,
    /// The number of the first one.
    pub first: usize,
    /// Handshakes under way at once, at most.
    pub at_once: usize,
}

impl Plan {
    /// Where a member's connection comes from; the kernel's choice for the first ones, and for servers elsewhere.
    /// Crowds of one run have different numbers, and so different addresses: a port that is bound to one is taken
    /// for all servers.
    pub(super) fn source(&self, place: usize) -> Option<Ipv4Addr> {
        let block = u16::try_from((self.first + place) / PER_SOURCE).unwrap_or(u16::MAX);
        let [high, low] = block.saturating_add(256).to_be_bytes();
        (self.address.ip().is_loopback() && place >= PER_SOURCE).then(|| Ipv4Addr::new(127, 0, high, low))
    }

    /// The same for other members: numbers go on after these.
    pub fn after(mut self, members: usize) -> Self {
        self.first = members;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::plain::Plain;

    #[test]
    fn addresses_are_our_own_and_only_for_servers_here() {
        let (channel, secret) = Default::default();
        let address = "127.0.0.1:80".parse().unwrap();
        let plan = Plan { address, wire: Arc::new(Plain), channel, secret, members: 1, first: 0, at_once: 1 };
        assert_eq!(plan.source(PER_SOURCE - 1), None);
        assert_eq!(plan.source(PER_SOURCE), Some(Ipv4Addr::new(127, 0, 1, 1)));
        assert_eq!(plan.source(3 * PER_SOURCE - 1), Some(Ipv4Addr::new(127, 0, 1, 2)));
        let after = plan.clone().after(300 * PER_SOURCE);
        assert_eq!(after.source(PER_SOURCE), Some(Ipv4Addr::new(127, 0, 2, 45)));
        let elsewhere = Plan { address: "192.0.2.1:80".parse().unwrap(), ..plan };
        assert_eq!(elsewhere.source(PER_SOURCE), None);
    }
}
