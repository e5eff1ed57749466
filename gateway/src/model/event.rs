//! What a client can be told: one closed enum for all protocols.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::{ChannelName, ConnectionId, NodeId, Publication, SessionId};

/// Something for one client.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The answer to a command.
    Reply {
        /// The command's id.
        id: u32,
        /// The good answer.
        reply: &'a Reply,
    },
    /// The refusal of a command.
    Error {
        /// The command's id.
        id: u32,
        /// Why.
        code: ErrorCode,
    },
    /// Something that nobody asked for just now.
    Push {
        /// The channel it is about; none for the connection itself.
        channel: Option<&'a ChannelName>,
        /// What happened.
        push: &'a Push,
    },
    /// Are you there?
    Ping,
}

/// Good answers, one for each [`super::command::Ask`] that has one.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Welcome.
    Connect(Box<Connected>),
    /// You will get this channel's publications from now on.
    Subscribe(Subscribed),
    /// You will get no more.
    Unsubscribe,
    /// It is with the broker.
    Publish,
    /// The token was taken.
    Refresh {
        /// Your connection's id.
        client: ConnectionId,
        /// How long the new token is good for; none if it does not expire.
        ttl: Option<Duration>,
    },
    /// The subscription token was taken.
    SubRefresh {
        /// How long the new token is good for; none if it does not expire.
        ttl: Option<Duration>,
    },
}

/// The answer to connect.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The connection's id.
    pub client: ConnectionId,
    /// The gateway's version.
    pub version: &'static str,
    /// How long the token is good for; none if it does not expire.
    pub ttl: Option<Duration>,
    /// From the application; empty if none.
    pub data: Bytes,
    /// Server-side subscriptions.
    pub subs: BTreeMap<ChannelName, Subscribed>,
    /// Expect a ping at least this often; whole seconds on the wire.
    pub ping_interval: Duration,
    /// Whether pings want pongs.
    pub pong: bool,
    /// For transports that need a second road in.
    pub session: Option<SessionId>,
    /// The node that holds the session.
    pub node: NodeId,
    /// The node's clock, in milliseconds since 1970.
    pub time_ms: i64,
}

/// The state of a subscription at its start.
#[derive(Clone, Debug, Default)]
pub struct Subscribed {
    /// How long the subscription token is good for; none if it does not expire.
    pub ttl: Option<Duration>,
    /// From the application; empty if none.
    pub data: Bytes,
}

/// What nobody asked for.
#[derive(Clone, Debug)]
pub enum Push {
    /// Something was said.
    Publication(Publication),
    /// The server subscribed you.
    Subscribe(Subscribed),
    /// The server ended your subscription.
    Unsubscribe {
        /// Below 2500: for good. From 2500 on: subscribe again.
        code: u32,
        /// For people.
        reason: &'static str,
    },
    /// A message from the application, outside of channels.
    Message {
        /// The message.
        data: Bytes,
    },
    /// The server refreshed your connection.
    Refresh {
        /// How long it is good for now; none if it does not expire.
        ttl: Option<Duration>,
    },
}
