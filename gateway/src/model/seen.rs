//! What a node sees its clients do, for those who are told of it.

use super::{ChannelName, ConnectionId, UserId};

/// Something that a client did, or that happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A connection has said who it is.
    Connected {
        /// Which.
        client: ConnectionId,
        /// Whose.
        user: &'a UserId,
    },
    /// A connection that was seen connected has ended.
    Disconnected {
        /// Which.
        client: ConnectionId,
        /// Whose.
        user: &'a UserId,
    },
    /// A connection listens to a channel.
    Subscribed(Place<'a>),
    /// A connection that was seen subscribed listens no more.
    Unsubscribed(Place<'a>),
    /// A client wanted the latest publication of a channel, and there is none.
    CacheEmpty {
        /// Which.
        channel: &'a ChannelName,
    },
}

/// A client on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Which channel.
    pub channel: &'a ChannelName,
    /// Which connection.
    pub client: ConnectionId,
    /// Whose.
    pub user: &'a UserId,
    /// The channel has presence: its users are its members.
    pub has_members: bool,
}
