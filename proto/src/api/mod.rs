//! What backends and the server API say to each other: requests and results of `POST /api/<method>`
//! in JSON, the shapes of Centrifugo's API. Written by callers (the worker), read by the gateway's
//! door. Must not know what a request does; `docs/api.md` is the manual.
//!
//! Requests borrow from the body they are read from, payloads included, so that a publication is
//! looked at once and copied never. Absent, `null` and empty mean the same in every field, except in
//! [`Publish::data`], where `null` is a payload.

mod batch;
mod cluster;
mod connection;
mod field;
mod history;
mod presence;
mod publish;
mod revoke;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use batch::{Batch, BatchResult, Call, Command, Reply};
pub use cluster::{ChannelRecord, Channels, ChannelsResult, Info, InfoResult, Node};
pub use connection::{Disconnect, DisconnectAdvice, Refresh, Subscribe, Unsubscribe};
pub use field::{Given, Text};
pub use history::{History, HistoryRemove, HistoryResult, Publication, Since};
pub use presence::{ClientInfo, Presence, PresenceResult, PresenceStats, PresenceStatsResult};
pub use publish::{Broadcast, BroadcastResult, Publish, PublishResult};
pub use revoke::{BlockUser, InvalidateUserTokens, RevokeToken, UnblockUser};

/// The methods of the API, by what this version does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Says something on a channel.
    Publish,
    /// Says the same on many channels.
    Broadcast,
    /// Adds a server-side subscription to a user's connections.
    Subscribe,
    /// Ends a channel's subscription of a user's connections.
    Unsubscribe,
    /// Ends a user's connections.
    Disconnect,
    /// Prolongs a user's connections, or lets them expire.
    Refresh,
    /// A token is good no longer.
    RevokeToken,
    /// A user's older tokens are good no longer.
    InvalidateUserTokens,
    /// A user is not let in.
    BlockUser,
    /// A user is let in again.
    UnblockUser,
    /// What was said on a channel.
    History,
    /// Forgets that.
    HistoryRemove,
    /// Who is on a channel.
    Presence,
    /// How many are.
    PresenceStats,
    /// What the nodes say of themselves.
    Info,
    /// Which channels have subscribers.
    Channels,
    /// Several calls in one request.
    Batch,
    /// `rpc`: known to callers' libraries, not built here: error 108.
    Unbuilt,
}

impl Method {
    /// Reads a method's name; `None` for one that no library of this API knows.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "publish" => Self::Publish,
            "broadcast" => Self::Broadcast,
            "subscribe" => Self::Subscribe,
            "unsubscribe" => Self::Unsubscribe,
            "disconnect" => Self::Disconnect,
            "refresh" => Self::Refresh,
            "revoke_token" => Self::RevokeToken,
            "invalidate_user_tokens" => Self::InvalidateUserTokens,
            "block_user" => Self::BlockUser,
            "unblock_user" => Self::UnblockUser,
            "history" => Self::History,
            "history_remove" => Self::HistoryRemove,
            "presence" => Self::Presence,
            "presence_stats" => Self::PresenceStats,
            "info" => Self::Info,
            "channels" => Self::Channels,
            "batch" => Self::Batch,
            "rpc" => Self::Unbuilt,
            _ => return None,
        })
    }
}

/// What every call is answered with: `{"result":{..}}` or `{"error":{..}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// Done.
    Result(T),
    /// Not done.
    Error(Error),
}

/// Why a call was refused; the codes are [`crate::code::ErrorCode`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The code.
    pub code: u32,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// The result of a call that has nothing to tell but that it was done: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}
