//! From the broker to clients, and what joins missed publications with live ones: for a client that comes
//! back, and for a node that its broker has not told everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::broker::memory::MemoryBroker;
use fanfare_gateway::broker::{Broker, BrokerEvent, Events, Outgoing, PublishOptions, Retention};
use fanfare_gateway::channel::Rules;
use fanfare_gateway::codec::centrifuge::Json;
use fanfare_gateway::config::{self, Config, Machine, Purpose, Sources};
use fanfare_gateway::hub::{Hub, OutboxReader, Subscriber};
use fanfare_gateway::model::command::Since;
use fanfare_gateway::model::event::{Event, Recovery, Reply, Standing, Subscribed};
use fanfare_gateway::model::time::{Clock, TestClock};
use fanfare_gateway::model::wire::{Encode, Frame};
use fanfare_gateway::model::{ByteSize, ChannelName, ConnectionId, NodeId, Publication};
use fanfare_gateway::node::{Joining, LeaseConfig, Node, Parts};
use fanfare_gateway::presence::memory::MemoryPresence;
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::telemetry::tracing::Tracing;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::fanout::{PAYLOAD, subscriber, uncorked};
use crate::measure::{measured, runtime};
use crate::sink::Sink;

/// Publications that are missed; as many as `dev` keeps.
pub(crate) const MISSED: usize = 100;

/// Longer than any run: nothing happens by the clock while something is counted.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

const RETENTION: Retention = Retention { size: MISSED, ttl: LONG, meta_ttl: LONG };

/// A node that is alone with its broker and one channel.
struct Stage {
    runtime: Runtime,
    node: Arc<Node>,
    broker: Arc<MemoryBroker>,
    /// What the broker tells; the node hears only what it is passed.
    told: Events,
    channel: ChannelName,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

impl Stage {
    fn new() -> Self {
        let runtime = runtime();
        let _inside = runtime.enter();
        let config = config();
        let metrics = Arc::new(Metrics::new());
        let clock: Arc<dyn Clock> = TestClock::at_unix_ms(1_700_000_000_000);
        let tasks = Tasks::new(Arc::clone(&metrics));
        let (broker, told) = MemoryBroker::start(&config.broker, Arc::clone(&metrics), Arc::clone(&clock));
        let tell = Arc::new(|_, _| Box::pin(std::future::ready(())) as _);
        let encoders: [Arc<dyn Encode>; 1] = [Arc::new(Json)];
        let node = Node::new(Parts {
            id: NodeId::random(),
            lease: LeaseConfig { name: "node".into(), heartbeat: LONG, lease: LONG },
            hub: Arc::new(Hub::new(&encoders, Arc::clone(&metrics))),
            broker: broker.clone(),
            bus: broker.clone(),
            roster: broker.clone(),
            ledger: broker.clone(),
            presence: MemoryPresence::start(tell, Arc::clone(&clock), &tasks, Arc::clone(&metrics)),
            history: config.history,
            page_size: ByteSize::mib(1),
            members: config.presence,
            rules: Arc::new(Rules::new(&config.channel)),
            clock,
            metrics: Arc::clone(&metrics),
            tracing: Tracing::default(),
            patience: LONG,
        });
        let channel = ChannelName::parse("lobby").expect("a good name");
        Self { runtime, node, broker, told, channel, metrics, tasks }
    }

    /// Says something on the channel as often as can be missed.
    fn publish(&self) {
        let data = Bytes::from_static(PAYLOAD);
        let publication = Publication { data, ..Publication::default() };
        let options = PublishOptions { retention: Some(RETENTION), ..PublishOptions::default() };
        for _ in 0..MISSED {
            let outgoing = Outgoing { publication: publication.clone(), ..Outgoing::default() };
            let published = self.broker.publish(&self.channel, outgoing, options.clone());
            self.runtime.block_on(published).expect("the broker keeps it");
        }
    }

    /// A client that has seen nothing yet, and wants all of it.
    fn comes_back(&self, sink: &Sink) -> Client {
        let (outbox, reader) = uncorked(sink, &self.metrics);
        Client { subscriber: subscriber(&outbox), _reader: reader }
    }

