//! Orders about a user's connections. In all of them `user` is required, and `client` and `session`
//! narrow the order to one connection.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Since;
use super::field::{Given, Text, first_given, is_false, is_zero, or_default};

/// `subscribe`: a server-side subscription.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Subscribe<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
    /// Whose connections.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Only this connection.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub client: Text<'a>,
    /// Only this session.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub session: Text<'a>,
    /// When the subscription ends, in seconds since 1970; 0 if it does not.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub expire_at: i64,
    /// Shown to others as the client's channel info.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub info: Option<&'a RawValue>,
    /// The same as base64; goes before `info`.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub b64info: Option<Text<'a>>,
    /// For the client, with the news of the subscription.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// The same as base64; goes before `data`.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub b64data: Option<Text<'a>>,
    /// What the clients have seen of the channel's stream, if they are to get what they have missed since.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub recover_since: Option<Since<'a>>,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub r#override: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub all_users: Given,
    /// Not built. Ignoring it would widen the order.
    #[serde(default, skip_serializing)]
    pub label_filter: Given,
}

impl Subscribe<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[
            ("override", self.r#override),
            ("all_users", self.all_users),
            ("label_filter", self.label_filter),
        ])
    }
}

/// `unsubscribe`: the end of a subscription.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Unsubscribe<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
    /// Whose connections.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Only this connection.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub client: Text<'a>,
    /// Only this session.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub session: Text<'a>,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub all_users: Given,
    /// Not built. Ignoring it would widen the order.
    #[serde(default, skip_serializing)]
    pub label_filter: Given,
}

impl Unsubscribe<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[("all_users", self.all_users), ("label_filter", self.label_filter)])
    }
}

/// `disconnect`: the end of connections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Disconnect<'a> {
    /// Whose connections.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Only this connection.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub client: Text<'a>,
    /// Only this session.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub session: Text<'a>,
    /// Ids of connections that stay.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub whitelist: Vec<Text<'a>>,
    /// What the client is told; code 3503 by default.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub disconnect: Option<DisconnectAdvice<'a>>,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub all_users: Given,
    /// Not built. Ignoring it would widen the order.
    #[serde(default, skip_serializing)]
    pub label_filter: Given,
}

/// What a client is told when its connection ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DisconnectAdvice<'a> {
    /// 3000-4999; clients stay away after 3500-3999 and 4500-4999. 0 is the default.
    #[serde(default, deserialize_with = "or_default")]
    pub code: u32,
    /// For people.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub reason: Text<'a>,
}

impl Disconnect<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[("all_users", self.all_users), ("label_filter", self.label_filter)])
    }
}

/// `refresh`: a new time of expiry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refresh<'a> {
    /// Whose connections.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Only this connection.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub client: Text<'a>,
    /// Only this session.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub session: Text<'a>,
    /// True ends the connections as expired.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub expired: bool,
    /// Until when the connections are good, in seconds since 1970; 0 if they do not expire.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub expire_at: i64,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub info: Given,
}

impl Refresh<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[("info", self.info)])
    }
}
