//! Where events are decided and wait: the seam between those who note and deliver and what all nodes have in
//! common.
//!
//! # The contract
//! - **Decided once.** A thing is told as occupied when the first node holds it, and as vacated when no node
//!   has held it for the debounce time, once each, whichever nodes take part. Whoever holds it again
//!   meanwhile was never away.
//! - **In order.** Entries of a shard have the order in which they were noted, and numbers that count them.
//! - **Dead nodes.** What a node held whose lease has ended is let go of by the others, or by the first that
//!   starts.
//! - **Notes.** After [`Log::begin`] it is known which of a node's calls were carried out, so that none is
//!   made twice; unless the store has forgotten, which it says ([`Name::EventsLost`]), or the node was away
//!   for longer than its lease.
//! - **Delivery.** One node at a time takes a shard's entries. They stay until they are [`Log::done`].
//!
//! `gateway/tests/contract` runs one suite over all implementations.

pub mod memory;
pub mod redis;

use std::fmt;
use std::time::Duration;

use fanfare_proto::hook::event::Name;
use fanfare_proto::script::events;
// The trait here is used as an object.
pub use futures_util::future::BoxFuture;

use crate::model::{ChannelName, UserId};

pub use events::{Entry, SHARDS, Taken, shard};

/// The log of all shards. Methods may be called from any task; for one shard, those that note by one task.
pub trait Log: fmt::Debug + Send + Sync + 'static {
    /// Begins to note, at first and after each error of [`Log::keep`]: calls before this one that are still on
    /// their way are never carried out. Answers the number of the last one that was; none if there was none,
    /// or nobody knows.
    ///
    /// # Errors
    /// See [`LogError`].
    fn begin(&self, shard: usize) -> BoxFuture<'_, Result<Option<u64>, LogError>>;

    /// Notes what was seen, and brings about what is due. `call` counts the node's calls of this shard.
    ///
    /// # Errors
    /// See [`LogError`].
    fn keep<'a>(&'a self, shard: usize, call: u64, notes: &'a [Note]) -> BoxFuture<'a, Result<Kept, LogError>>;

    /// Takes the next entries, at most so many; none while another node delivers. With a limit of 0 it only says that
    /// this node is still at it.
    ///
    /// # Errors
    /// See [`LogError`].
    fn take(&self, shard: usize, limit: usize) -> BoxFuture<'_, Result<Option<Taken>, LogError>>;

    /// Removes what was delivered: everything up to this number of the epoch. False if it is not this node's any more.
    ///
    /// # Errors
    /// See [`LogError`].
    fn done<'a>(&'a self, shard: usize, epoch: &'a str, number: u64) -> BoxFuture<'a, Result<bool, LogError>>;

    /// This node notes nothing more: what it still holds is let go of.
    ///
    /// # Errors
    /// See [`LogError`]; then the lease has to end first.
    fn farewell(&self, shard: usize) -> BoxFuture<'_, Result<(), LogError>>;
}

/// What nodes hold together: a channel, or a user on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thing {
    /// The channel.
    pub channel: ChannelName,
    /// Who is on it; the anonymous user stands for anybody.
    pub user: UserId,
}

/// An event that one node alone knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub name: Name,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// On which channel, if on any.
    pub channel: Option<ChannelName>,
    /// To whom.
    pub user: UserId,
    /// On which connection; empty if that is not said.
    pub client: String,
}

/// What a node has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The node has somebody there. Again for what it holds: nothing happens.
    Hold(Thing),
    /// The node has nobody there any more.
    Release(Thing),
    /// Something happened.
    Tell(Told),
    /// The same, but only once in a debounce time for the channel.
    Once(Told),
}

/// What came of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How long until something is due; none if nothing is.
    pub due: Option<Duration>,
    /// Events that were told.
    pub told: u64,
}

/// Why the log did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not reached, or no answer in time: it may have been done. Begin again.
    #[error("{0}")]
    Away(String),
    /// The node's lease has ended, and nothing was done. Begin again.
    #[error("the lease has ended")]
    Late,
    /// It will not, and nothing was done. Try again later.
    #[error("refused: {0}")]
    Refused(String),
}
