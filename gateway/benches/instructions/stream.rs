//! From the broker to clients, and what joins missed publications with live ones: for a client that comes
//! back, and for a node that its broker has not told everything.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_gateway::broker::{Broker, BrokerEvent, Outgoing, PublishOptions, Retention};
use fanfare_gateway::channel::Rules;
use fanfare_gateway::codec::centrifuge::Json;
use fanfare_gateway::hub::{OutboxReader, Subscriber};
use fanfare_gateway::model::command::Since;
use fanfare_gateway::model::event::{Event, Recovery, Reply, Standing, Subscribed};
use fanfare_gateway::model::wire::{Encode, Frame};
use fanfare_gateway::model::{ChannelName, ConnectionId, Publication};
use fanfare_gateway::node::Joining;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::alone::{Alone, LONG, dev};
use crate::fanout::{PAYLOAD, subscriber, uncorked};
use crate::measure::{measured, runtime};
use crate::sink::Sink;

/// Publications that are missed; as many as `dev` keeps.
pub(crate) const MISSED: usize = 100;

const RETENTION: Retention = Retention { size: MISSED, ttl: LONG, meta_ttl: LONG };

/// A node that is alone, and one channel.
struct Stage {
    runtime: Runtime,
    alone: Alone,
    channel: ChannelName,
}

impl Stage {
    fn new() -> Self {
        let runtime = runtime();
        let _inside = runtime.enter();
        // Channels with history for everyone.
        let config = dev(BTreeMap::new());
        let alone = Alone::new(&config, Rules::new(&config.channel));
        let channel = ChannelName::parse("lobby").expect("a good name");
        Self { runtime, alone, channel }
    }

    /// Says something on the channel as often as can be missed.
    fn publish(&self) {
        let data = Bytes::from_static(PAYLOAD);
        let publication = Publication { data, ..Publication::default() };
        let options = PublishOptions { retention: Some(RETENTION), ..PublishOptions::default() };
        for _ in 0..MISSED {
            let outgoing = Outgoing { publication: publication.clone(), ..Outgoing::default() };
            let published = self.alone.broker.publish(&self.channel, outgoing, options.clone());
            self.runtime.block_on(published).expect("the broker keeps it");
        }
    }

    /// A client that has seen nothing yet, and wants all of it.
    fn comes_back(&self, sink: &Sink) -> Client {
        let (outbox, reader) = uncorked(sink, &self.alone.metrics);
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
        let subscribed = self.runtime.block_on(self.alone.node.subscribe(joining, Some(&opening)));
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
    let events = std::iter::from_fn(|| stage.alone.told.try_recv().ok()).collect();
    (stage, sink, client, events)
}

/// Tells the node these, and waits each time until so many more publications have been written.
fn hear(stage: &Stage, sink: &Sink, events: Vec<BrokerEvent>, publications: usize) {
    let (broker, heard) = mpsc::channel(1);
    let inside = stage.runtime.enter();
    stage.alone.node.start(heard, &stage.alone.tasks);
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
