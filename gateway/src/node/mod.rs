//! The only place where hub, broker and channel rules meet: the use cases that rooms and doors share.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_proto::envelope::Order;

use crate::broker::roster::NodeRecord;
use crate::broker::{Broker, BrokerError, Bus, Outgoing, Published, Roster};
use crate::channel::Rules;
use crate::hub::Hub;
use crate::model::time::Clock;
use crate::model::{ChannelName, NodeId};
use crate::telemetry::Metrics;

/// What a node is made of; `app` builds it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// This node.
    pub id: NodeId,
    /// Who listens here.
    pub hub: Arc<Hub>,
    /// Who listens anywhere.
    pub broker: Arc<dyn Broker>,
    /// Orders between nodes.
    pub bus: Arc<dyn Bus>,
    /// What all nodes hold.
    pub roster: Arc<dyn Roster>,
    /// Channel rules.
    pub rules: Arc<Rules>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// One gateway node.
#[derive(Debug)]
pub struct Node {
    parts: Parts,
}

impl Node {
    /// Joins the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts })
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

    /// Says something on a channel, to all nodes. Payload and rules were checked by the caller.
    ///
    /// # Errors
    /// The broker's.
    pub async fn publish(&self, channel: &ChannelName, outgoing: Outgoing) -> Result<Published, BrokerError> {
        self.parts.broker.publish(channel, outgoing).await
    }

    /// Gives an order to the sessions it is about, on all nodes, this one included.
    ///
    /// # Errors
    /// The broker's: the order is then not certain to be carried out.
    pub async fn order(&self, order: Order) -> Result<(), BrokerError> {
        let control = fanfare_proto::envelope::Control {
            sender: self.parts.id.to_string(),
            time_ms: self.parts.clock.unix_ms(),
            order: Some(order),
        };
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
