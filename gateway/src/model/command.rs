//! What a client can ask: one closed enum for all protocols.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{ClientHeaders, Token};

/// One thing asked, with the number its answer must carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Chosen by the client and echoed in the reply; 0 asks for no reply.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// Everything a client can ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Says who the client is. The first command, once.
    Connect(Connect),
    /// Wants a channel's publications.
    Subscribe(Subscribe),
    /// No longer wants them.
    Unsubscribe {
        /// The channel's name, not checked yet.
        channel: String,
    },
    /// Says something on a channel.
    Publish {
        /// The channel's name, not checked yet.
        channel: String,
        /// The payload, as it came.
        data: Bytes,
    },
    /// Who is on a channel?
    Presence {
        /// The channel's name, not checked yet.
        channel: String,
    },
    /// How many are on a channel?
    PresenceStats {
        /// The channel's name, not checked yet.
        channel: String,
    },
    /// What was said on a channel?
    History {
        /// The channel's name, not checked yet.
        channel: String,
        /// Which part of it.
        query: HistoryAsk,
    },
    /// Calls the application.
    Rpc {
        /// The application's method.
        method: String,
        /// Its argument.
        data: Bytes,
    },
    /// Tells the application something, without an answer.
    Send {
        /// The message.
        data: Bytes,
    },
    /// A new connection token for the old one.
    Refresh {
        /// The new token.
        token: Token,
    },
    /// A new subscription token for the old one.
    SubRefresh {
        /// The channel's name, not checked yet.
        channel: String,
        /// The new token.
        token: Token,
    },
    /// The answer to a ping.
    Pong,
}

/// What a client says of itself when it connects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// A connection JWT; empty if none.
    pub token: Token,
    /// For the application's connect hook.
    pub data: Bytes,
    /// The client library's name, for statistics.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Headers that its platform lets it set in the protocol only.
    pub headers: ClientHeaders,
    /// Positions of server-side subscriptions from before a reconnect.
    pub subs: BTreeMap<String, Subscribe>,
}

/// What a client wants of a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscribe {
    /// The channel's name, not checked yet.
    pub channel: String,
    /// A subscription JWT; empty if none.
    pub token: Token,
    /// For the application's subscribe hook.
    pub data: Bytes,
    /// What the client has seen, if it wants what it has missed since.
    pub recover: Option<Since>,
    /// It wants to be told when it may have missed something.
    pub positioned: bool,
    /// It wants to be able to recover later.
    pub recoverable: bool,
    /// It wants to be told who joins and leaves.
    pub join_leave: bool,
    /// Patches of this kind would do; as it came, empty for none.
    pub delta: String,
    /// Rather an error ([`fanfare_proto::code::ErrorCode::UnrecoverablePosition`]) than a subscription
    /// that has lost something.
    pub reject_unrecovered: bool,
}

/// What a client says it has seen of a channel's stream. As it came: nothing of it need be true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// The last offset it has seen; 0 for nothing.
    pub offset: u64,
    /// In this epoch; empty if it does not know.
    pub epoch: Arc<str>,
}

/// Which part of a channel's history is asked for. As it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryAsk {
    /// At most so many publications; 0 for none, -1 for as many as may be, below that senseless.
    pub limit: i32,
    /// Only what came after this, or, in reverse, before.
    pub since: Option<Since>,
    /// From new to old.
    pub reverse: bool,
}
