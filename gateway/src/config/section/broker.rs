//! `[broker]`: what joins the nodes.

use std::time::Duration;

/// What joins the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Where it is.
    pub url: BrokerUrl,
    /// The first part of every key and channel name in Redis.
    pub prefix: String,
    /// How long the broker may not deliver before `/ready` says no.
    pub unready_after: Duration,
    /// How long to wait for a link.
    pub connect_timeout: Duration,
    /// How long to wait for an answer.
    pub command_timeout: Duration,
    /// How often a node sends itself a probe and renews its lease.
    pub heartbeat_interval: Duration,
    /// How long a node counts as alive without a heartbeat.
    pub node_lease: Duration,
    /// Messages from the broker that may wait for this node.
    pub intake_max: usize,
}

/// Where the broker is.
#[derive(Clone, PartialEq, Eq)]
pub enum BrokerUrl {
    /// In this process: one node only.
    Memory,
    /// `redis://[user:password@]host[:port][/db]`. Holds a password: `Debug` masks it.
    Redis(String),
}

impl std::fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

impl BrokerUrl {
    /// The URL without its password, for logs.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Memory => "memory://".to_owned(),
            Self::Redis(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
                _ => url.clone(),
            },
        }
    }
}
