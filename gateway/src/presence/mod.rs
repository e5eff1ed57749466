//! Who is on a channel, on all nodes. What a node holds stands under the node's lease: nothing is
//! refreshed for each connection, and a dead node's members are gone when its lease has ended.
//!
//! # The contract
//! - **Seen at once.** After `enter` has answered, `list` and `count` on every node show the member;
//!   after `leave` they soon do not. A member is shown once, however often it enters.
//! - **Told once.** With [`Entry::told`], listeners of the channel get one [`Change::Joined`] for each
//!   member that was not there and one [`Change::Left`] for each that was, also for the members of a dead
//!   node, whichever of the others finds them. They arrive as [`crate::broker::BrokerEvent::Member`]'s
//!   values do: over the channel itself. What is told of one member comes in the order in which it
//!   happened.
//! - **Quiet returns.** A member whose connection was lost ([`Departure::Lost`]) stays for the delay it
//!   entered with: it is listed and counted. If meanwhile the same user (not the anonymous one) enters
//!   the channel on any node, the new member takes its place, and neither the leave of the one nor the
//!   join of the other is told. Of several lost members, each entrance takes the place of one.
//! - **Dead nodes.** Members of a node whose lease has ended are not listed, and are removed (and told)
//!   by another node within one heartbeat, or by the first node that starts; until then they are counted.
//!   A node that was taken for dead and lives on enters its members again; those whose leaves were told
//!   are told as joins.
//! - **Restarts.** If the store comes back empty, each node enters its members again, without telling.
//!   If it comes back without its latest changes, too; then the leave of a member that had left may be
//!   told a second time.
//! - **Outages.** Who leaves while the store is away is struck out, and told, when it is back. What waits
//!   for that is bounded by the members there were when the outage began.
//! - **Cost.** `count` is O(1), `list` O(members). Enters and leaves that come together are written
//!   together. Members that stay cost nothing.
//!
//! `gateway/tests/contract` runs one suite over all implementations.
//!
//! [`Change::Joined`]: crate::model::Change::Joined
//! [`Change::Left`]: crate::model::Change::Left

pub mod memory;
pub mod redis;

use std::fmt;
use std::time::Duration;

use fanfare_proto::code::ErrorCode;
// The traits here are used as objects.
pub use futures_util::future::BoxFuture;

use crate::model::event::PresenceStats;
use crate::model::{ChannelName, ClientInfo, ConnectionId};

/// The book of members. All methods may be called from any task at any time.
pub trait Presence: fmt::Debug + Send + Sync + 'static {
    /// Notes a member of this node. Again for the same member: its info is replaced, nothing is told.
    ///
    /// # Errors
    /// When the store did not confirm in time, at once if it is known to be away. A member that was not
    /// noted before is not noted then: if it was seen, it soon leaves. Of one that was, either info stands.
    ///
    /// # Cancel safety
    /// Dropped before the answer is the same as an error.
    fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> BoxFuture<'a, Result<(), PresenceError>>;

    /// Strikes a member of this node out, soon: never waits, and tries again until the store is there.
    /// Nothing happens for one that is not noted, or was replaced by a quiet return.
    fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure);

    /// Everybody on a channel.
    ///
    /// # Errors
    /// When the store was not reached, or more than `limit` are there ([`PresenceError::TooMany`]).
    fn list<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>>;

    /// How many are on a channel.
    ///
    /// # Errors
    /// When the store was not reached.
    fn count<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>>;

    /// Strikes this node's members out, for a clean exit: told like [`Departure::Final`] to those that
    /// remain. Ends within the store's deadline for one call; what is not done by then, other nodes do
    /// when the lease has ended. Nobody enters afterwards.
    fn retire(&self) -> BoxFuture<'_, ()>;
}

/// A member as it enters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which connection.
    pub client: ConnectionId,
    /// How others see it.
    pub info: ClientInfo,
    /// Listeners are told when it joins and leaves.
    pub told: bool,
    /// How long after the loss of its connection it stays.
    pub leave_delay: Duration,
}

/// How a member leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said so, or was made to: at once.
    Final,
    /// Its connection has ended: it may be about to come back.
    Lost,
}

/// Why the book of members did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// The store was not reached, refused, or did not answer in time. Retry later.
    #[error("the presence store: {0}")]
    Unavailable(String),
    /// More members than may be listed at once: count them instead.
    #[error("{count} are on the channel, at most {limit} are listed")]
    TooMany {
        /// How many there are.
        count: u64,
        /// How many may be listed.
        limit: u64,
    },
}

impl PresenceError {
    /// What a client or backend is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::Internal,
            Self::TooMany { .. } => ErrorCode::LimitExceeded,
        }
    }
}
