//! Who is on a channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::field::{Text, or_default};

/// `presence`: everybody on a channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Presence<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
}

/// Everybody on a channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PresenceResult<'a> {
    /// By connection.
    #[serde(borrow)]
    pub presence: BTreeMap<Text<'a>, ClientInfo<'a>>,
}

/// A client, as others on the channel see it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClientInfo<'a> {
    /// The application's id for the user; empty for anonymous.
    #[serde(borrow, default)]
    pub user: Text<'a>,
    /// The connection.
    #[serde(borrow, default)]
    pub client: Text<'a>,
    /// What the connection token carried for everyone to see.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub conn_info: Option<&'a RawValue>,
    /// The same as base64, if it is not JSON.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub b64conn_info: Option<Text<'a>>,
    /// What the subscription token carried for everyone to see.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub chan_info: Option<&'a RawValue>,
    /// The same as base64, if it is not JSON.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub b64chan_info: Option<Text<'a>>,
}

/// `presence_stats`: how many are on a channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PresenceStats<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
}

/// How many are on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceStatsResult {
    /// Connections.
    #[serde(default)]
    pub num_clients: u64,
    /// Different users among them.
    #[serde(default)]
    pub num_users: u64,
}
