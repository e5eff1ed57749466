//! What a client can be told: one closed enum for all protocols.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::{ChannelName, ClientInfo, ConnectionId, Membership, NodeId, Position, Publication, Retained, SessionId};

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
    /// The refusal of a command in the application's own words.
    Refusal {
        /// The command's id.
        id: u32,
        /// Why.
        error: &'a CustomError,
    },
    /// Something that nobody asked for just now.
    Push {
        /// The channel it is about; none for the connection itself.
        channel: Option<&'a ChannelName>,
        /// What happened.
        push: &'a Push,
    },
    /// Something was said on a channel.
    Publication {
        /// The channel.
        channel: &'a ChannelName,
        /// What was said.
        publication: &'a Publication,
    },
    /// A publication for subscribers that have agreed to deltas.
    Delta {
        /// The channel.
        channel: &'a ChannelName,
        /// What was said, whole.
        publication: &'a Publication,
        /// The patch that makes its data of the data of the publication before; none where the whole is
        /// shorter, or the publication before is not known to have been received.
        patch: Option<&'a Bytes>,
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
    /// Who is on the channel, by connection.
    Presence(Vec<ClientInfo>),
    /// How many are on the channel.
    PresenceStats(PresenceStats),
    /// What was said on the channel.
    History {
        /// In the order asked for.
        publications: Vec<Arc<Retained>>,
        /// Where the stream's newest publication stands.
        top: Position,
    },
    /// The application's answer to a call.
    Rpc {
        /// What it says; empty if nothing.
        data: Bytes,
    },
    /// The subscription token was taken.
    SubRefresh {
        /// How long the new token is good for; none if it does not expire.
        ttl: Option<Duration>,
    },
}

/// An error that the application has made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomError {
    /// Its number: 400-1999, or one of [`ErrorCode`]'s.
    pub code: u32,
    /// For people.
    pub message: String,
    /// Whether the same request may succeed later.
    pub temporary: bool,
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
    /// Where the subscription stands in the channel's stream; none on channels without history, and for
    /// clients that do not want to know.
    pub standing: Option<Standing>,
    /// The subscription gets patches: from now on data comes in the delta form.
    pub delta: bool,
}

/// Where a subscription stands in its channel's stream.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The client is told when it may have missed something.
    pub positioned: bool,
    /// The client may recover later.
    pub recoverable: bool,
    /// What it has seen when it has taken the publications below: after a recovery, what it said it had
    /// seen, in the stream's present epoch; else the stream's top.
    pub position: Position,
    /// What became of its wish to recover; none if it had none.
    pub recovery: Option<Recovery>,
}

/// What became of a wish to recover.
#[derive(Clone, Debug)]
pub enum Recovery {
    /// All that was missed, in order. Nothing is missing between it and what comes later.
    Recovered(Vec<Arc<Retained>>),
    /// Something is lost to this client: it has to get its state elsewhere.
    Unrecovered,
}

/// How many are on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Connections.
    pub clients: u64,
    /// Different users among them; all anonymous ones together are one.
    pub users: u64,
}

/// What nobody asked for.
#[derive(Clone, Debug)]
pub enum Push {
    /// Somebody joined or left.
    Membership(Membership),
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
