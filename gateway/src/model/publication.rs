//! What is said on a channel, and by whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{ConnectionId, UserId};

/// Where a publication stands in its channel's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counts from 1 within an epoch, without gaps.
    pub offset: u64,
    /// Names one life of the stream; offsets of different epochs cannot be compared.
    pub epoch: Arc<str>,
}

/// Who a client is, as others on a channel see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The application's id for the user; empty for anonymous.
    pub user: UserId,
    /// The connection; as text, because it may come from a node of another version.
    pub client: Arc<str>,
    /// JSON (or bytes) that the connection token carried for everyone to see; empty if none.
    pub connection_info: Bytes,
    /// The same, from the subscription token; empty if none.
    pub channel_info: Bytes,
}

impl ClientInfo {
    /// Its size in bytes, without any wire's own.
    #[must_use]
    pub fn size(&self) -> usize {
        self.user.as_str().len() + self.client.len() + self.connection_info.len() + self.channel_info.len()
    }
}

/// One message on a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// The payload: JSON on one line in `json` namespaces, any bytes in `binary` ones.
    pub data: Bytes,
    /// The publishing client; none when a backend published.
    pub info: Option<ClientInfo>,
    /// Small application-defined labels.
    pub tags: BTreeMap<String, String>,
    /// Set on channels with history.
    pub position: Option<Position>,
    /// When it was published, in milliseconds since 1970 by the publishing node's clock; 0 if unknown.
    pub time_ms: i64,
    /// This connection does not get the publication: it published it, or the API said so.
    pub exclude: Option<ConnectionId>,
    /// Subscribers that have agreed to deltas may get it as a patch to the one before.
    pub delta: bool,
}

impl Publication {
    /// Size of what is said, in bytes: payload, infos and tags, without any wire's own.
    #[must_use]
    pub fn size(&self) -> usize {
        let info = self.info.as_ref().map_or(0, ClientInfo::size);
        self.data.len() + info + self.tags.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// What happened to a channel's membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// What happened.
    pub change: Change,
    /// To whom.
    pub who: ClientInfo,
}

/// How a channel's membership changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A client has subscribed.
    Joined,
    /// It has gone: it unsubscribed, its connection ended, or its node died.
    Left,
}
