//! The only place where hub, broker and channel rules meet: the use cases that rooms and doors share.

mod control;
mod cursor;
mod history;
mod lease;
mod observe;
mod presence;
mod publish;
mod pump;
mod revoked;
mod streams;
mod subscribe;
mod sweep;
mod tail;
mod together;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::roster::NodeRecord;
use crate::broker::{Broker, BrokerError, Bus, Events, Health, Ledger, Roster};
use crate::channel::Rules;
use crate::config::section::{HistoryConfig, PresenceConfig};
use crate::hub::{Hub, Member};
use crate::model::time::Clock;
use crate::model::{ByteSize, ChannelName, ConnectionId, NodeId};
use crate::presence::Presence;
use crate::task::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::tracing::Tracing;
use fanfare_proto::envelope::{Control, Order};

pub use history::HistoryError;
pub use lease::LeaseConfig;
pub use observe::Observer;
pub use publish::PublishAsk;
pub use revoked::Verdict;
pub use subscribe::{Joining, Opening, SubscribeError};

/// What a node is made of; `app` builds it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// This node.
    pub id: NodeId,
    /// How it announces itself.
    pub lease: LeaseConfig,
    /// Who listens here.
    pub hub: Arc<Hub>,
    /// Who listens anywhere.
    pub broker: Arc<dyn Broker>,
    /// Orders between nodes.
    pub bus: Arc<dyn Bus>,
    /// What all nodes hold.
    pub roster: Arc<dyn Roster>,
    /// Who and what is no longer let in.
    pub ledger: Arc<dyn Ledger>,
    /// Who is on a channel.
    pub presence: Arc<dyn Presence>,
    /// What holds for streams.
    pub history: HistoryConfig,
    /// Most bytes of one recovery or one page of history for a client.
    pub page_size: ByteSize,
    /// What holds for members.
    pub members: PresenceConfig,
    /// Channel rules.
    pub rules: Arc<Rules>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is traced.
    pub tracing: Tracing,
    /// How long a client's subscribe may take in all.
    pub patience: Duration,
}

/// One gateway node.
#[derive(Debug)]
pub struct Node {
    parts: Parts,
    holdings: subscribe::Holdings,
    streams: streams::Streams,
    retired: lease::Retired,
    observing: observe::Observing,
    revoked: revoked::Revoked,
    started: Duration,
}

impl Node {
    /// Joins the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let started = parts.clock.now();
        let node = Self {
            parts,
            holdings: subscribe::Holdings::default(),
            streams: streams::Streams::default(),
            retired: lease::Retired::default(),
            observing: observe::Observing::default(),
            revoked: revoked::Revoked::default(),
            started,
        };
        node.read_what_is_here();
        Arc::new(node)
    }

    /// Starts what goes on by itself: the pump, the healer, the sweep and the lease, until `tasks` stop.
    pub fn start(self: &Arc<Self>, events: Events, tasks: &Tasks) {
        for _ in 0..tokio::runtime::Handle::current().metrics().num_workers() {
            tasks.spawn_essential("writer", Arc::clone(self.parts.hub.writers()).run(tasks.stop()));
        }
        tasks.spawn_essential("pump", pump::run(Arc::clone(self), events, tasks.stop()));
        tasks.spawn_essential("healer", streams::run(Arc::clone(self), tasks.stop()));
        tasks.spawn_essential("sweep", sweep::run(Arc::clone(self), tasks.stop()));
        tasks.spawn_essential("lease", lease::run(Arc::clone(self), tasks.stop()));
        tasks.spawn_essential("revocations", revoked::run(Arc::clone(self), tasks.stop()));
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.parts.id
    }

    /// Channel rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.parts.rules
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// Whether the broker delivers right now.
    #[must_use]
    pub fn broker_health(&self) -> Health {
        self.parts.broker.health()
    }

    /// Whether anybody on this node listens to the channel.
    #[must_use]
    pub fn has_listeners(&self, channel: &ChannelName) -> bool {
        self.parts.hub.has(channel)
    }

    /// Everyone on this node.
    #[must_use]
    pub fn everyone(&self) -> Vec<Member> {
        self.parts.hub.people().everyone()
    }

    /// What waits for all readers together, in bytes.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.parts.hub.people().waiting().bytes()
    }

    /// Lets a connection in: orders to its user reach it from now on.
    pub fn enter(&self, member: Member) {
        self.parts.hub.people().enter(member);
        self.parts.metrics.connections.inc();
    }

    /// Lets a connection that has entered out.
    pub fn leave(&self, connection: ConnectionId) {
        self.parts.hub.people().leave(connection);
        self.parts.metrics.connections.dec();
    }

    /// Gives an order to the sessions it is about, on all nodes, this one included.
    ///
    /// # Errors
    /// The broker's: the order is then not certain to be carried out.
    pub async fn order(&self, order: Order) -> Result<(), BrokerError> {
        let control =
            Control { sender: self.parts.id.to_string(), time_ms: self.parts.clock.unix_ms(), order: Some(order) };
        self.parts.bus.send(control).await
    }

    /// All nodes, stale by at most one heartbeat.
    ///
    /// # Errors
    /// The broker's.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, BrokerError> {
        self.parts.roster.nodes().await
    }

    /// All channels with subscribers anywhere, and how many; stale by at most one heartbeat.
    ///
    /// # Errors
    /// The broker's.
    pub async fn channels(&self, pattern: &str) -> Result<BTreeMap<String, u64>, BrokerError> {
        self.parts.roster.channels(pattern).await
    }
}
