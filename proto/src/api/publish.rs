//! Saying something on one channel or on many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Answer;
use super::field::{Text, is_false, is_zero, or_default, payload};

/// `publish`: one publication on one channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Publish<'a> {
    /// The channel.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channel: Text<'a>,
    /// The payload as JSON. `null` is a payload.
    #[serde(borrow, default, deserialize_with = "payload", skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// The payload as base64; goes before `data` when both are there.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub b64data: Option<Text<'a>>,
    /// Labels that subscribers get with the publication.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Not to be kept in the channel's history.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub skip_history: bool,
    /// The id of a connection that does not get the publication.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub exclude_client: Option<Text<'a>>,
    /// Names the publication: repeats are answered like the first and not sent. Empty is none.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub idempotency_key: Text<'a>,
    /// May be sent as a patch to the one before.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub delta: bool,
    /// Drops the publication unless it is above the one before; 0 is none.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub version: u64,
    /// Versions of different epochs are not compared. Empty is an epoch, too.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub version_epoch: Text<'a>,
    /// `stored` or `replicated`: when to answer. Empty: as the channel's rules say.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub ack: Text<'a>,
}

/// `broadcast`: the same publication on many channels. The other fields are [`Publish`]'s; spelled out,
/// because serde's `flatten` would copy the payload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Broadcast<'a> {
    /// The channels.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub channels: Vec<Text<'a>>,
    /// See [`Publish::data`].
    #[serde(borrow, default, deserialize_with = "payload", skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// See [`Publish::b64data`].
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub b64data: Option<Text<'a>>,
    /// See [`Publish::tags`].
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// See [`Publish::skip_history`].
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub skip_history: bool,
    /// See [`Publish::exclude_client`].
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub exclude_client: Option<Text<'a>>,
    /// See [`Publish::idempotency_key`]; it counts for each channel by itself.
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub idempotency_key: Text<'a>,
    /// See [`Publish::delta`].
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub delta: bool,
    /// See [`Publish::version`].
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub version: u64,
    /// See [`Publish::version_epoch`].
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub version_epoch: Text<'a>,
    /// See [`Publish::ack`].
    #[serde(borrow, default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub ack: Text<'a>,
}

/// What a publication became. Both fields are absent on channels without history. A repeated publication
/// is answered like the first one; one that was dropped for its version, with where the stream stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishResult {
    /// Its place in the channel's stream; 0 if there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// The stream's epoch.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub epoch: String,
}

/// What the publications of a broadcast became.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BroadcastResult {
    /// One answer for each channel, in the order of the request.
    #[serde(default)]
    pub responses: Vec<Answer<PublishResult>>,
}
