//! What may happen between two steps of a subscribe, and to those who are subscribed when several publications come at once.

use std::collections::BTreeMap;
use std::future::ready;

use tokio::sync::Semaphore;

use super::*;
use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, Events, Outgoing, PublishOptions, Retention};
use crate::channel::Rules;
use crate::codec::centrifuge::Json;
use crate::config::section::{ChannelConfig, ChannelOptions, HistoryOptions, PublishAck};
use crate::config::{self, Machine, Purpose, Sources};
use crate::hub::tests::tape::Tape;
use crate::hub::{Hub, Outbox, Wants};
use crate::model::event::PresenceStats;
use crate::model::time::TestClock;
use crate::model::wire::{Encode, WireKey};
use crate::model::{ClientInfo, NodeId, Position, Publication, UserId};
use crate::node::{LeaseConfig, Parts};
use crate::presence::{BoxFuture, Presence};
use crate::telemetry::Metrics;
use crate::telemetry::tracing::Tracing;

const LONG: Duration = Duration::from_secs(60);

/// A book of members that lets nobody in before it has a permit for it.
#[derive(Debug)]
struct Gate(Semaphore);

impl Presence for Gate {
    fn enter<'a>(&'a self, _: &'a ChannelName, _: Entry) -> BoxFuture<'a, Result<(), PresenceError>> {
        Box::pin(async {
            self.0.acquire().await.expect("never closed").forget();
            Ok(())
        })
    }

    fn leave(&self, _: &ChannelName, _: ConnectionId, _: Departure) {}

    fn list<'a>(&'a self, _: &'a ChannelName, _: usize) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn count<'a>(&'a self, _: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>> {
        Box::pin(ready(Ok(PresenceStats::default())))
    }

    fn retire(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn node(gate: &Arc<Gate>) -> (Arc<Node>, Arc<MemoryBroker>, Events) {
    let sources = Sources {
        purpose: Purpose::Dev,
        file: None,
        environment: BTreeMap::new(),
        flags: Vec::new(),
        machine: Machine { host_name: "node".into(), open_files_max: None },
    };
    let config = config::load(&sources).expect("the habits of dev are good").config;
    let metrics = Arc::new(Metrics::new());
    let clock = TestClock::at_unix_ms(1_700_000_000_000);
    let (broker, events) = MemoryBroker::start(&config.broker, Arc::clone(&metrics), clock.clone());
    let encoders: [Arc<dyn Encode>; 1] = [Arc::new(Json)];
    let history = HistoryOptions { size: 10, ttl: LONG, meta_ttl: LONG, ack: PublishAck::Stored };
    let default = ChannelOptions { history: Some(history), presence: true, ..ChannelOptions::default() };
    let node = Node::new(Parts {
        id: NodeId::random(),
        lease: LeaseConfig { name: "node".into(), heartbeat: LONG, lease: LONG },
        hub: Arc::new(Hub::new(&encoders, Arc::clone(&metrics))),
        broker: broker.clone(),
        bus: broker.clone(),
        roster: broker.clone(),
        ledger: broker.clone(),
        presence: gate.clone(),
        history: config.history,
        page_size: ByteSize::mib(1),
        members: config.presence,
        rules: Arc::new(Rules::new(&ChannelConfig { default, ..config.channel })),
        clock,
        metrics,
        tracing: Tracing::default(),
        patience: LONG,
    });
    (node, broker, events)
}

fn joining<'a>(node: &Node, channel: &'a ChannelName) -> Joining<'a> {
    let (outbox, _) = Outbox::new(ByteSize::mib(1), Box::new(Tape::new(0)), Arc::clone(node.metrics()));
    let wants = Wants { positioned: true, ..Wants::default() };
    let connection = ConnectionId::random();
    let nothing = bytes::Bytes::new();
    let info = ClientInfo {
        user: UserId::new("42"),
        client: connection.to_string().into(),
        connection_info: nothing.clone(),
        channel_info: nothing,
    };
    let entry = Entry { client: connection, info, told: false, leave_delay: Duration::ZERO };
    Joining {
        channel,
        connection,
        subscriber: Subscriber { outbox, wire: WireKey::CentrifugeJson, wants, ahead: 0, base: 0 },
        recoverable: false,
        recover: None,
        reject_unrecovered: false,
        entry: Some(entry),
    }
}

