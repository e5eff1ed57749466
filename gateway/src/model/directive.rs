//! What the node orders a session to do: the road by which a server API call, made on any node,
//! reaches the sessions it is about. Ending a connection is no directive: it waits for nothing and goes
//! through the outbox's own close.

use std::time::Duration;

use bytes::Bytes;

use super::command::Since;
use super::{Capabilities, ChannelName};

/// An order to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Leave a channel and tell the client.
    Unsubscribe {
        /// The channel to leave.
        channel: ChannelName,
        /// The code for the client: 2000 ends it, from 2500 on the client subscribes again.
        code: u32,
        /// For people.
        reason: &'static str,
    },
    /// Join a channel (a server-side subscription) and tell the client.
    Subscribe {
        /// The channel to join.
        channel: ChannelName,
        /// Shown to others as the client's channel info; empty if none.
        info: Bytes,
        /// For the client; empty if none.
        data: Bytes,
        /// When the subscription expires, in seconds since 1970; none if it does not.
        expire_at: Option<i64>,
        /// What the client has seen, if it is to get what it has missed since.
        recover: Option<Since>,
    },
    /// The application has been asked whether the connection, or one of its subscriptions, may go on.
    Renew {
        /// The subscription's channel; none for the connection.
        channel: Option<ChannelName>,
        /// Which of the session's questions it was.
        question: u32,
        /// What it said.
        answer: Renewed,
    },
    /// Look whether the tokens that opened its subscriptions have been revoked.
    Recheck,
    /// Prolong the connection.
    Refresh {
        /// How long it is good for from now on; none if it does not expire.
        ttl: Option<Duration>,
    },
}

/// What the application says of something that has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It goes on.
    Until {
        /// When it ends, in seconds since 1970; none if it does not.
        expires_at: Option<i64>,
        /// What others see of the client from now on; empty to leave it as it is.
        info: Bytes,
        /// For the application's later hooks; empty to leave it as it is.
        meta: Bytes,
        /// What the connection may do beyond its channels' rules; none to leave it as it is.
        caps: Option<Box<Capabilities>>,
    },
    /// It ends.
    Expired,
    /// Nothing: it is asked again later.
    Unknown,
}
