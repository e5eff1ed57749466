//! Who listens on this node, and the walk that reaches them. Sync: no I/O, no await. Knows outboxes and
//! wires, never sessions.
//!
//! Lock order: a channel shard, then an outbox. A connection shard, then a user shard. Never two shards
//! of one kind at once.

mod deliver;
mod mark;
pub mod outbox;
mod people;
pub mod pipe;
mod writers;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use fanfare_proto::code::unsubscribe;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use parking_lot::RwLock;

use crate::model::wire::{Encode, Frame, WireKey};
use crate::model::{ChannelName, ConnectionId, Directive};
use crate::telemetry::Metrics;

pub use deliver::Said;
pub use mark::Mark;
pub use outbox::{Outbox, OutboxReader, Refused, Signal};
pub use people::{Member, Target};
pub use pipe::Pipe;
pub use writers::Writers;

/// More than cores, so that a long walk over one channel seldom meets a subscribe to another.
const SHARDS: usize = 64;

/// Who gets a channel's publications.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Where they go.
    pub outbox: Outbox,
    /// How they are written.
    pub wire: WireKey,
    /// Which of the channel's events it gets, and in what form.
    pub wants: Wants,
    /// It has seen the channel's stream up to this offset, although this node has not delivered so much
    /// yet: what comes with a lower or the same offset is not for it. 0 for all others.
    pub ahead: u64,
    /// The offset of the publication that it got last; 0 if none: patches are made to what it has.
    pub base: u64,
}

/// Which of a channel's events a subscriber gets, and in what form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// It is told who joins and leaves.
    pub join_leave: bool,
    /// It is told when it may have missed something: [`Hub::expel`] is about it.
    pub positioned: bool,
    /// It gets patches where they are shorter, and the delta form always.
    pub delta: bool,
}

type Listeners = IndexMap<ConnectionId, deliver::Listener, RandomState>;
type Channels = HashMap<ChannelName, Listeners, RandomState>;

/// Who listens on this node.
pub struct Hub {
    channels: Box<[RwLock<Channels>]>,
    people: people::People,
    writers: Arc<Writers>,
    encoders: [Option<Arc<dyn Encode>>; WireKey::COUNT],
    hasher: RandomState,
    metrics: Arc<Metrics>,
}

impl Hub {
    /// An empty hub that writes with these encoders; a wire without one cannot be subscribed with.
    #[must_use]
    pub fn new(encoders: &[Arc<dyn Encode>], metrics: Arc<Metrics>) -> Self {
        let mut table: [Option<Arc<dyn Encode>>; WireKey::COUNT] = Default::default();
        for encoder in encoders {
            table[encoder.key().index()] = Some(Arc::clone(encoder));
        }
        Self {
            channels: (0..SHARDS).map(|_| RwLock::default()).collect(),
            people: people::People::new(SHARDS),
            writers: Arc::default(),
            encoders: table,
            hasher: RandomState::default(),
            metrics,
        }
    }

    /// Adds a subscriber. `opening` (the answer to the subscribe command) goes into its outbox first,
    /// under the lock that deliveries take: nothing of the channel can overtake it.
    pub fn add(&self, channel: &ChannelName, connection: ConnectionId, subscriber: Subscriber, opening: Option<Frame>) {
        let mut shard = self.shard(channel).write();
        if let Some(frame) = opening {
            // A refusal has closed the outbox: its connection is about to end and to leave.
            let _ = subscriber.outbox.reply(frame);
        }
        let listeners = shard.entry(channel.clone()).or_insert_with(|| {
            self.metrics.channels.inc();
            Listeners::default()
        });
        if listeners.insert(connection, subscriber.into()).is_none() {
            self.metrics.subscriptions.inc();
        }
    }

    /// Takes the channel's positioned subscribers out, at once, and orders their sessions to end their
    /// subscriptions with [`unsubscribe::INSUFFICIENT_STATE`]; answers how many. Others stay.
    pub fn expel(&self, channel: &ChannelName) -> usize {
        let mut shard = self.shard(channel).write();
        let Some(listeners) = shard.get_mut(channel) else { return 0 };
        let before = listeners.len();
        let code = unsubscribe::INSUFFICIENT_STATE;
        listeners.retain(|_, listener| {
            if listener.wants.positioned {
                let channel = channel.clone();
                let order = Directive::Unsubscribe { channel, code, reason: unsubscribe::reason(code) };
                let _ = listener.outbox.direct(order);
            }
            !listener.wants.positioned
        });
        let (expelled, empty) = (before - listeners.len(), listeners.is_empty());
        self.metrics.subscriptions.dec_by(i64::try_from(expelled).unwrap_or(i64::MAX));
        if empty {
            shard.remove(channel);
            self.metrics.channels.dec();
        }
        expelled
    }

    /// Takes a subscriber out; true if nobody on this node listens to the channel any more.
    pub fn remove(&self, channel: &ChannelName, connection: ConnectionId) -> bool {
        let mut shard = self.shard(channel).write();
        let Some(listeners) = shard.get_mut(channel) else { return true };
        if listeners.swap_remove(&connection).is_some() {
            self.metrics.subscriptions.dec();
        }
        let empty = listeners.is_empty();
        if empty {
            shard.remove(channel);
            self.metrics.channels.dec();
        }
        empty
    }

    /// Whether anybody on this node listens to the channel.
    #[must_use]
    pub fn has(&self, channel: &ChannelName) -> bool {
        self.shard(channel).read().contains_key(channel)
    }

    /// All channels with subscribers on this node, and how many each has.
    #[must_use]
    pub fn channels(&self) -> BTreeMap<ChannelName, u64> {
        let mut all = BTreeMap::new();
        for shard in &self.channels {
            all.extend(shard.read().iter().map(|(channel, listeners)| (channel.clone(), listeners.len() as u64)));
        }
        all
    }

    /// Connections that have said who they are, and orders to them.
    #[must_use]
    pub fn people(&self) -> &people::People {
        &self.people
    }

    /// Those who write what deliveries have put into outboxes.
    #[must_use]
    pub fn writers(&self) -> &Arc<Writers> {
        &self.writers
    }

    fn shard(&self, channel: &ChannelName) -> &RwLock<Channels> {
        let shard = usize::try_from(self.hasher.hash_one(channel) % SHARDS as u64).unwrap_or(0);
        &self.channels[shard]
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("connections", &self.people.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