    fn subscribe(&self, client: &Client) -> Standing {
        let joining = Joining {
            channel: &self.channel,
            connection: ConnectionId::random(),
            subscriber: client.subscriber.clone(),
            recoverable: true,
            recover: Some(Since::default()),
            reject_unrecovered: false,
            entry: None,
        };
        let subscribed = self.runtime.block_on(self.node.subscribe(joining, Some(&opening)));
        subscribed.expect("the broker answers").expect("the channel has a stream")
    }
}

struct Client {
    subscriber: Subscriber,
    _reader: OutboxReader,
}

/// The first that comes back: what was missed is read from the broker, and written.
pub(crate) fn recover_first() {
    let stage = Stage::new();
    stage.publish();
    let client = stage.comes_back(&Sink::default());
    let standing = measured(|| stage.subscribe(&client));
    assert_eq!(recovered(&standing), MISSED);
}

/// All others: what was missed is here and has been written.
pub(crate) fn recover_again() {
    let stage = Stage::new();
    stage.publish();
    let (first, second) = (stage.comes_back(&Sink::default()), stage.comes_back(&Sink::default()));
    assert_eq!(recovered(&stage.subscribe(&first)), MISSED);
    let standing = measured(|| stage.subscribe(&second));
    assert_eq!(recovered(&standing), MISSED);
}

/// The broker tells the node of each publication, and each is written before the next comes.
pub(crate) fn live() {
    let (stage, sink, _client, events) = listening();
    assert_eq!(events.len(), MISSED);
    hear(&stage, &sink, events, 1);
}

/// The broker tells the node of the last of many publications only: the node reads what it has missed, joins
/// both, and delivers them in order.
pub(crate) fn heal() {
    let (stage, sink, _client, mut events) = listening();
    let last = events.split_off(MISSED - 1);
    hear(&stage, &sink, last, MISSED);
}

/// A node with one client that has missed nothing, and what the broker has to tell since.
fn listening() -> (Stage, Sink, Client, Vec<BrokerEvent>) {
    let mut stage = Stage::new();
    let sink = Sink::default();
    let client = stage.comes_back(&sink);
    assert_eq!(recovered(&stage.subscribe(&client)), 0);
    client.subscriber.outbox.flush();
    stage.publish();
    let events = std::iter::from_fn(|| stage.told.try_recv().ok()).collect();
    (stage, sink, client, events)
}

/// Tells the node these, and waits each time until so many more publications have been written.
fn hear(stage: &Stage, sink: &Sink, events: Vec<BrokerEvent>, publications: usize) {
    let (broker, heard) = mpsc::channel(1);
    let inside = stage.runtime.enter();
    stage.node.start(heard, &stage.tasks);
    drop(inside);
    stage.runtime.block_on(settle());
    let before = sink.frames();
    measured(|| {
        stage.runtime.block_on(async {
            for event in events {
                let written = sink.frames() + publications;
                broker.send(event).await.expect("the node listens");
                sink.has_taken(written).await;
            }
        });
    });
    assert_eq!(sink.frames(), before + MISSED);
}

/// The node's tasks have begun and wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn recovered(standing: &Standing) -> usize {
    match &standing.recovery {
        Some(Recovery::Recovered(missed)) => missed.len(),
        other => panic!("not recovered: {other:?}"),
    }
}

/// The answer as a session writes it.
fn opening(standing: Option<&Standing>) -> Vec<Frame> {
    let subscribed = Subscribed { standing: standing.cloned(), ..Subscribed::default() };
    vec![Json.encode(&Event::Reply { id: 2, reply: &Reply::Subscribe(subscribed) })]
}

/// What `dev` has: channels with history for everyone.
fn config() -> Config {
    let sources = Sources {
        purpose: Purpose::Dev,
        file: None,
        environment: BTreeMap::new(),
        flags: Vec::new(),
        machine: Machine { host_name: "node".into(), open_files_max: None },
    };
    config::load(&sources).expect("the habits of dev are good").config
}
