//! Questions about all nodes together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::field::{Text, or_default};

/// `info`: what the nodes say of themselves.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Info {}

/// All nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoResult {
    /// By id.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Its id, new with each start.
    pub uid: String,
    /// Its configured or host name.
    pub name: String,
    /// The gateway's version.
    pub version: String,
    /// Connections.
    pub num_clients: u64,
    /// Different users among them.
    pub num_users: u64,
    /// Channels with at least one subscription.
    pub num_channels: u64,
    /// Subscriptions.
    pub num_subs: u64,
    /// Seconds since the process started.
    pub uptime: u64,
}

/// `channels`: which channels have subscribers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Channels<'a> {
    /// `*` stands for any characters, `?` for one; empty matches all.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub pattern: Text<'a>,
}

/// The channels found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsResult {
    /// By name.
    pub channels: BTreeMap<String, ChannelRecord>,
}

/// One channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// Subscribed connections on all nodes.
    #[serde(default)]
    pub num_clients: u64,
}
