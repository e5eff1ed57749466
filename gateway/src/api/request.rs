//! What a backend can ask: one closed enum for all doors.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::ApiError;
use crate::model::command::{HistoryAsk, Since};

/// Everything a backend can ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Says something on a channel.
    Publish(Publish),
    /// Says the same on many channels.
    Broadcast(Broadcast),
    /// Adds a server-side subscription.
    Subscribe(Subscribe),
    /// Ends a subscription.
    Unsubscribe(Unsubscribe),
    /// Ends connections.
    Disconnect(Disconnect),
    /// Sets when connections expire.
    Refresh(Refresh),
    /// A token is good no longer.
    RevokeToken {
        /// Its id, not checked yet.
        uid: String,
        /// Until when this must be remembered, in seconds since 1970; 0 for ever.
        expire_at: i64,
    },
    /// A user's older tokens are good no longer.
    InvalidateUserTokens {
        /// Whose; not checked yet.
        user: String,
        /// Those made before this moment, in seconds since 1970; 0 until now.
        issued_before: i64,
        /// Until when this must be remembered, in seconds since 1970; 0 for ever.
        expire_at: i64,
    },
    /// A user is not let in.
    BlockUser {
        /// Who; not checked yet.
        user: String,
        /// Until when, in seconds since 1970; 0 until the block is ended.
        expire_at: i64,
    },
    /// A user is let in again.
    UnblockUser {
        /// Who; not checked yet.
        user: String,
    },
    /// What was said on a channel?
    History {
        /// The channel's name, not checked yet.
        channel: String,
        /// Which part of it.
        ask: HistoryAsk,
    },
    /// Forgets what was said on a channel.
    HistoryRemove {
        /// The channel's name, not checked yet.
        channel: String,
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
    /// What do the nodes say of themselves?
    Info,
    /// Which channels have subscribers?
    Channels {
        /// `*` any characters, `?` one; empty matches all.
        pattern: String,
    },
    /// Several requests in one.
    Batch(Batch),
}

/// What is said, and to whom not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The payload as it came; empty is none.
    pub data: Bytes,
    /// Labels that subscribers get with it.
    pub tags: BTreeMap<String, String>,
    /// The id of a connection that does not get it; empty excludes nobody.
    pub exclude_client: String,
    /// Makes repeats harmless; empty is none. Not checked yet.
    pub idempotency_key: String,
    /// It may be sent as a patch to the one before.
    pub delta: bool,
    /// Drops it unless it is above the one before; 0 is none.
    pub version: u64,
    /// Versions of different epochs are not compared. Not checked yet.
    pub version_epoch: String,
    /// It is not kept.
    pub skip_history: bool,
    /// When to answer, in words; empty is as the channel's rules say. Not checked yet.
    pub ack: String,
}

/// One publication on one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publish {
    /// The channel's name, not checked yet.
    pub channel: String,
    /// The publication.
    pub message: Message,
}

/// One publication on many channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broadcast {
    /// The channels' names, not checked yet.
    pub channels: Vec<String>,
    /// The publication.
    pub message: Message,
}

/// Whose connections an order is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Who {
    /// The user; never empty in an order that is carried out, so that nobody ends all anonymous
    /// connections by leaving a field out.
    pub user: String,
    /// Only this connection; empty for all.
    pub client: String,
    /// Only this session; empty for all.
    pub session: String,
}

/// A server-side subscription.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscribe {
    /// Whose.
    pub who: Who,
    /// The channel's name, not checked yet.
    pub channel: String,
    /// Shown to others as the client's channel info; empty if none.
    pub info: Bytes,
    /// For the client; empty if none.
    pub data: Bytes,
    /// When it ends, in seconds since 1970; 0 if it does not.
    pub expire_at: i64,
    /// What the clients have seen, if they are to get what they have missed since.
    pub recover_since: Option<Since>,
}

/// The end of a subscription.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsubscribe {
    /// Whose.
    pub who: Who,
    /// The channel's name, not checked yet.
    pub channel: String,
}

/// The end of connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disconnect {
    /// Whose.
    pub who: Who,
    /// Ids of connections that stay.
    pub whitelist: Vec<String>,
    /// The close code; 0 for the usual one.
    pub code: u32,
    /// For people; empty for the usual one.
    pub reason: String,
}

/// A new time of expiry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refresh {
    /// Whose.
    pub who: Who,
    /// True ends the connections as expired.
    pub expired: bool,
    /// Until when they are good, in seconds since 1970; 0 if they do not expire.
    pub expire_at: i64,
}

/// Several requests in one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The requests, and in their places the refusals of those that could not be read.
    pub calls: Vec<Result<Request, ApiError>>,
    /// What may overlap.
    pub pace: Pace,
}

/// How the calls of a batch follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Each after the answer to the one before: publications keep their order.
    #[default]
    OneByOne,
    /// Several at once: no order is promised.
    Overlapping,
}
