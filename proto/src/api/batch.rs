//! Several calls in one request, and one call with its method in the body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::field::{Text, or_default};
use super::{
    BroadcastResult, ChannelsResult, Empty, Error, HistoryResult, InfoResult, PresenceResult, PresenceStatsResult,
    PublishResult,
};

/// One call of a batch, from the method's name to its request: `{"publish":{..}}`.
pub type Command<'a> = BTreeMap<Text<'a>, &'a RawValue>;

/// `batch`: several calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch<'a> {
    /// The calls.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub commands: Vec<Command<'a>>,
    /// Whether a call may begin before the one before it is answered.
    #[serde(default, deserialize_with = "or_default")]
    pub parallel: bool,
}

/// What the calls of a batch were answered with. Stands alone, without `result` around it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BatchResult<'a> {
    /// One for each call, in the order of the request.
    #[serde(borrow)]
    pub replies: Vec<Reply<'a>>,
}

/// The answer to one call of a batch: `{"publish":{..}}` or `{"error":{..}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "named as the methods are")]
pub enum Reply<'a> {
    Publish(PublishResult),
    Broadcast(BroadcastResult),
    Subscribe(Empty),
    Unsubscribe(Empty),
    Disconnect(Empty),
    Refresh(Empty),
    RevokeToken(Empty),
    InvalidateUserTokens(Empty),
    BlockUser(Empty),
    UnblockUser(Empty),
    #[serde(borrow)]
    History(HistoryResult<'a>),
    HistoryRemove(Empty),
    #[serde(borrow)]
    Presence(PresenceResult<'a>),
    PresenceStats(PresenceStatsResult),
    Info(InfoResult),
    Channels(ChannelsResult),
    /// Not done.
    Error(Error),
}

/// The older form of a call, `POST /api` with the method in the body.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Call<'a> {
    /// The method's name.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub method: Text<'a>,
    /// The request; none is the same as an empty one.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}