#[tokio::test]
async fn who_held_a_channel_that_was_given_back_joins_where_it_is_now() {
    let gate = Arc::new(Gate(Semaphore::new(0)));
    let (node, broker, _events) = node(&gate);
    let channel = ChannelName::parse("lobby").expect("a good name");
    let slow = joining(&node, &channel);
    let mut slow = std::pin::pin!(node.subscribe(slow, None));
    assert!(futures_util::poll!(slow.as_mut()).is_pending(), "the book does not answer");
    // Nobody listens yet: the channel is given back. What is said meanwhile passes this node by.
    node.give_back(&channel).await;
    let retention = Some(Retention { size: 10, ttl: LONG, meta_ttl: LONG });
    for _ in 0..3 {
        let outgoing =
            Outgoing { publication: Publication { data: "1".into(), ..Publication::default() }, ..Outgoing::default() };
        let options = PublishOptions { retention, ..PublishOptions::default() };
        broker.publish(&channel, outgoing, options).await.expect("kept");
    }
    gate.0.add_permits(10);
    let other = node.subscribe(joining(&node, &channel), None).await.expect("joined");
    let slow = slow.await.expect("joined");
    let offset = |standing: Option<Standing>| standing.expect("it stands somewhere").position.offset;
    assert_eq!((offset(other), offset(slow)), (3, 3));
}

/// Somebody on the channel; answers where the channel stands, and what tells all that they have heard since.
async fn listener(node: &Node, channel: &ChannelName, positioned: bool) -> (Position, impl Fn() -> Vec<String>) {
    let (tape, mut joining) = (Tape::new(usize::MAX), joining(node, channel));
    let (outbox, reader) = Outbox::new(ByteSize::mib(1), Box::new(tape.clone()), Arc::clone(node.metrics()));
    outbox.uncork(Frame::Text("first".into()));
    joining.subscriber.outbox = outbox.clone();
    joining.subscriber.wants.positioned = positioned;
    let standing = node.subscribe(joining, None).await.expect("joined").expect("it stands somewhere");
    let heard = move || {
        let _alive = &reader;
        outbox.flush();
        let said = tape.frames().into_iter().map(|frame| String::from_utf8(frame.into_bytes().into()).expect("JSON"));
        let said = said.collect::<Vec<_>>().join("\n");
        let pushes = said.lines().filter(|line| line.contains("push"));
        let data = |line: &str| line.split("\"data\":").nth(1)?.split(['}', ',']).next().map(str::to_owned);
        pushes.filter_map(data).collect()
    };
    (standing.position, heard)
}

#[tokio::test]
async fn several_at_once_are_what_they_would_be_one_by_one() {
    let gate = Arc::new(Gate(Semaphore::new(10)));
    let (node, _broker, _events) = node(&gate);
    let channel = ChannelName::parse("lobby").expect("a good name");
    let (place, positioned) = listener(&node, &channel, true).await;
    let (_, plain) = listener(&node, &channel, false).await;
    let at = |epoch: &str, offset: u64| Publication {
        data: offset.to_string().into(),
        position: Some(Position { offset, epoch: epoch.into() }),
        ..Publication::default()
    };
    let now = &*place.epoch;
    assert_eq!(node.arrive(&channel, [at(now, 1), at(now, 2), at(now, 3)]), 6);
    // What has come before is passed over, wherever it stands.
    assert_eq!(node.arrive(&channel, [at(now, 4), at(now, 2), at(now, 5)]), 4);
    for heard in [&positioned as &dyn Fn() -> Vec<String>, &plain] {
        assert_eq!(heard(), ["1", "2", "3", "4", "5"]);
    }
    // The old stream's last goes to all, the new stream's first only to those who need not know what is between.
    assert_eq!(node.arrive(&channel, [at(now, 6), at("other", 1), at("other", 2)]), 4);
    assert_eq!(positioned(), ["6"]);
    assert_eq!(plain(), ["6", "1", "2"]);
    // One is missing: nothing after it goes out before it has been read.
    assert_eq!(node.arrive(&channel, [at("other", 3), at("other", 5), at("other", 6)]), 1);
    assert_eq!(plain(), ["3"]);
}
