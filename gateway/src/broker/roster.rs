//! What all nodes together hold, from leases that each node renews: answers are stale by at most one
//! heartbeat, and a dead node's part ends with its lease. Nobody is asked when a question comes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{BoxFuture, BrokerError};
use crate::model::ChannelName;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRecord {
    /// The node's id.
    pub id: String,
    /// Its configured or host name.
    pub name: String,
    /// The gateway's version.
    pub version: String,
    /// Connections that have said who they are.
    pub connections: u64,
    /// Different users among them.
    pub users: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Channels with at least one subscription.
    pub channels: u64,
    /// Seconds since the process started.
    pub uptime_s: u64,
}

/// What changed on a node since it last announced itself.
#[derive(Clone, Debug, Default)]
pub struct Announcement {
    /// The node now.
    pub node: NodeRecord,
    /// How long the announcement holds; renewed about three times in that time.
    pub lease: Duration,
    /// All channels with subscribers on this node, and how many subscribers.
    pub channels: BTreeMap<ChannelName, u64>,
}

/// The book of nodes and their channels.
pub trait Roster: fmt::Debug + Send + Sync + 'static {
    /// Renews this node's lease and replaces its entries.
    ///
    /// # Errors
    /// When the book was not reached; the lease then runs out unless the next try succeeds.
    fn announce(&self, announcement: Announcement) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Strikes this node out at once, on a clean exit.
    ///
    /// # Errors
    /// When the book was not reached; the lease then runs out by itself.
    fn leave<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// All nodes with a lease, by id.
    ///
    /// # Errors
    /// When the book was not reached.
    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeRecord>, BrokerError>>;

    /// All channels with a subscriber anywhere and how many there are, those whose name matches the
    /// pattern (`*` any characters, `?` one; empty matches all).
    ///
    /// # Errors
    /// When the book was not reached.
    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, BrokerError>>;
}

/// Whether a channel's name matches a pattern: `*` stands for any characters, `?` for one, everything
/// else for itself; the empty pattern matches all. Takes time in proportion to both lengths at worst,
/// whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on if the last star has to take one more character. Earlier stars need not: whatever
    // they could take, the last one can.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("", "anything"),
            ("*", "x"),
            ("chat:*", "chat:"),
            ("chat:*", "chat:1"),
            ("*1", "chat:1"),
            ("c?at", "chat"),
            ("*a*b*", "xxaxxbxx"),
            ("**", "x"),
            ("[a]", "[a]"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("chat:*", "chat"), ("?", ""), ("?", "ab"), ("a", "b"), ("a", "ab"), ("*ab", "aba"), ("[a]", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        assert!(!matches(&format!("{}b", "a*".repeat(100)), &"a".repeat(255)));
    }
}
