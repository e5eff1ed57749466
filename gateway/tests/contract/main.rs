//! One contract, all brokers: what `fanfare_gateway::broker` promises, tried with the broker in memory
//! and with two nodes on a real Redis; and what Redis alone can do to a node.

#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/failing.rs"]
mod failing;
#[path = "../support/redis.rs"]
mod redis_kit;

mod broker;
mod bus;
mod events;
mod failover;
mod history;
mod keys;
mod ledger;
mod link;
mod members;
mod outage;
mod presence;
mod roster;
mod vitals;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::broker::memory::MemoryBroker;
use fanfare_gateway::broker::redis::RedisBroker;
use fanfare_gateway::broker::{
    Broker, BrokerError, BrokerEvent, Bus, Events, Health, Ledger, Outgoing, PublishOptions, Roster,
};
use fanfare_gateway::config::section::{BrokerConfig, BrokerUrl};
use fanfare_gateway::model::time::SystemClock;
use fanfare_gateway::model::{ChannelName, NodeId, Publication};
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_proto::rules::{ChannelRules, DataFormat, Rules};
use redis_kit::RedisServer;

/// How long anything may take. A limit against hanging, not an expectation.
const LIMIT: Duration = Duration::from_secs(30);

/// Deadlines for tests: short enough to see outages soon, long enough for a busy machine.
fn config(url: BrokerUrl) -> BrokerConfig {
    BrokerConfig {
        url,
        prefix: "test".into(),
        unready_after: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        command_timeout: Duration::from_secs(5),
        heartbeat_interval: Duration::from_millis(200),
        node_lease: Duration::from_secs(30),
        intake_max: 10_000,
    }
}

fn redis_config(url: String) -> BrokerConfig {
    config(BrokerUrl::Redis(url))
}

/// A broker and its node's end of it. Its tasks end with it.
struct Node {
    broker: Arc<dyn Broker>,
    bus: Arc<dyn Bus>,
    roster: Arc<dyn Roster>,
    ledger: Arc<dyn Ledger>,
    redis: Option<Arc<RedisBroker>>,
    events: Events,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

impl Node {
    fn memory(config: &BrokerConfig) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (broker, events) = MemoryBroker::start(config, metrics.clone(), SystemClock::new());
        let tasks = Tasks::new(metrics.clone());
        let (bus, roster, ledger) = (broker.clone(), broker.clone(), broker.clone());
        Self { broker, bus, roster, ledger, redis: None, events, metrics, tasks }
    }

    /// Starts on a Redis that may not be there yet.
    fn redis(config: &BrokerConfig) -> Self {
        // With RUST_LOG, a failing test shows what the links saw.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_test_writer().with_env_filter(filter).try_init();
        let metrics = Arc::new(Metrics::new());
        let tasks = Tasks::new(metrics.clone());
        let started = RedisBroker::start(config, NodeId::random(), &tasks, metrics.clone(), SystemClock::new());
        let (broker, events) = started.unwrap();
        // Most cases say plain words, some of them in a namespace.
        let binary = ChannelRules { data_format: DataFormat::Binary, ..ChannelRules::default() };
        broker.announce_rules(&Rules::new(binary, [("p".to_owned(), binary)].into()));
        let redis = Some(broker.clone());
        let (bus, roster, ledger) = (broker.clone(), broker.clone(), broker.clone());
        Self { broker, bus, roster, ledger, redis, events, metrics, tasks }
    }

    /// Starts on a Redis that is there.
    async fn linked(config: &BrokerConfig) -> Self {
        let node = Self::redis(config);
        node.delivers().await;
        node
    }

    /// Waits until publications get through.
    async fn delivers(&self) {
        if let Some(redis) = &self.redis {
            assert!(redis.wait_until_delivers(LIMIT).await, "the broker does not deliver");
        }
    }

    /// Waits until the node knows that they do not.
    async fn is_silent(&self) {
        eventually("the broker falls silent", || self.broker.health() != Health::Delivers).await;
    }

