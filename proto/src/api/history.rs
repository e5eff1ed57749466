//! What was said on a channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ClientInfo;
use super::field::{Text, is_false, is_zero, or_default, payload};

/// `history`: a page of a channel's stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
    /// At most so many publications; 0 only asks where the stream stands, -1 is as many as may be.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub limit: i32,
    /// Only what came after this or, in reverse, before.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since<'a>>,
    /// From new to old.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub reverse: bool,
}

/// A place in a channel's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<'a> {
    /// The last publication that was seen; 0 for none.
    #[serde(default, deserialize_with = "or_default")]
    pub offset: u64,
    /// The epoch in which it was seen; empty if it is not known.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub epoch: Text<'a>,
}

/// A page of a channel's stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HistoryResult<'a> {
    /// In the order asked for.
    #[serde(borrow, default)]
    pub publications: Vec<Publication<'a>>,
    /// Where the stream stands: its newest publication, whether it is in the page or not.
    #[serde(default)]
    pub offset: u64,
    /// The stream's epoch.
    #[serde(borrow, default)]
    pub epoch: Text<'a>,
}

/// One publication of a stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Publication<'a> {
    /// Its place in the stream.
    #[serde(default)]
    pub offset: u64,
    /// The payload, if it is JSON; else `null`. Always written: libraries insist.
    #[serde(borrow, default, deserialize_with = "payload")]
    pub data: Option<&'a RawValue>,
    /// The payload as base64, where payloads are any bytes.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub b64data: Option<Text<'a>>,
    /// The publishing client; none when a backend published.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub info: Option<ClientInfo<'a>>,
    /// Its labels.
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Text<'a>, Text<'a>>,
    /// When it was published, in milliseconds since 1970; 0 if that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time: i64,
}

/// `history_remove`: forgets a channel's publications.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HistoryRemove<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
}
