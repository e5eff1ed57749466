//! Who listens anywhere. A broker carries publications between nodes and to itself; it knows channels
//! and bytes, never clients. Data comes in by [`Broker::publish`] on any node and goes out as
//! [`BrokerEvent`]s on every node that subscribed, the publisher's included: one road, one order.
//!
//! # The contract
//! - **Order.** Two publications to one channel that were published one after the other over the same
//!   node (the second after the first was acknowledged, or both awaited in order) arrive in that order
//!   everywhere; all nodes see one channel in one order.
//! - **No duplicates.** A publication arrives at most once per node.
//! - **What may be lost.** What is published while a node's link is down does not arrive. The node then
//!   sees one [`BrokerEvent::Gap`] for each channel it held, after the link is back and before any later
//!   publication of that channel; on channels with history it can read what it missed.
//! - **History.** A publication with [`PublishOptions::retention`] is stored, numbered and sent in one
//!   step: offsets count from 1 without gaps within an epoch, all nodes see a channel in the order of
//!   its offsets, and what was refused has neither an offset nor a trace. One (epoch, offset) never
//!   names two publications, whatever a failover lost: a stream that may have lost its end goes on
//!   under a new epoch, which remembers the one before and where that ended ([`Stream::previous`]).
//! - **Idempotency.** Of publications to one channel with one [`PublishOptions::key`] within the window,
//!   on whatever nodes, the first is stored and sent; all are answered alike.
//! - **Atomicity.** `subscribe` answers after the broker has confirmed all channels: what is published
//!   after the answer arrives. On an error none may be relied on, and all may be tried again: channels
//!   that were not held before are not held then, and are not made up for when the link is back.
//!   Unsubscribing without a link succeeds: nothing arrives, and nothing is subscribed anew.
//! - **Deadlines.** Every call ends within the configured command timeout, with an error if need be; one that
//!   waits for replicas within twice that and what it may wait for them.
//!   Nobody waits for a broker that is known to be down.
//!
//! `gateway/tests/contract` runs one suite over all implementations.

pub mod bus;
pub mod event;
pub mod history;
pub mod ledger;
pub mod memory;
pub mod options;
pub mod redis;
pub mod roster;

use std::fmt;

use fanfare_proto::code::ErrorCode;
// The traits here are used as objects.
pub use futures_util::future::BoxFuture;
use rand::distr::{Alphanumeric, SampleString};

use crate::model::{ChannelName, Position, Publication};

pub use bus::Bus;
pub use event::{BrokerEvent, Events};
pub use history::{HistoryPage, HistoryQuery, Previous, Stream};
pub use ledger::{Ledger, LedgerError};
pub use options::{Ack, IdempotencyKey, PublishOptions, Retention, Version};
pub use roster::Roster;

/// Length of an epoch's name. Among 62^10 of them nobody meets one twice.
const EPOCH_BYTES: usize = 10;

/// Carries publications. All methods may be called from any task at any time.
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// Starts the delivery of these channels to this node. Subscribing twice is the same as once.
    ///
    /// # Errors
    /// When the broker did not confirm in time; see the contract.
    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Ends the delivery. Publications under way may still arrive.
    ///
    /// # Errors
    /// When the broker did not confirm in time; the channel may go on arriving.
    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Says something on a channel, to all nodes.
    ///
    /// # Errors
    /// When the broker refused (nothing was stored or delivered), did not answer in time (unknown), or
    /// stored it without the replicas that were asked for ([`BrokerError::NotReplicated`]).
    fn publish<'a>(
        &'a self,
        channel: &'a ChannelName,
        outgoing: Outgoing,
        options: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>>;

    /// Reads a channel's stream. One that does not exist begins here, with a fresh epoch and top 0: what
    /// is published after the answer has a position after the answer's top.
    ///
    /// # Errors
    /// When the broker refused or did not answer in time.
    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<HistoryPage, BrokerError>>;

    /// The present positions of many streams' tops, in the order asked; none for streams that do not
    /// exist. Cheap: reads no publications and writes nothing.
    ///
    /// # Errors
    /// When the broker refused or did not answer in time.
    fn tops<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>>;

    /// Forgets a channel's publications; epoch and numbering go on.
    ///
    /// # Errors
    /// When the broker refused or did not answer in time.
    fn forget<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Whether publications get through right now: the link is up and what this node sends to itself
    /// comes back.
    fn health(&self) -> Health;
}

/// A publication on its way out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// What is said.
    pub publication: Publication,
    /// W3C trace context of the publisher; empty if none.
    pub traceparent: String,
}

/// The broker has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Where it stands, on channels with history: of a repeated publication, where the first one does; of
    /// a stale one, where the top does.
    pub position: Option<Position>,
    /// What was done.
    pub outcome: Outcome,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    #[default]
    Sent,
    /// One with the same key had been sent before: this one was not.
    Repeated,
    /// One with the same or a higher version had been sent before: this one was not.
    Stale,
}

/// A name for a new epoch: random, since two that begin on different servers must not be called alike.
fn fresh_epoch() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), EPOCH_BYTES)
}

/// How a broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It delivers.
    Delivers,
    /// It has not delivered for this long.
    Silent(std::time::Duration),
}

/// Why a broker did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// No link, or it broke. Retry later.
    #[error("the broker is not reachable: {0}")]
    Unreachable(String),
    /// No answer within the deadline: it may have been done. Retry if doing it twice is harmless.
    #[error("the broker did not answer in time")]
    Timeout,
    /// It answered that it will not: read-only, out of memory. Nothing was done.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// It has stored and sent the publication, but not enough replicas have confirmed it in time: a
    /// failover may lose it. To be tried again with the same key.
    #[error("stored, but only {confirmed} of {wanted} replicas have confirmed it")]
    NotReplicated {
        /// Replicas that have it.
        confirmed: u64,
        /// Replicas that were asked for.
        wanted: u64,
    },
}

impl BrokerError {
    /// What a client or backend is told: a temporary error, whatever the cause.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}