    /// Waits until both links have been lost once more than `before`: a link that is not known to be
    /// broken may yet deliver what was held up on it.
    async fn has_lost_both(&self, before: u64) {
        eventually("both links are given up", || self.metrics.broker_reconnects.get() >= before + 2).await;
    }

    async fn subscribe(&self, names: &[&str]) {
        let channels: Vec<ChannelName> = names.iter().map(|name| channel(name)).collect();
        self.broker.subscribe(&channels).await.unwrap();
    }

    async fn unsubscribe(&self, names: &[&str]) {
        let channels: Vec<ChannelName> = names.iter().map(|name| channel(name)).collect();
        self.broker.unsubscribe(&channels).await.unwrap();
    }

    async fn publish(&self, name: &str, text: &str) -> Result<(), BrokerError> {
        self.broker.publish(&channel(name), outgoing(text), PublishOptions::default()).await.map(drop)
    }

    async fn next(&mut self) -> Seen {
        let event = tokio::time::timeout(LIMIT, self.events.recv()).await.expect("an event comes in time");
        event.expect("the broker goes on").into()
    }

    /// Everything up to a text on a channel, without it.
    async fn until(&mut self, name: &str, text: &str) -> Vec<Seen> {
        let end = Seen::said(name, text);
        let mut all = Vec::new();
        loop {
            match self.next().await {
                seen if seen == end => return all,
                seen => all.push(seen),
            }
        }
    }

    /// Takes events until publications get through.
    async fn take_until_delivers(&mut self, all: &mut Vec<Seen>) {
        let redis = self.redis.clone().expect("only Redis can be down");
        let delivers = redis.wait_until_delivers(LIMIT);
        tokio::pin!(delivers);
        loop {
            tokio::select! {
                delivers = &mut delivers => return assert!(delivers, "the broker does not deliver"),
                seen = self.next() => all.push(seen),
            }
        }
    }

    /// Publishes a last word and answers everything that came before it.
    async fn drain(&mut self, name: &str) -> Vec<Seen> {
        self.publish(name, "last word").await.unwrap();
        self.until(name, "last word").await
    }

    fn gaps(&self) -> u64 {
        self.metrics.broker_gaps.get()
    }
}

/// An event, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Said(String, String),
    Gap(String),
    Ordered(String),
}

impl Seen {
    fn said(name: &str, text: &str) -> Self {
        Self::Said(name.into(), text.into())
    }

    fn gap(name: &str) -> Self {
        Self::Gap(name.into())
    }
}

impl From<BrokerEvent> for Seen {
    fn from(event: BrokerEvent) -> Self {
        match event {
            BrokerEvent::Published { channel, outgoing, .. } => {
                Self::Said(channel.to_string(), String::from_utf8(outgoing.publication.data.to_vec()).unwrap())
            }
            BrokerEvent::Gap { channel } => Self::Gap(channel.to_string()),
            BrokerEvent::Member { channel, membership, .. } => {
                Self::Said(channel.to_string(), format!("{:?} {}", membership.change, membership.who.client))
            }
            BrokerEvent::Control(control) => Self::Ordered(control.sender),
        }
    }
}

/// All nodes of one broker, and what they run on.
struct World {
    nodes: Vec<Node>,
    _server: Option<RedisServer>,
}

impl World {
    fn memory() -> Self {
        Self { nodes: vec![Node::memory(&config(BrokerUrl::Memory))], _server: None }
    }

    async fn redis() -> Self {
        let server = RedisServer::start();
        let config = redis_config(server.url(0));
        let nodes = vec![Node::linked(&config).await, Node::linked(&config).await];
        Self { nodes, _server: Some(server) }
    }

    fn first(&self) -> &Node {
        &self.nodes[0]
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

fn outgoing(text: &str) -> Outgoing {
    let publication = Publication { data: Bytes::copy_from_slice(text.as_bytes()), ..Publication::default() };
    Outgoing { publication, traceparent: String::new() }
}

/// Waits for something that nobody announces.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "{what}: not in time");
}

/// Makes one test of each case and broker.
macro_rules! on_all_brokers {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::World::memory()).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::World::redis().await).await;
            })+
        }
    };
}
pub(crate) use on_all_brokers;
