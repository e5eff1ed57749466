//! Saying something on one channel or on many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Answer;
use super::field::{Given, Text, first_given, is_false, or_default, payload};

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
    /// Not built.
    #[serde(default, skip_serializing)]
    pub idempotency_key: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub delta: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub version: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub version_epoch: Given,
}

impl Publish<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[
            ("idempotency_key", self.idempotency_key),
            ("delta", self.delta),
            ("version", self.version),
            ("version_epoch", self.version_epoch),
        ])
    }
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
    /// Not built.
    #[serde(default, skip_serializing)]
    pub idempotency_key: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub delta: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub version: Given,
    /// Not built.
    #[serde(default, skip_serializing)]
    pub version_epoch: Given,
}

impl Broadcast<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[
            ("idempotency_key", self.idempotency_key),
            ("delta", self.delta),
            ("version", self.version),
            ("version_epoch", self.version_epoch),
        ])
    }
}

/// What a publication became. Both fields are absent on channels without history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishResult {
    /// Its place in the channel's stream; 0 if there is none.
    #[serde(default, skip_serializing_if = "super::field::is_zero")]
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
